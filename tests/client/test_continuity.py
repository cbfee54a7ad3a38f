"""What a lying server can do with authentic versions, and how a device notices."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import convert
from msgspec.structs import replace

from walletsync.continuity import (
    Known,
    Version,
    came_before,
    has_been_left,
    has_landed,
    is_newer,
    known_after,
    linked_ancestors,
    passed,
)
from walletsync.crypto import NO_PREVIOUS, Binding, Keys
from walletsync.errors import BadWallet, ForkDetected, RollbackDetected
from walletsync.formats.json import JSONFormat
from walletsync.payload import Entry, Payload, Restore
from walletsync.protocol import WalletAnswer
from walletsync.versions import UnlockedAccount, unseal


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
        known = known_after(versions[-1])
    return versions


def test_a_new_device_takes_what_it_is_shown() -> None:
    """Knowing nothing, there is nothing to compare with."""
    assert is_newer(None, history("laptop", "phone", "laptop")[-1], "tablet")


def test_the_same_version_again_is_no_news() -> None:
    """Nothing to do."""
    versions = history("laptop", "phone")
    assert not is_newer(known_after(versions[1]), versions[1], "laptop")


@pytest.mark.parametrize("seen", range(5))
@pytest.mark.parametrize("device", ["laptop", "phone", "tablet"])
def test_every_later_version_of_the_line_is_news(seen: int, device: str) -> None:
    """However many versions a device missed, an honest line is accepted by all."""
    versions = history("laptop", "phone", "laptop", "tablet", "phone", "phone")
    own = [version.sequence for version in versions if version.device == device]
    if all(sequence <= seen + 1 for sequence in own):  # else the device would have known of its later write
        assert is_newer(known_after(versions[seen]), versions[5], device)


@pytest.mark.promise("S-4")
def test_an_older_version_is_a_rollback() -> None:
    """What this device has seen cannot be taken back."""
    versions = history("laptop", "phone", "laptop")
    with pytest.raises(RollbackDetected, match=r"version 2 .* older than version 3"):
        is_newer(known_after(versions[2]), versions[1], "phone")


def test_a_version_of_an_earlier_epoch_is_a_rollback() -> None:
    """A wallet from before a password change is refused, even under the same keys and with a higher sequence."""
    known = replace(known_after(history("laptop")[0]), epoch=2)
    with pytest.raises(RollbackDetected):
        is_newer(known, follow(known, "phone", epoch=1), "laptop")


def test_a_version_of_an_unheard_of_epoch_is_a_fork() -> None:
    """The epoch only rises with the keys, so under the same keys it cannot differ."""
    known = known_after(history("laptop")[0])
    with pytest.raises(ForkDetected):
        is_newer(known, follow(known, "phone", epoch=2), "laptop")


def test_another_version_with_the_same_sequence_is_a_fork() -> None:
    """Two devices cannot both have made version 2."""
    first = history("laptop")
    ours, theirs = (history("phone", known=known_after(first[0]), line=line)[0] for line in "ab")
    with pytest.raises(ForkDetected):
        is_newer(known_after(ours), theirs, "laptop")


def test_a_next_version_that_builds_on_another_one_is_a_fork() -> None:
    """Directly after, `previous` tells."""
    known = known_after(history("laptop")[0])
    other = history("laptop", "phone", line="b")[1]
    with pytest.raises(ForkDetected):
        is_newer(known, other, "tablet")


@pytest.mark.promise("S-5", "T-6")
@pytest.mark.parametrize("after_the_join", range(1, 5))
def test_forked_devices_that_are_joined_later_notice(after_the_join: int) -> None:
    """The server keeps two lines apart for a while; whoever is shown the other line learns it, however late."""
    start = known_after(history("laptop", "phone")[-1])
    phones = known_after(history("phone", "phone", known=start, line="p")[-1])
    laptops = history(*["laptop"] * (2 + after_the_join), known=start, line="l")[-1]
    with pytest.raises(ForkDetected):
        is_newer(phones, laptops, "phone")


def test_a_third_device_notices_that_a_write_is_missing() -> None:
    """A reader compares all entries with what it knows, not only its own."""
    start = known_after(history("laptop", "phone", "tablet")[-1])
    with_phone = known_after(history("phone", known=start, line="p")[0])
    without = history("laptop", "laptop", "laptop", known=start, line="l")[-1]
    with pytest.raises(ForkDetected):
        is_newer(with_phone, without, "tablet")


def test_a_write_in_the_name_of_this_device_that_it_never_made_is_a_fork() -> None:
    """Own entries are known exactly: one too many means that the store was copied, or keys are in other hands."""
    known = known_after(history("laptop")[0])
    version = history("phone", "laptop", known=known)[-1]
    with pytest.raises(ForkDetected):
        is_newer(known, version, "phone")


def test_a_next_version_in_the_name_of_this_device_that_it_never_made_is_a_fork() -> None:
    """The same, directly after: two devices with one id do not go unnoticed."""
    known = known_after(history("laptop", "phone")[-1])
    for name in ("laptop", "phone"):
        with pytest.raises(ForkDetected):
            is_newer(known, follow(known, name), name)


def test_another_write_with_the_sequence_of_a_known_one_is_a_fork() -> None:
    """An entry that is as old as the known one has to be the known one."""
    known = known_after(history("laptop", "phone", "laptop")[-1])
    later = history("tablet", "tablet", known=known)[-1]
    entries = {**later.entries, "phone": Entry(2, "another")}
    with pytest.raises(ForkDetected):
        is_newer(known, replace(later, entries=entries), "laptop")


@pytest.mark.promise("P-70")
def test_a_pending_write_has_landed_if_it_is_the_version_or_before_it() -> None:
    """The merged wallet itself authenticates whether a write whose answer got lost did land."""
    known = known_after(history("laptop", "phone")[-1])
    write = follow(known, "laptop", line="w")
    assert has_landed(write.entry, "laptop", write)
    assert has_landed(write.entry, "laptop", history("phone", "phone", known=known_after(write))[-1])
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
        is_newer(None, replace(VERSION_2, **changed), "tablet")


def test_a_payload_comes_back() -> None:
    """Encoding keeps format, device, entries and the document's bytes."""
    payload = Payload(format="json", device="é", entries={"laptop": Entry(3, "ab")}, document=b"\x00{}")
    assert Payload.decode(payload.encode()) == payload
    assert b"abandoned" not in payload.encode()
    more = replace(payload, entries={"laptop": Entry(3, "ab", ("cd",))}, abandoned=("ef", "01"))
    assert Payload.decode(more.encode()) == more


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


