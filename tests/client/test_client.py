"""The verbs of `Client`, one at a time and in the wrong order."""

import base64
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import walletsync
from append_log import AppendLog
from tests.conftest import PASSWORD
from tests.insides import email_of
from tests.middle import GET_WALLET, LOGIN, POST_WALLET, Answer, Middle
from walletsync import Client, JSONFormat, crypto
from walletsync.errors import (
    DocumentError,
    NotReady,
    StoreUnusable,
    Unauthorized,
    UsageError,
    WrongCredentials,
)
from walletsync.results import Fetched, Posted, WalletState

Device = Callable[..., Client]
UNAUTHORIZED = Answer(401, {"error": "Log in.", "code": "unauthorized"})


def test_verbs_in_the_wrong_order_say_what_is_missing(middle: Middle, address: Callable[[], str]) -> None:
    """Each error names the step that comes first."""
    with Client(middle.url) as client:
        for call in (client.register, client.get_auth_token, client.sync, client.get_wallet, client.post_wallet):
            with pytest.raises(NotReady, match="set_account"):
                call()
        client.set_account(address(), PASSWORD)
        with pytest.raises(WrongCredentials, match=r"register\(\)"):
            client.sync()
        client.register()
        for call in (client.get_wallet, client.post_wallet):
            with pytest.raises(NotReady, match="get_auth_token"):
                call()
        client.get_auth_token()
        for call in (client.get_document, client.post_wallet):
            with pytest.raises(NotReady, match="new_wallet_state"):
                call()
        assert client.wallet_state is None
        assert client.merge_base is None
        assert not client.has_local_changes


def test_a_second_wallet_cannot_be_begun_over_the_first(device: Device) -> None:
    """new_wallet_state() never discards one."""
    client = device("laptop")
    assert client.new_wallet_state() == WalletState(0, "") == client.wallet_state
    with pytest.raises(NotReady, match="set_document"):
        client.new_wallet_state()


def test_the_walk_of_the_tour(device: Device) -> None:
    """Make, POST, GET, edit, POST, GET: both devices have the same."""
    laptop, phone = device("laptop"), device("phone")
    laptop.new_wallet_state()
    assert laptop.post_wallet() == Posted(1)
    assert phone.get_wallet() == Fetched(1, newer=True)
    assert phone.get_wallet() == Fetched(1, newer=False)
    laptop.set_document({"label": "rent"})
    assert laptop.has_local_changes
    assert laptop.post_wallet() == Posted(2)
    assert phone.get_wallet() == Fetched(2, newer=True)
    assert phone.get_document() == {"label": "rent"} == laptop.merge_base
    assert phone.wallet_state == laptop.wallet_state


def test_a_restart_loses_nothing(tmp_path: Path, device: Device) -> None:
    """Document, local edits, token, merge base and conflicts are in the file."""
    file = tmp_path / "laptop.wallet"
    laptop, phone = device("laptop", store=file), device("phone")
    laptop.set_document({"a": 1, "b": 1})
    laptop.sync()
    phone.sync()
    phone.set_document({"a": 2, "b": 1})
    phone.sync()
    laptop.set_document({"a": 3, "b": 1})
    laptop.sync()
    laptop.set_document({"a": 2, "b": 4})
    (conflict,) = laptop.conflicts
    email = email_of(laptop)
    laptop.close()

    with Client(laptop.realm, store=file) as again:
        assert again.device_id == "laptop"
        assert again.get_document() == {"a": 2, "b": 4}
        assert again.merge_base == {"a": 2, "b": 1}
        assert again.conflicts == (conflict,)
        assert again.has_local_changes
        again.set_account(email, PASSWORD)
        again.resolve(conflict, "mine")
        again.sync()
    phone.sync()
    assert phone.get_document() == {"a": 3, "b": 4}


