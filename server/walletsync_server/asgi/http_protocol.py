"""What uvicorn's HTTP connections do beyond uvicorn: bounds in size and time, and errors in the shape of all of ours.

httptools refuses what could be understood in two ways: Content-Length beside Transfer-Encoding or twice, folded lines,
a line feed alone, chunks that do not add up. Here is refused what it lets through.
"""

import itertools
from asyncio import Transport
from typing import Any, ClassVar

import httptools
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from walletsync_server.api.http import Request, Response
from walletsync_server.asgi.at_once import Answered, by_name, has_body, head_of, request_of
from walletsync_server.asgi.body_budget import CUT, FREE
from walletsync_server.asgi.crowd import who_gives_way
from walletsync_server.asgi.exchange import Begun, Exchange
from walletsync_server.asgi.heads import check_target, is_handshake, refusal_of
from walletsync_server.asgi.pacer import MUCH, PacedFlow, Pacer
from walletsync_server.asgi.repeated import Repeated
from walletsync_server.asgi.websocket_protocol import WebSocketProtocol
from walletsync_server.services.throttle import neighbourhood_of

HEAD_BYTES = 32 * 1024
"""Headers together, and what comes before their end is seen."""
TARGET_BYTES = 8 * 1024
PIPELINED = 16
"""Requests that may wait behind the one that is being answered; after these the connection ends."""
HEAD_SECONDS = 20.0
"""How long a connection may take until the headers of its first request, or of the next that it began, are there."""
BODY_SECONDS = 20.0
"""How long a client may stop amid a body. What it sends buys the time that it takes at `SLOWEST`, up to this again."""
ANSWER_SECONDS = 20.0
"""The same for the reading of answers."""
LINGER_SECONDS = 5.0
"""How long a client may still send after the last answer. Closing at once would reset the connection while bytes of the
client lie unread, and the reset takes back what was sent: the client might never see why (RFC 9112, 9.6)."""
NEWCOMER_SECONDS = 0.5
"""How long after it was made a connection may still ask its first question of a server that stops. Closing it at once
would reset who is about to ask, where a socket unit promises that nobody is turned away."""
LINGERING = 64
"""Connections beyond the most that there may be which are refused in this way; any more are closed at once."""
SLOWEST = 16 * 1024
"""Bytes in a second."""
_PIECE = 16 * 1024
_NEVER = float("inf")
_ANSWERED: Any = Answered()
_CLOSE = b"Connection", b"close"
_arrivals = itertools.count()


class _Refused(Exception):
    """Leaves httptools from inside of a callback."""


