"""Earlier versions, devices and fingerprints: what a server tells about them, and what a device believes."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import PASSWORD
from tests.insides import email_of, state_of
from tests.middle import DELETE_ACCOUNT, GET_WALLET, HISTORY, POST_WALLET, Answer, Middle
from walletsync import Client
from walletsync.errors import (
    BadWallet,
    ForkDetected,
    NotKept,
    NotReady,
    ProtocolError,
    SeedChanged,
    ServerError,
    Unauthorized,
    UnsyncedEdits,
    WrongCredentials,
    WrongPassword,
)
from walletsync.results import KeptVersion

Device = Callable[..., Client]


def version_path(sequence: int) -> str:
    return f"{HISTORY}/{sequence}"


@pytest.fixture
def laptop(device: Device) -> Client:
    """A device at version 3, which is {"n": 3}."""
    client = device("laptop")
    for number in (1, 2, 3):
        client.set_document({"n": number})
        client.sync()
    return client


def test_versions_are_listed_and_shown(laptop: Client) -> None:
    """The current one first, with time, size and device; showing one changes nothing here."""
    kept = laptop.history()
    assert [(version.sequence, version.device) for version in kept] == [(3, "laptop"), (2, "laptop"), (1, "laptop")]
    assert all(isinstance(version, KeptVersion) and version.size > 100 for version in kept)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT.*Z", version.time) for version in kept)
    before = state_of(laptop)
    assert [laptop.version(number) for number in (1, 2, 3)] == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert state_of(laptop) is before


def test_several_versions_are_fetched_once_each(laptop: Client, middle: Middle) -> None:
    """Though each is proved by those after it."""
    before = len(middle.requests)
    assert laptop.versions([1, 3, 2]) == {1: {"n": 1}, 2: {"n": 2}, 3: {"n": 3}}
    assert sorted(middle.requests[before:]) == [version_path(number) for number in (1, 2, 3)]
    assert laptop.versions([]) == {}
    with pytest.raises(NotReady):
        laptop.versions([1, 4])


def test_an_older_version_is_restored_as_a_new_one(laptop: Client, device: Device) -> None:
    """It goes to the other devices like any edit; what came after it stays in the history."""
    phone = device("phone")
    phone.sync()
    assert laptop.restore(1).sequence == 4
    phone.sync()
    assert phone.get_document() == {"n": 1} == phone.version(4)
    assert phone.version(3) == {"n": 3}


def test_what_is_new_comes_before_an_older_version_is_restored(laptop: Client, device: Device) -> None:
    """So the document is that version's then, and nothing that came meanwhile is mixed into it."""
    phone = device("phone")
    phone.sync()
    phone.set_document({"n": 3, "from the phone": True})
    phone.sync()
    assert laptop.restore(1).sequence == 5
    assert laptop.get_document() == {"n": 1}


def test_a_restore_that_fails_leaves_nothing_to_be_sent(laptop: Client, middle: Middle) -> None:
    """The next sync does not carry it out."""
    middle.always(GET_WALLET, Answer(500, {}))
    with pytest.raises(ServerError):
        laptop.restore(1)
    middle.honest()
    assert laptop.get_document() == {"n": 3}
    assert not laptop.has_local_changes
    assert laptop.sync().sequence == 3


def test_restoring_does_not_overwrite_unsynced_edits(laptop: Client) -> None:
    """They would be in no version: the message says what to do."""
    laptop.set_document({"n": "local"})
    with pytest.raises(UnsyncedEdits, match=r"sync\(\) first"):
        laptop.restore(1)
    assert laptop.get_document() == {"n": "local"}