def test_a_store_is_for_one_device_account_and_format(
    tmp_path: Path, middle: Middle, address: Callable[[], str]
) -> None:
    """Anything else is refused with what to do, and the file can be used again at once."""
    file = tmp_path / "laptop.wallet"
    with Client(middle.url, store=file, device_id="laptop") as client:
        client.set_account("alise@example.com", PASSWORD)
        email = address()
        client.set_account(email, PASSWORD)  # a slip of the pen binds nothing before anything was sent
        client.register()
        with pytest.raises(StoreUnusable, match="belongs to another account"):
            client.set_account("bob@example.com", PASSWORD)
    with pytest.raises(StoreUnusable, match="belongs to the device 'laptop'"):
        Client(middle.url, store=file, device_id="phone")
    with pytest.raises(StoreUnusable, match="format 'json'"):
        Client(middle.url, store=file, format=AppendLog())
    Client(middle.url, store=file).close()


@pytest.mark.promise("T-19")
def test_a_store_holds_no_password_and_no_key(tmp_path: Path, device: Device) -> None:
    """And nobody else can read what it does hold."""
    file = tmp_path / "laptop.wallet"
    client = device("laptop", store=file)
    client.set_document({"a": 1})
    client.sync()
    assert client._session.unlocked is not None
    keys = client._session.unlocked.keys
    content = file.read_bytes()
    for secret in (PASSWORD.encode(), keys.login.encode(), keys.encryption, keys.mac):
        for form in (secret, secret.hex().encode(), base64.b64encode(secret)):
            assert form not in content
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_keys_are_derived_once(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """They take 256 MiB and a second: registering, logging in and syncing share them."""
    derived: list[bytes] = []
    real = crypto._argon2id

    def counted(password: bytes, salt: bytes) -> bytes:
        derived.append(salt)
        return real(password, salt)

    monkeypatch.setattr(crypto, "_argon2id", counted)
    client = device("laptop")
    client.set_document({})
    client.sync()
    client.get_auth_token()
    assert len(derived) == 1


def test_another_format_refuses_the_wallet(device: Device) -> None:
    """A device with another format does not misread the wallet, and keeps its own document."""
    laptop, phone = device("laptop"), device("phone", format=AppendLog())
    laptop.set_document({"a": 1})
    laptop.sync()
    with pytest.raises(DocumentError, match=r"'json'.*'append-log'"):
        phone.sync()
    assert phone.wallet_state is None


def test_a_document_that_is_none_is_refused(device: Device) -> None:
    """The old one stays."""
    client = device("laptop")
    client.set_document({"a": 1})
    with pytest.raises(DocumentError):
        client.set_document({"a": {1, 2}})
    assert client.get_document() == {"a": 1}


def test_a_document_is_a_copy(device: Device) -> None:
    """Changing what get_document() returned changes nothing on the device."""
    client = device("laptop")
    client.set_document({"a": [1]})
    client.get_document()["a"].append(2)
    assert client.get_document() == {"a": [1]}


@pytest.mark.promise("P-75", "P-144")
def test_sync_signs_in_again_when_the_token_has_expired(device: Device, middle: Middle) -> None:
    """Once; a server that refuses the new token as well is an error."""
    client = device("laptop")
    client.set_document({"a": 1})
    refusals = iter([UNAUTHORIZED])
    middle.change(GET_WALLET, lambda answer: next(refusals, answer))
    assert client.sync().sequence == 1
    middle.always(GET_WALLET, UNAUTHORIZED)
    middle.requests.clear()
    with pytest.raises(Unauthorized):
        client.sync()
    assert middle.requests.count(LOGIN) == 1


@pytest.mark.promise("P-141")
def test_a_sync_with_nothing_to_do_posts_nothing(device: Device, middle: Middle) -> None:
    """No version is made for nothing, also where the document came from another device."""
    laptop, phone = device("laptop"), device("phone")
    laptop.set_document({"b": 1, "a": 1.0})
    laptop.sync()
    phone.sync()
    middle.requests.clear()
    for client in (laptop, phone, laptop):
        assert client.sync().sequence == 1
    assert POST_WALLET not in middle.requests


def test_a_conflict_is_decided_once(device: Device) -> None:
    """For theirs it is dropped, for mine it goes into the document; a second decision is refused."""
    laptop, phone = device("laptop"), device("phone")
    laptop.set_document({"a": 1, "b": 1})
    laptop.sync()
    phone.sync()
    laptop.set_document({"a": 2, "b": 2})
    laptop.sync()
    phone.set_document({"a": 3, "b": 3})
    assert len(phone.sync().conflicts) == 2
    first, second = phone.conflicts
    with pytest.raises(UsageError, match='"mine" or "theirs"'):
        phone.resolve(first, "both")  # type: ignore[arg-type]  # on purpose
    assert phone.resolve(first, "theirs") == {"a": 2, "b": 2}
    assert phone.resolve(second, "mine") == {"a": 2, "b": 3}
    for conflict in (first, second):
        with pytest.raises(UsageError, match="decided already"):
            phone.resolve(conflict, "mine")
    phone.sync()
    laptop.sync()
    assert laptop.get_document() == {"a": 2, "b": 3}
    assert not laptop.conflicts


def test_deciding_shows_what_the_document_has_now(device: Device) -> None:
    """Theirs moves along with later changes, and a decision about an earlier look at it is refused."""
    laptop, phone = device("laptop"), device("phone")
    laptop.set_document({"label": "base"})
    laptop.sync()
    phone.sync()
    phone.set_document({"label": "phone 1"})
    phone.sync()
    laptop.set_document({"label": "mine"})
    laptop.sync()
    (conflict,) = laptop.conflicts
    phone.set_document({"label": "phone 2, important"})
    phone.sync()
    laptop.sync()
    for keep in ("mine", "theirs"):
        with pytest.raises(UsageError, match="the document has changed there since"):
            laptop.resolve(conflict, keep)
    (conflict,) = laptop.conflicts
    assert (conflict.base, conflict.mine, conflict.theirs) == ("base", "mine", "phone 2, important")
    assert laptop.resolve(conflict, "mine") == {"label": "mine"}
    assert not laptop.conflicts


def test_conflicts_that_differ_only_in_type_are_told_apart(device: Device) -> None:
    """Deciding the one about `true` leaves the one about 1."""
    laptop, phone = device("laptop"), device("phone")
    laptop.set_document({"a": 0})
    laptop.sync()
    phone.sync()
    for mine, theirs in ((1, 2), (True, 3)):
        laptop.set_document({"a": theirs})
        laptop.sync()
        phone.set_document({"a": mine})
        phone.sync()
    (integer,) = [conflict for conflict in phone.conflicts if conflict.mine is not True]
    (boolean,) = [conflict for conflict in phone.conflicts if conflict.mine is True]
    phone.resolve(boolean, "theirs")
    assert phone.conflicts == (integer,)


def test_a_sync_tells_the_conflicts_that_it_made(device: Device, middle: Middle) -> None:
    """Not those that waited before, and all of them also if it had to log in on the way."""
    laptop, phone = device("laptop"), device("phone")
    laptop.set_document({"a": 1, "b": 1})
    laptop.sync()
    phone.sync()
    for key in ("a", "b"):
        laptop.set_document(laptop.get_document() | {key: 2})
        laptop.sync()
        phone.set_document(phone.get_document() | {key: 3, "phone": key})
        refusals = iter([UNAUTHORIZED])
        middle.change(POST_WALLET, lambda answer, refusals=refusals: next(refusals, answer))  # type: ignore[misc]
        (conflict,) = phone.sync().conflicts
        assert conflict.at == f"/{key}"
        middle.honest()
    assert len(phone.conflicts) == 2
    assert phone.sync().conflicts == ()


def test_getting_tells_whether_local_edits_are_on_top(device: Device) -> None:
    """`merged` is True only if there are some beyond what came."""
    laptop, phone = device("laptop"), device("phone")
    laptop.set_document({"a": 1})
    laptop.sync()
    assert phone.get_wallet() == Fetched(1, newer=True, merged=False)
    laptop.set_document({"a": 2})
    laptop.sync()
    phone.set_document({"a": 1, "b": 1})
    assert phone.get_wallet() == Fetched(2, newer=True, merged=True)


class Spaced(JSONFormat):
    """Another program's JSON: the same documents in other bytes."""

    def encode(self, document: dict[str, Any]) -> bytes:
        return json.dumps(document, indent=1).encode()


def test_a_document_in_another_programs_bytes_is_no_local_change(device: Device) -> None:
    """Two programs that write JSON differently do not answer each other's version with one of their own for ever."""
    laptop, other = device("laptop"), device("other", format=Spaced())
    other.set_document({"a": 1})
    other.sync()
    laptop.sync()
    assert not laptop.has_local_changes
    for client in (laptop, other, laptop):
        assert client.sync().sequence == 1


def test_the_epoch_of_the_wallet_is_the_epoch_of_the_next(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device goes on in the epoch that it found."""
    laptop, phone = device("laptop"), device("phone")
    monkeypatch.setattr("walletsync.device._FIRST_EPOCH", 7)
    laptop.set_document({"a": 1})
    laptop.sync()
    monkeypatch.undo()
    phone.sync()
    phone.set_document({"a": 2})
    phone.sync()
    state = phone.wallet_state
    assert state is not None
    assert int.from_bytes(base64.b64decode(state.encrypted_wallet)[5:9], "big") == 7
    laptop.sync()


def test_mine_without_a_place_stays_a_conflict(device: Device) -> None:
    """What mine belonged to is gone: the decision is refused with the reason, and mine is kept."""
    laptop, phone = device("laptop"), device("phone")
    laptop.set_document({"a": {"b": {"c": 1}}})
    laptop.sync()
    phone.sync()
    laptop.set_document({"a": {"b": {"c": 2}}})
    laptop.sync()
    phone.set_document({"a": {"b": {"c": 3}}})
    phone.sync()
    laptop.set_document({"a": "replaced"})
    laptop.sync()
    phone.sync()
    (conflict,) = phone.conflicts
    with pytest.raises(DocumentError):
        phone.resolve(conflict, "mine")
    assert phone.conflicts == (conflict,)


def test_two_documents_made_before_the_first_sync_are_merged(device: Device) -> None:
    """A device that made its own wallet first loses nothing when it finds that there is one."""
    laptop, phone = device("laptop"), device("phone")
    laptop.set_document({"laptop": 1})
    laptop.sync()
    phone.set_document({"phone": 1})
    phone.sync()
    laptop.sync()
    assert laptop.get_document() == phone.get_document() == {"laptop": 1, "phone": 1}


def test_the_public_names_are_these() -> None:
    """What `walletsync` offers is a decision, not an accident."""
    assert walletsync.__all__ == ["BIP329Format", "Client", "JSONFormat", "WalletSyncError", "errors"]
    assert set(walletsync.__all__) <= set(dir(walletsync))
    assert all(hasattr(walletsync, name) for name in walletsync.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Server'"):
        walletsync.Server  # noqa: B018 - the access is the test


def test_importing_the_protocol_loads_no_client() -> None:
    """The server imports it and must not pay for requests or cryptography."""
    program = (
        "import sys, walletsync.protocol\n"
        "print([name for name in ('requests', 'cryptography', 'walletsync.client') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    assert run.stdout == "[]\n"


def test_reprs_read_well_and_hold_no_secret(device: Device) -> None:
    """In a notebook a value shows what matters."""
    client = device("laptop")
    token = client.get_auth_token()
    client.set_document({})
    client.sync()
    assert repr(client) == f"Client({client.realm!r}, device_id='laptop')"
    assert token.value not in repr(token)
    state = client.wallet_state
    assert state is not None
    assert repr(state) == f"WalletState(sequence=1, encrypted_wallet='V1NZMQ…{state.encrypted_wallet[-8:]}')"
    assert repr(WalletState(0, "")) == "WalletState(sequence=0, encrypted_wallet='')"
