"""A server that hides `.well-known` from a device that knows nothing yet: what it gets by that, and what not."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from tests.conftest import PASSWORD
from tests.insides import email_of, known_of, state_of, token_of
from tests.middle import (
    CHANGE_PASSWORD,
    DELETE_ACCOUNT,
    GET_SEED,
    GET_WALLET,
    LOGIN,
    POST_WALLET,
    SIGNUP,
    WELL_KNOWN,
    Answer,
    Middle,
)
from walletsync import Client, crypto
from walletsync.errors import (
    AccountExists,
    BadWallet,
    NotEnoughMemory,
    NotReady,
    ProtocolError,
    RollbackDetected,
    SeedChanged,
)

Device = Callable[..., Client]
ROOT = Path(__file__).parents[2]
NEW = "a new password, also a long one"
HIDDEN = Answer(404, b"not found")


@pytest.fixture
def laptop(device: Device) -> Client:
    """A device that has seen all that the server can do, at version 2."""
    client = device("laptop")
    for number in (1, 2):
        client.set_document({"a": number})
        client.sync()
    return client


@pytest.fixture
def fresh(laptop: Client, middle: Middle) -> Iterator[Client]:
    """Another one of its account, from which `.well-known` is hidden."""
    middle.always(WELL_KNOWN, HIDDEN)
    with fresh_device(middle, email_of(laptop)) as client:
        yield client


@contextmanager
def fresh_device(middle: Middle, email: str) -> Iterator[Client]:
    with Client(middle.url, device_id="fresh") as client:
        client.set_account(email, PASSWORD)
        middle.requests.clear()
        middle.bodies.clear()
        middle.heads.clear()
        yield client


def bodies(middle: Middle, what: str) -> list[Any]:
    sent = zip(middle.requests, middle.bodies, strict=True)
    return [json.loads(body) for each, body in sent if each == what]


@pytest.mark.promise("P-132", "P-135", "S-8", "T-13")
def test_keys_are_derived_at_the_same_cost(
    fresh: Client, laptop: Client, middle: Middle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is derived, and from what, is the same to the bit: the login that is sent, and the keys that are not."""
    derived: list[tuple[object, ...]] = []

    def noted(**parameters: object) -> object:
        derived.append(tuple(sorted(parameters.items())))
        return Argon2id(**parameters)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(crypto, "Argon2id", noted)
    fresh.sync()
    keys = fresh._session.unlocked
    middle.honest()
    with fresh_device(middle, email_of(laptop)) as knowing:
        knowing.sync()
        assert state_of(knowing).has_seen_extras
        assert keys == knowing._session.unlocked
    assert not state_of(fresh).has_seen_extras
    assert len(derived) == 2
    assert derived[0] == derived[1]
    middle.always(WELL_KNOWN, Answer(200, {"kdf": {"memory": 8}}))
    with fresh_device(middle, email_of(laptop)) as client, pytest.raises(ProtocolError):
        client.sync()
    assert len(derived) == 2


@pytest.mark.promise("P-132", "T-13")
def test_what_it_writes_is_sealed_as_ever(fresh: Client, laptop: Client, middle: Middle) -> None:
    """A device that knows all takes its version: suite, epoch, entries and `previous` are as they have to be."""
    fresh.sync()
    fresh.set_document({"a": 2, "fresh": 1})
    assert fresh.sync().sequence == 3
    middle.honest()
    laptop.sync()
    assert laptop.get_document() == {"a": 2, "fresh": 1}
    assert laptop.fingerprint() == fresh.fingerprint()
    assert known_of(fresh).entries.keys() == {"laptop", "fresh"}


@pytest.mark.promise("P-132", "S-8", "T-13")
@pytest.mark.parametrize(
    "told",
    [
        {"clientSaltSeed": "ab" * 31},
        {"clientSaltSeed": "00" * 32},
        {"clientSaltSeed": "ab" * 32, "iterations": 1},
        {"clientSaltSeed": "ab" * 32, "kdf": {"memory": 8}},
    ],
)
def test_no_parameter_is_taken_with_the_seed(told: Any, fresh: Client, middle: Middle) -> None:
    """The seed is checked as ever, and no login is sent."""
    middle.always(GET_SEED, Answer(200, told))
    with pytest.raises(ProtocolError):
        fresh.sync()
    assert LOGIN not in middle.requests


@pytest.mark.promise("P-130", "P-132", "S-14", "T-13")
def test_every_check_of_a_wallet_is_made(fresh: Client, laptop: Client, middle: Middle) -> None:
    """Forged, renumbered, damaged, older, none at all, another seed: each is refused, and nothing is changed by it."""
    wallet = middle.wallet(token_of(laptop)).json
    forged = [
        wallet | {"sequence": 3},
        wallet | {"hmac": "00" * 32},
        wallet | {"encryptedWallet": wallet["encryptedWallet"][:-8]},
        wallet | {"version": 2},
        wallet | {"sequence": True},
    ]
    for lie in forged:
        middle.always(GET_WALLET, Answer(200, lie))
        with pytest.raises((BadWallet, ProtocolError)):
            fresh.sync()
        assert state_of(fresh).synced is None
    middle.honest()
    middle.always(WELL_KNOWN, HIDDEN)
    fresh.sync()
    before = state_of(fresh)
    first = laptop._api.version(token_of(laptop), 1)
    older = {"encryptedWallet": first.encrypted_wallet, "sequence": 1, "hmac": first.hmac}
    for answer in (Answer(200, older), Answer(404, {"error": "Not Found: there is no wallet"})):
        middle.always(GET_WALLET, answer)
        with pytest.raises(RollbackDetected):
            fresh.get_wallet()
    middle.always(GET_SEED, Answer(200, {"clientSaltSeed": "ab" * 32}))
    with pytest.raises(SeedChanged):
        fresh.get_auth_token()
    assert state_of(fresh) == before


