"""A word of its own in every secret, every way to fail, and a search for each of them in what is then said.

The server is the worst there is: it knows all the secrets, and puts them into every place of every answer.
"""

import copy
import logging
import pickle
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.canaries import forms_of
from tests.conftest import PASSWORD
from tests.insides import email_of, state_of
from tests.middle import (
    CHANGE_PASSWORD,
    DELETE_ACCOUNT,
    GET_SEED,
    GET_WALLET,
    HISTORY,
    LOGIN,
    POST_WALLET,
    SIGNUP,
    WELL_KNOWN,
    Answer,
    Middle,
)
from walletsync import Client, crypto
from walletsync.errors import WalletSyncError
from walletsync.merge import Conflict, Merged
from walletsync.payload import Payload
from walletsync.protocol import API_PREFIX, DEVICES_PATH
from walletsync.store import DeviceState

Device = Callable[..., Client]
NEW, MISTYPED = "canary-new-0b61", "canary-mistyped-0b62"
IN_NAME, IN_VALUE = "canary-name-0b63", "canary-value-0b64"
A_NAME = "name in the document"
DOCUMENT = {IN_NAME: {IN_NAME: IN_VALUE}}
HIDDEN = Answer(404, b"not found")


@dataclass
class Said:
    """All that was said, and by which errors."""

    secrets: dict[str, str]
    texts: list[str] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)

    def note(self, error: BaseException) -> None:
        """Keep what can be read of an error, as it came and in another process."""
        self.kinds.add(type(error).__name__)
        for each in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301 - our own
            self.texts += [str(each), repr(each), repr(each.args), repr(vars(each))]
        self.texts += traceback.format_exception(error)
        cause = error.__cause__
        while cause is not None:
            self.texts += [str(cause), repr(cause), repr(cause.args), repr(vars(cause))]
            cause = cause.__cause__ or cause.__context__

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """Keep what is said of the error that comes inside, if one does."""
        try:
            yield
        except WalletSyncError as error:
            self.note(error)

    def hold_no_secret(self, *more: str) -> None:
        """Search for each secret, in every form that it can have."""
        text = "\n".join([*self.texts, *more]).lower()
        for name, secret in self.secrets.items():
            for form in forms_of(secret):
                assert form.lower() not in text, f"{name} as {form[:4]}…: {self._around(text, form.lower())}"

    @staticmethod
    def _around(text: str, form: str) -> str:
        at = text.index(form)
        return text[max(0, at - 200) : at + 60]


def secrets_of(client: Client) -> dict[str, str]:
    """Return all that a device has to hide."""
    state, unlocked = state_of(client), client._session.unlocked
    assert state.seed is not None
    assert state.token is not None
    assert unlocked is not None
    return {
        "password": PASSWORD,
        "new password": NEW,
        "mistyped password": MISTYPED,
        A_NAME: IN_NAME,
        "value in the document": IN_VALUE,
        "seed": state.seed.hex(),
        "token": state.token,
        "login key": unlocked.keys.login,
        "encryption key": unlocked.keys.encryption.hex(),
        "mac key": unlocked.keys.mac.hex(),
    }


@pytest.fixture
def laptop(device: Device) -> Client:
    """A device that has synced, and has an edit."""
    client = device("laptop", patience=0)
    client.set_document(DOCUMENT)
    client.sync()
    client.set_document(DOCUMENT | {"edit": IN_VALUE})
    return client


@pytest.fixture
def said(laptop: Client, caplog: pytest.LogCaptureFixture) -> Said:
    """Every library may log all that it knows."""
    caplog.set_level(logging.DEBUG)
    return Said(secrets_of(laptop))


def restore_state(client: Client, state: DeviceState) -> None:
    """Put a device back to what it was before it was told lies."""
    client._device._store.save(state)
    client._session._has_discovered = False


def hide(client: Client, middle: Middle) -> None:
    """Let the client be one from which the server has always hidden what it can do."""
    client._device.save(has_seen_extras=False)
    client._session._has_discovered = False
    client._api._takes_bearer = False
    middle.always(WELL_KNOWN, HIDDEN)


ASKED: dict[str, Callable[[Client], object]] = {
    WELL_KNOWN: lambda client: client.sync(),
    GET_SEED: lambda client: client.get_auth_token(),
    LOGIN: lambda client: client.get_auth_token(),
    SIGNUP: lambda client: client.register(),
    GET_WALLET: lambda client: client.get_wallet(),
    POST_WALLET: lambda client: client.post_wallet(),
    HISTORY: lambda client: client.history(),
    f"{HISTORY}/1": lambda client: client.version(1),
    CHANGE_PASSWORD: lambda client: client.accept_restored_server(new_password=NEW),
    DELETE_ACCOUNT: lambda client: client.delete_account(),
    f"GET {API_PREFIX}{DEVICES_PATH}": lambda client: client.devices(),
    f"DELETE {API_PREFIX}{DEVICES_PATH}/phone": lambda client: client.revoke_device("phone"),
    "DELETE /api/3/auth/full": lambda client: client.log_out(),
}
"""What a server is asked, and what asks it."""

