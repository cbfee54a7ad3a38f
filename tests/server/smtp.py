"""A real mail server for the tests, which can be down, slow or of another opinion."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from walletsync_server.settings import NO_TLS, STARTTLS, TLS

HOST = "127.0.0.1"
USERNAME, PASSWORD = "walletsync", "mail canary 51f9"
LINK = "https://sync.example.com/api/3/verify?verifyToken="


@dataclass(frozen=True)
class Received:
    """A mail that arrived: to whom by the envelope, what it says, and how it came."""

    to: str
    message: EmailMessage
    encrypted: bool
    authenticated: bool

    @property
    def token(self) -> str:
        """The token in its link."""
        (word,) = (word for word in self.message.get_content().split() if word.startswith(LINK))
        return str(word.removeprefix(LINK))


@dataclass
class Certificates:
    """An authority and the certificate of a server on this machine."""

    authority: trustme.CA = field(default_factory=trustme.CA)

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(HOST).configure_cert(context)
        return context

    def write(self, folder: Path) -> Path:
        """Return a file that clients trust the authority by, as SSL_CERT_FILE."""
        file = folder / "authority.pem"
        self.authority.cert_pem.write_to_path(str(file))
        return file


class _Controller(Controller):
    """Ends its connections when it stops, as the end of a process would; aiosmtpd's own leaves them open."""

    def __init__(self, handler: Any, **options: Any) -> None:
        super().__init__(handler, **options)
        self._transports: list[asyncio.Transport] = []

    def factory(self) -> SMTP:
        transports = self._transports

        class Connection(SMTP):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                assert isinstance(transport, asyncio.Transport)
                transports.append(transport)
                super().connection_made(transport)

        return Connection(self.handler, **self.SMTP_kwargs)

    def stop(self, no_assert: bool = False) -> None:
        asyncio.run_coroutine_threadsafe(self._end_connections(), self.loop).result(30)
        super().stop(no_assert)

    async def _end_connections(self) -> None:
        assert self.server
        self.server.close()
        for transport in self._transports:
            transport.abort()
        await asyncio.sleep(0.01)  # their ends are calls that the loop has yet to make


class MailServer:
    """From `start` to `stop`, and again, on one port that nobody else gets; inside of `with`.

    `security` is as in `Settings.mail_security`. `says` may return what to answer instead to a command (RCPT or DATA)
    about an address. `guesses` has the passwords that were tried.
    """

    def __init__(
        self, security: str = NO_TLS, certificates: Certificates | None = None, *, login: bool = False
    ) -> None:
        self.inbox: list[Received] = []
        self.guesses: list[bytes] = []
        self.says: Callable[[str, str], str | None] = lambda command, address: None
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind((HOST, 0))
        self.port: int = self._reserved.getsockname()[1]
        self._options: dict[str, Any] = {}
        context = certificates.context() if certificates else None
        if security == STARTTLS:
            self._options |= {"tls_context": context, "require_starttls": True}
        elif security == TLS:
            self._options |= {"ssl_context": context, "auth_require_tls": False}  # it knows of STARTTLS only
        if login:
            self._options |= {"authenticator": self._authenticate, "auth_required": True}
        self._controller: _Controller | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._reserved.close()

    def start(self) -> Self:
        self._controller = _Controller(self, hostname=HOST, port=self.port, ready_timeout=30, **self._options)
        self._controller.start()
        return self

    def stop(self) -> None:
        if self._controller:
            self._controller.stop()
            self._controller = None

    def to(self, address: str) -> list[Received]:
        """Return what arrived for this address."""
        return [mail for mail in self.inbox if mail.to == address]

    async def handle_RCPT(
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.says("RCPT", address)
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        (address,) = envelope.rcpt_tos
        answer = self.says("DATA", address)
        if answer is None:
            assert isinstance(envelope.content, bytes)
            message = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(message, EmailMessage)
            encrypted = server.transport.get_extra_info("ssl_object") is not None
            self.inbox.append(Received(address, message, encrypted, bool(session.authenticated)))
        return answer or "250 OK"

    def _authenticate(
        self, server: Any, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword
    ) -> AuthResult:
        self.guesses.append(data.password)
        right = (data.login, data.password) == (USERNAME.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=right)  # what is not handled gets a 535
