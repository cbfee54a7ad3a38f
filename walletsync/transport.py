"""One HTTP exchange, with a server that is not trusted: bounded in bytes and in time, and nothing is followed.

`requests` does the work. Taken from it is what would let a server, or the environment, decide something: redirects
(whose bodies it reads and decompresses even if it does not follow them), cookies, netrc, proxies, CA bundles, a key log
of TLS. No text that a server chose, and no query, which can carry a token, gets into an error or a log.

Some of that needs parts which the two libraries do not document. They are the same in requests 2.32.4 to 2.34 and in
urllib3 2.2 to 2.8, and pyproject.toml allows no later major version:

requests    Session.resolve_redirects               is asked for the next request even where redirects are not followed
            HTTPAdapter.poolmanager                 is what init_poolmanager made
urllib3     PoolManager.pool_classes_by_scheme      decides which connections are made
            HTTPConnection.sock                     is None before it is connected, as in http.client
            "Failed to parse headers"               begins the log line that quotes an answer
"""

import logging
import math
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import certifi
import requests
import requests.adapters
import urllib3
from typing_extensions import override
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from walletsync.errors import (
    CertificateUntrusted,
    ConnectionRefused,
    ProtocolError,
    ServerNameUnknown,
    ServerUnreachable,
    UsageError,
)
from walletsync.remedies import Remedy

IF_NONE_MATCH = "If-None-Match"
NOT_MODIFIED = 304
_EXCHANGE_SECONDS = 300.0
"""A whole exchange takes no longer. `timeout` bounds only each wait, and a server may send a little at a time."""
_CHUNK_BYTES = 64 * 1024
_LONGEST_RETRY_SECONDS = 24 * 60 * 60
_SECONDS = re.compile(r"[0-9]{1,15}")
_REQUEST_ID = re.compile(r"[0-9A-Fa-f-]{16,36}")


@dataclass(frozen=True)
class Answer:
    """Status and body of an HTTP answer, and its `Retry-After` in seconds, from 1 to a day, None without one.

    `request_id` is its `X-Request-Id`, None without one that can be a server's.
    """

    status: int
    body: bytes
    retry_after: int | None = None
    request_id: str | None = None


class Transport:
    """Connections to servers; `timeout` is seconds for each wait. One thread at a time.

    Raises:
        UsageError: `timeout` is not above 0, or `ca_file` cannot be read.
    """

    def __init__(self, *, timeout: float, proxy: str | None, ca_file: str | None) -> None:
        if not timeout > 0:
            raise UsageError("The timeout is in seconds, and has to be above 0.")
        self._timeout = timeout
        self._deadline = _Deadline()
        self._session = _Session()
        self._session.trust_env = False
        self._session.verify = certifi.where() if ca_file is None else ca_file
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        if proxy is not None:
            self._session.proxies = {"http": proxy, "https": proxy}
        self.tls = _default_tls() if ca_file is None else _tls(ca_file)
        """The context of every connection."""
        adapter = _Adapter(self._deadline, self.tls)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        # Bodies are small or incompressible, and a decompressor is a bomb's fuse.
        self._session.headers.update({"Accept": "application/json", "Accept-Encoding": "identity"})

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def exchange(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str],
        body: bytes | None,
        limit: int,
    ) -> Answer:
        """Send one request, return its answer of at most `limit` bytes.

        Raises:
            ServerUnreachable: none came, or it did not end in time; subclasses say more where the system does.
            ProtocolError: it is a redirect, compressed, or over the limit.
        """
        try:
            with (
                self._deadline.running(),
                self._session.request(
                    method,
                    url,
                    params=query,
                    data=body,
                    headers=dict(headers),
                    timeout=self._timeout,
                    allow_redirects=False,
                    stream=True,
                ) as answer,
            ):
                request_id = _request_id(answer)
                try:
                    if answer.status_code != NOT_MODIFIED or IF_NONE_MATCH not in headers:
                        _refuse_redirect(answer, url)
                    body_read = _read(answer, url, limit)
                except ProtocolError as error:
                    error.request_id = request_id
                    raise
                return Answer(answer.status_code, body_read, _retry_after(answer), request_id)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            # The exception's own text would show the query, or what the server wrote.
            why = "it took too long" if self._deadline.has_passed else type(error).__name__
            cause = _cause(error)
        # Out here, because the error above holds the request with its token or password, and one raised there would
        # hold the error.
        raise _unreachable(url, why, cause) from cause


def _cause(error: BaseException | None) -> OSError | None:
    """Return what the system said in the first place, with nothing of the request; None if it said nothing."""
    cause = None
    while error is not None:
        if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
            cause = error
        error = error.__cause__ or error.__context__
    if cause is not None:
        cause.__cause__ = cause.__context__ = None
        cause.__traceback__ = None  # its frames have the request
    return cause


