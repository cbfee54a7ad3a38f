"""Where a request comes from, if proxies stand in between: believed only from those that the operator trusts."""

import functools
import ipaddress
import re
from collections.abc import Iterable

from walletsync_server.api.http import Request

_LONGEST_ADDRESS = 80  # with a scope, a port and white space
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_WITH_PORT = re.compile(r"\[(?P<v6>[^\]]*)\](?::\d+)?|(?P<v4>[^:]*):\d+")
_FORWARDED_PAIR = re.compile(r'\s*(?P<name>\w+)=(?:"(?P<quoted>[^"\\]*)"|(?P<plain>[^\s",;]*))\s*')
_REQUEST_ID = re.compile(r"[0-9A-Fa-f-]{16,36}")  # a UUID fits; words, tokens and seeds do not


class TrustedProxies:
    """The proxies that are trusted, as addresses and networks. By default none, not even on this machine.

    `are_any` says whether there are any.

    What a trusted hop says of the one before it is believed, and so on from the last hop towards the client, up to the
    first that is not trusted: that is the client. A hop that says nothing, or nothing that makes sense, counts as the
    client itself. `X-Forwarded-For` and `Forwarded` both at once make no sense either: most proxies set one and pass
    the other on as the client wrote it.
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._trusted = [ipaddress.ip_network(network) for network in trusted]
        self.are_any = bool(self._trusted)

    def trusts(self, request: Request) -> bool:
        """Say whether the other end of the connection is a trusted proxy."""
        peer = _address(request.peer) if self._trusted else None
        return peer is not None and self._is_trusted(peer)

    def client_of(self, request: Request) -> str:
        """Return the client's address; the connection's other end if that is not trusted."""
        here = _address(request.peer) if self._trusted else None
        if here is None:
            return request.peer
        before = _forwarded_for(request)
        while before and self._is_trusted(here):
            hop = _address(before.pop())
            if hop is None:
                break
            here = hop
        return str(here)

    def address_of(self, request: Request) -> str:
        """Return the client's address, as `client_of`, if it is one and nothing else; otherwise an empty text."""
        address = _address(self.client_of(request))
        return str(address) if address else ""

    def is_https(self, request: Request) -> bool:
        """Say whether a trusted proxy says that it was reached over TLS."""
        if not self.trusts(request):
            return False
        said = request.headers.get("x-forwarded-proto")
        if said is None:
            said = (_parameters(request.headers.get("forwarded", ""), "proto") or [""])[-1]
        return said.rpartition(",")[2].strip().lower() == "https"

    def request_id_of(self, request: Request) -> str | None:
        """Return the id that a trusted proxy gave the request, if it is one: 16–36 hexadecimal digits or hyphens."""
        given = request.headers.get("x-request-id", "")
        return given if _REQUEST_ID.fullmatch(given) and self.trusts(request) else None

    def _is_trusted(self, address: _Address) -> bool:
        return any(address in network for network in self._trusted)


def _forwarded_for(request: Request) -> list[str]:
    """Return what the hops say of the ones before them, the client's first."""
    listed, pairs = request.headers.get("x-forwarded-for"), request.headers.get("forwarded")
    if listed is not None and pairs is not None:
        return []
    if pairs is not None:
        return _parameters(pairs, "for")
    return listed.split(",") if listed is not None else []


def _parameters(forwarded: str, name: str) -> list[str]:
    """Return a parameter of each element of a `Forwarded` header (RFC 7239); where one is malformed, an empty text."""
    found = []
    for element in forwarded.split(","):
        pairs = [_FORWARDED_PAIR.fullmatch(pair) for pair in element.split(";")]
        values = [pair["quoted"] or pair["plain"] or "" for pair in pairs if pair and pair["name"].lower() == name]
        found.append(values[0] if len(values) == 1 and all(pairs) else "")
    return found


def _address(text: str) -> _Address | None:
    """Return an address, which may have a port; None if it is none. An IPv4 address in IPv6 form is that address."""
    return _parsed(text) if len(text) <= _LONGEST_ADDRESS else None


@functools.lru_cache(maxsize=4096)
def _parsed(text: str) -> _Address | None:
    text = text.strip()
    with_port = _WITH_PORT.fullmatch(text)
    if with_port:
        text = with_port["v6"] or with_port["v4"] or ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None) or address
