"""HTTP as the suite speaks it: nothing is followed, nothing taken from the environment, nothing tried again."""

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import urlsplit

import requests

from walletsync.errors import InvalidServerURL, ServerUnreachable

TIMEOUT = 30.0
"""Seconds for each wait."""


class Broken(Exception):
    """The server breaks a rule; the sentence says what was expected and what came, without secrets."""


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
        """
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

    def broken(self, expected: str, came: str) -> NoReturn:
        """Raise `Broken` about this answer."""
        raise Broken(f"{self.request}: expected {expected}, came {came}")


class Wire:
    """Requests to one server, whose URL may have a path. One thread at a time.

    Raises:
        InvalidServerURL: the URL is not one of http or https.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
            raise InvalidServerURL("Give the server's URL, such as https://sync.example.com.")
        self.url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False

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
        """Send one request, return its answer.

        Raises:
            ServerUnreachable: there is none.
        """
        data = None if body is None else json.dumps(body).encode()
        try:
            answer = self._session.request(
                method,
                self.url + path,
                params=query,
                data=data,
                headers=headers,
                allow_redirects=False,
                timeout=TIMEOUT,
            )
        except requests.RequestException:
            raise ServerUnreachable(f"Nothing answered {method} {path}; check that this is the server's URL.") from None
        return Reply(f"{method} {path}", answer.status_code, answer.headers, answer.content)

    def hang_up(self, path: str, body: object) -> None:
        """POST on a connection of its own, and close that without reading: the answer is lost.

        Raises:
            ServerUnreachable: there is no connection.
        """
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        connection = (
            http.client.HTTPSConnection(host, parts.port, timeout=TIMEOUT, context=ssl.create_default_context())
            if parts.scheme == "https"
            else http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT)
        )
        try:
            connection.request("POST", parts.path + path, json.dumps(body).encode())
        except OSError:
            raise ServerUnreachable(f"POST {path} could not be sent; check that this is the server's URL.") from None
        finally:
            connection.close()
