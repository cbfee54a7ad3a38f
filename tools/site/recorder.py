"""Writes down what real devices and a real server do, and what passes between them, step by step.

The lies are real as well: servers of older or other copies of the database stand at the same address.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import responses
from pathlib import Path
from typing import Any

import apsw
import requests

from walletsync import Client
from walletsync.errors import IntegrityError
from walletsync.protocol import API_PREFIX
from walletsync_server.testing import RunningServer

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "notebooks"))  # where the notebooks find it, too

from wire import Exchange, Wire  # noqa: E402 - after the path

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery staple"  # noqa: S105 - of an account on a server that ends with the recording
SHOWN = 40
"""Characters of a ciphertext or an HMAC that the page shows: enough to see whether two are the same."""
Step = dict[str, Any]


class Switch(Wire):
    """Passes on to one server after the other, and the devices know of one."""

    def __init__(self, server: RunningServer) -> None:
        super().__init__(server.url)
        self._wires: dict[RunningServer, Wire] = {}
        self.to(server)

    def to(self, server: RunningServer) -> None:
        """Pass on to this one from now on."""
        self.server = server
        self._wires.setdefault(server, Wire(server.url))

    def ask(self, *request: Any) -> Any:
        """Return what the server answers that it is to now."""
        return self._wires[self.server].ask(*request)


class Recorder:
    """A server, two devices, and the steps that they have taken since `begin`."""

    def __init__(self, wire: Switch, folder: Path) -> None:
        self._wire, self.folder = wire, folder
        self.laptop, self.phone = (Client(wire.url, device_id=name) for name in ("laptop", "phone"))
        self.steps: list[Step] = []
        for device in (self.laptop, self.phone):
            device.set_account(EMAIL, PASSWORD)
        self.laptop.register()
        for device in (self.laptop, self.phone):
            device.get_auth_token()
        self._token = {"Authorization": _authorization(self._wire.exchanges, self.laptop)}

    def close(self) -> None:
        """Let go of the devices' connections."""
        self.laptop.close()
        self.phone.close()

    def begin(self, said: str) -> None:
        """Begin another story."""
        self.steps = []
        self.look(said)

    def look(self, said: str, *, actor: str = "", error: IntegrityError | None = None, sent: int | None = None) -> None:
        """Keep a step: what happened, in a sentence, and what everybody has now. `sent` numbers what passed in it."""
        passed = [] if sent is None else self._wire.exchanges[sent:]
        self.steps.append(
            {
                "said": said,
                "actor": actor,
                "wire": [_shown(each) for each in passed],
                "laptop": _device(self.laptop),
                "phone": _device(self.phone),
                "server": self._kept(),
                "error": None if error is None else {"name": type(error).__name__, "text": str(error)},
            }
        )

    def edit(self, device: Client, transaction: str, label: str, said: str) -> None:
        """Let a device change its document."""
        document = device.get_document()
        device.set_document({"labels": {**document.get("labels", {}), transaction: label}})
        self.look(said, actor=device.device_id)

    def act(self, device: Client, verb: Callable[[], object], said: str) -> None:
        """Let a device call a verb that talks to the server."""
        before = len(self._wire.exchanges)
        verb()
        self.look(said, actor=device.device_id, sent=before)

    def refuse(self, device: Client, said: str) -> None:
        """Let a device get the wallet of a server that lies.

        Raises:
            RuntimeError: the device believed it.
        """
        before = len(self._wire.exchanges)
        try:
            device.get_wallet()
        except IntegrityError as error:
            self.look(said, actor=device.device_id, error=error, sent=before)
        else:
            raise RuntimeError(f"{device.device_id} believed a server that lies")

    def copy(self, name: str) -> Path:
        """Copy the database as it is now, and return where the copy is."""
        target = self.folder / name
        source = apsw.Connection(str(self._wire.server.database), flags=apsw.SQLITE_OPEN_READONLY)
        with (
            closing(source),
            closing(apsw.Connection(str(target))) as copy,
            copy.backup("main", source, "main") as pages,
        ):
            pages.step()
        return target

    @contextmanager
    def served(self, database: Path) -> Iterator[Callable[[], None]]:
        """Serve another database to the devices; within this, what is given puts the first one back."""
        first = self._wire.server
        with RunningServer(accounts="open", database=database) as other:
            self._wire.to(other)
            yield lambda: self._wire.to(first)
            self._wire.to(first)

    def _kept(self) -> Step:
        """Return what the server has, asked as a device would, but not by one."""
        address = f"{self._wire.server.url}{API_PREFIX}/wallet"
        answer = requests.get(address, headers=self._token, timeout=30)
        return _wallet(answer.json()) or {} if answer.ok else {"sequence": 0, "ciphertext": "", "length": 0, "hmac": ""}


def _device(device: Client) -> Step:
    state = device.wallet_state
    if state is None:
        return {"document": None, "base": None, "sequence": 0, "edits": False}
    return {
        "document": device.get_document(),
        "base": device.merge_base,
        "sequence": state.sequence,
        "edits": device.has_local_changes,
    }


def _shown(exchange: Exchange) -> Step:
    return {
        "asked": f"{exchange.method} {exchange.path}",
        "sent": _wallet(_fields(exchange.body)),
        "status": exchange.status,
        "reason": responses[exchange.status],
        "answer": _wallet(_fields(exchange.answer)),
    }


def _fields(body: bytes) -> dict[str, Any]:
    return json.loads(body) if body else {}


def _wallet(fields: dict[str, Any]) -> Step | None:
    """Return what the page shows of an encrypted wallet; None if there is none."""
    if "encryptedWallet" not in fields:
        return None
    ciphertext = fields["encryptedWallet"]
    return {
        "sequence": fields["sequence"],
        "ciphertext": ciphertext[-SHOWN:],
        "length": len(ciphertext),
        "hmac": fields["hmac"][:SHOWN],
    }


def _authorization(exchanges: list[Exchange], device: Client) -> str:
    """Return the header with the token that a device was given."""
    (login,) = (each for each in exchanges if each.device == device.device_id and b'"token"' in each.answer)
    return f"Bearer {json.loads(login.answer)['token']}"
