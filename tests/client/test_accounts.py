"""Whose wallet it is: addresses, passwords, realms, and keys that are proven before anything is sealed."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.conftest import PASSWORD
from tests.insides import email_of, state_of
from tests.middle import CHANGE_PASSWORD, GET_SEED, GET_WALLET, LOGIN, POST_WALLET, SIGNUP, Answer, Middle
from walletsync import Client
from walletsync.errors import (
    AccountExists,
    InvalidAddress,
    NotReady,
    SeedChanged,
    ServerUnreachable,
    StoreUnusable,
    UsageError,
    WrongCredentials,
    WrongPassword,
)
from walletsync.results import Account

Device = Callable[..., Client]


@pytest.mark.promise("X-32")
@pytest.mark.parametrize("email", ["Alice@example.com", "alice", "\u0430lice@example.com", "a@b@example.com", ""])
def test_an_address_in_another_form_is_refused(email: str, middle: Middle) -> None:
    """Only the canonical form, by the function that the server uses; the address is not in the error."""
    with Client(middle.url) as client:
        with pytest.raises(InvalidAddress) as refused:
            client.set_account(email, PASSWORD)
        assert not email or email not in str(refused.value)
        assert state_of(client).email is None


@pytest.mark.promise("P-136")
def test_a_mistyped_password_seals_nothing(
    tmp_path: Path, device: Device, middle: Middle, address: Callable[[], str]
) -> None:
    """A wallet sealed under it could be opened by nobody: after a restart, and in the same process, it is refused."""
    file = tmp_path / "laptop.wallet"
    laptop, phone = device("laptop", store=file), device("phone")
    laptop.set_document({"a": 1})
    laptop.sync()
    email = email_of(laptop)
    laptop.set_document({"a": 2})
    laptop.set_account(email, "a mistyped password")
    middle.requests.clear()
    for call in (laptop.sync, laptop.post_wallet, laptop.get_wallet):
        with pytest.raises(WrongPassword, match="with the right one"):
            call()
    laptop.close()
    with Client(middle.url, store=file) as again:
        again.set_account(email, "a mistyped password")
        with pytest.raises(WrongPassword):
            again.sync()
        assert {GET_WALLET, POST_WALLET}.isdisjoint(middle.requests)
        again.set_account(email, PASSWORD)
        assert again.sync().sequence == 2
    phone.sync()
    assert phone.get_document() == {"a": 2}


@pytest.mark.promise("P-51")
@pytest.mark.parametrize("change", [None, "lost", "landed"])
def test_a_server_that_accepts_anything_proves_no_password(change: str | None, device: Device, middle: Middle) -> None:
    """Where a wallet on the device disproves a mistyped one, it leaves in no login, and nothing is sealed under it."""
    laptop = device("laptop")
    laptop.set_document({"a": 1})
    laptop.sync()
    if change is not None:
        (middle.lose_request if change == "lost" else middle.lose_answer)(CHANGE_PASSWORD)
        with pytest.raises(ServerUnreachable):
            laptop.change_password("a new password, also a long one")
    laptop.set_document({"a": 2})
    email = email_of(laptop)
    laptop.set_account(email, "a mistyped password")
    middle.instead(LOGIN, lambda body: _accepted(msgspec.json.decode(body)["deviceId"]))
    middle.requests.clear()
    before = state_of(laptop)
    with pytest.raises(WrongPassword, match="no login was sent"):
        laptop.get_auth_token()
    for call in (laptop.get_auth_token, laptop.sync, laptop.post_wallet):
        with pytest.raises((WrongPassword, NotReady)):
            call()
    assert {LOGIN, POST_WALLET}.isdisjoint(middle.requests)
    assert state_of(laptop) == before
    middle.honest()
    laptop.set_account(email, "a new password, also a long one" if change == "landed" else PASSWORD)
    laptop.sync()
    assert laptop.merge_base == {"a": 2}


def _accepted(device_id: str) -> Answer:
    token = {"token": "ab" * 32, "deviceId": device_id, "scope": "*", "userId": 1}
    return Answer(200, token)


@pytest.mark.promise("P-136")
def test_a_mistyped_password_does_not_seal_the_first_version_either(device: Device, middle: Middle) -> None:
    """With nothing on the device to tell by, only a login proves the password."""
    laptop = device("laptop")
    email = email_of(laptop)
    laptop.set_document({"a": 1})
    laptop.set_account(email, "a mistyped password")
    with pytest.raises(NotReady, match="get_auth_token"):
        laptop.post_wallet()
    with pytest.raises(WrongCredentials):
        laptop.sync()
    laptop.set_account(email, PASSWORD)
    middle.lose_answer(POST_WALLET)
    with pytest.raises(ServerUnreachable):
        laptop.sync()
    laptop.set_account(email, "a mistyped password")
    with pytest.raises(WrongPassword):
        laptop.sync()
    laptop.set_account(email, PASSWORD)
    assert laptop.sync().sequence == 1


@pytest.mark.promise("P-46")
def test_a_seed_counts_once_it_has_opened_the_door(device: Device, middle: Middle, address: Callable[[], str]) -> None:
    """A server may answer 201 for an address that is taken: the seed offered there binds the device to nothing."""
    email = email_of(device("laptop"))
    middle.always(SIGNUP, Answer(201, {"verified": False}))
    with Client(middle.url) as client:
        client.set_account(email, PASSWORD)
        client.register()
        client.get_auth_token()
    with Client(middle.url) as client:
        client.set_account(email, "a wrong password")
        with pytest.raises(WrongCredentials):
            client.get_auth_token()
        assert state_of(client).seed is None
        client.set_account(email, PASSWORD)
        client.get_auth_token()


def test_registering_again_is_the_same_account(device: Device) -> None:
    """The device offers the seed that it knows, so to the server it is a repetition."""
    laptop = device("laptop")
    seed = state_of(laptop).seed
    assert laptop.register().verified
    laptop.get_auth_token()
    assert state_of(laptop).seed == seed


@pytest.mark.parametrize("text", ["caf\udce9 secret", "\ud800"])
def test_text_that_is_none_is_refused_without_showing_it(text: str, middle: Middle) -> None:
    """What a terminal could not decode comes as lone surrogates; the password is not in the error's chain."""
    with pytest.raises(UsageError):
        Client(middle.url, device_id=text)
    with pytest.raises(UsageError):
        Client(middle.url, realm=text)
    with Client(middle.url) as client:
        with pytest.raises(UsageError) as refused:
            client.set_account("alice@example.com", text)
        assert "secret" not in repr(refused.value)
        assert refused.value.__context__ is None


