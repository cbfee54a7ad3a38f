"""What a supervisor such as systemd hands to the server, and what it is told, by the protocols of sd_notify(3) and
sd_listen_fds(3). Without one, nothing is there and nobody is told.

Ours in a few lines, since the packages for it are unkept or need a compiler.
"""

import os
import socket
from contextlib import suppress

from walletsync_server.asgi.server import CannotListen

SUPERVISOR = "NOTIFY_SOCKET"
"""The variable that says where it listens."""
_FIRST_PASSED = 3
PATIENCE_SECONDS = 1.0
"""How long a supervisor that has no time may hold up the server."""


def notify(*words: str, patience: float = PATIENCE_SECONDS) -> None:
    """Tell the supervisor something, such as `READY=1`, unless it does not listen within `patience` seconds."""
    address = os.environ.get(SUPERVISOR, "")
    if not address:
        return
    place = f"\0{address[1:]}" if address.startswith("@") else address  # the former has no file
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as teller, suppress(OSError):
        teller.settimeout(patience)
        teller.sendto(os.fsencode("\n".join(words)), os.fsencode(place))


def say_alive() -> None:
    """Tell a supervisor that ends a server from which it does not hear for a while; never wait for it."""
    if os.environ.get("WATCHDOG_USEC"):
        notify("WATCHDOG=1", patience=0)


def passed_listener() -> socket.socket | None:
    """Return the socket that the supervisor listens on in place of the server; None if it passes none.

    Raises:
        CannotListen: if it passes several, or one that does not listen over TCP.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):  # else it is for another process, which passed it on unread
        return None
    number = os.environ.get("LISTEN_FDS")
    if number != "1":
        raise CannotListen(
            f"The supervisor passes {number} sockets to listen on: give the socket unit one ListenStream."
        )
    listener = socket.socket(fileno=_FIRST_PASSED)
    is_tcp = listener.family in (socket.AF_INET, socket.AF_INET6) and listener.type == socket.SOCK_STREAM
    if not is_tcp or not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        listener.close()
        raise CannotListen(
            "The supervisor passes a socket that does not listen over TCP: "
            "give the socket unit an address and a port, such as ListenStream=127.0.0.1:8090."
        )
    return listener
