"""What passes between the devices of a notebook and its server: written down, and drawn.

wire = Wire(server_url)     a proxy that passes everything on to the server, and writes it down
wire.url                    what the devices are told is the server
wire.exchanges              every request with its answer, in the order of the answers
picture(wire.exchanges)     a sequence diagram of them, and the same as a list

A device says its name when it logs in. It keeps its connection, so all that came on the same one is its own.
"""

import atexit
import itertools
import json
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_SECRET = re.compile(r'(?m)^(Authorization: \w+ ).*$|("(?:password|token|clientSaltSeed)": ?)"[^"]*"')
_NOT_PASSED_ON = {"connection", "transfer-encoding"}
"""Headers about one connection: there are two, one on each side."""
_SECONDS = 60
_POLL_SECONDS = 0.05


@dataclass
class Exchange:
    """A request and its answer. What is not for readers' eyes is in no `repr`; `request` hides it."""

    connection: int
    method: str
    target: str = field(repr=False)
    head: bytes = field(repr=False)
    body: bytes = field(repr=False)
    status: int
    answer: bytes = field(repr=False)
    device: str = "somebody"

    @property
    def path(self) -> str:
        """What was asked for, without a query, which may say who asks."""
        return urlsplit(self.target).path

    @property
    def request(self) -> str:
        """All that was sent, with `<hidden>` in the place of a secret."""
        sent = (self.head + self.body).decode().replace("\r\n", "\n")
        return _SECRET.sub(lambda match: match[1] + "<hidden>" if match[1] else match[2] + '"<hidden>"', sent)


class Wire:
    """Listens on a port of this machine, until `close()` or the program's end, and passes all on to `server_url`."""

    def __init__(self, server_url: str) -> None:
        self.exchanges: list[Exchange] = []
        self._server = urlsplit(server_url)
        self._connections = itertools.count(1)
        self._devices: dict[int, str] = {}
        self._listener = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._listener.server_port}"
        threading.Thread(target=self._listener.serve_forever, args=[_POLL_SECONDS], daemon=True).start()
        atexit.register(self.close)

    def close(self) -> None:
        """Listen no longer; to do it again does nothing."""
        atexit.unregister(self.close)
        self._listener.shutdown()
        self._listener.server_close()

    def connected(self) -> int:
        """Return the number of a new connection."""
        return next(self._connections)

    def ask(self, method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes) -> tuple[Any, bytes]:
        """Return the server's answer and its body."""
        upstream = HTTPConnection(self._server.hostname or "", self._server.port, timeout=_SECONDS)
        try:
            upstream.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                upstream.putheader(name, value)
            upstream.endheaders(body or None)
            answer = upstream.getresponse()
            return answer, answer.read()
        finally:
            upstream.close()

    def keep(self, exchange: Exchange) -> None:
        """Write an exchange down; if it is a login, all that came on its connection has a name."""
        if (name := _fields(exchange.body).get("deviceId")) is not None:
            self._devices[exchange.connection] = str(name)
        self.exchanges.append(exchange)
        for each in self.exchanges:
            each.device = self._devices.get(each.connection, each.device)


def _handler(wire: Wire) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            self.number = wire.connected()

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer, content = wire.ask(self.command, self.path, _passed_on(self.headers.items()), body)
            lines = [self.requestline, *(f"{name}: {value}" for name, value in self.headers.items()), "", ""]
            head = "\r\n".join(lines).encode()
            wire.keep(Exchange(self.number, self.command, self.path, head, body, answer.status, content))
            self.send_response_only(answer.status, answer.reason)
            for name, value in _passed_on(answer.getheaders()):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_DELETE = do_GET

        def log_message(self, format: str, *arguments: Any) -> None:
            return  # what passes is kept, not printed

    return Handler


def _passed_on(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in _NOT_PASSED_ON]


def _fields(body: bytes) -> dict[str, Any]:
    """Return the fields of a JSON object; none if it is something else."""
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Picture:
    """What a notebook shows of some exchanges: in Markdown a diagram, which Mermaid draws, and the same as a list."""

    steps: tuple[tuple[str, str, str], ...]
    """Device, what it asked, and what the server answered."""

    def __repr__(self) -> str:
        lines = [f"{device}: {asked} → {answered}" for device, asked, answered in self.steps]
        return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, start=1))

    def _repr_markdown_(self) -> str:
        first, *others = dict.fromkeys(device for device, _, _ in self.steps)
        diagram = ["```mermaid", "sequenceDiagram"]
        # With the server between them, no arrow of two devices crosses a line.
        diagram += [f"    participant {name}" for name in (first, "server", *others)]
        for device, asked, answered in self.steps:
            diagram += [f"    {device}->>server: {asked}", f"    server-->>{device}: {answered}"]
        folded = ["<details>", "<summary>The same as a list</summary>", "", repr(self), "", "</details>"]
        return "\n".join([*diagram, "```", "", *folded])


def picture(exchanges: Iterable[Exchange], names: Mapping[str, str] | None = None) -> Picture:
    """Draw one exchange or more: who asked for what, with which sequence, and what came of it. No secret gets into it.

    `names` are for devices whose own is a random one.
    """
    called = names or {}
    return Picture(tuple((called.get(each.device, each.device), _asked(each), _answered(each)) for each in exchanges))


def _asked(exchange: Exchange) -> str:
    return f"{exchange.method} {exchange.path}{_sequence(exchange.body)}"


def _answered(exchange: Exchange) -> str:
    return f"{exchange.status} {responses.get(exchange.status, '')}".rstrip() + _sequence(exchange.answer)


def _sequence(body: bytes) -> str:
    number = _fields(body).get("sequence")
    return f", sequence {number}" if isinstance(number, int) else ""
