"""A proxy that does to a request what networks do: its answer gets lost, it comes twice, or long after its sender has
given it up. Which one is never left to chance."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from walletsync.conformance.wire import Reply, Wire
from walletsync.errors import ServerUnreachable

_POLL_SECONDS = 0.02


class Fault(Enum):
    """What becomes of the next request."""

    NONE = auto()
    LOSE_ANSWER = auto()
    """It reaches the server; who sent it finds the connection closed instead of an answer."""
    TWICE = auto()
    """Two copies reach the server at the same time; the answer to one of them comes back."""
    LATE = auto()
    """Who sent it finds the connection closed; it reaches the server at `deliver`."""


class FaultProxy:
    """Listens on a port of this machine, from `with` to its end; `wire` asks the server through it.

    `fault` is what the next request meets, and that one only. `replies` has what the server answered, also what got
    lost on the way back.
    """

    def __init__(self, server: Wire) -> None:
        self.fault = Fault.NONE
        self.replies: list[Reply] = []
        self._server = server
        self._held: list[Callable[[], Reply]] = []
        self._listener = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.wire = Wire(f"http://127.0.0.1:{self._listener.server_port}")

    def __enter__(self) -> Self:
        threading.Thread(target=self._listener.serve_forever, args=[_POLL_SECONDS], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()
        self._listener.shutdown()
        self._listener.server_close()

    def lose(self, fault: Fault, ask: Callable[[Wire], Reply]) -> None:
        """Ask through the proxy with a fault that keeps the answer from coming back."""
        self.fault = fault
        with suppress(ServerUnreachable):
            ask(self.wire)

    def deliver(self) -> Reply:
        """Let the request that is late reach the server now, and return what it answers."""
        return self._held.pop()()

    def meet(self, ask: Callable[[], Reply]) -> Reply | None:
        """Do to a request what was asked for; return the answer that comes back, None if none does."""
        fault, self.fault = self.fault, Fault.NONE
        if fault is Fault.LATE:
            self._held.append(ask)
            return None
        replies = at_once([ask, ask] if fault is Fault.TWICE else [ask])
        self.replies += replies
        return None if fault is Fault.LOSE_ANSWER else replies[0]

    def pass_on(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        """Send a request to the server, on a connection of its own."""
        wire = self._server.another()
        try:
            return wire.ask(method, path, body, headers=headers)
        finally:
            wire.close()


def at_once(asks: Sequence[Callable[[], Reply]]) -> list[Reply]:
    """Ask from as many threads, all of them together, and return the answers in the same order."""
    together = threading.Barrier(len(asks))

    def ask(one: Callable[[], Reply]) -> Reply:
        together.wait()
        return one()

    with ThreadPoolExecutor(len(asks)) as pool:
        return list(pool.map(ask, asks))


def _handler(proxy: FaultProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            shown = {name: value for name, value in self.headers.items() if name == "Authorization"}
            try:
                reply = proxy.meet(lambda: proxy.pass_on(self.command, self.path, body, shown))
            except ServerUnreachable:
                reply = None  # whoever asks sees no answer, as without a proxy
            if reply is None:
                self.close_connection = True
                return
            self.send_response(reply.status)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST

        def log_message(self, format: str, *arguments: Any) -> None:
            return  # a path can have a token in its query

    return Handler