def restore(known: Known, name: str, sequence: int, **entries: Entry) -> Restore:
    """Return the consent of somebody who knew `known`, and `entries` besides, first told in version `sequence`."""
    return Restore(name=name, sequence=sequence, line=known.line, epoch=known.epoch, entries=known.entries | entries)


LINE = history("laptop", "phone", "laptop", "tablet")
KNOWN = known_after(LINE[3])


def pushed_again(*restores: Restore, onto: Version = LINE[1], device: str = "laptop", epoch: int = 1) -> Version:
    """Return what `device` makes of a server that was restored to `onto`."""
    version = follow(known_after(onto), device, line="r", epoch=epoch)
    return replace(version, restores=(*onto.restores, *restores))


def test_whoever_knows_no_more_follows_a_restore() -> None:
    """The record covers all that the others know, so they take the lower sequence; also much later on the new line."""
    version = pushed_again(restore(KNOWN, "r", 3))
    for seen in LINE:
        assert is_newer(known_after(seen), version, "watch")
    later = [version, *history("phone", "tablet", known=known_after(version), line="r")]
    later = [replace(each, restores=version.restores) for each in later]
    for device in ("phone", "tablet"):
        first_of_its_own = {"phone": 1, "tablet": 2}[device]
        for each in later[:first_of_its_own]:
            assert is_newer(KNOWN, each, device)
    assert is_newer(known_after(version), later[1], "tablet")


@pytest.mark.parametrize(
    "record",
    [
        restore(known_after(LINE[2]), "r", 3),
        restore(KNOWN, "r", 3, phone=Entry(7, "made up")),
        replace(restore(KNOWN, "r", 3), line="of another line"),
        replace(restore(KNOWN, "r", 3), entries={}),
    ],
)
def test_whoever_knows_more_does_not_follow_a_restore(record: Restore) -> None:
    """What nobody brought along would be lost: a person has to consent on this device as well."""
    with pytest.raises(RollbackDetected, match="accept_restored_server"):
        is_newer(KNOWN, pushed_again(record), "phone")


