"""The request and the answer as the handlers see them, whichever adapter they come through."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl

import msgspec

from walletsync.protocol import ErrorAnswer
from walletsync_server.services.errors import ServiceError
from walletsync_server.services.updates import Subscription

_ALWAYS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(kw_only=True, slots=True)
class Request:
    """One HTTP request, read completely.

    An adapter reads at most one byte of the body beyond `Api.largest_body`; `Api` answers 413 to such a body. One that
    stops reading earlier says why in `refusal`.

    Attributes:
        method: in upper case.
        path: percent-decoded.
        query: what follows the `?`, as it came.
        headers: names in lower case; several of the same name joined by commas.
        body: the bytes.
        argument: what the path has in the place of its route's parameter, if the route has one. Set by `Api`.
        peer: address of the other end of the connection, which may be a proxy; empty if it has none.
        client: address of the client, as far as it is known: that of `peer`, or what trusted proxies say. Set by `Api`.
        refusal: why the adapter did not read the body.
        wake: only of a WebSocket's handshake: what `Hub.listen` calls when there is something to tell.
    """

    method: str
    path: str
    query: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    argument: str = field(default="", repr=False)
    peer: str = field(default="", repr=False)
    client: str = field(default="", repr=False)
    refusal: ServiceError | None = None
    wake: Callable[[], None] | None = field(default=None, repr=False)

    def parameters(self, name: str) -> list[str]:
        """Return the decoded values that the query has under `name`."""
        pairs = parse_qsl(self.query, keep_blank_values=True, errors="replace")
        return [value for key, value in pairs if key == name]


@dataclass(kw_only=True, slots=True)
class Response:
    """One HTTP answer. `headers` are complete but for what an adapter adds about itself and the connection.

    `code` is the code of an error, empty without one; it is in the body as well.
    With status 101 there is a `subscription`, which the adapter tells to its WebSocket and leaves in the end.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    code: str = ""
    subscription: Subscription | None = None


def json_response(
    status: int, message: msgspec.Struct | Mapping[str, object], headers: Mapping[str, str] = _ALWAYS
) -> Response:
    """Return `message` as JSON, with `headers` beside those that every answer has."""
    body = msgspec.json.encode(message)
    return Response(
        status=status,
        code=(message.code or "") if isinstance(message, ErrorAnswer) else "",
        headers={
            **_ALWAYS,
            **headers,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        },
        body=body,
    )


def empty_response(status: int, headers: Mapping[str, str] = _ALWAYS) -> Response:
    """Return an answer without a body, for statuses that have none."""
    return Response(status=status, headers={**_ALWAYS, **headers})


def entity_tag(digest: bytes) -> str:
    """Return the value of the header `ETag` for the version of a wallet with this digest."""
    return f'"{digest.hex()}"'


def rfc3339(moment: datetime) -> str:
    """Return a time in UTC as answers tell it, to the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