class HttpProtocol(HttpToolsProtocol):
    """One connection. `due` is the time of the loop's clock when it is cut if nothing new has happened until then."""

    most_connections: ClassVar[int]
    pacer: ClassVar[Pacer]
    repeated: ClassVar[Repeated]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.due = _NEVER
        self.written = 0
        self._read = 0
        self._read_by = _NEVER
        self._status = 400
        self._deaf = False
        self._is_ending = False
        self._has_client_ended = False
        self._is_last = False
        self._came = 0.0
        self._running: RequestResponseCycle | Exchange | None = None
        self._is_between = self._in_head = False
        self._head_bytes = 0
        self._body_bytes = 0
        self._begun = 0
        self._asked: Request | None = None

    @override
    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin, unless there are as many connections as may be and none of them has to give way."""
        super().connection_made(transport)
        self.flow: PacedFlow = PacedFlow(transport)
        transport.set_write_buffer_limits(FREE)  # what is not read beyond that is counted, see `HeldBodies`
        self.network = neighbourhood_of(self._peer)
        self.arrival = next(_arrivals)
        self._came = self.loop.time()
        self.due = self._came + HEAD_SECONDS
        if len(self.connections) > self.most_connections:
            self._make_way()
        if len(self.connections) > self.most_connections:
            self._status = 503
            self.send_400_response("")

    def _make_way(self) -> None:
        others: Any = self.connections - {self}
        for connection in who_gives_way(others, self.network):
            self.connections.discard(connection)  # its end comes later, but others arrive before
            connection.transport.abort()

    @override
    def data_received(self, data: bytes) -> None:
        """Answer a request that came before, byte for byte; else parse what came."""
        if self._begun and not self._is_between:
            self._take(data)
        elif not self._answers_again(data):
            begun, self._asked = self._begun, None
            self._take(data)
            if self._begun == begun + 1 and not self._deaf:
                self._remember(data)

    def _answers_again(self, data: bytes) -> bool:
        """Answer a request that is known already, and say so. It comes between others, as when it was parsed."""
        if self._deaf or self._is_last or self._is_handed_over or self._is_busy:
            return False
        request = self.repeated.find(data, self._peer)
        if request is None:
            return False
        if self.app.trusts_proxies:
            self.network = self.app.network_of(request)
        self._answer_at_once(request)
        if self._is_next:
            self._be_idle()
        else:
            self._is_between, self.due, self.cycle.more_body = False, _NEVER, False
        return True

    def _remember(self, data: bytes) -> None:
        if self._asked is not None:
            self.repeated.remember(data, self._asked)

    def _take(self, data: bytes) -> None:
        """Parse what came, in pieces so small that the bounds are noticed."""
        for begin in range(0, len(data), _PIECE):
            if self._deaf or self._is_handed_over:
                break
            piece = data[begin : begin + _PIECE]
            began_in_head = self._in_head
            self._parse(piece)
            if self._in_head and began_in_head:
                self._head_bytes += len(piece)
                if self._head_bytes > HEAD_BYTES:
                    self._status = 431
                    self.send_400_response("")
        if len(data) >= MUCH and not (self._is_handed_over or self.transport.is_closing()):
            self.pacer.wait(self.flow)

    @property
    def _is_handed_over(self) -> bool:
        return self.transport.get_protocol() is not self

    @property
    def _is_busy(self) -> bool:
        """Whether the client has not read so much that no more is answered at once."""
        return self.transport.get_write_buffer_size() > FREE

    @property
    def _peer(self) -> str:
        return self.client[0] if self.client else ""

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:
                self._parse_without_offer(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("")

    def _parse_without_offer(self, rest: bytes) -> None:
        """Parse a request anew as if it offered no other protocol: the parser would take its body for that protocol."""
        lines = [b"%s: %s\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        version = self.parser.get_http_version().encode()
        head = b"%s %s HTTP/%s\r\n%s\r\n" % (self.parser.get_method(), self.url, version, b"".join(lines))
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        self._parse(head + rest)

    @override
    def on_message_begin(self) -> None:
        """Start counting, unless too many requests wait before this one."""
        if len(self.pipeline) >= PIPELINED:
            raise _Refused
        super().on_message_begin()
        self._begun += 1
        self._is_between, self._in_head, self._head_bytes, self._body_bytes = False, True, 0, 0
        if self._is_next:
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
        """Drop what comes behind a chunked body: a proxy has not looked at it.

        And drop names with an underscore: to WSGI they are the same as with a hyphen, but not to a proxy that filters.
        """
        if self._in_head and b"_" not in name:
            super().on_header(name, value)

    @override
    def on_headers_complete(self) -> None:
        """Refuse what is too much or can be understood in two ways; then begin to answer."""
        self._in_head = False
        version = self.parser.get_http_version()
        # Of a long head, pieces lie between its first and its last.
        if self._head_bytes and sum(len(name) + len(value) for name, value in self.headers) > HEAD_BYTES:
            self._refuse(431)
        status = refusal_of(self.parser.get_method(), version, self.headers)
        if status is not None:
            self._refuse(status)
        check_target(self.url)
        if self.app.trusts_proxies:
            self.network = self.app.network_of(
                Request(method="", path="", headers=by_name(self.headers), peer=self._peer)
            )
        if self._is_vain_offer() or self._answers_at_once(version):
            return
        super().on_headers_complete()
        self.due = self.loop.time() + BODY_SECONDS
        if self._is_last and self._has_asked:  # a handshake is no request
            self.cycle.keep_alive = False

    def _answers_at_once(self, version: str) -> bool:
        """Answer a quick request here, or begin to, if it is one, and say so; others get a task."""
        goes_on = version == "1.1" and self.parser.should_keep_alive() and not self._is_last
        is_plain = self._is_next and goes_on and not self.parser.should_upgrade()
        if not is_plain or self._is_busy:
            return False
        request = request_of(self.parser.get_method(), self.url, self.headers, self._peer)
        if request is None:
            return False
        if has_body(request):
            self._exchange(request)
            self.due = self.loop.time() + BODY_SECONDS
            return True
        self._asked = request
        self._answer_at_once(request)
        return True

    def _answer_at_once(self, request: Request) -> None:
        answer = self.app.answer_at_once(request, self.transport.abort)
        if isinstance(answer, Begun):
            self._exchange(request, answer)
        else:
            self.cycle = _ANSWERED
            self.respond(answer)

    def _exchange(self, request: Request, begun: Begun | None = None) -> None:
        exchange: Any = Exchange(self, request)
        self.cycle = self._running = exchange
        if begun:
            exchange.go_on(begun)

    def begin(self, request: Request) -> Begun:
        """Begin to work on a request that is whole."""
        begun: Begun = self.app.begin(request, self.transport.abort)
        return begun

    def respond(self, response: Response, *, closes: bool = False) -> bool:
        """Write an answer; say whether the client has read nearly all of it."""
        besides = self.server_state.default_headers
        head = head_of(response, [*besides, _CLOSE] if closes else besides)
        if len(response.body) <= FREE:
            self.write(head + response.body)
            return True
        self.write(head)
        self.write(response.body)
        return not self.flow.write_paused

    @override
    def resume_writing(self) -> None:
        """Go on with an answer that was too large to be sent at once."""
        super().resume_writing()
        if isinstance(self._running, Exchange):
            self._running.drained()

    @property
    def _is_next(self) -> bool:
        """Whether a request that comes now waits behind no other."""
        return self.cycle is None or bool(self.cycle.response_complete)

    @override
    def on_body(self, body: bytes) -> None:
        """Give the client the time that the bytes are worth; cut it when it sends on and on after the answer."""
        self._body_bytes += len(body)
        self.due = bought(self.due, len(body), self.loop.time(), BODY_SECONDS)
        if self._body_bytes > self.app.discards_up_to:
            self.transport.abort()
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        """From here on it is the server that takes its time, unless the answer is there already."""
        if self._is_vain_offer():
            return
        if self._is_next:
            self._be_idle()
        else:
            self.due = _NEVER
        super().on_message_complete()
        if isinstance(self.cycle, Exchange):
            self.cycle.begin()

    @override
    def on_response_complete(self) -> None:
        """Let the client ask again, unless this was the last answer; go on with what it has asked already."""
        if self.is_ending:
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._in_head:  # of the next request, which began while this one was in work
            self.due = self.loop.time() + HEAD_SECONDS
        elif not self.cycle.more_body:
            self._be_idle()

    def _be_idle(self) -> None:
        """Give the client time for its next request, which what begins none does not change."""
        self._is_between = True
        self.due = self.loop.time() + self.timeout_keep_alive

    @override
    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Let a client that asked and will ask no more have its answers."""
        self._has_client_ended = True
        if self._is_ending:
            return None
        if self._is_next or self.cycle.more_body:
            return None  # asyncio closes the connection
        self.cycle.keep_alive = False
        return True

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being answered, too, if others wait behind it: nobody reads its answer."""
        super().connection_lost(exc)
        if isinstance(self._running, Exchange):
            self._running.lost()
        elif self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

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
            response = self.app.unreadable(self._status)
            self.transport.write(head_of(response, [_CLOSE]) + response.body)
        self.end()

    def end(self) -> None:
        """Answer no more. Hear the client out for a while, so that it gets to see the last answer."""
        self._deaf = self._is_ending = True
        self.due = self.loop.time() + LINGER_SECONDS
        if self._has_client_ended or len(self.connections) > self.most_connections + LINGERING:
            self.transport.close()
        else:
            self.flow.resume_reading()
            self.transport.write_eof()

    @property
    def is_ending(self) -> bool:
        """Whether nothing more may be written."""
        return self._is_ending or self.transport.is_closing()

    @property
    def is_idle(self) -> bool:
        """Whether there is no request in work, and no answer on its way."""
        return self._is_next and not self.transport.get_write_buffer_size()

    @override
    def shutdown(self) -> None:
        """Finish what has begun, and let a newcomer ask once, since the server stops; then close."""
        self._is_last = True
        left = self._came + NEWCOMER_SECONDS - self.loop.time()
        if left > 0 and not self._has_asked:
            self.loop.call_later(left, self._leave_if_silent)
        else:
            super().shutdown()

    def _leave_if_silent(self) -> None:
        if not self._has_asked:
            self.transport.close()

    @property
    def _has_asked(self) -> bool:
        return self.cycle is not None

    @override
    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, and what is known of it; not where the server stops."""
        if self._is_last:
            self._status = 503
            self.send_400_response("")
            return
        super().handle_websocket_upgrade()
        socket = self.transport.get_protocol()
        if isinstance(socket, WebSocketProtocol):
            socket.network, socket.arrival = self.network, self.arrival

    def overdue(self, now: float) -> bool:
        """Say whether this is to be cut, be it that the client reads nothing. Asked again and again."""
        unread = self.transport.get_write_buffer_size()
        read = self.written - unread
        self._read_by = bought(self._read_by, read - self._read, now, ANSWER_SECONDS) if unread else _NEVER
        self._read = read
        if unread and self._is_ending:
            self.due = now + LINGER_SECONDS
        elif unread and self._is_between:
            self._be_idle()
        return now > min(self.due, self._read_by)

    @override
    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        cycle.transport = _Answering(self)  # type: ignore[assignment]  # it has what an answer needs
        cycle.scope["extensions"] = {CUT: self.transport.abort}  # type: ignore[dict-item]  # uvicorn types its own
        super()._start_asgi_task(cycle, app)

    def write(self, data: bytes) -> None:
        """Send a part of an answer."""
        self.written += len(data)
        self.transport.write(data)

    def _forget_what_waits_for_its_body(self) -> None:
        """Drop the newest request if it waits and is not whole, since its refusal must not come before its turn."""
        if self.pipeline and self.cycle.more_body:
            self.pipeline.popleft()
            self.cycle = self.pipeline[0][0] if self.pipeline else self._running  # type: ignore[assignment]  # as a cycle

    def _refuse(self, status: int) -> None:
        self._status = status
        raise _Refused

    @override
    def _should_upgrade(self) -> bool:
        """Say whether this is the handshake of a WebSocket, whole and alone; else it is a request like others."""
        if self.parser.get_method() != b"GET" or not super()._should_upgrade():
            return False
        return self._is_next and is_handshake(self.headers)

    def _is_vain_offer(self) -> bool:
        """Say whether the request offers a protocol that is not taken: then it is parsed anew, see `_parse`."""
        return bool(self.parser.should_upgrade()) and not self._should_upgrade()


class _Answering:
    """The connection as an answer sees it: to close it is to end it."""

    def __init__(self, protocol: HttpProtocol) -> None:
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        self._protocol.write(data)

    def is_closing(self) -> bool:
        return self._protocol.is_ending

    def close(self) -> None:
        if not self._protocol.is_ending:
            self._protocol.end()


def bought(due: float, size: int, now: float, seconds: float) -> float:
    """Return when a client is late that was so at `due` before these bytes: at most `seconds` from now, so that no
    amount of bytes buys the right to stop (a token bucket).
    """
    return min(due + size / SLOWEST, now + seconds)
