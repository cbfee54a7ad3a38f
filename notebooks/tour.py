"""What the notebooks share: a server to talk to, and devices that are logged in."""

import atexit
from typing import Any

from walletsync import Client
from walletsync.formats.base import Format
from walletsync_server.testing import RunningServer

PASSWORD = "correct horse battery staple"  # noqa: S105 - the tour's, for accounts on a server of its own


def start_server() -> str:
    """Start a server that ends with this notebook, and return its address."""
    return own_server().url


def own_server(**options: Any) -> RunningServer:
    """Start a server that ends with this notebook, for one that looks at more than its address.

    Everybody may sign up, unless the options of `RunningServer` say otherwise.
    """
    server = RunningServer(**{"accounts": "open", **options}).start()
    atexit.register(server.close)
    return server


def logged_in(server_url: str, email: str, *device_ids: str, format: Format[Any] | None = None) -> tuple[Client, ...]:
    """Return devices of a new account, each with a token: notebook 01 in one call."""
    devices = tuple(Client(server_url, device_id=device_id, format=format) for device_id in device_ids)
    for device in devices:
        device.set_account(email, PASSWORD)
    devices[0].register()
    for device in devices:
        device.get_auth_token()
    return devices
