"""What the head of a request may be: what is refused that httptools lets through, and what a handshake is."""

import re
from urllib.parse import urlsplit

Headers = list[tuple[bytes, bytes]]

HEADERS = 100
_WEBSOCKET_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")


def refusal_of(method: bytes, version: str, headers: Headers) -> int | None:
    """Return the status that refuses what is too much or can be understood in two ways; None if nothing is wrong."""
    if len(headers) > HEADERS:
        return 431
    names = [name for name, _ in headers]
    is_clear = version in ("1.0", "1.1") and names.count(b"host") <= 1 and method != b"CONNECT"
    is_framed = b"transfer-encoding" not in names or (version == "1.1" and _codings(headers) == [b"chunked"])
    return None if is_clear and is_framed else 400


def _codings(headers: Headers) -> list[bytes]:
    return [value.lower() for name, value in headers if name == b"transfer-encoding"]


def check_target(target: bytes) -> None:
    """Raise `ValueError` for a target with brackets around no address, at which the standard library stumbles."""
    if b"[" in target or b"]" in target:
        urlsplit(target.decode("ascii"))


def is_handshake(headers: Headers) -> bool:
    """Say whether the handshake of a WebSocket is whole."""
    named = dict(headers)
    return bool(
        named.get(b"sec-websocket-version") == b"13"
        and _WEBSOCKET_KEY.fullmatch(named.get(b"sec-websocket-key", b""))
        and named.get(b"host")
    )
