"""What uvicorn's HTTP connections do beyond uvicorn: bounds in size and time, and errors in the shape of all of ours.

httptools refuses what could be understood in two ways: Content-Length beside Transfer-Encoding or twice, folded lines,
a line feed alone, chunks that do not add up. Here is refused what it lets through.
"""

import re
from asyncio import Transport
from typing import Any, ClassVar
from urllib.parse import urlsplit

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

HEAD_BYTES = 32 * 1024
"""Request line and headers together; somewhat more can get through, as much as is looked at in one go."""
TARGET_BYTES = 8 * 1024
HEADERS = 100
PIPELINED = 16
"""Requests that may wait behind the one that is being answered; after these the connection ends."""
HEAD_SECONDS = 20.0
"""How long a connection may take until the headers of its first request, or of the next that it began, are there."""
BODY_SECONDS = 30.0
"""How long the body may take beyond what it takes at `SLOWEST`."""
ANSWER_SECONDS = 30.0
"""How long a client may take to read an answer beyond what that takes at `SLOWEST`."""
SLOWEST = 16 * 1024
"""Bytes in a second."""
_PIECE = 16 * 1024
_NEVER = float("inf")
_WEBSOCKET_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")


class _Refused(Exception):
    """Leaves httptools from inside of a callback."""