def test_a_restore_of_an_earlier_epoch_is_not_followed() -> None:
    """A record does not bring back keys from before a password change, unless it was made by one who knew of that."""
    version = pushed_again(restore(KNOWN, "r", 3))
    with pytest.raises(RollbackDetected, match="before a password change"):
        is_newer(replace(KNOWN, epoch=2), version, "phone")
    assert is_newer(replace(KNOWN, epoch=2), replace(version, epoch=2), "phone", rekeyed=True)


def test_the_line_that_was_left_is_not_taken_back() -> None:
    """A server cannot undo a restore that this device has followed."""
    known = known_after(pushed_again(restore(KNOWN, "r", 3)))
    for left in LINE[2:]:
        with pytest.raises((RollbackDetected, ForkDetected)):
            is_newer(known, left, "tablet")
    longer = history(*["phone"] * 9, known=KNOWN)[-1]
    with pytest.raises(ForkDetected):
        is_newer(known, longer, "tablet")


def test_a_second_restore_is_followed_from_the_line_of_the_first() -> None:
    """Each record names the line that was left."""
    first = pushed_again(restore(KNOWN, "r", 3))
    known = known_after(first)
    second = pushed_again(restore(known, "s", 2), onto=LINE[0], device="tablet")
    assert is_newer(known, second, "phone")
    with pytest.raises(RollbackDetected):
        is_newer(KNOWN, second, "phone")
    assert is_newer(KNOWN, pushed_again(restore(KNOWN, "t", 4), onto=first, device="tablet"), "phone")


def test_a_password_change_is_followed_with_the_new_keys_only() -> None:
    """The epoch rises exactly when the seed changes."""
    changed = follow(KNOWN, "phone", epoch=2)
    assert is_newer(KNOWN, changed, "laptop", rekeyed=True)
    assert is_newer(KNOWN, replace(changed, epoch=5), "laptop", rekeyed=True)
    with pytest.raises(RollbackDetected, match="before a password change"):
        is_newer(KNOWN, replace(changed, epoch=1), "laptop", rekeyed=True)
    with pytest.raises(ForkDetected):
        is_newer(KNOWN, changed, "laptop")


@pytest.mark.promise("P-70")
def test_a_write_that_was_brought_along_has_landed() -> None:
    """It was on the line that was left, and whoever left it had seen it."""
    write = Entry(5, "w")
    assert has_landed(write, "phone", pushed_again(restore(KNOWN, "r", 3, phone=write)))
    assert not has_landed(write, "phone", pushed_again(restore(KNOWN, "r", 3)))


@pytest.mark.parametrize("sequences", [(4,), (3, 1)])
def test_restores_that_contradict_the_version_are_refused(sequences: tuple[int, ...]) -> None:
    """They are told in order, and none before it was made; one version may tell of several."""
    assert is_newer(None, pushed_again(restore(KNOWN, "r", 3), restore(KNOWN, "s", 3)), "phone")
    records = [restore(KNOWN, f"r{number}", sequence) for number, sequence in enumerate(sequences)]
    with pytest.raises(BadWallet, match="contradicts itself"):
        is_newer(None, pushed_again(*records), "phone")


HISTORY = json.loads((Path(__file__).parents[1] / "vectors" / "suite1_history.json").read_text())
ERRORS = {"rollback": RollbackDetected, "fork": ForkDetected, "contradiction": BadWallet}


