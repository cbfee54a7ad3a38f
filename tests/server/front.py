"""The front door for production in this process, so that a test can look behind it, and clients of its WebSockets."""

import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flask
import websocket

from tests.server.helpers import API, HttpWire, cheap_passwords, until
from walletsync_server.app import create_app, create_front_door
from walletsync_server.asgi import server as asgi_server
from walletsync_server.asgi.front_door import FrontDoor
from walletsync_server.asgi.server import bind, url_of
from walletsync_server.live.hub import Hub
from walletsync_server.settings import CONNECTIONS, Settings


@dataclass(frozen=True)
class Front:
    """A door that is served. `stopping` ends it."""

    url: str
    door: FrontDoor
    stopping: threading.Event
    clients: list[Any] = field(default_factory=list)

    @property
    def wire(self) -> HttpWire:
        return HttpWire(self.url)

    def listen(self, token: str, **options: Any) -> Any:
        """Return a WebSocket of the device that has `token`; it is closed in the end."""
        self.clients.append(listen(self.url, token, **options))
        return self.clients[-1]


def app_with(folder: Path, **options: Any) -> flask.Flask:
    """Return an application with cheap passwords, and with settings of the test's own."""
    settings = Settings(database=f"sqlite:///{folder}/walletsync.db", accounts="open", **options)
    return create_app(settings, passwords=cheap_passwords(), hub=Hub(per_account=100))


@contextmanager
def served(app: flask.Flask, *, send_buffer: int = 0, connections: int = CONNECTIONS) -> Iterator[Front]:
    """Serve `app` in a thread.

    Args:
        app: of `create_app`.
        send_buffer: bytes that the system keeps for a client that does not read, if not its default.
        connections: how many may be open at once.
    """
    stopping, ready, listener = threading.Event(), threading.Event(), bind("127.0.0.1", 0)
    if send_buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    front = Front(url_of(listener), create_front_door(app), stopping)
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(_serve, front, listener, connections, ready)
        try:
            until(lambda: ready.is_set() or ended.done())
            yield front
        finally:
            stopping.set()
            ended.result()
            for client in front.clients:
                client.shutdown()


def _serve(front: Front, listener: socket.socket, connections: int, ready: threading.Event) -> None:
    asgi_server.serve(front.door, listener, connections=connections, stopping=front.stopping, on_ready=ready.set)


def listen(url: str, token: str, *, in_query: bool = False, headers: Sequence[str] = (), **options: Any) -> Any:
    """Return a WebSocket of the device that has `token`; `headers` are lines beside its own."""
    address = f"{url.replace('http', 'ws', 1)}{API}/websocket"
    if in_query:
        return websocket.create_connection(f"{address}?token={token}", timeout=20, **options)
    return websocket.create_connection(
        address, timeout=20, header=[f"Authorization: Bearer {token}", *headers], **options
    )