def test_an_empty_password_is_refused(middle: Middle) -> None:
    """It would protect nothing."""
    with Client(middle.url) as client, pytest.raises(UsageError, match="password is empty"):
        client.set_account("alice@example.com", "")


@pytest.mark.promise("P-25")
@pytest.mark.parametrize("device_id", ["", "x" * 129])
def test_a_device_id_that_the_server_would_not_take_is_refused(device_id: str, middle: Middle) -> None:
    """Before anything is sent."""
    with pytest.raises(UsageError, match="1 to 128"):
        Client(middle.url, device_id=device_id)


def test_an_account_that_exists_is_not_made_again(device: Device, middle: Middle) -> None:
    """Somebody else's registration changes nothing, and the devices of the account go on."""
    laptop = device("laptop")
    email = email_of(laptop)
    with Client(middle.url, device_id="other") as other:
        other.set_account(email, "another password")
        with pytest.raises(AccountExists, match="get_auth_token"):
            other.register()
        other.set_account(email, PASSWORD)
        other.get_auth_token()
    laptop.set_document({})
    laptop.sync()


def test_a_wrong_password_is_refused_with_a_hint_at_the_realm(device: Device, middle: Middle) -> None:
    """The hint names what else can be the matter: a server that moved."""
    email = email_of(device("laptop"))
    with Client(middle.url) as other:
        other.set_account(email, "a wrong password")
        with pytest.raises(WrongCredentials, match="realm="):
            other.get_auth_token()


