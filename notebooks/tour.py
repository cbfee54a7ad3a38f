"""What the notebooks share: a server to talk to, devices that are logged in, and a look at what they send."""

import atexit
import sys
from typing import Any

from walletsync import Client
from walletsync.formats.base import Format
from walletsync_server.testing import RunningServer

PASSWORD = "correct horse battery staple"  # noqa: S105 - the tour's, for accounts on a server of its own


def start_server() -> str:
    """Start a server that ends with this notebook, and return its address."""
    server = RunningServer(accounts="open").start()
    atexit.register(server.close)
    return server.url


def logged_in(server_url: str, email: str, *device_ids: str, format: Format[Any] | None = None) -> tuple[Client, ...]:
    """Return devices of a new account, each with a token: notebook 01 in one call."""
    devices = tuple(Client(server_url, device_id=device_id, format=format) for device_id in device_ids)
    for device in devices:
        device.set_account(email, PASSWORD)
    devices[0].register()
    for device in devices:
        device.get_auth_token()
    return devices


def record() -> list[bytes]:
    """Return a list that grows by all that this notebook sends over HTTP: of each request the head, then its body.

    Python tells whoever listens of each piece that leaves, byte for byte, whichever program sends it.
    """
    sent: list[bytes] = []

    def keep(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "http.client.send":
            _, piece = arguments
            sent.append(bytes(piece))

    sys.addaudithook(keep)
    return sent
