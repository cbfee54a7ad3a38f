"""The realm that keys are bound to: a server's URL, in the one form of it. Pure text; nothing is looked up."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from walletsync.errors import InvalidServerURL, UsageError
from walletsync.remedies import Remedy

_DEFAULT_PORTS = {"http": 80, "https": 443}


def normalised_url(url: str, *, allow_plain_http: bool = False) -> str:
    """Return origin and path of a server's URL in the form that keys are bound to.

    Scheme and host in lower case, no default port, no slash at the end, an IP address in its short form; anything that
    another program could read in another way is refused.

    Raises:
        InvalidServerURL: with a sentence that says what is wrong.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidServerURL(_WANTED_URL) from None
    host = (parts.hostname or "").lower()
    address = _ip_address(host)
    if parts.scheme not in _DEFAULT_PORTS or not (address or _HOST_NAME.fullmatch(host)):
        raise InvalidServerURL(_WANTED_URL)
    if (
        parts.username is not None
        or parts.password is not None
        or "?" in url
        or "#" in url
        or not _is_plain_path(parts)
    ):
        raise InvalidServerURL(
            "A server's URL has only a scheme, host, port and path: no user name, password, query, fragment or dots."
        )
    is_loopback = address.is_loopback if address else host == "localhost"
    if parts.scheme == "http" and not (allow_plain_http or is_loopback):
        raise InvalidServerURL("Plain http would show tokens to the network.", remedy=Remedy.ALLOW_PLAIN_HTTP)
    shown_host = f"[{address}]" if address and address.version == 6 else str(address or host)
    shown_port = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{shown_host}{shown_port}{parts.path.rstrip('/')}"


_WANTED_URL = (
    "A server's URL looks like https://wallet.example.com or http://127.0.0.1:8090; a name with letters outside ASCII "
    "is written in its xn-- form."
)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# No name that ends like a number: some programs read those as addresses, others do not.
_HOST_NAME = re.compile(rf"(?!(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\Z){_LABEL}(?:\.{_LABEL})*")


def _is_plain_path(parts: SplitResult) -> bool:
    return bool(re.fullmatch(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?", parts.path))


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host) if "%" not in host else None
    except ValueError:
        return None


def normalised_realm(realm: str) -> str:
    """Return an explicit realm as keys are bound to it: an earlier URL of the server, or any other name as it is.

    Raises:
        UsageError: it is empty, or not valid text.
    """
    if not realm or not is_text(realm):
        raise UsageError("The realm is the server's earlier URL, or another name that is not empty.")
    return normalised_url(realm, allow_plain_http=True) if "://" in realm else realm


def is_text(value: str) -> bool:
    """Tell whether it can be encoded: what a terminal could not decode comes as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in value)
