"""What passes between the devices of a notebook and its server, written down. `pictures` draws it.

wire = Wire(server_url)     a proxy that passes everything on to the server, and writes it down
wire.url                    what the devices are told is the server
wire.server_url             that server; may be set anew, as an address stays when a server moves
wire.exchanges              every request with its answer, and what the server said by itself, in order

A device says its name when it logs in. It keeps its connection, so all that came on the same one is its own; and so is
what comes with the token that it got.
"""

import atexit
import bisect
import itertools
import json
import re
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

_SECRET = re.compile(r'(?m)^(Authorization: \w+ ).*$|("(?:password|token|clientSaltSeed)": ?)"[^"]*"')
_NOT_PASSED_ON = {"connection", "transfer-encoding"}
"""Headers about one connection: there are two, one on each side."""
_TOKEN = re.compile(rb"^Authorization: Bearer (\w+)\r$", re.MULTILINE)
_SECONDS = 60
_POLL_SECONDS = 0.05


@dataclass
class Exchange:
    """A request and its answer. What is not for readers' eyes is in no `repr`; `request` hides it.

    What the server says by itself, on a WebSocket, is one without a request: `method` is empty, `status` 0.
    `number` counts in the order in which they began.
    """

    number: int
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
    def asked(self) -> str:
        """What was asked, in a line without a secret: method, path, and the sequence of a wallet that went along."""
        return f"{self.method} {self.path}{_sequence(self.body)}".strip()

    @property
    def answered(self) -> str:
        """What came of it, in the same way; or what the server said by itself."""
        if not self.method:
            return self.answer.decode()
        return f"{self.status} {responses.get(self.status, '')}".rstrip() + _sequence(self.answer)

    @property
    def request(self) -> str:
        """All that was sent, with `<hidden>` in the place of a secret."""
        sent = (self.head + self.body).decode().replace("\r\n", "\n")
        return _SECRET.sub(lambda match: match[1] + "<hidden>" if match[1] else match[2] + '"<hidden>"', sent)


class Wire:
    """Listens on a port of this machine, until `close()` or the program's end, and passes all on to `server_url`."""

    def __init__(self, server_url: str) -> None:
        self.exchanges: list[Exchange] = []
        self.server_url = server_url
        self._connections = itertools.count(1)
        self._began = itertools.count(1)
        self._devices: dict[int | str, str] = {}
        self._lock = threading.Lock()
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

    def begun(self) -> int:
        """Return the number of a new exchange."""
        return next(self._began)

    def ask(self, method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes) -> tuple[Any, bytes]:
        """Return the server's answer and its body."""
        upstream = HTTPConnection(urlsplit(self.server_url).netloc, timeout=_SECONDS)
        try:
            upstream.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                upstream.putheader(name, value)
            upstream.endheaders(body or None)
            answer = upstream.getresponse()
            return answer, answer.read()
        finally:
            upstream.close()

    def dial(self) -> socket.socket:
        """Return a connection to the server, for what is no request with one answer."""
        server = urlsplit(self.server_url)
        return socket.create_connection((server.hostname or "", server.port or 80))

    def keep(self, exchange: Exchange) -> None:
        """Write an exchange down; if it is a login, all that came on its connection or has its token has a name."""
        with self._lock:
            if (name := _fields(exchange.body).get("deviceId")) is not None:
                self._devices[exchange.connection] = str(name)
                self._devices[str(_fields(exchange.answer).get("token"))] = str(name)
            elif token := _TOKEN.search(exchange.head):
                self._devices.setdefault(exchange.connection, self._devices.get(token[1].decode(), exchange.device))
            bisect.insort(self.exchanges, exchange, key=lambda each: each.number)
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
            lines = [self.requestline, *(f"{name}: {value}" for name, value in self.headers.items()), "", ""]
            head = "\r\n".join(lines).encode()
            if "Upgrade" in self.headers:
                with suppress(ConnectionError):  # whichever side has gone, it is over
                    self._listen(head)
                self.close_connection = True
                return
            began = wire.begun()
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer, content = wire.ask(self.command, self.path, _passed_on(self.headers.items()), body)
            wire.keep(Exchange(began, self.number, self.command, self.path, head, body, answer.status, content))
            self.send_response_only(answer.status, answer.reason)
            for name, value in _passed_on(answer.getheaders()):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_DELETE = do_GET

        def _listen(self, head: bytes) -> None:
            """Pass a WebSocket on, byte for byte, and write down what the server says there."""
            began = wire.begun()
            with wire.dial() as server, server.makefile("rb") as heard:
                server.sendall(head)
                first = heard.readline()
                answer_head = b"".join([first, *iter(heard.readline, b"\r\n"), b"\r\n"])
                status = int(first.split()[1])
                wire.keep(Exchange(began, self.number, self.command, self.path, head, b"", status, b""))
                self.wfile.write(answer_head)
                threading.Thread(target=_pour, args=[self.connection, server], daemon=True).start()
                frames = Protocol(Side.CLIENT)
                while data := heard.read1(2**16):
                    frames.receive_data(data)
                    for frame in frames.events_received():
                        if isinstance(frame, Frame) and frame.opcode is Opcode.TEXT:
                            wire.keep(Exchange(wire.begun(), self.number, "", "", b"", b"", 0, bytes(frame.data)))
                    self.wfile.write(data)

        def log_message(self, format: str, *arguments: Any) -> None:
            return  # what passes is kept, not printed

    return Handler


def _pour(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes, and then that nothing more does."""
    with suppress(OSError):  # the other way has ended, and the sockets with it
        while data := source.recv(2**16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def _passed_on(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in _NOT_PASSED_ON]


def _fields(body: bytes) -> dict[str, Any]:
    """Return the fields of a JSON object; none if it is something else."""
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _sequence(body: bytes) -> str:
    number = _fields(body).get("sequence")
    return f", sequence {number}" if isinstance(number, int) else ""