def test_a_server_that_moved_is_reached_with_its_old_realm(
    tmp_path: Path, device: Device, middle: Middle, address: Callable[[], str]
) -> None:
    """Keys are bound to the realm: at a new address, the old one is given explicitly."""
    file = tmp_path / "laptop.wallet"
    laptop = device("laptop", store=file)
    laptop.set_document({"a": 1})
    laptop.sync()
    laptop.close()
    email = email_of(laptop)
    moved = middle.url.replace("127.0.0.1", "localhost")
    with Client(moved, store=file) as client, pytest.raises(StoreUnusable, match="earlier URL as `realm=`"):
        client.set_account(email, PASSWORD)
    with Client(moved, store=file, realm=f"{middle.url.upper()}/".replace("HTTP", "http")) as client:
        assert client.set_account(email, PASSWORD) == Account(email, middle.url)
        assert client.sync().sequence == 1


def lies_about_the_seed(middle: Middle, seed: str) -> None:
    middle.always(GET_SEED, Answer(200, {"clientSaltSeed": seed}))


def test_a_registration_that_was_refused_opens_nothing_later(device: Device, middle: Middle) -> None:
    """A server that tells a false seed during a sign-up, and refuses it, cannot have its wallets begun anew with it."""
    laptop = device("laptop")
    laptop.set_document({"a": 1})
    laptop.sync()
    lies_about_the_seed(middle, "ab" * 32)
    with pytest.raises(AccountExists):
        laptop.register(anew=True)
    assert state_of(laptop).offered_seed is None
    offered = msgspec.json.decode(middle.bodies[-1])["clientSaltSeed"]
    lies_about_the_seed(middle, offered)
    with pytest.raises(SeedChanged):
        laptop.get_auth_token()
    assert laptop.wallet_state is not None
    assert laptop.wallet_state.sequence == 1


@pytest.mark.parametrize("fate", ["lost", "taken", "refused"])
def test_registering_at_each_start_cannot_make_a_device_forget(device: Device, middle: Middle, fate: str) -> None:
    """Where the server tells another seed, whatever becomes of the sign-up, nothing is sent and nothing forgotten."""
    laptop = device("laptop")
    for number in (1, 2):
        laptop.set_document({"a": number})
        laptop.sync()
    before = state_of(laptop)
    lies_about_the_seed(middle, "ab" * 32)
    if fate == "lost":
        middle.lose_answer(SIGNUP)
    else:
        middle.always(SIGNUP, Answer(201, {"verified": True}) if fate == "taken" else Answer(500, b""))
    middle.requests.clear()
    with pytest.raises(SeedChanged, match=r"register\(anew=True\)"):
        laptop.register()
    assert SIGNUP not in middle.requests
    assert state_of(laptop) == before
    middle.honest()
    if fate == "lost":
        with pytest.raises(ServerUnreachable):
            laptop.register()
    assert laptop.register().verified  # of what is there: a lost answer, repeated
    laptop.set_document({"a": 3})
    assert laptop.sync().sequence == 3


def test_a_new_beginning_that_was_consented_to_survives_a_lost_answer(device: Device, middle: Middle) -> None:
    """The same seed is offered again, with the consent or without, and the document is the first version."""
    laptop, phone = device("laptop"), device("phone")
    laptop.set_document({"a": 1})
    laptop.sync()
    phone.sync()
    laptop.delete_account()
    middle.lose_answer(SIGNUP)
    with pytest.raises(ServerUnreachable):
        phone.register(anew=True)
    offered = state_of(phone).offered_seed
    assert phone.register().verified
    assert phone.sync().sequence == 1
    assert state_of(phone).seed == offered
    assert phone.get_document() == {"a": 1}