def _unreachable(url: str, why: str, cause: OSError | None) -> ServerUnreachable:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return CertificateUntrusted(
            f"{url} has a certificate that is not trusted ({cause.verify_message}), so nothing was sent.",
            remedy=Remedy.GIVE_CA_FILE,
        )
    if isinstance(cause, socket.gaierror):
        return ServerNameUnknown(
            f"No address is known for the server's name in {url}. Check its spelling and the network: nothing is lost."
        )
    if isinstance(cause, ConnectionRefusedError):
        return ConnectionRefused(
            f"No answer from {url}: nothing listens there. Check that the server is running, and its port, then try "
            "again: nothing is lost."
        )
    return ServerUnreachable(
        f"No answer from {url} ({why}). Check that the server is running, its address and the network, then try "
        "again: nothing is lost, and nothing is stored twice."
    )


def _refuse_redirect(answer: requests.Response, url: str) -> None:
    if 300 <= answer.status_code < 400:
        raise ProtocolError(
            f"{url} redirects elsewhere, and redirects are not followed. If you trust the new address, give that one "
            "as the server's URL."
        )


def _read(answer: requests.Response, url: str, limit: int) -> bytes:
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise ProtocolError(f"{url} compressed its answer, which was not asked for. Turn that off for this path.")
    body = bytearray()
    while chunk := answer.raw.read1(_CHUNK_BYTES, decode_content=False):
        body += chunk
        if len(body) > limit:
            raise ProtocolError(f"The answer of {url} does not end: it was cut off after {limit:,} bytes.")
    return bytes(body)


def _request_id(answer: requests.Response) -> str | None:
    """Return the header if it is what servers make: no text, token, seed or password of ours fits, reflected or not."""
    given = answer.headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else None


def _retry_after(answer: requests.Response) -> int | None:
    """Return the header in seconds; it has seconds or a date (RFC 9110, 10.2.3). What is neither counts as none."""
    value = answer.headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(value):
        seconds = int(value)
    else:
        try:
            seconds = math.ceil(parsedate_to_datetime(value).timestamp() - time.time())
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 1), _LONGEST_RETRY_SECONDS)


class _Session(requests.Session):
    @override
    def resolve_redirects(self, *_: Any, **__: Any) -> Iterator[Any]:
        """Resolve none: even unfollowed, it would read the whole body and parse what the server wrote."""
        yield from ()


class _Deadline:
    """Cuts the connection of an exchange that takes too long, whatever it is waiting for."""

    def __init__(self) -> None:
        self.connection: HTTPConnection | None = None
        self.has_passed = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Apply to what happens inside."""
        self.has_passed = False
        timer = threading.Timer(_EXCHANGE_SECONDS, self._cut_connection)
        timer.daemon = True
        try:
            timer.start()
            yield
        finally:
            timer.cancel()

    def _cut_connection(self) -> None:
        self.has_passed = True
        connected = self.connection.sock if self.connection is not None else None
        if connected is not None:
            try:
                # Not the method of a TLS socket: it would take the TLS state from under the thread that reads.
                socket.socket.shutdown(connected, socket.SHUT_RDWR)
            except OSError:
                return  # it ended at the same moment


class _Adapter(requests.adapters.HTTPAdapter):
    """Makes connections that the deadline can cut, with a TLS context that nobody else sets up."""

    def __init__(self, deadline: _Deadline, tls: ssl.SSLContext) -> None:
        self._pools = _pool_classes(deadline)
        self._tls = tls
        super().__init__()

    @override
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*arguments, ssl_context=self._tls, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    @override
    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        """Make the pools of connections through a proxy."""
        manager = super().proxy_manager_for(*arguments, ssl_context=self._tls, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _pool_classes(deadline: _Deadline) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        @override
        def connect(self) -> None:
            deadline.connection = self
            super().connect()

    class Secure(HTTPSConnection):
        @override
        def connect(self) -> None:
            deadline.connection = self
            super().connect()

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


@cache
def _default_tls() -> ssl.SSLContext:
    """Return the one context for the usual authorities: reading them all takes longer than many an exchange."""
    return _tls(certifi.where())


def _tls(ca_file: str) -> ssl.SSLContext:
    # Made by hand: the usual makers of a context take a key log from the environment.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError):
        raise UsageError("The file of CA certificates cannot be read as one in PEM form.") from None
    return context


class _WithoutQueries(logging.Filter):
    """Keeps tokens in queries, and what servers write, out of urllib3's log lines."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten each argument to what is before a question mark; drop lines that quote an answer."""
        if isinstance(record.args, tuple):
            record.args = tuple(arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args)
        return not str(record.msg).startswith("Failed to parse headers")


for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).addFilter(_WithoutQueries())
