"""Requests that are answered where they were parsed: a task and the messages of ASGI cost more than such an answer."""

import asyncio
from collections.abc import Iterable

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from walletsync_server.api.http import Request, Response
from walletsync_server.api.routes import QUICK
from walletsync_server.asgi.body_budget import FREE

Headers = Iterable[tuple[bytes, bytes]]

_PATHS = {(method.encode(), path.encode()): (method, path) for method, path in QUICK}


class Answered:
    """What uvicorn asks of the cycle of a request that was answered; one is enough for all."""

    response_complete = True
    message_event = asyncio.Event()


def request_of(method: bytes, target: bytes, headers: Headers, peer: str) -> Request | None:
    """Return a quick request whose body, if it has one, is small and yet to come; None for any other."""
    raw_path, _, query = target.partition(b"?")
    known = _PATHS.get((method, raw_path))
    if known is None or b"#" in query:
        return None
    named = by_name(headers)
    length = named.get("content-length")
    if "transfer-encoding" in named or "expect" in named or (length is not None and not _is_small(length)):
        return None
    return Request(method=known[0], path=known[1], query=query.decode("latin-1"), headers=named, peer=peer)


def _is_small(length: str) -> bool:
    return length.isdecimal() and int(length) <= FREE


def has_body(request: Request) -> bool:
    """Say whether a body comes with the request, be it an empty one."""
    return "content-length" in request.headers or "transfer-encoding" in request.headers


def by_name(headers: Headers) -> dict[str, str]:
    """Return headers as a `Request` has them."""
    named: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        named[name] = f"{named[name]},{value}" if name in named else value
    return named


def head_of(response: Response, besides: Headers) -> bytes:
    """Return an answer's head as it is sent, with headers besides its own."""
    own = "".join([f"{name}: {value}\r\n" for name, value in response.headers.items()]).encode("latin-1")
    others = b"".join([b"%s: %s\r\n" % header for header in besides])
    return b"%s%s%s\r\n" % (STATUS_LINE[response.status], own, others)