@pytest.mark.promise("T-12")
@pytest.mark.parametrize("case", HISTORY["cases"], ids=lambda case: case["name"])
def test_authentic_wallets_are_judged_as_the_vectors_say(case: dict[str, Any]) -> None:
    """All are under the account's present keys: only what they say of the versions before tells them apart."""
    account = HISTORY["account"]
    binding = Binding(account["realm"], account["email"], bytes.fromhex(account["seed"]))
    keys = Keys("", bytes.fromhex(account["encryption"]), bytes.fromhex(account["mac"]))
    wallet = WalletAnswer(encrypted_wallet=case["encryptedWallet"], sequence=case["sequence"], hmac=case["hmac"])
    version, _ = unseal(UnlockedAccount(binding, keys), wallet, JSONFormat())
    known = convert(HISTORY["known"], Known)
    if case["expected"] in ERRORS:
        with pytest.raises(ERRORS[case["expected"]]):
            is_newer(known, version, HISTORY["device"])
    else:
        assert is_newer(known, version, HISTORY["device"]) == (case["expected"] == "news")


@pytest.mark.parametrize(("given_up", "is_fork"), [((), False), (("refused3",), True), (("refused2",), False)])
def test_a_write_that_its_author_gave_up_is_not_covered_by_a_later_one(given_up: Any, is_fork: bool) -> None:
    """Whoever was shown it is told, whoever wrote the version that comes."""
    shown = known_after(follow(known_after(LINE[1]), "laptop", line="refused"))
    tablets = follow(known_after(LINE[1]), "tablet")
    again = replace(follow(known_after(tablets), "laptop"), abandoned=given_up)
    later = follow(known_after(again), "phone")
    assert is_newer(known_after(tablets), later, "watch")
    if is_fork:
        with pytest.raises(ForkDetected):
            is_newer(shown, later, "watch")
    else:
        assert is_newer(shown, later, "watch")


def test_a_restore_does_not_bring_along_what_was_given_up() -> None:
    """Who consented was never on the line of whoever was shown that write."""
    known = known_after(replace(follow(KNOWN, "laptop"), abandoned=("refused3",)))
    shown = known_after(follow(known_after(LINE[1]), "laptop", line="refused"))
    assert is_newer(known, pushed_again(restore(known, "r", 3)), "watch")
    with pytest.raises(ForkDetected):
        is_newer(shown, pushed_again(restore(known, "r", 3)), "watch")


def test_a_device_remembers_the_latest_versions_that_it_went_through() -> None:
    """All that it has seen, and what others had seen as the last of each device; a thousand of them."""
    digests: dict[str, int] = {}
    for version in history("laptop", "phone", *["laptop"] * 1100):
        digests = passed(digests, known_after(version))
    assert digests == {"a2": 2} | {f"a{number}": number for number in range(104, 1103)}
    assert passed({"left": 6}, known_after(LINE[1])) == {"left": 6} | {
        entry.digest: entry.sequence for entry in known_after(LINE[1]).entries.values()
    }


def test_only_what_is_linked_by_digests_is_descended_from() -> None:
    """The first version that is not the one before ends the line."""
    versions = history(*["laptop"] * 5)
    older = [(version, version.sequence) for version in reversed(versions[:-1])]
    assert [carried for _, carried in linked_ancestors(versions[-1], older)] == [4, 3, 2, 1]
    del older[1]
    assert [carried for _, carried in linked_ancestors(versions[-1], older)] == [4]
    assert not list(linked_ancestors(versions[-1], [(replace(versions[3], digest="another"), 4)]))


def test_a_line_is_left_where_a_restore_says_so() -> None:
    """Whether or not it brought along all that this device knows."""
    assert not has_been_left(KNOWN, follow(KNOWN, "laptop"))
    assert has_been_left(KNOWN, pushed_again(replace(restore(KNOWN, "r", 3), entries={})))
    assert not has_been_left(KNOWN, pushed_again(replace(restore(KNOWN, "r", 3), line="of another line")))


def test_what_came_before_is_told_without_what_was_in_between() -> None:
    """By sequence, epoch, restores, and every write that it had seen; one that its author gave up did not."""
    first, _, _, fourth, last = history("laptop", "phone", "laptop", "phone", "laptop")
    assert came_before(last, first)
    assert not came_before(first, last)
    assert not came_before(last, last)
    assert not came_before(last, replace(first, epoch=last.epoch + 1))
    assert not came_before(last, replace(first, device="tablet"))
    assert not came_before(replace(last, abandoned=(first.digest,)), first)
    restored = replace(last, restores=(restore(known_after(first), "r", 3),))
    assert came_before(restored, first)
    assert came_before(last, fourth)
    assert not came_before(restored, fourth)
