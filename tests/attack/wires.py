"""Ways to a server for those who send a lot, or want to listen."""

from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlencode

from tests.server.helpers import API, Answer, Wire

_HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


class Cut(Exception):
    """No whole answer came, so nobody knows whether the request was carried out."""


class KeptWire(Wire):
    """One connection for request after request. What cuts it raises `Cut`."""

    def __init__(self, url: str) -> None:
        self._connection = HTTPConnection(url.removeprefix("http://"), timeout=60)

    def send(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> Answer:
        try:
            self._connection.request(method, target, body or None, headers)
            response = self._connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        except (OSError, HTTPException) as error:  # an answer cut short is no acknowledgement either
            raise Cut from error

    def close(self) -> None:
        self._connection.close()


def handshake(url: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
    """Ask for a WebSocket and leave; 101 means that there would be one."""
    with closing(KeptWire(url)) as wire:
        return wire.send("GET", f"{API}/websocket?{urlencode(query)}", b"", {**_HANDSHAKE, **headers})