@pytest.mark.promise("P-134", "S-14")
def test_what_is_missing_is_what_the_page_says(fresh: Client, middle: Middle) -> None:
    """The token is in bodies and queries; a POST needs no wallet in its answer; and the size is not known."""
    page = " ".join((ROOT / "docs" / "protocol.md").read_text().split())
    assert "the token gets into URLs" in page
    assert "a POST counts as accepted by its status alone, until the next GET" in page
    fresh.sync()
    token = token_of(fresh)
    assert any(f"token={token}" in head.splitlines()[0] for head in middle.heads)
    assert not any(re.search("^authorization:", head, re.IGNORECASE | re.MULTILINE) for head in middle.heads)
    middle.always(POST_WALLET, Answer(200, {}))
    fresh.set_document({"a": 3})
    assert fresh.sync().sequence == 3
    assert bodies(middle, POST_WALLET)[-1]["token"] == token
    with pytest.raises(RollbackDetected):
        fresh.sync()
    assert fresh.get_document() == {"a": 3}


# No body leaves before there are keys

VERBS: dict[str, Callable[[Client], object]] = {
    "register": lambda client: client.register(),
    "get_auth_token": lambda client: client.get_auth_token(),
    "check_password": lambda client: client.check_password(),
    "sync": lambda client: client.sync(),
    "get_wallet": lambda client: client.get_wallet(),
    "post_wallet": lambda client: client.post_wallet(),
    "change_password": lambda client: client.change_password(NEW),
    "accept_restored_server": lambda client: client.accept_restored_server(),
    "accept_with_new_password": lambda client: client.accept_restored_server(new_password=NEW),
    "history": lambda client: client.history(),
    "version": lambda client: client.version(1),
    "versions": lambda client: client.versions([1]),
    "restore": lambda client: client.restore(1),
    "devices": lambda client: client.devices(),
    "revoke_device": lambda client: client.revoke_device("laptop"),
    "log_out": lambda client: client.log_out(),
    "delete_account": lambda client: client.delete_account(),
}


@pytest.mark.promise("P-133", "T-13")
@pytest.mark.parametrize(
    ("knows", "hides"), [(False, False), (False, True), (True, False)], ids=["fresh", "hidden from", "restarted"]
)
@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_no_body_leaves_before_there_are_keys(
    verb: Callable[[Client], object],
    knows: bool,
    hides: bool,
    device: Device,
    middle: Middle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whichever verb comes first, whether or not the process before had logged in: what needs no key has no body."""
    file = tmp_path / "wallet"
    if hides:
        middle.always(WELL_KNOWN, HIDDEN)
    laptop = device("laptop", store=file if knows else None)
    laptop.set_document({"a": 1})
    laptop.sync()
    email = email_of(laptop)
    laptop.close()
    real = crypto.derive

    def derive(*arguments: Any) -> crypto.Keys:
        middle.requests.append("derived")
        middle.bodies.append(b"")
        return real(*arguments)

    def first_steps(client: Client) -> None:
        client.set_account(email, PASSWORD)
        middle.requests.clear()
        middle.bodies.clear()
        with suppress(NotReady, NotEnoughMemory, AccountExists):
            verb(client)

    with Client(middle.url, store=file) as client, monkeypatch.context() as patch:
        patch.setattr(crypto, "derive", derive)
        first_steps(client)
    with_body = [number for number, body in enumerate(middle.bodies) if body]
    if with_body:
        assert "derived" in middle.requests[: with_body[0]]
        assert {middle.requests[number] for number in with_body} <= {
            *(SIGNUP, LOGIN, POST_WALLET, CHANGE_PASSWORD, DELETE_ACCOUNT)
        }
    monkeypatch.setattr(crypto, "_ARGON2_KIB", 2**32 - 1)
    file.unlink(missing_ok=True)
    with Client(middle.url, store=file) as client:
        first_steps(client)
    assert not any(middle.bodies)


def test_every_verb_that_asks_the_server_is_among_them() -> None:
    """One that is new has to be tried as well. The others ask nothing, or by one of these."""
    others = {
        *("close", "set_account", "new_wallet_state", "get_document", "set_document", "update_document"),
        *("add_document", "merge_document", "resolve", "resolve_all", "fingerprint", "listen"),
        *("lend_store", "take_back_store", "rename_device"),
    }
    verbs = {name for name, each in vars(Client).items() if callable(each) and not name.startswith("_")}
    assert verbs == others | (VERBS.keys() - {"accept_with_new_password"})
