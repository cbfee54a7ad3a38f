"""Serving the application over HTTP until somebody says stop. The only module that knows waitress."""

import socket
import threading
import time
from collections.abc import Callable
from typing import Any
from wsgiref.types import WSGIApplication

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import ErrorTask

from walletsync_server.api.errors import unreadable

THREADS = 16
DRAIN_SECONDS = 5.0
"""How long requests that have begun may still take once the server was told to stop."""
_WAKE_SECONDS = 1.0


class CannotListen(Exception):
    """The address cannot be listened on; the sentence says why."""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address, which nobody can connect to yet.

    Raises:
        CannotListen: if the port is taken, or the host is none of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotListen(f"Cannot listen on {host}: {error.strerror}.") from error
    try:
        # A restart must get the port although connections of its predecessor linger.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise CannotListen(f"Cannot listen on {host}, port {port}: {error.strerror}.") from error
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the address of a bound socket as clients write it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    app: WSGIApplication,
    listener: socket.socket,
    *,
    body_limit: int,
    stopping: threading.Event,
    on_ready: Callable[[Callable[[], None]], None],
) -> None:
    """Answer requests on `listener` until `stopping` is set; then finish those that have begun.

    Args:
        app: what answers.
        listener: bound; closed at the end.
        body_limit: bytes; somewhat above it `app` is still asked, far above the connection is cut.
        stopping: set it to end.
        on_ready: called once when clients can connect, with a function that wakes the server to look at `stopping`.
    """
    connections: dict[int, Any] = {}
    server = create_server(
        app,
        map=connections,
        sockets=[listener],
        threads=THREADS,
        ident=None,
        # Cutting a connection that still sends loses the answer, so a slightly too large body is read and refused.
        max_request_body_size=4 * body_limit,
        clear_untrusted_proxy_headers=True,
    )
    server.channel_class = _Channel
    on_ready(server.pull_trigger)
    while not stopping.is_set():
        wasyncore.loop(timeout=_WAKE_SECONDS, map=connections, use_poll=True, count=1)
    server.accepting = False
    deadline = time.monotonic() + DRAIN_SECONDS
    while _busy(server) and time.monotonic() < deadline:
        wasyncore.loop(timeout=0.05, map=connections, use_poll=True, count=1)
    server.task_dispatcher.shutdown(timeout=DRAIN_SECONDS)
    wasyncore.close_all(connections)


def _busy(server: Any) -> bool:
    """Say whether a request is being answered or its answer not all sent."""
    channels = server.active_channels.values()
    return any(channel.requests or channel.total_outbufs_len for channel in channels)


class _JsonErrorTask(ErrorTask):  # type: ignore[misc]  # waitress has no types
    """Answers what waitress itself refuses in the shape of every other error."""

    def execute(self) -> None:
        """Write the answer and close the connection."""
        refused = self.request.error
        response = unreadable(refused.code)
        self.status = f"{refused.code} {refused.reason}"
        self.response_headers.extend(response.headers.items())
        self.set_close_on_finish()
        self.content_length = len(response.body)
        self.write(response.body)


class _Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    error_task_class = _JsonErrorTask
