"""Changing the password: one request, one of two passwords afterwards, and devices that know which."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PASSWORD
from tests.insides import email_of, known_of, state_of, token_of
from tests.middle import CHANGE_PASSWORD, DELETE_ACCOUNT, GET_WALLET, LOGIN, POST_WALLET, Answer, Middle
from walletsync import Client
from walletsync.errors import (
    BadWallet,
    NotReady,
    PasswordUnchanged,
    RollbackDetected,
    SeedChanged,
    ServerError,
    ServerUnreachable,
    Unauthorized,
    UnsyncedEdits,
    UsageError,
    WrongCredentials,
    WrongPassword,
)
from walletsync.results import PasswordChanged, Posted

Device = Callable[..., Client]
NEW = "a new password, also a long one"


@pytest.fixture
def laptop(device: Device) -> Client:
    client = device("laptop")
    client.set_document({"label": "one"})
    client.sync()
    return client


def logs_in(client: Client, password: str) -> bool:
    """Tell whether a new device gets in with `password`."""
    with Client(client.realm) as stranger:
        stranger.set_account(email_of(client), password)
        try:
            stranger.get_auth_token()
        except WrongCredentials:
            return False
        return True


@pytest.mark.promise("P-86")
def test_the_password_changes_with_the_wallet(laptop: Client) -> None:
    """One request: the next sequence, the next epoch, a new seed; this device goes on at once, without being asked."""
    seed = state_of(laptop).seed
    assert laptop.change_password(NEW) == PasswordChanged(2)
    assert known_of(laptop).epoch == 2
    assert state_of(laptop).seed != seed
    assert laptop.get_document() == {"label": "one"}
    laptop.set_document({"label": "two"})
    assert laptop.post_wallet() == Posted(3)
    assert known_of(laptop).epoch == 2
    assert [logs_in(laptop, password) for password in (PASSWORD, NEW)] == [False, True]
    laptop.change_password(PASSWORD, old=NEW)
    assert known_of(laptop).epoch == 3


@pytest.mark.promise("P-96", "S-31")
def test_another_device_takes_the_new_password_and_keeps_its_edits(
    tmp_path: Path, laptop: Client, device: Device, middle: Middle
) -> None:
    """It is told, sends no login by itself, and goes on with its unsynced edits once it has the new password."""
    file = tmp_path / "phone.wallet"
    phone = device("phone", store=file)
    phone.sync()
    phone.set_document({"label": "one", "phone": 1})
    laptop.change_password(NEW)
    middle.requests.clear()
    with pytest.raises(SeedChanged, match="accept_new_password=True"):
        phone.sync()
    assert LOGIN not in middle.requests
    phone.set_account(email_of(phone), NEW)
    with pytest.raises(WrongPassword, match="accept_new_password=True"):  # typing it is no consent
        phone.sync()
    phone.set_account(email_of(phone), NEW, accept_new_password=True)
    phone.get_auth_token()
    phone.close()
    with Client(middle.url, store=file) as phone:
        phone.set_account(email_of(phone), NEW)
        assert phone.sync().sequence == 3
        assert phone.get_document() == {"label": "one", "phone": 1}
        assert known_of(phone).epoch == 2
    laptop.sync()
    assert laptop.get_document() == {"label": "one", "phone": 1}


def lose(middle: Middle, change: Callable[[], Any]) -> None:
    """Let the change reach the server, and lose the answer."""
    middle.lose_answer(CHANGE_PASSWORD)
    with pytest.raises(ServerUnreachable):
        change()


def bodies(middle: Middle) -> list[bytes]:
    """Return what was sent to change the password."""
    return [body for what, body in zip(middle.requests, middle.bodies, strict=True) if what == CHANGE_PASSWORD]


@pytest.mark.promise("P-83", "P-94")
def test_a_repetition_is_the_same_request_also_after_a_restart(tmp_path: Path, device: Device, middle: Middle) -> None:
    """The request gets lost; with both passwords typed again, the same one leaves, to the byte."""
    file = tmp_path / "laptop.wallet"
    laptop = device("laptop", store=file)
    laptop.set_document({"a": 1})
    laptop.sync()
    email = email_of(laptop)
    middle.lose_request(CHANGE_PASSWORD)
    with pytest.raises(ServerUnreachable):
        laptop.change_password(NEW)
    laptop.close()
    with Client(middle.url, store=file) as laptop:
        assert laptop.has_open_password_change
        laptop.set_account(email, PASSWORD)
        assert laptop.change_password(NEW) == PasswordChanged(2)
        assert state_of(laptop).password_change is None
    first, second = bodies(middle)
    assert first == second


@pytest.mark.promise("T-19")
def test_nothing_on_disk_opens_anything(tmp_path: Path, device: Device, middle: Middle) -> None:
    """While the outcome is open, no password and no key, old or new, is in the file."""
    file = tmp_path / "laptop.wallet"
    laptop = device("laptop", store=file)
    laptop.set_document({"a": 1})
    laptop.sync()
    lose(middle, lambda: laptop.change_password(NEW))
    (body,) = bodies(middle)
    sent = json.loads(body)
    content = file.read_bytes()
    for secret in (PASSWORD, NEW, sent["oldPassword"], sent["newPassword"]):
        assert secret.encode() not in content
    assert sent["encryptedWallet"].encode() in content  # the look finds what is there


@pytest.mark.promise("P-82")
def test_unsynced_edits_block_it(laptop: Client, middle: Middle) -> None:
    """With what to do; after a sync it goes through. A write whose outcome is open is an edit as well."""
    laptop.set_document({"label": "local"})
    middle.requests.clear()
    with pytest.raises(UnsyncedEdits, match=r"sync\(\) first"):
        laptop.change_password(NEW)
    assert not middle.requests
    middle.lose_answer(POST_WALLET)
    with pytest.raises(ServerUnreachable):
        laptop.sync()
    with pytest.raises(UnsyncedEdits):
        laptop.change_password(NEW)
    laptop.sync()
    assert laptop.change_password(NEW) == PasswordChanged(3)


@pytest.mark.promise("X-37")
def test_a_version_that_came_first_leaves_the_password_unchanged(
    laptop: Client, device: Device, middle: Middle
) -> None:
    """409: the old password holds, the device says what to do, and the version that took the sequence settles it."""
    phone = device("phone")
    phone.sync()
    phone.set_document({"label": "phone's"})
    phone.sync()
    for _ in range(2):
        with pytest.raises(PasswordUnchanged, match=r"sync\(\), then change it again"):
            laptop.change_password(NEW)
    assert [logs_in(laptop, password) for password in (PASSWORD, NEW)] == [True, False]
    laptop.sync()
    assert not laptop.has_open_password_change
    assert laptop.change_password(NEW) == PasswordChanged(3)
    assert laptop.get_document() == {"label": "phone's"}


@pytest.mark.promise("P-94", "P-138")
def test_a_change_that_landed_is_recognised_in_what_others_built_on_it(
    laptop: Client, device: Device, middle: Middle
) -> None:
    """Its answer got lost, another device went on under the new password: a repetition learns that, and goes on."""
    phone = device("phone")
    phone.sync()
    lose(middle, lambda: laptop.change_password(NEW))
    phone.set_account(email_of(phone), NEW, accept_new_password=True)
    phone.sync()
    phone.set_document({"label": "phone's"})
    phone.sync()
    assert laptop.change_password(NEW) == PasswordChanged(2)
    assert laptop.sync().sequence == 3
    assert laptop.get_document() == {"label": "phone's"}


@pytest.mark.promise("P-95")
def test_editing_and_syncing_go_on_while_the_outcome_is_open(laptop: Client, middle: Middle) -> None:
    """The request never arrived: an edit uses up its sequence, and then the change surely did not happen."""
    middle.lose_request(CHANGE_PASSWORD)
    with pytest.raises(ServerUnreachable):
        laptop.change_password(NEW)
    laptop.set_document({"label": "two"})
    assert laptop.sync().sequence == 2
    assert not laptop.has_open_password_change
    middle.deliver_late()  # and cannot happen any more
    assert [logs_in(laptop, password) for password in (PASSWORD, NEW)] == [True, False]
    laptop.sync()


def test_edits_made_while_the_outcome_is_open_survive_either(laptop: Client, middle: Middle) -> None:
    """The change had landed: a repetition finishes it, and the edit goes out under the new key."""
    lose(middle, lambda: laptop.change_password(NEW))
    laptop.set_document({"label": "meanwhile"})
    with pytest.raises(WrongPassword, match=r"took effect\. Call set_account"):
        laptop.sync()
    assert laptop.change_password(NEW) == PasswordChanged(2)
    assert laptop.sync().sequence == 3
    assert laptop.merge_base == {"label": "meanwhile"}


@pytest.mark.promise("P-89")
def test_the_device_says_which_password_holds(tmp_path: Path, device: Device, middle: Middle) -> None:
    """After a restart, whichever is typed: the seed tells whether the change has landed."""
    file = tmp_path / "laptop.wallet"
    laptop = device("laptop", store=file)
    laptop.set_document({"a": 1})
    laptop.sync()
    email = email_of(laptop)
    middle.lose_request(CHANGE_PASSWORD)
    with pytest.raises(ServerUnreachable):
        laptop.change_password(NEW)
    laptop.set_account(email, NEW)
    with pytest.raises(WrongPassword, match="did not take effect: the old password holds"):
        laptop.sync()
    middle.deliver_late()
    laptop.close()
    with Client(middle.url, store=file) as laptop:
        laptop.set_account(email, PASSWORD)
        with pytest.raises(WrongPassword, match=r"took effect\. Call set_account"):
            laptop.sync()
        laptop.set_account(email, NEW)
        assert laptop.sync().sequence == 2


@pytest.mark.parametrize("has_landed", [True, False])
def test_deleting_the_account_does_not_guess_which_password_holds(
    laptop: Client, middle: Middle, has_landed: bool
) -> None:
    """It has not asked the server, so it says who can tell; after that, the password that holds deletes it."""
    (middle.lose_answer if has_landed else middle.lose_request)(CHANGE_PASSWORD)
    with pytest.raises(ServerUnreachable):
        laptop.change_password(NEW)
    laptop.set_account(email_of(laptop), NEW)
    with pytest.raises(WrongPassword, match=r"not known whether .* took effect\. Call get_auth_token\(\)") as told:
        laptop.delete_account()
    assert "password holds" not in str(told.value)
    assert DELETE_ACCOUNT not in middle.requests
    if not has_landed:
        with pytest.raises(WrongPassword, match="did not take effect: the old password holds"):
            laptop.get_auth_token()
        laptop.set_account(email_of(laptop), PASSWORD)
    laptop.get_auth_token()
    laptop.delete_account()
    assert DELETE_ACCOUNT in middle.requests


def test_another_new_password_does_not_finish_a_change(laptop: Client, middle: Middle) -> None:
    """It would not open the wallet that may have landed; a new version gives the change up, if it has not."""
    middle.lose_request(CHANGE_PASSWORD)
    with pytest.raises(ServerUnreachable):
        laptop.change_password(NEW)
    with pytest.raises(WrongPassword, match="begun with another new password"):
        laptop.change_password("a third password, long enough")
    assert laptop.post_wallet() == Posted(2)
    assert laptop.change_password("a third password, long enough") == PasswordChanged(3)


def test_wrong_passwords_send_nothing(laptop: Client, middle: Middle) -> None:
    """A mistyped old one, an empty new one, the same one again."""
    middle.requests.clear()
    with pytest.raises(WrongPassword, match="old password is not that of the wallet"):
        laptop.change_password(NEW, old="mistyped")
    for new in ("", PASSWORD, "\ud800"):
        with pytest.raises(UsageError):
            laptop.change_password(new)
    assert not middle.requests
    with Client(middle.url) as client:
        client.set_account("nobody@example.com", PASSWORD)
        with pytest.raises(NotReady, match="get_auth_token"):
            client.change_password(NEW)


@pytest.mark.promise("P-93")
@pytest.mark.parametrize("status", [400, 413])
def test_a_change_that_is_refused_for_good_is_given_up(laptop: Client, middle: Middle, status: int) -> None:
    """Too large for something in between, say: the old password holds, and nothing stays open."""
    middle.always(CHANGE_PASSWORD, Answer(status, b""))
    with pytest.raises(ServerError):
        laptop.change_password(NEW)
    assert not laptop.has_open_password_change
    middle.honest()
    assert laptop.sync().sequence == 1


@pytest.mark.promise("P-93")
def test_a_repetition_that_is_refused_stays_open(laptop: Client, middle: Middle) -> None:
    """A refusal says nothing about the copy that went before: it had landed."""
    lose(middle, lambda: laptop.change_password(NEW))
    middle.always(CHANGE_PASSWORD, Answer(413, b""))
    with pytest.raises(ServerError):
        laptop.change_password(NEW)
    assert laptop.has_open_password_change
    middle.honest()
    assert laptop.change_password(NEW) == PasswordChanged(2)


@pytest.mark.promise("P-89")
def test_a_password_that_was_changed_elsewhere_is_not_changed_again(laptop: Client, device: Device) -> None:
    """The old password holds no longer, and not because of this change: nothing stays open."""
    phone = device("phone")
    phone.sync()
    phone.change_password("the phone's new password")
    with pytest.raises(WrongCredentials):
        laptop.change_password(NEW)
    assert not laptop.has_open_password_change
    with pytest.raises(SeedChanged):
        laptop.sync()


def test_a_lying_409_does_not_hide_that_the_change_landed(laptop: Client, middle: Middle) -> None:
    """The server makes the change and denies it: the device keeps the new seed until a version proves the denial."""
    middle.change(CHANGE_PASSWORD, lambda _: Answer(409, {"error": "No.", "code": "conflict"}))
    with pytest.raises(PasswordUnchanged):
        laptop.change_password(NEW)
    assert laptop.has_open_password_change
    middle.honest()
    laptop.set_account(email_of(laptop), NEW)
    assert laptop.sync().sequence == 2


@pytest.mark.promise("P-86")
def test_the_change_counts_though_logging_in_again_fails(laptop: Client, middle: Middle) -> None:
    """All tokens are void; the next sync logs in."""
    middle.lose_answer(LOGIN)
    assert laptop.change_password(NEW) == PasswordChanged(2)
    with pytest.raises(NotReady, match="get_auth_token"):
        laptop.get_wallet()
    assert laptop.sync().sequence == 2


@pytest.mark.promise("P-97", "T-12")
def test_a_wallet_from_before_the_change_is_refused_also_after_a_restart(
    tmp_path: Path, device: Device, middle: Middle
) -> None:
    """By the device that changed it, and by one that took the new password; the old token is void."""
    file = tmp_path / "phone.wallet"
    laptop, phone = device("laptop"), device("phone", store=file)
    laptop.set_document({"a": 1})
    laptop.sync()
    phone.sync()
    before = middle.wallet(token_of(phone))
    laptop.change_password(NEW)
    with pytest.raises(Unauthorized):
        phone.get_wallet()
    phone.set_account(email_of(phone), NEW, accept_new_password=True)
    phone.get_auth_token()
    phone.close()
    with Client(middle.url, store=file) as phone:
        phone.set_account(email_of(laptop), NEW)
        middle.always(GET_WALLET, before)
        for client in (laptop, phone):
            with pytest.raises(BadWallet):
                client.sync()
        middle.honest()
        assert phone.sync().sequence == 2


@pytest.mark.promise("T-12")
def test_a_wallet_under_the_new_keys_that_kept_the_old_epoch_is_refused(
    laptop: Client, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The epoch has to rise with the seed: a version made without knowing of the change does not pass for one after."""
    phone = device("phone")
    phone.sync()
    real = type(laptop._device)._next_version

    def in_an_earlier_epoch(of: Any) -> Any:
        version = real(of)
        return type(version)(**{name: getattr(version, name) for name in version.__struct_fields__} | {"epoch": 0})

    with monkeypatch.context() as patch:
        patch.setattr(type(laptop._device), "_next_version", in_an_earlier_epoch)
        laptop.change_password(NEW)  # epoch 0 + 1
    phone.set_account(email_of(phone), NEW, accept_new_password=True)
    with pytest.raises(RollbackDetected, match="before a password change"):
        phone.sync()


