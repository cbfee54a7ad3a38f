"""Requests that come again byte for byte, as those of a device that asks for news do: understood once, and remembered.

To parse such a request costs as much as to answer it. What is remembered is what it says, never what was answered.
"""

from collections.abc import Mapping
from typing import NamedTuple

from walletsync_server.api.http import Request

LONGEST = 1024
"""Bytes of a request that is remembered; that of a device has about 200."""
FIELDS = 24
"""Fields in the head of such a request: each takes some 150 bytes beyond those that came."""
MOST = 4096
"""Requests that are remembered; with all that is made of them they take 8 MB, and 20 MB where somebody wants that."""


class _Said(NamedTuple):
    method: str
    path: str
    query: str
    headers: Mapping[str, str]


class Repeated:
    """Remembers the requests that came lately, over any connection, with the tokens that are in them."""

    def __init__(self) -> None:
        self._said: dict[bytes, _Said] = {}

    def __len__(self) -> int:
        return len(self._said)

    def find(self, data: bytes, peer: str) -> Request | None:
        """Return anew the request that these bytes are, from `peer`; None if they are not known."""
        said = self._said.get(data) if len(data) <= LONGEST else None
        if said is None:
            return None
        return Request(method=said.method, path=said.path, query=said.query, headers=said.headers, peer=peer)

    def remember(self, data: bytes, request: Request) -> None:
        """Remember that these bytes are this request, whole, without a body, and nothing else; forget the oldest."""
        if len(data) > LONGEST or len(request.headers) > FIELDS:
            return
        if len(self._said) >= MOST:
            del self._said[next(iter(self._said))]
        self._said[data] = _Said(request.method, request.path, request.query, request.headers)
