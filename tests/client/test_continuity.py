"""What a lying server can do with authentic versions, and how a device notices."""

from typing import Any

import pytest
from msgspec.structs import replace

from walletsync.continuity import Known, Version, after, has_landed, is_news
from walletsync.crypto import NO_PREVIOUS
from walletsync.errors import BadWallet, ForkDetected, RollbackDetected
from walletsync.payload import Entry, Payload


def follow(known: Known | None, device: str, *, line: str = "a", epoch: int = 1) -> Version:
    """Return the version that `device` makes honestly, knowing `known`; `line` tells histories apart."""
    sequence = 1 if known is None else known.sequence + 1
    return Version(
        sequence=sequence,
        digest=f"{line}{sequence}",
        previous=NO_PREVIOUS.hex() if known is None else known.digest,
        epoch=epoch,
        device=device,
        entries={} if known is None else known.entries,
    )


def history(*devices: str, known: Known | None = None, line: str = "a") -> list[Version]:
    """Return the versions that `devices` make, one after the other."""
    versions = []
    for device in devices:
        versions.append(follow(known, device, line=line))
        known = after(versions[-1])
    return versions


def test_a_new_device_takes_what_it_is_shown() -> None:
    """Knowing nothing, there is nothing to compare with."""
    assert is_news(None, history("laptop", "phone", "laptop")[-1], "tablet")


def test_the_same_version_again_is_no_news() -> None:
    """Nothing to do."""
    versions = history("laptop", "phone")
    assert not is_news(after(versions[1]), versions[1], "laptop")


@pytest.mark.parametrize("seen", range(5))
@pytest.mark.parametrize("device", ["laptop", "phone", "tablet"])
def test_every_later_version_of_the_line_is_news(seen: int, device: str) -> None:
    """However many versions a device missed, an honest line is accepted by all."""
    versions = history("laptop", "phone", "laptop", "tablet", "phone", "phone")
    own = [version.sequence for version in versions if version.device == device]
    if all(sequence <= seen + 1 for sequence in own):  # else the device would have known of its later write
        assert is_news(after(versions[seen]), versions[5], device)


def test_an_older_version_is_a_rollback() -> None:
    """What this device has seen cannot be taken back."""
    versions = history("laptop", "phone", "laptop")
    with pytest.raises(RollbackDetected, match=r"version 2 .* older than version 3"):
        is_news(after(versions[2]), versions[1], "phone")


def test_a_version_of_an_earlier_epoch_is_a_rollback() -> None:
    """A wallet from before a password change is refused, even under the same keys and with a higher sequence."""
    known = replace(after(history("laptop")[0]), epoch=2)
    with pytest.raises(RollbackDetected):
        is_news(known, follow(known, "phone", epoch=1), "laptop")


def test_a_version_of_an_unheard_of_epoch_is_a_fork() -> None:
    """The epoch only rises with the keys, so under the same keys it cannot differ."""
    known = after(history("laptop")[0])
    with pytest.raises(ForkDetected):
        is_news(known, follow(known, "phone", epoch=2), "laptop")


def test_another_version_with_the_same_sequence_is_a_fork() -> None:
    """Two devices cannot both have made version 2."""
    first = history("laptop")
    ours, theirs = (history("phone", known=after(first[0]), line=line)[0] for line in "ab")
    with pytest.raises(ForkDetected):
        is_news(after(ours), theirs, "laptop")


def test_a_next_version_that_builds_on_another_one_is_a_fork() -> None:
    """Directly after, `previous` tells."""
    known = after(history("laptop")[0])
    other = history("laptop", "phone", line="b")[1]
    with pytest.raises(ForkDetected):
        is_news(known, other, "tablet")


@pytest.mark.parametrize("after_the_join", range(1, 5))
def test_forked_devices_that_are_joined_later_notice(after_the_join: int) -> None:
    """The server keeps two lines apart for a while; whoever is shown the other line learns it, however late."""
    start = after(history("laptop", "phone")[-1])
    phones = after(history("phone", "phone", known=start, line="p")[-1])
    laptops = history(*["laptop"] * (2 + after_the_join), known=start, line="l")[-1]
    with pytest.raises(ForkDetected):
        is_news(phones, laptops, "phone")


