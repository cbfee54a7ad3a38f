"""HTTP and WebSockets as the suite speaks them: nothing is followed, nothing taken from the environment, nothing tried
again."""

import http.client
import json
import logging
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import urlsplit

import certifi
import requests
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from walletsync.errors import CertificateUntrusted, InvalidServerURL, ServerUnreachable, UsageError

TIMEOUT = 30.0
"""Seconds for each wait."""
AGENT = "walletsync-conformance"
"""What servers are told is asking; the id of a rule follows."""
_TOO_MANY_REQUESTS = 429
_PIECE = 65536
_WORD = re.compile(r"[A-Za-z0-9_*-]{1,40}")
_SILENT = logging.getLogger("walletsync.conformance.silent")  # a library's own log would show the token
_SILENT.disabled = True


class Broken(Exception):
    """The server breaks a rule; the sentence says what was expected and what came, without secrets."""


class Refused(Broken):
    """The server answers the handshake of a WebSocket with this status instead of 101."""

    def __init__(self, request: str, status: int) -> None:
        super().__init__(f"{request}: expected status 101, came {status}")
        self.status = status


class NotTried(Exception):
    """The rule needs something that this run has not; the sentence says what."""


@dataclass(frozen=True)
class Reply:
    """An answer. `request` is its method and path, for messages: no query, since that can have a token."""

    request: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def expect(self, *statuses: int) -> "Reply":
        """Return this answer if it has one of the statuses.

        Raises:
            Broken: it has another one.
            NotTried: the server has had enough requests of this kind for now.
        """
        if self.status == _TOO_MANY_REQUESTS and self.status not in statuses:
            raise NotTried(f"{self.request} was answered 429: run the suite later, or without the server's limits.")
        if self.status not in statuses:
            self.broken(f"status {' or '.join(map(str, statuses))}", f"{self.status}")
        return self

    def field(self, name: str) -> Any:
        """Return a field of the JSON object in the body, None where there is no such field.

        Raises:
            Broken: the body is no JSON object.
        """
        try:
            value = json.loads(self.body)
        except ValueError:
            self.broken("a JSON object", "something else")
        if not isinstance(value, dict):
            self.broken("a JSON object", "something else")
        return value.get(name)

    def must_say(self, **fields: object) -> "Reply":
        """Return this answer if its fields have these values, none of which is a secret.

        Raises:
            Broken: one has another value.
        """
        for name, wanted in fields.items():
            came = self.field(name)
            if json.dumps(came) != json.dumps(wanted):  # to which 1, 1.0 and true are three things
                self.broken(f"`{name}` {_shown(wanted)}", _shown(came))
        return self

    def must_have(self, header: str, wanted: str | None = None) -> str:
        """Return a header that is there, and has this value if one is given.

        Raises:
            Broken: it is missing, or another one.
        """
        came = self.headers.get(header)
        if not came:
            self.broken(f"the header {header}", "none")
        if wanted is not None and came != wanted:
            self.broken(f"the header {header} as `{wanted}`", "another one")
        return came

    def broken(self, expected: str, came: str) -> NoReturn:
        """Raise `Broken` about this answer."""
        raise Broken(f"{self.request}: expected {expected}, came {came}")


def _shown(value: object) -> str:
    """Return a value for people: what else a server has chosen can be long, steer a terminal, or be a secret."""
    if value is None:
        return "none"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return f"`{value}`" if isinstance(value, str) and _WORD.fullmatch(value) else "something else"


class Wire:
    """Requests to one server, whose URL may have a path. One thread at a time.

    `asked` has each request with its status, to tell what happened; `agent` is what the server is told is asking.

    Raises:
        InvalidServerURL: the URL is not one of http or https.
        UsageError: `ca_file`, with authorities to trust instead of the usual ones, cannot be read.
    """

    def __init__(self, url: str, *, ca_file: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
            raise InvalidServerURL("Give the server's URL, such as https://sync.example.com.")
        self.url = url.rstrip("/")
        self.asked: list[str] = []
        self.agent = AGENT
        self._ca_file = ca_file or certifi.where()
        self._tls = _trusting(self._ca_file) if parts.scheme == "https" or ca_file else None
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = self._ca_file

    def another(self) -> "Wire":
        """Return one to the same server, for another thread. Its requests are told among those of this one."""
        other = Wire(self.url, ca_file=self._ca_file)
        other.asked, other.agent = self.asked, self.agent
        return other

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request, return its answer. `body` is sent as JSON, bytes as they are.

        Raises:
            ServerUnreachable: there is none.
        """
        request = f"{method} {path.partition('?')[0]}"
        try:
            answer = self._session.request(
                method,
                self.url + path,
                params=query,
                data=body if body is None or isinstance(body, bytes) else json.dumps(body).encode(),
                headers={"User-Agent": self.agent, **(headers or {})},
                allow_redirects=False,
                timeout=TIMEOUT,
            )
        except requests.exceptions.SSLError:
            raise CertificateUntrusted(
                "The server's certificate is not trusted. If it is the server's own, name the file with its "
                "authority's: --ca-file FILE."
            ) from None
        except requests.RequestException:
            self.asked.append(f"{request}: no answer")
            raise ServerUnreachable(f"Nothing answered {request}; check that this is the server's URL.") from None
        self.asked.append(f"{request}: {answer.status_code}")
        return Reply(request, answer.status_code, answer.headers, answer.content)

    def cut(self, method: str, path: str, body: bytes) -> None:
        """Send a request but for the second half of its body, and return when the server has given it up.

        Raises:
            ServerUnreachable: there is no connection.
        """
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        connection = (
            http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT)
            if self._tls is None
            else http.client.HTTPSConnection(host, parts.port, timeout=TIMEOUT, context=self._tls)
        )
        self.asked.append(f"{method} {path}: cut off in the middle")
        try:
            connection.putrequest(method, parts.path + path)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body[: len(body) // 2])
            connection.sock.shutdown(socket.SHUT_WR)
            with suppress(TimeoutError, ConnectionResetError):  # it may hold on, or hang up without a word
                while connection.sock.recv(_PIECE):
                    continue
        except OSError:
            raise ServerUnreachable(
                f"{method} {path} could not be sent; check that this is the server's URL."
            ) from None
        finally:
            connection.close()

    @contextmanager
    def listening(self, path: str, token: str) -> Iterator[ClientConnection]:
        """Give a WebSocket with this token in its handshake.

        Raises:
            Refused: the answer has another status than 101.
            Broken: it is no handshake of RFC 6455.
            ServerUnreachable: there is no connection.
        """
        request = f"GET {path}"
        try:
            connection = connect(
                "ws" + self.url.removeprefix("http") + path,
                additional_headers={"Authorization": f"Bearer {token}"},
                user_agent_header=self.agent,
                compression=None,
                proxy=None,
                ssl=self._tls,
                logger=_SILENT,
                open_timeout=TIMEOUT,
                close_timeout=1,
            )
        except InvalidStatus as refused:
            self.asked.append(f"{request}: {refused.response.status_code}")
            raise Refused(request, refused.response.status_code) from None
        except WebSocketException:
            raise Broken(f"{request}: expected the handshake of RFC 6455, came something else") from None
        except OSError:
            raise ServerUnreachable(f"Nothing answered {request}; check that this is the server's URL.") from None
        self.asked.append(f"{request}: 101")
        with connection:
            yield connection


def _trusting(ca_file: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the usual makers of one take a key log from the environment
    try:
        context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError):
        raise UsageError("The file of CA certificates cannot be read as one in PEM form.") from None
    return context
