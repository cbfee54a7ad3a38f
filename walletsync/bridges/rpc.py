"""JSON-RPC with a program on this machine: over HTTP, by TCP or a socket of Unix, or a line each on such a socket.

Plain HTTP goes to this machine only. No proxy is asked and no redirect followed, an answer has an end, and every wait
has one. What a program says in an error goes nowhere, since it may repeat what it was sent.
"""

import http.client
import ipaddress
import json
import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlsplit

from typing_extensions import override

from walletsync.errors import BridgeError, BridgeRefused, UsageError
from walletsync.remedies import Remedy

_SECONDS: Final = 10.0
"""How long a program may take for one answer."""
_MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
_UNAUTHORIZED: Final = (401, 403)
MAX_LISTINGS: Final = 10
"""How often a program is asked for all labels until it says the same twice."""

T = TypeVar("T")


@dataclass(frozen=True)
class Address:
    """Where a program listens: at a host and port, or at a `socket` of Unix."""

    host: str = "localhost"
    port: int = 0
    is_encrypted: bool = False
    socket: Path | None = None


class Rpc(Protocol):
    """What answers calls."""

    def call(self, method: str, params: Any) -> Any:
        """Return the result of a call.

        Raises:
            BridgeError: there was no answer.
            BridgeRefused: it was an error.
        """
        ...


def address_of(url: str, default_port: int) -> Address:
    """Return the address in a URL.

    Raises:
        UsageError: it is none, has credentials in it, or would send them unencrypted to another machine.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or default_port
    except ValueError:
        raise UsageError("The URL of the wallet's program is not one: write http://127.0.0.1:PORT.") from None
    if parts.scheme not in ("http", "https") or not host or parts.path.strip("/") or parts.query or parts.fragment:
        raise UsageError("The URL of the wallet's program is not one: write http://127.0.0.1:PORT.")
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "Leave user and password out of the URL: they are read from the program's own folder, --folder FOLDER."
        )
    if parts.scheme == "http" and not is_this_machine(host):
        raise UsageError("A wallet's program on another machine is asked by https alone: write https://HOST:PORT.")
    return Address(host, port, parts.scheme == "https")


def is_this_machine(host: str) -> bool:
    """Tell whether a host is this machine, whatever a name server says."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class HttpRpc:
    """A `program` that answers calls by HTTP at `address`, to who has its user and password."""

    def __init__(self, program: str, address: Address, credentials: tuple[str, str], path: str = "/") -> None:
        self._program = program
        self._address = address
        self._path = path
        encoded = b64encode(":".join(credentials).encode()).decode()
        self._headers = {"Content-Type": "application/json", "Authorization": f"Basic {encoded}"}

    def call(self, method: str, params: Any) -> Any:
        """Return the result of a call."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        connection = _connection(self._address)
        try:
            connection.connect()
            with _for_a_while(connection.sock):
                connection.request("POST", self._path, json.dumps(request).encode(), self._headers)
                answer = connection.getresponse()
                status, body = answer.status, answer.read(_MAX_ANSWER_BYTES + 1)
        except (OSError, http.client.HTTPException):
            raise no_answer(self._program) from None
        finally:
            connection.close()
        if status in _UNAUTHORIZED:
            raise BridgeError(
                f"{self._program} does not take the user and password that its folder has. Name the folder of the one "
                "that listens there.",
                remedy=Remedy.OPEN_IN_PROGRAM,
            )
        return _result(self._program, method, body)


class LineRpc:
    """A `program` that answers each line on a socket of Unix by a line."""

    def __init__(self, program: str, path: Path) -> None:
        self._program = program
        self._path = path

    def call(self, method: str, params: Any) -> Any:
        """Return the result of a call."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_SECONDS)
                connection.connect(str(self._path))
                with _for_a_while(connection), connection.makefile("rb") as lines:
                    connection.sendall(json.dumps(request).encode() + b"\n")
                    body = lines.readline(_MAX_ANSWER_BYTES + 1)
        except OSError:
            raise no_answer(self._program) from None
        return _result(self._program, method, body)


def settled(program: str, listing: Callable[[], T]) -> T:
    """Return what a program lists once it lists the same twice: what is edited between two answers is in neither.

    Raises:
        BridgeError: it never does.
    """
    before = listing()
    for _ in range(MAX_LISTINGS):
        found = listing()
        if found == before:
            return found
        before = found
    raise keeps_changing(program)


def keeps_changing(program: str) -> BridgeError:
    """Return the error of a program that never says the same twice."""
    return BridgeError(f"{program} has a wallet that keeps changing. Try again when it is at rest.")


def no_answer(program: str) -> BridgeError:
    """Return the error of a program that does not answer."""
    return BridgeError(f"{program} does not answer: it may not run.", remedy=Remedy.OPEN_IN_PROGRAM)


def misunderstood(program: str, method: str) -> BridgeError:
    """Return the error of a program that answers something else than its documentation says."""
    return BridgeError(f"{program} answers {method} with something else than expected: it may be of another version.")


@contextmanager
def _for_a_while(connection: socket.socket) -> Iterator[None]:
    """Cut a connection off when the time for one answer is over, however often a little of it comes.

    Raises:
        TimeoutError: it was.
    """
    is_late = threading.Event()

    def cut_off() -> None:
        is_late.set()
        with suppress(OSError):  # it is closed already
            connection.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(_SECONDS, cut_off)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if is_late.is_set():
        raise TimeoutError


def _connection(address: Address) -> http.client.HTTPConnection:
    if address.socket is not None:
        return _UnixConnection(address.socket)
    kind = http.client.HTTPSConnection if address.is_encrypted else http.client.HTTPConnection
    return kind(address.host, address.port, timeout=_SECONDS)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._path = path

    @override
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_SECONDS)
        self.sock.connect(str(self._path))


def _result(program: str, method: str, body: bytes) -> Any:
    try:
        answer = None if len(body) > _MAX_ANSWER_BYTES else json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if type(answer) is not dict or not answer.keys() & {"result", "error"}:
        raise misunderstood(program, method)
    error = answer.get("error")
    if error is not None:
        code = error.get("code") if type(error) is dict else None
        raise BridgeRefused(
            f"{program} does not do what it is asked: {method}.",
            remedy=Remedy.OPEN_IN_PROGRAM,
            code=code if type(code) is int else None,
        )
    return answer.get("result")