def test_a_third_device_notices_that_a_write_is_missing() -> None:
    """A reader compares all entries with what it knows, not only its own."""
    start = after(history("laptop", "phone", "tablet")[-1])
    with_phone = after(history("phone", known=start, line="p")[0])
    without = history("laptop", "laptop", "laptop", known=start, line="l")[-1]
    with pytest.raises(ForkDetected):
        is_news(with_phone, without, "tablet")


def test_a_write_in_the_name_of_this_device_that_it_never_made_is_a_fork() -> None:
    """Own entries are known exactly: one too many means that the store was copied, or keys are in other hands."""
    known = after(history("laptop")[0])
    version = history("phone", "laptop", known=known)[-1]
    with pytest.raises(ForkDetected):
        is_news(known, version, "phone")


def test_a_next_version_in_the_name_of_this_device_that_it_never_made_is_a_fork() -> None:
    """The same, directly after: two devices with one id do not go unnoticed."""
    known = after(history("laptop", "phone")[-1])
    for name in ("laptop", "phone"):
        with pytest.raises(ForkDetected):
            is_news(known, follow(known, name), name)


def test_another_write_with_the_sequence_of_a_known_one_is_a_fork() -> None:
    """An entry that is as old as the known one has to be the known one."""
    known = after(history("laptop", "phone", "laptop")[-1])
    later = history("tablet", "tablet", known=known)[-1]
    entries = {**later.entries, "phone": Entry(2, "another")}
    with pytest.raises(ForkDetected):
        is_news(known, replace(later, entries=entries), "laptop")


def test_a_pending_write_has_landed_if_it_is_the_version_or_before_it() -> None:
    """The merged wallet itself authenticates whether a write whose answer got lost did land."""
    known = after(history("laptop", "phone")[-1])
    write = follow(known, "laptop", line="w")
    assert has_landed(write.entry, "laptop", write)
    assert has_landed(write.entry, "laptop", history("phone", "phone", known=after(write))[-1])
    assert not has_landed(write.entry, "laptop", follow(known, "phone", line="other"))
    assert not has_landed(write.entry, "laptop", history("phone", "phone", known=known, line="other")[-1])


VERSION_2 = history("laptop", "phone")[1]


@pytest.mark.parametrize(
    "changed",
    [
        {"previous": "other"},
        {"previous": NO_PREVIOUS.hex()},
        {"entries": {}},
        {"entries": {"laptop": Entry(1, "a1"), "phone": Entry(1, "a1")}},
        {"entries": {"laptop": Entry(1, "a1"), "phone": Entry(2, "a2")}},
        {"entries": {"laptop": Entry(0, "a1")}},
        {"entries": {"laptop": Entry(7, "a1")}},
        {"sequence": 1, "previous": NO_PREVIOUS.hex()},
        {"sequence": 1, "entries": {}},
        {"sequence": 3},
    ],
)
def test_a_version_that_contradicts_itself_is_refused(changed: dict[str, Any]) -> None:
    """The version before is exactly one device's last write; anything else was not made by an honest client."""
    with pytest.raises(BadWallet, match="contradicts itself"):
        is_news(None, replace(VERSION_2, **changed), "tablet")


def test_a_payload_comes_back() -> None:
    """Encoding keeps format, device, entries and the document's bytes."""
    payload = Payload(format="json", device="é", entries={"laptop": Entry(3, "ab")}, document=b"\x00{}")
    assert Payload.decode(payload.encode()) == payload


GOOD = Payload(format="json", device="laptop", entries={}, document=b"{}").encode()


@pytest.mark.parametrize(
    "plaintext",
    [
        b"",
        GOOD[:20],
        b"\xff" + GOOD[1:],
        GOOD.replace(b'"device"', b'"decive"'),
        GOOD.replace(b'"json"', b"      "),
        b"\x00\x00\x00\x02\xff\xff",
        b"\x00\x01\x00\x00" + b"[" * 0x10000,
        (len(GOOD) - 3).to_bytes(4, "big") + GOOD[4:-2],
    ],
)
def test_an_authentic_plaintext_that_is_no_payload_is_refused(plaintext: bytes) -> None:
    """A broken client cannot crash the others."""
    with pytest.raises(BadWallet, match="does not follow the protocol"):
        Payload.decode(plaintext)
