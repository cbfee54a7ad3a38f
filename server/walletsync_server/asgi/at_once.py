"""Requests that are answered where they were parsed: a task and the messages of ASGI cost more than such an answer."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from walletsync_server.api.http import Request, Response
from walletsync_server.api.routes import QUICK
from walletsync_server.asgi.body_budget import HeldBodies
from walletsync_server.asgi.holders import HolderOf
from walletsync_server.services.coroutines import GeneratorCoroutine

Headers = Iterable[tuple[bytes, bytes]]

BEGUN = "walletsync.begun"
"""The extension of ASGI's scope that has what was `Begun`."""
_PATHS = {path.encode(): path for method, path in QUICK if method == "GET"}
_OF_A_BODY = (b"content-length", b"transfer-encoding")


class Begun(NamedTuple):
    """A request whose answer goes on in a task, and what is held for it."""

    answering: GeneratorCoroutine[Response]
    bodies: HeldBodies
    holder: HolderOf


class Answered:
    """What uvicorn asks of the cycle of a request that was answered; one is enough for all."""

    response_complete = True
    message_event = asyncio.Event()


def request_of(method: bytes, target: bytes, headers: Headers, peer: str) -> Request | None:
    """Return a request that may be answered at once: a quick one, without a body; None for any other."""
    raw_path, _, query = target.partition(b"?")
    path = _PATHS.get(raw_path)
    if path is None or method != b"GET" or b"#" in query or any(name in _OF_A_BODY for name, _ in headers):
        return None
    return Request(method="GET", path=path, query=query.decode("latin-1"), headers=by_name(headers), peer=peer)


def by_name(headers: Headers) -> dict[str, str]:
    """Return headers as a `Request` has them."""
    named: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        named[name] = f"{named[name]},{value}" if name in named else value
    return named


def written(response: Response, besides: Headers) -> bytes:
    """Return an answer as it is sent, with headers besides its own."""
    own = "".join([f"{name}: {value}\r\n" for name, value in response.headers.items()]).encode("latin-1")
    others = b"".join([b"%s: %s\r\n" % header for header in besides])
    return b"%s%s%s\r\n%s" % (STATUS_LINE[response.status], own, others, response.body)