def test_a_first_version_under_the_old_password_never_lands_under_the_new_one(device: Device, middle: Middle) -> None:
    """It was lost on the way, then the password changed without a wallet: it is sealed anew before it leaves."""
    laptop, phone = device("laptop"), device("phone")
    phone.set_document({"phone": 1})
    middle.lose_request(POST_WALLET)
    with pytest.raises(ServerUnreachable):
        phone.sync()
    assert laptop.change_password(NEW) == PasswordChanged(None)
    phone.set_account(email_of(phone), NEW, accept_new_password=True)
    phone.get_auth_token()
    assert phone.post_wallet() == Posted(1)
    laptop.sync()
    assert laptop.get_document() == {"phone": 1}


def test_a_post_right_after_taking_the_new_password_catches_up_first(laptop: Client, device: Device) -> None:
    """Nothing is sealed under the new key on top of a version from before."""
    phone = device("phone")
    phone.sync()
    phone.set_document({"label": "one", "phone": 1})
    laptop.change_password(NEW)
    phone.set_account(email_of(phone), NEW, accept_new_password=True)
    phone.get_auth_token()
    assert phone.post_wallet() == Posted(3)
    assert known_of(phone).epoch == 2


def test_a_repetition_without_a_wallet_is_recognised(device: Device) -> None:
    """There is no wallet to tell by, so a login tells; a wrong pair of passwords stays wrong."""
    laptop = device("laptop")
    assert laptop.change_password(NEW) == PasswordChanged(None)
    laptop.set_account(email_of(laptop), PASSWORD)
    assert laptop.change_password(NEW) == PasswordChanged(None)
    laptop.set_account(email_of(laptop), PASSWORD)
    with pytest.raises(WrongCredentials):
        laptop.change_password("a third password, long enough")
    laptop.set_account(email_of(laptop), NEW)
    laptop.get_auth_token()