def test_a_version_that_is_not_there_yet_or_any_more_is_told(laptop: Client, device: Device) -> None:
    """One that this device has not seen cannot be checked; one that is kept no more is named by the server."""
    with pytest.raises(NotReady, match=r"sync\(\) first"):
        laptop.version(4)
    with pytest.raises(NotReady, match=r"sync\(\) first"):
        device("phone").version(1)
    for number in range(11):
        laptop.set_document({"n": number})
        laptop.sync()
    gone = {2, 3, 4} - {version.sequence for version in laptop.history()}
    assert gone  # two of them may be the last of an hour and the first of the next
    for sequence in gone:
        with pytest.raises(NotKept, match=r"history\(\)"):
            laptop.version(sequence)


@pytest.mark.promise("P-79")
def test_a_server_cannot_present_another_version_than_asked_for(laptop: Client, middle: Middle) -> None:
    """Neither under its own number nor under the one that was asked for."""
    laptop.version(1)
    first = middle.answers[-2]  # after it comes version 2, which links it to the synced one
    middle.always(version_path(2), first)
    with pytest.raises(ProtocolError, match="asked for version 2"):
        laptop.version(2)
    middle.always(version_path(2), Answer(200, first.json | {"sequence": 2}))
    with pytest.raises(BadWallet):
        laptop.version(2)


@pytest.mark.promise("P-79")
def test_a_version_of_another_history_is_not_shown(laptop: Client, device: Device, middle: Middle) -> None:
    """Authentic, but made on a line that the server kept apart: a fork."""
    phone = device("phone")
    phone.sync()
    phone.set_document({"n": "of another line"})
    middle.instead(POST_WALLET, lambda body: Answer(200, body.replace(b"}", b', "version": 1}')))
    phone.post_wallet()
    other_line = state_of(phone).synced
    middle.honest()
    assert other_line is not None
    for number in (4, 5):
        laptop.set_document({"n": number})
        laptop.sync()
    forked = {"encryptedWallet": other_line.encrypted_wallet, "hmac": other_line.hmac, "sequence": 4, "version": 1}
    middle.always(version_path(4), Answer(200, forked))
    with pytest.raises(ForkDetected, match="not in the history"):
        laptop.version(4)


def test_the_list_may_be_a_lie_but_not_a_crash(laptop: Client, middle: Middle) -> None:
    """What the server tells about versions is shown in order, or refused; it opens nothing."""
    middle.always(HISTORY, Answer(200, {"versions": [{"sequence": True}]}))
    with pytest.raises(ProtocolError):
        laptop.history()
    middle.always(HISTORY, Answer(500, b""))
    with pytest.raises(ServerError):
        laptop.history()


@pytest.mark.promise("S-31")
def test_devices_are_listed_and_logged_out(laptop: Client, device: Device) -> None:
    """The one that is logged out learns it at its next request, and needs the password; others go on."""
    phone = device("phone")
    phone.sync()
    assert [each.device for each in laptop.devices()] == ["laptop", "phone"]
    laptop.revoke_device("phone")
    assert [each.device for each in laptop.devices()] == ["laptop"]
    with pytest.raises(Unauthorized):
        phone.get_wallet()
    with pytest.raises(NotKept, match=r"devices\(\)"):
        laptop.revoke_device("phone")
    assert phone.sync().sequence == 3  # the password is still known there


@pytest.mark.parametrize("name", ["my laptop/2 (größer?)", "a%2Fb", "#"])
def test_any_name_of_a_device_can_be_logged_out(laptop: Client, device: Device, name: str) -> None:
    """Whatever characters it has, it is one part of the path."""
    device(name)
    laptop.revoke_device(name)
    assert [each.device for each in laptop.devices()] == ["laptop"]


def test_logging_out_gives_the_token_back(laptop: Client, device: Device) -> None:
    """It is void at the server, gone here, and the document stays; twice is fine, and syncing logs in again."""
    phone = device("phone")
    laptop.log_out()
    laptop.log_out()
    assert [each.device for each in phone.devices()] == ["phone"]
    assert not laptop.has_token
    assert laptop.get_document() == {"n": 3}
    assert laptop.sync().sequence == 3
    phone.revoke_device("laptop")
    laptop.log_out()  # of a token that is void already
    assert not laptop.has_token