class HttpProtocol(HttpToolsProtocol):
    """One connection. `due` is the time of the loop's clock when it is cut if nothing new has happened until then."""

    most_connections: ClassVar[int]
    _running: RequestResponseCycle

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.due = _NEVER
        self._read_by = _NEVER
        self._status = 400
        self._deaf = False
        self._in_head = False
        self._head_bytes = 0
        self._body_bytes = 0

    @override
    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin, unless there are as many connections as may be."""
        super().connection_made(transport)
        self.due = self.loop.time() + HEAD_SECONDS
        if len(self.connections) > self.most_connections:
            self._status = 503
            self.send_400_response("")

    @override
    def data_received(self, data: bytes) -> None:
        """Parse what came, in pieces so small that the bounds are noticed."""
        for begin in range(0, len(data), _PIECE):
            if self._deaf or self.transport.get_protocol() is not self:
                return
            piece = data[begin : begin + _PIECE]
            began_in_head = self._in_head
            super().data_received(piece)
            self._bound_what_begins_nothing()
            if self._in_head and began_in_head:
                self._head_bytes += len(piece)
                if self._head_bytes > HEAD_BYTES:
                    self._status = 431
                    self.send_400_response("")

    def _bound_what_begins_nothing(self) -> None:
        """Line ends between two requests stop uvicorn's clock of an idle connection, so that ours has to run."""
        is_idle = not self._in_head and self.cycle is not None and self.cycle.response_complete
        if is_idle and self.due == _NEVER:
            self.due = self.loop.time() + HEAD_SECONDS

    @override
    def on_message_begin(self) -> None:
        """Start counting, unless too many requests wait before this one."""
        if len(self.pipeline) >= PIPELINED:
            raise _Refused
        super().on_message_begin()
        self._in_head, self._head_bytes, self._body_bytes = True, 0, 0
        if self.cycle is None or self.cycle.response_complete:
            self.due = self.loop.time() + HEAD_SECONDS

    @override
    def on_url(self, url: bytes) -> None:
        """Refuse a target that is too long or no ASCII."""
        super().on_url(url)
        if len(self.url) > TARGET_BYTES:
            self._refuse(414)
        if not url.isascii():
            self._refuse(400)

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        """Drop what comes behind a chunked body: a proxy has not looked at it."""
        if self._in_head:
            super().on_header(name, value)

    @override
    def on_headers_complete(self) -> None:
        """Refuse what is too much or can be understood in two ways; then begin to answer."""
        self._in_head = False
        if len(self.headers) > HEADERS:
            self._refuse(431)
        version = self.parser.get_http_version()
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        hosts = [value for name, value in self.headers if name == b"host"]
        if version not in ("1.0", "1.1") or len(hosts) > 1:
            self._refuse(400)
        if codings and (codings != [b"chunked"] or version == "1.0"):
            self._refuse(400)
        # A name with an underscore and one with a hyphen are the same to WSGI, but not to a proxy that filters them.
        self.headers[:] = [header for header in self.headers if b"_" not in header[0]]
        _check_target(self.url)
        super().on_headers_complete()
        self.due = self.loop.time() + BODY_SECONDS

    @override
    def on_body(self, body: bytes) -> None:
        """Give the client the time that the bytes are worth; cut it when it sends on and on after the answer."""
        self._body_bytes += len(body)
        self.due += len(body) / SLOWEST
        if self._body_bytes > self.app.discards_up_to:
            self.transport.abort()
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        """From here on it is the server that takes its time."""
        self.due = _NEVER
        super().on_message_complete()

    @override
    def on_response_complete(self) -> None:
        """From here on the client may take its time to read, and to ask again."""
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self.due = self._time_to_read()

    @override
    def pause_writing(self) -> None:
        """Wait for the client to read, but not for ever, whatever else it asks meanwhile."""
        super().pause_writing()
        self._read_by = self._time_to_read()

    @override
    def resume_writing(self) -> None:
        """Go on; what is left is for the server to do, if anything is."""
        super().resume_writing()
        self._read_by = _NEVER

    @override
    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Let a client that asked and will ask no more have its answers."""
        is_asking = self.cycle is None or self.cycle.response_complete or self.cycle.more_body
        if is_asking:
            return None  # asyncio closes the connection
        self.cycle.keep_alive = False
        return True

    @override
    def send_400_response(self, msg: str) -> None:
        """Answer what the parser or a bound refused, and close; instead of uvicorn's text, JSON of ours."""
        self._deaf = True
        self._forget_what_waits_for_its_body()
        cycle = self.cycle
        in_work = cycle is not None and not cycle.response_complete
        if in_work and not cycle.more_body:
            cycle.keep_alive = False  # what came behind a request that is being answered is ignored
            return
        if in_work:
            cycle.disconnected = True
            cycle.message_event.set()
        if not (in_work and cycle.response_started):
            self.transport.write(self._refusal())
        self.transport.close()

    def overdue(self, now: float) -> bool:
        """Say whether this is to be cut."""
        return now > min(self.due, self._read_by)

    @override
    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _forget_what_waits_for_its_body(self) -> None:
        """Drop the newest request if it waits and is not whole, since its refusal must not come before its turn."""
        if self.pipeline and self.cycle.more_body:
            self.pipeline.popleft()
            self.cycle = self.pipeline[0][0] if self.pipeline else self._running

    def _time_to_read(self) -> float:
        return self.loop.time() + ANSWER_SECONDS + self.transport.get_write_buffer_size() / SLOWEST

    def _refuse(self, status: int) -> None:
        self._status = status
        raise _Refused

    def _refusal(self) -> bytes:
        response = self.app.unreadable(self._status)
        lines = [f"{name}: {value}\r\n" for name, value in response.headers.items()]
        head = STATUS_LINE[response.status] + "".join([*lines, "Connection: close\r\n\r\n"]).encode("latin-1")
        return bytes(head + response.body)

    @override
    def _should_upgrade(self) -> bool:
        """Say whether this is the handshake of a WebSocket, whole and alone; else it is a request like others."""
        if self.parser.get_method() != b"GET" or not super()._should_upgrade():
            return False
        headers = dict(self.headers)
        is_alone = self.cycle is None or self.cycle.response_complete
        return bool(
            is_alone
            and headers.get(b"sec-websocket-version") == b"13"
            and _WEBSOCKET_KEY.fullmatch(headers.get(b"sec-websocket-key", b""))
            and headers.get(b"host")
        )

    @override
    def _unsupported_upgrade_warning(self) -> None:
        """Answer as if nothing had been asked; but the parser is beyond what it understands, so it is the last."""
        self._deaf = True
        if self.cycle is not None:
            self.cycle.keep_alive = False


def _check_target(target: bytes) -> None:
    """Raise `ValueError` for a target with brackets around no address, at which the standard library stumbles."""
    urlsplit(target.decode("ascii"))
