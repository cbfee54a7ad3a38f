"""What the notebooks share: a server to talk to, devices that are signed in, and a look at what they send."""

import atexit
from typing import Any

import requests

from walletsync import Client
from walletsync.formats.base import Format
from walletsync_server.testing import RunningServer

PASSWORD = "correct horse battery staple"  # noqa: S105 - the tour's, for accounts on a server of its own


def start_server() -> str:
    """Start a server that ends with this notebook, and return its address."""
    server = RunningServer(accounts="open").start()
    atexit.register(server.close)
    return server.url


def signed_in(server_url: str, email: str, *device_ids: str, format: Format[Any] | None = None) -> tuple[Client, ...]:
    """Return devices of a new account, each with a token: notebook 01 in one call."""
    devices = tuple(Client(server_url, device_id=device_id, format=format) for device_id in device_ids)
    for device in devices:
        device.set_account(email, PASSWORD)
    devices[0].register()
    for device in devices:
        device.get_auth_token()
    return devices


def record(*devices: Client) -> list[bytes]:
    """Return a list that grows by all that the devices send: address, headers and body of each request."""
    sent: list[bytes] = []

    def keep(answer: requests.Response, **_: Any) -> None:
        request = answer.request
        body = request.body or b""
        sent.append(f"{request.method} {request.url} {dict(request.headers)} ".encode())
        sent.append(body if isinstance(body, bytes) else body.encode())

    for device in devices:
        device._api._transport._session.hooks["response"].append(keep)
    return sent