STATUSES = (200, 201, 204, 301, 400, 401, 403, 404, 405, 409, 413, 418, 429, 500, 502, 503)


def answers(secrets: dict[str, str]) -> Iterator[Answer]:
    """Yield answers of every status that have every secret in every place."""
    all_of_them = " ".join(secrets.values())
    fields = dict.fromkeys(
        ("encryptedWallet", "hmac", "token", "deviceId", "clientSaltSeed", "expiration", "name", "code"), all_of_them
    )
    wallet = {"sequence": 7, "version": 1, **fields}
    bodies = (
        all_of_them.encode(),
        {"error": all_of_them, "code": all_of_them} | wallet,
        {"error": all_of_them, "code": "conflict", "encryptedWallet": all_of_them, "hmac": all_of_them, "sequence": 7},
        {all_of_them: all_of_them, "versions": [all_of_them], "devices": [all_of_them], "verified": all_of_them},
        {"encryptedWallet": all_of_them, "hmac": all_of_them, "sequence": 1, "version": 1},
        {"clientSaltSeed": secrets["seed"], "token": secrets["token"], "deviceId": all_of_them, all_of_them: 1},
        b'{"error": "' + all_of_them.encode(),
    )
    headers = {"Location": f"/{secrets['token']}", "Retry-After": all_of_them, "X-Request-Id": all_of_them}
    for status in STATUSES:
        for body in bodies if status != 204 else bodies[:1]:
            yield Answer(status, b"" if status == 204 else body, headers)


