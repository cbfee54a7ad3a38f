"""The connection to the mail server."""

import smtplib
import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from walletsync_server.settings import STARTTLS, TLS, Settings

TIMEOUT_SECONDS = 20.0
"""How long the mail server may say nothing."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """How mails leave this machine."""

    host: str
    port: int
    security: str
    username: str
    password: str = field(repr=False)
    sender: str
    public_url: str


def route_of(settings: Settings) -> Route:
    """Return what `settings` say about it.

    Raises:
        SettingsError: if the password cannot be read.
    """
    return Route(
        host=settings.mail_server,
        port=settings.mail_port,
        security=settings.mail_security,
        username=settings.mail_username,
        password=settings.mail_password(),
        sender=settings.mail_from,
        public_url=settings.public_url,
    )


def connect(route: Route) -> smtplib.SMTP:
    """Return a connection to the mail server, encrypted to a certificate that was verified, and logged in.

    Raises:
        OSError: if any of that fails; nothing secret was sent over a connection that is not encrypted.
    """
    name = urlsplit(route.public_url).hostname or None  # else smtplib asks the DNS who this machine is
    context = ssl.create_default_context()
    connection: smtplib.SMTP
    if route.security == TLS:
        connection = smtplib.SMTP_SSL(route.host, route.port, name, timeout=TIMEOUT_SECONDS, context=context)
    else:
        connection = smtplib.SMTP(route.host, route.port, name, timeout=TIMEOUT_SECONDS)
    try:
        if route.security == STARTTLS:
            connection.starttls(context=context)
        if route.username:
            connection.login(route.username, route.password)
    except BaseException:
        connection.close()
        raise
    return connection


def reason(error: Exception) -> str:
    """Return why a mail server could not be used, in words that repeat nothing of a mail or a login."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return "it refuses the login: check mail_username and the file of mail_password_file"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate cannot be trusted: {error.verify_message}"
    if isinstance(error, smtplib.SMTPException):
        return f"it refuses ({type(error).__name__}): check mail_security and mail_from"
    said = getattr(error, "strerror", None) or type(error).__name__
    return f"it cannot be reached ({said}): check mail_server, mail_port and mail_security"
