"""Whether a server answers, at its own address and through its proxy, as clients and browsers would find it."""

import http.client
import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from walletsync.protocol import API_PREFIX, WEBSOCKET_PATH, WELL_KNOWN_PATH
from walletsync_server.observe.findings import FAIL, OK, WARN, Finding

TIMEOUT_SECONDS = 10.0
EXPIRES_SOON = timedelta(days=14)
"""How long before its end a certificate should have been renewed: those that live for 90 days are after 60."""
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - listening on these is reached at those
_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "d2FsbGV0c3luYy1wcm9iZQ==",
}
"""The beginning of a WebSocket. It has no token, so a server that sees it answers 401."""


@dataclass(frozen=True)
class _Answer:
    status: int
    body: bytes
    certificate_ends: datetime | None

    @property
    def json(self) -> dict[str, object]:
        """What is in it; nothing if that is not of the server's making."""
        try:
            content = json.loads(self.body)
        except ValueError:
            return {}
        return content if isinstance(content, dict) else {}


def look_at_server(host: str, port: int) -> Finding:
    """Ask the server that should run on this machine whether it is ready."""
    host = _ANY_ADDRESS.get(host, host)
    address = f"{f'[{host}]' if ':' in host else host}:{port}"
    try:
        answer = _ask(f"http://{address}", "/readyz")
    except (OSError, http.client.HTTPException) as error:
        return Finding("server", WARN, f"none answers on {address}: {_reason(error)}. Is it running?")
    if answer.status == 200 and answer.json.get("status") == "ok":
        return Finding("server", OK, f"it answers on {address}, and is ready.")
    if answer.status == 503:
        return Finding("server", FAIL, "it cannot use its database; its log says why, as event=unavailable.")
    return Finding("server", FAIL, f"another program answers on {address}; stop that, or set another port.")


def look_at_public_url(url: str, clock: Callable[[], datetime]) -> Iterator[Finding]:
    """Ask the server as clients do: whether they trust the certificate, and what of it comes through the proxy."""
    try:
        answer = _ask(url, WELL_KNOWN_PATH)
    except ssl.SSLCertVerificationError as error:
        said = f"clients do not trust that of {url}: {error.verify_message}. Renew it, with all up to its root."
        yield Finding("certificate", FAIL, said)
        return
    except (OSError, http.client.HTTPException) as error:
        said = f"{url} does not answer: {_reason(error)}. See that its name leads to the proxy, and the proxy runs."
        yield Finding("public_url", FAIL, said)
        return
    yield from _certificate(answer.certificate_ends, clock())
    if answer.status != 200 or answer.json.get("name") != "walletsync":
        said = f"something else answers at {url} ({answer.status}); let the proxy pass everything on to this server."
        yield Finding("public_url", FAIL, said)
        return
    yield Finding("public_url", OK, f"a server answers at {url}.")
    yield _websocket(url)


def _certificate(ends: datetime | None, now: datetime) -> Iterator[Finding]:
    if ends is not None:
        soon = ends - now < EXPIRES_SOON
        said = "; see why it is not renewed." if soon else "."
        yield Finding("certificate", WARN if soon else OK, f"clients trust it until {ends:%Y-%m-%d}{said}")


def _websocket(url: str) -> Finding:
    try:
        status = _ask(url, f"{API_PREFIX}{WEBSOCKET_PATH}", _UPGRADE).status
    except (OSError, http.client.HTTPException) as error:
        return Finding(
            "websocket", FAIL, f"the proxy breaks it off: {_reason(error)}. See the proxies in the examples."
        )
    if status == 401:  # the server's own answer to one that has no token
        return Finding("websocket", OK, "it comes through the proxy.")
    said = f"the proxy does not pass it on (status {status}), so no device hears of changes at once; see the examples."
    return Finding("websocket", FAIL, said)


def _ask(url: str, path: str, headers: Mapping[str, str] | None = None) -> _Answer:
    parts = urlsplit(url)
    host = str(parts.hostname)
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, parts.port, timeout=TIMEOUT_SECONDS, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.connect()
        ends = _end_of_certificate(connection.sock)
        connection.request("GET", f"{parts.path}{path}", headers=dict(headers or {}))
        response = connection.getresponse()
        return _Answer(response.status, response.read(), ends)
    finally:
        connection.close()


def _end_of_certificate(socket: object) -> datetime | None:
    certificate = socket.getpeercert() if isinstance(socket, ssl.SSLSocket) else None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC) if certificate else None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