def test_deleting_the_account_leaves_the_document(laptop: Client, device: Device, middle: Middle) -> None:
    """Only with the right password; then nothing is left on the server, and this device begins anew if it wants to."""
    phone = device("phone")
    email = email_of(laptop)
    with Client(middle.url) as stranger:
        stranger.set_account(email, PASSWORD)
        with pytest.raises(NotReady, match="get_auth_token"):
            stranger.delete_account()
    laptop.set_account(email, "a wrong password")
    middle.always(DELETE_ACCOUNT, Answer(204, b""))  # a server that takes anything
    with pytest.raises(WrongPassword, match="no login was sent"):
        laptop.delete_account()
    assert DELETE_ACCOUNT not in middle.requests
    assert laptop.wallet_state is not None
    middle.honest()
    laptop.set_account(email, PASSWORD)
    laptop.delete_account()
    assert laptop.get_document() == {"n": 3}
    assert laptop.has_local_changes
    with pytest.raises(SeedChanged):
        phone.sync()
    with pytest.raises(WrongCredentials):
        phone.delete_account()
    with pytest.raises(NotReady):
        laptop.delete_account()


@pytest.mark.promise("S-42")
def test_a_fingerprint_is_the_same_where_the_history_is(laptop: Client, device: Device, tmp_path: Path) -> None:
    """Thirty digits in groups of five: the same on every device at the same version, also after a restart."""
    file = tmp_path / "phone.wallet"
    phone = device("phone", store=file)
    with pytest.raises(NotReady, match=r"sync\(\) first"):
        phone.fingerprint()
    phone.sync()
    first = laptop.fingerprint()
    assert phone.fingerprint() == first
    assert re.fullmatch(r"version 3: \d{5}( \d{5}){5}", str(first))
    phone.set_document({"n": "local"})
    assert phone.fingerprint() == first  # edits count once they are synced
    phone.sync()
    assert phone.fingerprint().digits != first.digits
    phone.close()
    with Client(laptop.realm, store=file) as phone:
        laptop.sync()
        assert phone.fingerprint() == laptop.fingerprint()


@pytest.mark.promise("S-11", "S-43")
def test_a_fingerprint_tells_a_fork_that_never_joins(device: Device, middle: Middle) -> None:
    """The server keeps two devices apart for ever: same sequence, same document, other digits."""
    laptop, phone = device("laptop"), device("phone")
    laptop.set_document({})
    laptop.sync()
    phone.sync()
    middle.instead(POST_WALLET, lambda body: Answer(200, body.replace(b"}", b', "version": 1}')))
    for client in (laptop, phone):
        client.set_document({"n": 1})
        client.post_wallet()
    ours, theirs = laptop.fingerprint(), phone.fingerprint()
    assert ours.sequence == theirs.sequence
    assert ours.digits != theirs.digits


@pytest.mark.promise("S-42")
def test_fingerprints_of_two_accounts_differ(device: Device, address: Callable[[], str], middle: Middle) -> None:
    """Whose wallet it is, is part of it."""
    laptop = device("laptop")
    laptop.set_document({})
    laptop.sync()
    ours = laptop.fingerprint()
    synced = state_of(laptop).synced
    with Client(middle.url, device_id="laptop") as other:
        other.set_account(address(), PASSWORD)
        other._device.save(synced=synced)
        assert other.fingerprint().digits != ours.digits


def test_a_server_without_history_is_told_apart(laptop: Client, middle: Middle) -> None:
    """An answer from something in between is an error that says where to look."""
    middle.always(HISTORY, Answer(404, b""))
    with pytest.raises(ServerError, match="404"):
        laptop.history()
    middle.always(GET_WALLET, Answer(401, {"error": "Log in.", "code": "unauthorized"}))
    with pytest.raises(Unauthorized, match="get_auth_token"):
        laptop.get_wallet()
