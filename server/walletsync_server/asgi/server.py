"""Serving the front door over HTTP until somebody says stop."""

import asyncio
import errno
import resource
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from typing_extensions import override

from walletsync_server.asgi.front_door import FrontDoor
from walletsync_server.asgi.http_protocol import HttpProtocol
from walletsync_server.asgi.pacer import Pacer
from walletsync_server.asgi.repeated import Repeated
from walletsync_server.asgi.websocket_protocol import WebSocketProtocol
from walletsync_server.observe import logs

IDLE_SECONDS = 30
"""How long a connection may stay open between two requests."""
PING_SECONDS = 25.0
"""How often a WebSocket is asked whether its client is there; proxies cut one that is silent for a minute."""
PONG_SECONDS = 20.0
DRAIN_SECONDS = 5
"""How long requests that have begun may still take once the server was told to stop."""
MESSAGE_BYTES = 1024
"""What a client may send over a WebSocket, where it has nothing to say."""
_OTHER_FILES = 128
LEAST_CONNECTIONS = 64
"""With room for fewer the server does not start: it would turn nearly everybody away."""
_BACKLOG = 2048
_TURNS = 10
"""How often uvicorn calls `on_tick` in a second."""


class CannotListen(Exception):
    """The address cannot be listened on; the sentence says why."""


class TooFewFiles(Exception):
    """This process may have so few files open that it could serve nobody; the sentence says what to do."""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the address; who connects waits until `serve`.

    Raises:
        CannotListen: if the port is taken, or the host is none of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except UnicodeError as error:  # a label that is empty, too long or no text
        raise CannotListen(f"Cannot listen on {host!r}: this is not a host name.") from error
    except OSError as error:
        raise CannotListen(f"Cannot listen on {host}: {error.strerror}.") from error
    try:
        # A restart must get the port although connections of its predecessor linger.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)  # only now is the port taken: two sockets can be bound to it
    except OSError as error:
        listener.close()
        raise CannotListen(f"Cannot listen on {host}, port {port}: {error.strerror}.{_advice(error)}") from error
    return listener


def _advice(error: OSError) -> str:
    """Return what to do about it, where that is known, with a space before it."""
    known = {
        errno.EADDRINUSE: " Another program listens there: stop it, or choose another port in the settings.",
        errno.EADDRNOTAVAIL: " This machine has no such address; choose a host that it has in the settings.",
        errno.EACCES: " Ports below 1024 need an administrator's rights: choose a higher one in the settings.",
    }
    return known.get(error.errno or 0, "")


def url_of(listener: socket.socket) -> str:
    """Return the address of a bound socket as clients write it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    front_door: FrontDoor,
    listener: socket.socket,
    *,
    connections: int,
    stopping: threading.Event,
    on_ready: Callable[[], None],
    on_second: Callable[[], None] = lambda: None,
) -> None:
    """Answer requests on `listener` until `stopping` is set; then finish those that have begun.

    Args:
        front_door: what answers.
        listener: listening; closed at the end.
        connections: how many may be open at once, if the process may have as many files.
        stopping: set it to end; that is noticed within a tenth of a second.
        on_ready: called once when clients are served.
        on_second: called about once a second while they are.

    Raises:
        TooFewFiles: if too few files may be open.
    """

    class Bounded(HttpProtocol):
        most_connections = min(connections, _room_for(connections))
        pacer = Pacer()
        repeated = Repeated()

    config = uvicorn.Config(
        front_door,
        http=Bounded,
        ws=WebSocketProtocol,
        loop="uvloop",
        lifespan="off",
        interface="asgi3",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        log_level="error",  # it warns of every client that speaks no HTTP
        backlog=_BACKLOG,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS + 1,
        ws_max_size=MESSAGE_BYTES,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PONG_SECONDS,
        ws_per_message_deflate=False,
    )
    _Server(config, front_door, stopping, on_ready, on_second).run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        front_door: FrontDoor,
        stopping: threading.Event,
        on_ready: Callable[[], None],
        on_second: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._front_door = front_door
        self._stopping = stopping
        self._on_ready = on_ready
        self._on_second = on_second
        self._connections: list[Any] = []
        """Those of this second's beginning."""

    @contextmanager
    @override
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the one who called `serve`."""
        yield

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(_log_without_words)
        await super().startup(sockets)
        self._on_ready()

    @override
    async def main_loop(self) -> None:
        with logs.once_a_turn(asyncio.get_running_loop().call_soon):
            await super().main_loop()

    @override
    async def on_tick(self, counter: int) -> bool:
        turn = counter % _TURNS
        if turn == 0:
            self._on_second()
            self._connections = list(self.server_state.connections)
        now = asyncio.get_running_loop().time()
        # Each is asked once a second, but not all in one turn, for which everybody would have to wait.
        asked = self.server_state.connections.intersection(self._connections[turn::_TURNS])
        _cut(asked, lambda connection: connection.overdue(now))
        return await super().on_tick(counter) or self._stopping.is_set()

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        await self._front_door.websockets.close_all()
        # The requests of connections that are cut end by themselves; cancelling them is for those that do not.
        cut = asyncio.get_running_loop().call_later(
            DRAIN_SECONDS, lambda: _cut(list(self.server_state.connections), lambda connection: True)
        )
        await super().shutdown(sockets)
        cut.cancel()


def _cut(connections: Iterable[Any], which: Callable[[HttpProtocol | WebSocketProtocol], bool]) -> None:
    for connection in connections:
        if isinstance(connection, HttpProtocol | WebSocketProtocol) and which(connection):
            connection.transport.abort()


def _room_for(connections: int) -> int:
    files = _files(connections + _OTHER_FILES)
    if files < _OTHER_FILES + LEAST_CONNECTIONS:
        raise TooFewFiles(
            f"This process may have only {files} files open, too few to serve anybody; allow it at least "
            f"{_OTHER_FILES + LEAST_CONNECTIONS}, with `ulimit -n` or systemd's LimitNOFILE."
        )
    return files - _OTHER_FILES


def _files(wanted: int) -> int:
    """Return how many files this process may have open, after asking for as many as are wanted or it may get."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else soft


def _log_without_words(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Log a fault outside of any request; asyncio's own message can have the client's address in it."""
    fault = context.get("exception")
    if isinstance(fault, BaseException):
        logs.unexpected(fault)
