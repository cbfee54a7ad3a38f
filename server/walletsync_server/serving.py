"""Serving the application over HTTP until somebody says stop. The only module that knows waitress."""

import errno
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any
from wsgiref.types import WSGIApplication

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import create_server
from waitress.task import ErrorTask

from walletsync_server import logs
from walletsync_server.api.errors import unreadable

THREADS = 16
CONNECTIONS = 950
"""How many may be open at once: with the database's files just below the 1,024 that a process usually may have."""
IDLE_SECONDS = 30
"""How long a connection may say nothing, so that those that never will do not take the places of others."""
DRAIN_SECONDS = 5.0
"""How long requests that have begun may still take once the server was told to stop."""
_WAKE_SECONDS = 1.0
_BODY_SLACK = 1024 * 1024


class CannotListen(Exception):
    """The address cannot be listened on; the sentence says why."""


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
        raise CannotListen(f"Cannot listen on {host!r}: this is no host name.") from error
    except OSError as error:
        raise CannotListen(f"Cannot listen on {host}: {error.strerror}.") from error
    try:
        # A restart must get the port although connections of its predecessor linger.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()  # only now is the port taken: two sockets can be bound to it
    except OSError as error:
        listener.close()
        raise CannotListen(f"Cannot listen on {host}, port {port}: {error.strerror}.{_advice(error)}") from error
    return listener


def _advice(error: OSError) -> str:
    """Return what to do about it, where that is known, with a space before it."""
    known = {
        errno.EADDRINUSE: " Another program listens there: stop it, or choose another with --port.",
        errno.EADDRNOTAVAIL: " This machine has no such address; choose one of its own with --host.",
        errno.EACCES: " Ports below 1024 are for the administrator: choose a higher one with --port.",
    }
    return known.get(error.errno or 0, "")


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
        listener: listening; closed at the end.
        body_limit: bytes; somewhat above it `app` is still asked, far above the connection is cut.
        stopping: set it to end.
        on_ready: called once when clients can connect, with a function that wakes the server to look at `stopping`
            at once, as long as this has not returned; without it that takes up to a second.
    """
    connections: dict[int, Any] = {}
    # Cutting a connection that still sends loses the answer, so a slightly too large body is read and refused.
    cut = body_limit + _BODY_SLACK
    server = create_server(
        app,
        map=connections,
        sockets=[listener],
        threads=THREADS,
        ident=None,
        connection_limit=CONNECTIONS,
        channel_timeout=IDLE_SECONDS,
        max_request_body_size=cut,
        # Beyond these waitress would use temporary files: tokens and wallets on a disk that may be full.
        inbuf_overflow=2 * cut,
        outbuf_overflow=2 * cut,
        clear_untrusted_proxy_headers=False,  # whom to trust is decided behind every front door by one rule
        log_socket_errors=False,  # a line for each client that hangs up, and thousands while descriptors are out
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


class _Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    def parse_header(self, header_plus: bytes) -> None:
        """Refuse what the standard library cannot parse, as waitress refuses the rest."""
        try:
            super().parse_header(header_plus)
        except ValueError:  # its message repeats what the client sent
            raise ParsingError("malformed") from None


class _Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    parser_class = _Parser
    error_task_class = _JsonErrorTask

    def handle_error(self) -> None:
        """Close the connection on a fault, and log it without the client's words, as waitress would not."""
        fault = sys.exception()
        assert fault is not None  # noqa: S101 - for the type checker: waitress calls this in an `except`
        logs.unexpected(fault)
        self.handle_close()
