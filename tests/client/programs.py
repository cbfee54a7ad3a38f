"""Servers of the tests' own that answer as the documentation of Bitcoin Core and of Liana says.

The programs themselves are in no registry that the tests can install from.
"""

import base64
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

USER, PASSWORD = "__cookie__", "canary-of-the-cookie"


class Refusal(Exception):
    """What the program says in an error, with a code."""

    def __init__(self, message: str, code: int = -8) -> None:
        super().__init__(message)
        self.code = code


Answers = Callable[[str, Any], Any]


@dataclass
class Spoken:
    """What an HTTP server was sent, and what it answers in place of a result."""

    url: str
    paths: list[str] = field(default_factory=list)
    instead: tuple[int, bytes] | None = None


def _answer(request: Any, answers: Answers) -> bytes:
    try:
        told = {"result": answers(request["method"], request["params"]), "error": None, "id": request["id"]}
    except Refusal as refusal:
        told = {"result": None, "error": {"code": refusal.code, "message": str(refusal)}, "id": request["id"]}
    return json.dumps(told).encode()


@contextmanager
def http_program(answers: Answers) -> Iterator[Spoken]:
    """Run a program that answers JSON-RPC over HTTP, to who has the user and the password."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            spoken.paths.append(self.path)
            expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            status, content = 401, b""
            if self.headers["Authorization"] == expected:
                status, content = spoken.instead or (200, _answer(json.loads(body), answers))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        spoken = Spoken(f"http://127.0.0.1:{server.server_port}")
        with _serving(server):
            yield spoken


@contextmanager
def line_program(path: Path, answers: Answers) -> Iterator[None]:
    """Run a program that answers a line of JSON-RPC by a line, at a socket of Unix."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(_answer(json.loads(self.rfile.readline()), answers) + b"\n")

    with socketserver.UnixStreamServer(str(path), Handler) as server, _serving(server):
        yield


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


class BitcoinCore:
    """A wallet with addresses of its own; `listlabels` names "" as well, which is the label of those without one."""

    def __init__(self, *addresses: str) -> None:
        self.labels = dict.fromkeys(addresses, "")
        self.sent: dict[str, str] = {}
        self.purposes: dict[str, str] = {}
        self.descriptors = ["wpkh([00000001/84h]xpub1/1/*)#b", "wpkh([00000001/84h]xpub1/0/*)#a"]
        self.forgets: str | None = None

    def __call__(self, method: str, params: list[Any]) -> Any:
        answer: Callable[..., Any] = getattr(self, method)
        return answer(*params)

    def listdescriptors(self) -> Any:
        return {"wallet_name": "", "descriptors": [{"desc": each, "active": True} for each in self.descriptors]}

    def listlabels(self) -> Any:
        return sorted({*self.labels.values(), *self.sent.values(), *([] if self.forgets is None else [self.forgets])})

    def getaddressesbylabel(self, label: str) -> Any:
        found = {
            address: {"purpose": self.purposes.get(address, "receive" if address in self.labels else "send")}
            for address, each in (self.labels | self.sent).items()
            if each == label
        }
        if not found:
            raise Refusal(f"No addresses with label {label}", -11)
        return found

    def getaddressinfo(self, address: str) -> Any:
        if not address.startswith("bcrt1"):
            raise Refusal("Invalid address", -5)
        return {"address": address, "ismine": address in self.labels}

    def setlabel(self, address: str, label: str) -> None:
        if address not in self.labels:
            raise Refusal(f"Invalid Bitcoin address {address}")
        self.labels[address] = label


class Electrum:
    """A wallet with addresses and a history, in which each transaction pays to some of them.

    One without a label of its own is listed with those of the addresses.
    """

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.labels: dict[str, str] = {}
        self.history: dict[str, list[str]] = {}

    def __call__(self, method: str, params: dict[str, Any]) -> Any:
        answer: Callable[..., Any] = getattr(self, method)
        return answer(**params)

    def listaddresses(self, *, labels: bool) -> Any:
        return [[address, repr(self.labels.get(address, "") if labels else "")] for address in self.addresses]

    def onchain_history(self, *, show_addresses: bool) -> Any:
        return {"transactions": [self._item(each, show_addresses=show_addresses) for each in self.history]}

    def setlabel(self, *, key: str, label: str) -> None:
        self.labels[key] = label

    def _item(self, transaction: str, *, show_addresses: bool) -> Any:
        paid = self.history[transaction]
        derived = ", ".join(filter(None, (self.labels.get(address) for address in paid)))
        return {
            "txid": transaction,
            "incoming": True,
            "outputs": [{"address": address} for address in paid if show_addresses],
            "label": self.labels.get(transaction) or derived,
        }


class Liana:
    """A wallet that keeps the label of anything; one has at most 100 characters."""

    def __init__(self) -> None:
        self.labels: dict[str, str] = {}
        self.descriptors = {"main": {"value": "wsh(…)"}}

    def __call__(self, method: str, params: dict[str, Any]) -> Any:
        answer: Callable[..., Any] = getattr(self, method)
        return answer(**params)

    def getinfo(self) -> Any:
        return {"version": "11.0.0", "descriptors": self.descriptors}

    def getlabelsbip329(self, offset: int, limit: int) -> Any:
        records = [{"type": _type(ref), "ref": ref, "label": label} for ref, label in sorted(self.labels.items())]
        return {"labels": records[offset : offset + limit]}

    def updatelabels(self, labels: dict[str, str | None]) -> Any:
        if any(label is not None and len(label) > 100 for label in labels.values()):
            raise Refusal("Invalid 'label' value length")
        for ref, label in labels.items():
            self.labels.pop(ref, None)
            if label is not None:
                self.labels[ref] = label
        return {}


def _type(ref: str) -> str:
    if ":" in ref:
        return "output"
    return "tx" if len(ref) == 64 else "addr"
