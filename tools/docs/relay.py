"""What passes between a notebook and its server: every byte is passed on as it is, and written down.

Where the outputs of a cell change, this says whether the server answered otherwise, or was asked otherwise.
"""

import contextlib
import http.client
import io
import itertools
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

_POLL_SECONDS = 0.02
_PIECE = 65536


@dataclass(frozen=True)
class Call:
    """A request and its answer. `place` is what the relay was told that is going on meanwhile."""

    number: int
    place: str
    method: str
    target: str
    body: bytes = field(repr=False)
    status: int
    answer: bytes = field(repr=False)


@dataclass(frozen=True)
class _Talk:
    """One connection: pieces of what was asked, each with its number among all and its place; and what was answered."""

    asked: list[tuple[int, str, bytes]] = field(default_factory=list)
    answered: list[bytes] = field(default_factory=list)


class Relay(socketserver.ThreadingTCPServer):
    """Listens on a port of this machine, from `with` to its end, and passes everything on to the server at an address.

    `url` is what to tell the clients. WebSockets pass as well, but are no calls, nor is a request in chunks.
    """

    daemon_threads = True

    def __init__(self, server_url: str, place: Callable[[], str]) -> None:
        target = urlsplit(server_url)
        self.upstream = (target.hostname or "", target.port or 80)
        self._place = place
        self._talks: list[_Talk] = []
        self._numbers = itertools.count()
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}{target.path}"
        threading.Thread(target=self.serve_forever, args=[_POLL_SECONDS], daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def talk(self) -> tuple[Callable[[bytes], None], Callable[[bytes], None]]:
        """Return what writes down the two directions of a new connection."""
        talk = _Talk()
        self._talks.append(talk)
        return (lambda data: talk.asked.append((next(self._numbers), self._place(), data))), talk.answered.append

    def calls(self) -> list[Call]:
        """Return what was asked so far and has an answer, in the order in which it was asked."""
        return sorted(itertools.chain.from_iterable(map(_calls, self._talks)), key=lambda call: call.number)


class _Handler(socketserver.BaseRequestHandler):
    server: Relay

    def handle(self) -> None:
        asked, answered = self.server.talk()
        with contextlib.suppress(ConnectionError), socket.create_connection(self.server.upstream) as upstream:
            back = threading.Thread(target=_pass_on, args=[upstream, self.request, answered], daemon=True)
            back.start()
            _pass_on(self.request, upstream, asked)
            back.join()


def _pass_on(source: socket.socket, target: socket.socket, write_down: Callable[[bytes], None]) -> None:
    with contextlib.suppress(OSError):  # whichever side ends it, the other is told below
        while data := source.recv(_PIECE):
            write_down(data)  # first, so that whoever has an answer finds it here
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class _Bytes(io.BytesIO):
    """What `http.client` takes for a socket, and may not close after the first answer."""

    def makefile(self, *_: Any) -> "_Bytes":
        return self

    def close(self) -> None:
        return


def _calls(talk: _Talk) -> Iterator[Call]:
    asked, answered = _Bytes(b"".join(data for _, _, data in talk.asked)), _Bytes(b"".join(talk.answered))
    with contextlib.suppress(http.client.HTTPException, ValueError):  # the rest was cut off
        while line := asked.readline():
            number, place = _at(talk, asked.tell() - 1)
            method, target, _ = line.decode().split(" ")
            headers = http.client.parse_headers(asked)
            body = asked.read(int(headers.get("Content-Length", 0)))
            answer = http.client.HTTPResponse(answered, method=method)  # type: ignore[arg-type]
            answer.begin()
            yield Call(number, place, method, target, body, answer.status, answer.read())


def _at(talk: _Talk, position: int) -> tuple[int, str]:
    """Return number and place of the piece with the byte at `position`."""
    for number, place, data in talk.asked:
        if position < len(data):
            return number, place
        position -= len(data)
    raise ValueError(position)
