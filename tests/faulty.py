"""Our real server, but for one fault: what the conformance suite has to find."""

import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, TypeAlias

from typing_extensions import override

from tests.middle import Answer, Middle

KEPT_HEADERS = ("Allow", "ETag", "Retry-After", "WWW-Authenticate", "X-Request-Id")
NO_CONTENT = 204
_PIECE = 65536


@dataclass(frozen=True)
class Seen:
    """A request, and its answer if it has one by now; `server.bodies` has all bodies up to it."""

    server: "Faulty"
    handler: BaseHTTPRequestHandler
    body: bytes
    answer: Answer | None

    @property
    def fields(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    def came_before(self, what: str, email: str) -> bool:
        """Say whether such a request with this address came before."""
        asked = zip(self.server.requests, self.server.bodies, strict=False)
        return any(each == what and f'"{email}"'.encode() in body for each, body in asked)

    @property
    def gap(self) -> int | None:
        """By how much a wallet is later than the one that was current when it was refused, None if there was none."""
        current = {} if self.answer is None else self.answer.json
        return self.fields["sequence"] - current["sequence"] if "sequence" in current else None


OnAnswer: TypeAlias = Callable[[Answer], Answer]
OnBody: TypeAlias = Callable[[bytes], bytes]
OnFrames: TypeAlias = Callable[["Faulty", bytes], bytes]


class Faulty(Middle):
    """Passes everything on but for one fault.

    Args:
        server_url: of the real server.
        what: the requests that have it, "POST /api/3/wallet"; all that begin with it, if it ends in a slash.
        answer: changes their answers; from the `nth` time on that a body comes.
        body: changes their bodies, in the same way.
        said: changes what the server says on a WebSocket, bytes of frames.
        when: whether a request has the fault, of those that could.
        heard: is given what a client says there, in place of the server, and answers it.
    """

    def __init__(
        self,
        server_url: str,
        what: str = "",
        answer: OnAnswer | None = None,
        *,
        nth: int = 1,
        body: OnBody | None = None,
        when: Callable[[Seen], bool] = lambda _: True,
        said: OnFrames | None = None,
        heard: bytes | None = None,
    ) -> None:
        super().__init__(server_url)
        self._what, self._nth, self._when = what, nth, when
        self._answer, self._body, self._said, self._heard = answer, body, said, heard
        self._times: Counter[bytes] = Counter()
        self._lock = threading.Lock()

    @override
    def _ask(self, handler: BaseHTTPRequestHandler, body: bytes) -> Answer:
        asked = f"{handler.command} {handler.path.partition('?')[0]}"
        with self._lock:
            self._times[body] += 1
            hit = self._times[body] >= self._nth
        hit = hit and (asked.startswith(self._what) if self._what.endswith("/") else asked == self._what)
        headers = {name: value for name, value in handler.headers.items() if name not in ("Host", "Content-Length")}
        if hit and self._body is not None and self._when(Seen(self, handler, body, None)):
            body = self._body(body)
        url = self._server_url + handler.path
        got = self._session.request(handler.command, url, data=body, headers=headers, timeout=30)
        kept = KEPT_HEADERS if handler.command != "HEAD" else (*KEPT_HEADERS, "Content-Length")
        answer = Answer(got.status_code, got.content, {name: got.headers[name] for name in kept if name in got.headers})
        with self._lock:  # what decides may count
            hit = hit and self._answer is not None and self._when(Seen(self, handler, body, answer))
        return self._answer(answer) if hit and self._answer is not None else answer

    @override
    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.headers.get("Upgrade") is None:
            super()._handle(handler)
            return
        self.requests.append(f"{handler.command} {handler.path}")
        with suppress(ConnectionError):  # whichever side has gone, it is over
            self._listen(handler)
        handler.close_connection = True

    def _listen(self, handler: BaseHTTPRequestHandler) -> None:
        host, _, port = self._server_url.rpartition("/")[2].partition(":")
        with socket.create_connection((host, int(port))) as server:
            server.sendall(
                f"{handler.requestline}\r\n{handler.headers}".replace("\r\n", "\n").replace("\n", "\r\n").encode()
            )
            threading.Thread(target=self._pour, args=[handler.connection, server], daemon=True).start()
            while data := server.recv(_PIECE):
                handler.connection.sendall(data if self._said is None else self._said(self, data))

    def _pour(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):  # the other way has ended, and the sockets with it
            while data := client.recv(_PIECE):
                if self._heard is None:
                    server.sendall(data)
                else:
                    client.sendall(self._heard)
            server.shutdown(socket.SHUT_WR)


def status(old: int, new: int, **fields: object) -> OnAnswer:
    """Say `new` where the server says `old`, with these fields in the body."""
    body = b"" if new == NO_CONTENT else fields
    return lambda answer: Answer(new, body, answer.headers) if answer.status == old else answer


def same(old: int, new: int) -> OnAnswer:
    """Say `new` where the server says `old`, in the same words."""
    return lambda answer: Answer(new, answer.body, answer.headers) if answer.status == old else answer


def fields(at: int, **changed: object) -> OnAnswer:
    """Change fields of the answers of a status, where they are there."""

    def change(answer: Answer) -> Answer:
        if answer.status != at:
            return answer
        said = answer.json
        return Answer(at, said | {name: value for name, value in changed.items() if name in said}, answer.headers)

    return change


def other_code(old: str, new: str) -> OnAnswer:
    """Say another code, where it is this one."""
    return lambda answer: fields(answer.status, code=new)(answer) if f'"{old}"'.encode() in answer.raw else answer


def without(*headers: str, at: int | None = None) -> OnAnswer:
    """Leave headers out."""

    def change(answer: Answer) -> Answer:
        if at not in (None, answer.status):
            return answer
        return Answer(answer.status, answer.body, {n: v for n, v in answer.headers.items() if n not in headers})

    return change


def with_header(name: str, value: str) -> OnAnswer:
    """Say another thing in a header that is there."""
    return lambda answer: Answer(
        answer.status, answer.body, answer.headers | ({name: value} if name in answer.headers else {})
    )


def each(at: str, **changed: object) -> OnAnswer:
    """Change fields of each object in a list of an answer."""
    return lambda answer: Answer(answer.status, {at: [item | changed for item in answer.json[at]]}, answer.headers)


def first(pattern: str, text: str) -> OnBody:
    """Change a request's body where the pattern is found."""
    return lambda body: re.sub(pattern.encode(), text.encode(), body, count=1)


def one_later(body: bytes) -> bytes:
    """Let a wallet follow itself."""
    return re.sub(rb'"sequence": (\d+)', lambda found: b'"sequence": %d' % (int(found[1]) + 1), body)


def frames(old: bytes, new: bytes) -> OnFrames:
    """Say other bytes on a WebSocket, as many."""
    return lambda _, data: data.replace(old, new)


class Guess:
    """Takes half of a wallet for a whole one, which follows the last one that came."""

    def __init__(self) -> None:
        self._last: dict[str, object] = {}

    def __call__(self, body: bytes) -> bytes:
        """Return the body, or one that could have been meant."""
        try:
            self._last = json.loads(body)
        except ValueError:
            self._last = self._last | {"sequence": int(str(self._last["sequence"])) + 1}
            return json.dumps(self._last).encode()
        return body
