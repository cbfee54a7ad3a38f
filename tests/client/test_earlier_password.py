"""A backup that is older than a change of the password: consent and a new password are one step.

The earlier password may have been changed because somebody knows it, so nothing is sealed under it any more.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client.edits import edit, restarted
from tests.client.rollbacks import Backup, restore_backup, take_backup
from tests.conftest import PASSWORD
from tests.insides import email_of, known_of, state_of
from tests.middle import CHANGE_PASSWORD, GET_SEED, LOGIN, POST_WALLET, Answer, Middle
from walletsync import Client
from walletsync.errors import (
    BadWallet,
    NewPasswordNeeded,
    NotReady,
    NoWallet,
    RollbackDetected,
    SeedChanged,
    ServerUnreachable,
    SyncGaveUp,
    UsageError,
    WrongCredentials,
    WrongPassword,
)
from walletsync.protocol import WalletAnswer
from walletsync.results import PasswordChanged
from walletsync_server.testing import RunningServer

Device = Callable[..., Client]
NEW = "a new password, also a long one"
NEWEST = "a third password, longer than that"
SECRET = {"a": 1, "secret since the change": 1}


@pytest.fixture
def set_back(device: Device, running_server: RunningServer) -> Callable[[], Client]:
    """Make a laptop that knows of a change of the password and has a secret since; then set its server back."""

    def make() -> Client:
        laptop = device("laptop")
        edit(laptop, a=1)
        backup = take_backup(running_server.database, email_of(laptop))
        laptop.change_password(NEW)
        edit(laptop, **SECRET)
        restore_backup(running_server.database, backup)
        laptop.set_account(email_of(laptop), PASSWORD)
        return laptop

    return make


@pytest.fixture
def thief(middle: Middle) -> Callable[[str], object]:
    """What somebody reads who knows the address and the earlier password: the document, or how that ends."""

    def reads(email: str) -> object:
        with Client(middle.url, device_id="thief") as client:
            client.set_account(email, PASSWORD)
            try:
                client.sync()
            except (WrongCredentials, NoWallet) as error:
                return type(error)
            return client.get_document()

    return reads


def sent(middle: Middle, *what: str) -> list[bytes]:
    """Return the bodies of such requests."""
    return [body for each, body in zip(middle.requests, middle.bodies, strict=True) if each in what]


def carries(laptop: Client, body: bytes) -> bool:
    """Tell whether a body has a wallet that the present keys of `laptop` open."""
    told = json.loads(body)
    wallet = WalletAnswer(encrypted_wallet=told["encryptedWallet"], sequence=told["sequence"], hmac=told["hmac"])
    _, unlocked = laptop._session.credentials()
    try:
        laptop._device.accept(wallet, unlocked)
    except BadWallet:
        return False
    return True


@pytest.mark.promise("P-98", "S-37", "S-41", "T-22")
def test_consent_alone_sends_nothing_under_the_earlier_password(
    set_back: Callable[[], Client], middle: Middle, thief: Callable[[str], object], tmp_path: Path
) -> None:
    """It is refused with what to do, before the device leaves its line, and so is each other way to send something."""
    laptop = set_back()
    before = state_of(laptop)
    middle.requests.clear()
    middle.bodies.clear()
    for _ in range(2):
        with pytest.raises(NewPasswordNeeded, match=r"accept_restored_server\(\) with new_password="):
            laptop.accept_restored_server()
    assert (state_of(laptop).synced, state_of(laptop).document) == (before.synced, before.document)
    with pytest.raises(RollbackDetected, match="accept_restored_server"):
        laptop.sync()
    with pytest.raises(RollbackDetected):
        laptop.post_wallet()
    with pytest.raises(NewPasswordNeeded):
        laptop.change_password(NEWEST)  # it would take the place of what others may have written there
    assert not sent(middle, POST_WALLET, CHANGE_PASSWORD)
    assert thief(email_of(laptop)) == {"a": 1}
    assert laptop.get_document() == SECRET


@pytest.mark.promise("S-38", "T-22")
def test_consent_and_a_new_password_are_one_step(
    set_back: Callable[[], Client], middle: Middle, thief: Callable[[str], object]
) -> None:
    """What leaves first is the change, with everything under the new keys; the earlier password opens nothing."""
    laptop = set_back()
    middle.requests.clear()
    middle.bodies.clear()
    synced = laptop.accept_restored_server(new_password=NEWEST)
    assert synced.sequence == 2
    (change,) = sent(middle, CHANGE_PASSWORD, POST_WALLET)
    assert carries(laptop, change)
    assert not laptop.has_local_changes
    assert laptop.get_document() == SECRET
    assert thief(email_of(laptop)) is WrongCredentials
    assert known_of(laptop).epoch == 3
    edit(laptop, later=1)
    laptop.change_password(NEW)  # also the one from before
    assert laptop.get_document() == SECRET | {"later": 1}


@pytest.mark.promise("S-40")
def test_the_other_devices_follow_with_the_new_password(
    tmp_path: Path, device: Device, running_server: RunningServer, middle: Middle
) -> None:
    """Whoever knew no more is not asked for consent, and unsynced edits are kept; a restart changes nothing."""
    file = tmp_path / "phone.wallet"
    laptop, phone = device("laptop"), device("phone", store=file)
    edit(laptop, a=1)
    phone.sync()
    backup = take_backup(running_server.database, email_of(laptop))
    laptop.change_password(NEW)
    edit(laptop, a=2)
    phone.set_account(email_of(phone), NEW, accept_new_password=True)
    phone.sync()
    phone.set_document({"a": 2, "phone": 1})
    restore_backup(running_server.database, backup)
    tablet = device("tablet")  # it knows nothing of all that, and goes on from the backup
    edit(tablet, tablet=1)
    middle.requests.clear()
    with restarted(phone, file, NEW) as phone:
        for client in (laptop, phone):
            with pytest.raises(SeedChanged, match=r"before a password change.*older backup"):
                client.sync()
            client.set_account(email_of(client), PASSWORD)
            with pytest.raises(SeedChanged, match="accept_restored_server"):
                client.get_auth_token()
        assert LOGIN not in middle.requests
        laptop.accept_restored_server(new_password=NEWEST)
        for client in (phone, tablet):
            with pytest.raises(SeedChanged):
                client.get_auth_token()
            client.set_account(email_of(client), NEWEST, accept_new_password=True)
            client.sync()
        laptop.sync()
        tablet.sync()
        documents = [client.get_document() for client in (laptop, phone, tablet)]
        assert documents == [{"a": 2, "phone": 1, "tablet": 1}] * 3
        assert len(known_of(laptop).restores) == 1  # the laptop had brought along all that the phone knew


def test_the_mark_lasts_over_a_restart_and_other_ways_in(
    tmp_path: Path, device: Device, running_server: RunningServer
) -> None:
    """A device that was let in with the earlier password, by whichever consent, seals nothing under it ever after."""
    file = tmp_path / "laptop.wallet"
    laptop = device("laptop", store=file)
    edit(laptop, a=1)
    backup = take_backup(running_server.database, email_of(laptop))
    laptop.change_password(NEW)
    edit(laptop, **SECRET)
    restore_backup(running_server.database, backup)
    laptop.set_account(email_of(laptop), PASSWORD, accept_new_password=True)
    with pytest.raises(RollbackDetected):
        laptop.sync()
    with restarted(laptop, file) as laptop:
        laptop.set_account(email_of(laptop), PASSWORD, accept_new_password=True)
        with pytest.raises(NewPasswordNeeded):
            laptop.accept_restored_server()
    with restarted(laptop, file) as laptop:
        laptop.accept_restored_server(new_password=NEW)
        assert laptop.get_document() == SECRET


@pytest.mark.promise("P-98", "S-34")
def test_every_earlier_password_is_known_and_not_only_the_last(device: Device, running_server: RunningServer) -> None:
    """Two changes ago, and one from before the account was deleted and made anew."""
    laptop = device("laptop")
    edit(laptop, a=1)
    backup = take_backup(running_server.database, email_of(laptop))
    laptop.change_password(NEW)
    laptop.change_password(NEWEST)
    restore_backup(running_server.database, backup)
    laptop.set_account(email_of(laptop), PASSWORD)
    with pytest.raises(SeedChanged, match="before a password change"):
        laptop.get_auth_token()
    with pytest.raises(NewPasswordNeeded):
        laptop.accept_restored_server()
    laptop.accept_restored_server(new_password=NEW)
    laptop.delete_account()
    laptop.set_account(email_of(laptop), NEWEST)
    laptop.register()
    edit(laptop, a=2)
    with_new_account = take_backup(running_server.database, email_of(laptop))
    laptop.delete_account()
    restore_backup(running_server.database, backup)
    laptop.set_account(email_of(laptop), PASSWORD)
    with pytest.raises(NewPasswordNeeded):
        edit(laptop, secret=1)  # it knows of no version, so nothing is rolled back; the seed tells
    restore_backup(running_server.database, with_new_account)
    laptop.set_account(email_of(laptop), NEWEST)
    laptop.accept_restored_server()  # whoever runs the server took the wrong backup at first
    assert laptop.get_document()["secret"] == 1


def second_change(device: Device, running_server: RunningServer) -> tuple[Client, Backup]:
    """A phone that has joined after a change of the password, and a backup from before."""
    laptop = device("laptop")
    edit(laptop, a=1)
    backup = take_backup(running_server.database, email_of(laptop))
    laptop.change_password(NEW)
    edit(laptop, **SECRET)
    phone = Client(laptop.realm, device_id="phone")
    phone.set_account(email_of(laptop), NEW)
    phone.sync()
    return phone, backup


@pytest.mark.parametrize("has_wallet", [True, False])
def test_a_device_that_came_later_tells_an_earlier_password_by_the_epoch(
    device: Device, running_server: RunningServer, thief: Callable[[str], object], has_wallet: bool
) -> None:
    """It never knew that seed, so it may have been told that the password is a new one."""
    if not has_wallet:
        device("nobody")
        without = take_backup(running_server.database, email_of(device("other")))
    phone, backup = second_change(device, running_server)
    with phone:
        restore_backup(running_server.database, backup if has_wallet else without)
        phone.set_account(email_of(phone), PASSWORD, accept_new_password=True)
        with pytest.raises(RollbackDetected):
            phone.sync()
        for _ in range(2):
            with pytest.raises(NewPasswordNeeded):
                phone.accept_restored_server()
        assert thief(email_of(phone)) == ({"a": 1} if has_wallet else NoWallet)
        phone.accept_restored_server(new_password=NEWEST)
        assert phone.get_document() == SECRET
        assert thief(email_of(phone)) is WrongCredentials


def test_an_account_that_was_made_anew_with_the_same_password_needs_no_other_one(
    device: Device, running_server: RunningServer
) -> None:
    """Its epoch is lower, too; but the password is the one that the device has its latest wallet under."""
    phone, _ = second_change(device, running_server)
    with phone, Client(phone.realm, device_id="tablet") as tablet:
        tablet.set_account(email_of(phone), NEW)
        tablet.sync()
        tablet.delete_account()
        tablet.register()
        tablet.sync()
        phone.set_account(email_of(phone), NEW, accept_new_password=True)
        with pytest.raises(RollbackDetected):
            phone.sync()
        phone.accept_restored_server()
        assert phone.get_document() == SECRET


def test_a_wallet_that_is_made_after_the_consent_is_merged_and_the_step_repeated(
    set_back: Callable[[], Client], device: Device, middle: Middle
) -> None:
    """Another device is faster than the change: its edit is taken, and the change follows by itself."""
    laptop = set_back()
    tablet = device("tablet")
    tablet.sync()
    tries: list[bytes] = []

    def be_faster(body: bytes) -> Answer:
        tries.append(body)
        edit(tablet, tablet=1)
        middle.honest()
        return Answer(409, {"error": "There is a later version.", "code": "conflict"})

    middle.instead(CHANGE_PASSWORD, be_faster)
    assert laptop.accept_restored_server(new_password=NEWEST).sequence == 3
    assert len(tries) == 1
    assert laptop.get_document() == SECRET | {"tablet": 1}


@pytest.mark.promise("S-41")
def test_a_server_that_refuses_every_change_gets_nothing_else(set_back: Callable[[], Client], middle: Middle) -> None:
    """At most eight tries, then an error; the edits are kept, and the step can be taken later."""
    laptop = set_back()
    middle.requests.clear()
    middle.bodies.clear()
    middle.always(CHANGE_PASSWORD, Answer(409, {"error": "No.", "code": "conflict"}))
    with pytest.raises(SyncGaveUp, match="each of 8 times, so the password is unchanged"):
        laptop.accept_restored_server(new_password=NEWEST)
    assert len(set(sent(middle, CHANGE_PASSWORD))) == 1
    assert not sent(middle, POST_WALLET)
    middle.honest()
    laptop.accept_restored_server(new_password=NEWEST)
    assert laptop.get_document() == SECRET


@pytest.mark.parametrize("lost", ["request", "answer"])
def test_the_step_is_taken_again_after_a_lost_answer(
    lost: str, set_back: Callable[[], Client], middle: Middle, thief: Callable[[str], object]
) -> None:
    """The same call again, with the same two passwords; another new one is refused, since the first may hold."""
    laptop = set_back()
    (middle.lose_answer if lost == "answer" else middle.lose_request)(CHANGE_PASSWORD)
    with pytest.raises(ServerUnreachable):
        laptop.accept_restored_server(new_password=NEWEST)
    with pytest.raises(WrongPassword):
        laptop.accept_restored_server(new_password="another one, never used")
    assert laptop.accept_restored_server(new_password=NEWEST).sequence == 2
    laptop.set_account(email_of(laptop), PASSWORD)
    assert laptop.accept_restored_server(new_password=NEWEST).sequence == 2  # it was done already
    assert thief(email_of(laptop)) is WrongCredentials
    assert laptop.get_document() == SECRET


def test_wrong_passwords_change_nothing(set_back: Callable[[], Client], middle: Middle) -> None:
    """The one that holds no longer, a mistyped one, and a new one that is none."""
    laptop = set_back()
    middle.requests.clear()
    for typed in (NEW, "mistyped, and never used"):
        laptop.set_account(email_of(laptop), typed)
        for new in (None, NEWEST):
            with pytest.raises(WrongCredentials):
                laptop.accept_restored_server(new_password=new)
    laptop.set_account(email_of(laptop), PASSWORD)
    for new in ("", PASSWORD, "\ud800"):
        with pytest.raises(UsageError):
            laptop.accept_restored_server(new_password=new)
    assert CHANGE_PASSWORD not in middle.requests
    assert POST_WALLET not in middle.requests
    laptop.accept_restored_server(new_password=NEWEST)
    assert laptop.get_document() == SECRET


def test_a_new_password_may_come_with_any_consent(device: Device, running_server: RunningServer) -> None:
    """Also where the backup has the present password, and where there is nothing to consent to."""
    laptop, phone = device("laptop"), device("phone")
    edit(laptop, a=1)
    backup = take_backup(running_server.database, email_of(laptop))
    edit(laptop, a=2)
    restore_backup(running_server.database, backup)
    laptop.set_document({"a": 2, "b": 1})
    assert laptop.accept_restored_server(new_password=NEW).sequence == 2
    phone.set_account(email_of(phone), NEW, accept_new_password=True)
    phone.sync()
    phone.accept_restored_server(new_password=NEWEST)
    assert phone.get_document() == {"a": 2, "b": 1}


def test_a_password_is_not_changed_before_the_first_sync_under_it(device: Device, middle: Middle) -> None:
    """What the device knows is from before the change, so its next version could take the place of others' edits."""
    laptop, phone = device("laptop"), device("phone")
    edit(laptop, a=1)
    phone.sync()
    laptop.change_password(NEW)
    phone.set_account(email_of(phone), NEW, accept_new_password=True)
    phone.get_auth_token()
    with pytest.raises(NotReady, match=r"not synced since the password was changed.*sync\(\) first"):
        phone.change_password(NEWEST)
    phone.sync()
    assert phone.change_password(NEWEST) == PasswordChanged(3)


def test_a_server_cannot_make_a_device_believe_in_an_earlier_password(device: Device, middle: Middle) -> None:
    """A seed that it never had is another matter, and without consent no login is sent for either."""
    laptop = device("laptop")
    edit(laptop, a=1)
    earlier = state_of(laptop).seed
    assert earlier is not None
    laptop.change_password(NEW)
    before = state_of(laptop)
    for seed, told in ((earlier.hex(), "before a password change"), ("ab" * 32, "a different salt seed")):
        middle.always(GET_SEED, Answer(200, {"clientSaltSeed": seed}))
        middle.requests.clear()
        with pytest.raises(SeedChanged, match=told):
            laptop.get_auth_token()
        assert LOGIN not in middle.requests
        assert state_of(laptop) == before