@pytest.mark.parametrize("then", ["change again", "log in"])
def test_without_a_wallet_another_new_password_does_not_finish_a_change_either(
    then: str, device: Device, middle: Middle
) -> None:
    """It had landed with the one given first, which alone holds, and the device goes on with that."""
    laptop = device("laptop")
    lose(middle, lambda: laptop.change_password(NEW))
    for _ in range(2):
        with pytest.raises(WrongPassword, match="took effect, with a different new password"):
            laptop.change_password("a third password, long enough")
        assert laptop.has_open_password_change
    middle.always(CHANGE_PASSWORD, Answer(401, {"error": "no", "code": "wrong_credentials"}))
    middle.lose_answer(LOGIN)
    with pytest.raises(ServerUnreachable):
        laptop.change_password(NEW)
    if then == "change again":  # with the old password that it was told
        assert laptop.change_password(NEW) == PasswordChanged(None)
    else:
        laptop.set_account(email_of(laptop), NEW)
    laptop.set_document({"a": 1})
    assert laptop.sync().sequence == 1
    assert not laptop.has_open_password_change
    assert [logs_in(laptop, each) for each in (PASSWORD, NEW, "a third password, long enough")] == [False, True, False]


def test_a_change_that_landed_unseen_and_was_followed_by_another_is_known(device: Device, middle: Middle) -> None:
    """A device whose change landed without its knowing, and which meets the next change first, still goes on."""
    laptop, phone = device("laptop"), device("phone")
    laptop.set_document({"label": "one"})
    laptop.sync()
    phone.sync()
    middle.lose_answer(CHANGE_PASSWORD)
    with pytest.raises(ServerUnreachable):
        laptop.change_password(NEW)
    email = email_of(phone)
    phone.set_account(email, NEW, accept_new_password=True)
    phone.sync()
    phone.change_password("a third password, longer than that", old=NEW)
    laptop.set_document({"label": "one", "edited": "meanwhile"})
    laptop.set_account(email, "a third password, longer than that", accept_new_password=True)
    laptop.sync()
    phone.sync()
    assert phone.get_document() == laptop.get_document() == {"label": "one", "edited": "meanwhile"}
    assert known_of(laptop).epoch == known_of(phone).epoch == 3
    assert not laptop.has_open_password_change