@pytest.mark.promise("T-15")
@pytest.mark.parametrize("hides", [False, True], ids=["all", "hidden"])
@pytest.mark.parametrize("what", ASKED, ids=lambda what: what.replace("/api/3/", "").replace("/", " "))
def test_no_answer_brings_a_secret_into_an_error(
    what: str,
    hides: bool,
    laptop: Client,
    said: Said,
    middle: Middle,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Whatever the server answers, also where the token has to travel in the URL."""
    if hides:
        hide(laptop, middle)
    before = state_of(laptop)
    every = 7 if what == CHANGE_PASSWORD else 1  # which is tried eight times
    for answer in list(answers(said.secrets))[::every]:
        middle.always(what, answer)
        with said.expecting():
            ASKED[what](laptop)
        said.texts += [repr(laptop), repr(state_of(laptop)), repr(laptop._device), repr(laptop._session)]
        restore_state(laptop, before)
    assert said.kinds, "nothing failed"
    out = capfd.readouterr()
    said.hold_no_secret(caplog.text, out.out, out.err)
    assert caplog.records, "nothing was logged"


@pytest.mark.parametrize("hides", [False, True], ids=["all", "hidden"])
def test_no_lost_request_or_answer_does(
    hides: bool, laptop: Client, said: Said, middle: Middle, caplog: pytest.LogCaptureFixture
) -> None:
    """The cause is kept, and has nothing of the request; the same for a server that is gone."""
    if hides:
        hide(laptop, middle)
    before = state_of(laptop)
    for lose in (middle.lose_request, middle.lose_answer):
        for what, verb in ASKED.items():
            lose(what)
            with said.expecting():
                verb(laptop)
            restore_state(laptop, before)
            middle._lost_requests.clear()
            middle._lost_answers.clear()
    assert "ServerUnreachable" in said.kinds
    said.hold_no_secret(caplog.text)


def nested(value: Any) -> Any:
    for _ in range(200):
        value = {IN_NAME: value}
    return value


def test_no_mistake_in_a_call_does(laptop: Client, said: Said, caplog: pytest.LogCaptureFixture) -> None:
    """What a program hands over wrongly is not repeated to it, but for the names that lead to a place."""
    del said.secrets[A_NAME]
    conflict = Conflict((IN_NAME, IN_VALUE), IN_VALUE, IN_VALUE, {IN_NAME: IN_VALUE})
    documents: list[Any] = [
        *({IN_NAME: {IN_VALUE}}, {IN_NAME: float("nan")}, {IN_NAME: {1: IN_VALUE}}, {IN_NAME: f"{IN_VALUE}\ud800"}),
        *({IN_NAME: IN_VALUE.encode()}, [IN_VALUE], IN_VALUE, nested(IN_VALUE)),
    ]
    calls: list[Callable[[], object]] = [
        *(lambda document=document: laptop.set_document(document) for document in documents),
        *(lambda document=document: laptop.update_document(lambda _: document) for document in documents),
        *(lambda document=document: laptop.add_document(document, based_on={}) for document in documents),
        *(lambda document=document: laptop.add_document({}, based_on=document) for document in documents),
        *(lambda document=document: laptop.merge_document(lambda _: Merged(document, ())) for document in documents),
        lambda: laptop.resolve(conflict, "mine"),
        lambda: laptop.sync(on_conflict=IN_VALUE),  # type: ignore[arg-type]
        lambda: laptop.set_account(email_of(laptop), f"{NEW}\ud800"),
        lambda: laptop.set_account(NEW, MISTYPED),
        lambda: laptop.change_password(f"{NEW}\ud800"),
        lambda: laptop.change_password(PASSWORD),
        lambda: laptop.change_password(NEW),
        lambda: laptop.change_password(NEW, old=MISTYPED),
        lambda: laptop.accept_restored_server(new_password=PASSWORD),
        lambda: Client(f"https://{NEW}@wallet.example.com"),
        lambda: Client(f"https://wallet.example.com/?{NEW}"),
        lambda: laptop.version(9),
        lambda: laptop.restore(9),
    ]
    for call in calls:
        count = len(said.texts)
        with said.expecting():
            call()
        assert len(said.texts) > count, "it did not fail"
    laptop.set_account(email_of(laptop), MISTYPED)
    for verb in ASKED.values():
        with said.expecting():
            verb(laptop)
    assert {"DocumentError", "UsageError", "WrongPassword", "UnsyncedEdits", "InvalidAddress"} <= said.kinds
    said.hold_no_secret(caplog.text)


@pytest.mark.parametrize(
    "inside",
    [
        b'{"%s": ' % IN_NAME.encode(),
        b'{"%s": 1, "%s": 2}' % (IN_NAME.encode(), IN_NAME.encode()),
        b'["%s"]' % IN_VALUE.encode(),
        b'{"%s": "\\ud800"}' % IN_NAME.encode(),
        b'{"%s": NaN}' % IN_NAME.encode(),
        b"\xff" + IN_VALUE.encode(),
    ],
)
def test_no_document_that_a_wallet_carries_does(
    inside: bytes, laptop: Client, said: Said, middle: Middle, caplog: pytest.LogCaptureFixture
) -> None:
    """Authentic, by a program that does not follow the format; also where the payload itself is none.

    The names that lead to a place are told, as `walletsync.formats.json` says.
    """
    del said.secrets[A_NAME]
    _, unlocked = laptop._session.credentials()
    about = laptop._device._next_version()
    payload = Payload(format="json", device="phone", entries=dict(about.entries), document=inside).encode()
    for plaintext in (payload, inside, payload[:4] + inside + payload[4:]):
        sealed = crypto.seal(
            unlocked.keys,
            unlocked.binding,
            epoch=about.epoch,
            sequence=about.sequence,
            previous=bytes.fromhex(about.previous),
            plaintext=plaintext,
        )
        wallet = {
            "encryptedWallet": sealed.encrypted_wallet,
            "sequence": about.sequence,
            "hmac": sealed.hmac,
            "version": 1,
        }
        middle.always(GET_WALLET, Answer(200, wallet))
        with said.expecting():
            laptop.get_wallet()
    assert said.kinds <= {"DocumentError", "BadWallet"}
    assert len(said.kinds) == 2
    said.hold_no_secret(caplog.text)


def test_no_damaged_file_does(device: Device, middle: Middle, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each row of the device's state in turn: what cannot be read is not shown."""
    file = tmp_path / "wallet"
    laptop = device("laptop", store=file)
    laptop.set_document(DOCUMENT)
    laptop.sync()
    said = Said(secrets_of(laptop))
    laptop.close()
    whole = file.read_bytes()
    for name in DeviceState.__struct_fields__:
        database = sqlite3.connect(file)
        with database:
            database.execute("UPDATE state SET value = value || ? WHERE name = ?", (f'"{PASSWORD} {IN_VALUE}', name))
        database.close()
        with said.expecting():
            Client(middle.url, store=file)
        file.write_bytes(whole)
    assert said.kinds == {"StoreUnusable"}
    caplog.set_level(logging.DEBUG)
    said.hold_no_secret(caplog.text)


def test_the_search_finds_what_is_said() -> None:
    """An error that repeats a secret, or whose cause does, is found out."""
    for error in (WalletSyncError(f"The password {PASSWORD} is wrong."), WalletSyncError("No.")):
        error.__cause__ = OSError(1, PASSWORD)
        said = Said({"password": PASSWORD})
        said.note(error)
        with pytest.raises(AssertionError, match="password as"):
            said.hold_no_secret()
