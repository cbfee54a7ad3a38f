"""Where a request comes from: what is believed of what proxies say, and of what clients say in their name."""

import pytest

from walletsync_server.api.http import Request
from walletsync_server.api.proxies import TrustedProxies

PROXY, CDN, CLIENT, LIAR = "10.0.0.1", "2001:db8::5", "192.0.2.1", "198.51.100.66"
HOPS = TrustedProxies(["10.0.0.0/8", "2001:db8::5", "::1"])


def request(peer: str = PROXY, **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method="GET", path="/", headers=named, peer=peer)


@pytest.mark.parametrize(
    ("peer", "listed", "client"),
    [
        (CLIENT, LIAR, CLIENT),
        (PROXY, CLIENT, CLIENT),
        (PROXY, f"{LIAR}, {CLIENT}", CLIENT),
        (PROXY, f"{LIAR},{CLIENT} , {CDN}", CLIENT),
        (PROXY, f"{LIAR}, {CLIENT}, {PROXY}, {CDN}", CLIENT),
        ("::ffff:10.0.0.1", CLIENT, CLIENT),
        ("::1", f"{LIAR}, ::ffff:{CLIENT}", CLIENT),
        (PROXY, f"{CLIENT}:4711", CLIENT),
        (PROXY, f"[{CDN}]:4711", CDN),
        (PROXY, f"{LIAR}, [2001:DB8::7]", "2001:db8::7"),
        (PROXY, "10.1.1.1, 10.2.2.2", "10.1.1.1"),
        (PROXY, f"{LIAR}, unknown", PROXY),
        (PROXY, f"{LIAR}, nonsense, {CDN}", CDN),
        (PROXY, f"{LIAR},", PROXY),
        (PROXY, f"{LIAR}, 192.0.2.256", PROXY),
        (PROXY, f"{LIAR}, :80", PROXY),
        (PROXY, f"{LIAR}, []", PROXY),
        (PROXY, "", PROXY),
        ("", CLIENT, ""),
        ("127.0.0.1", CLIENT, "127.0.0.1"),
    ],
)
def test_client_behind_trusted_hops(peer: str, listed: str, client: str) -> None:
    """The list is walked from its end; the first that is not trusted is the client, and the rest its own words."""
    assert HOPS.client_of(request(peer, x_forwarded_for=listed)) == client


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (f"for={CLIENT}", CLIENT),
        (f"for={LIAR}, For={CLIENT};proto=https;by={PROXY}", CLIENT),
        (f'for={LIAR}, for="{CLIENT}:80"', CLIENT),
        (f'for={LIAR}, proto=http ; for="[2001:db8::7]:80", for={PROXY}', "2001:db8::7"),
        (f'for="{LIAR}, for={CLIENT}', CLIENT),
        (f"for={LIAR}, for=unknown", PROXY),
        (f"for={LIAR}, for=_hidden", PROXY),
        (f"for={LIAR}, by={CLIENT}", PROXY),
        (f"for={LIAR}, for={CLIENT};for={LIAR}", PROXY),
        (f"for={LIAR}, for={CLIENT};nonsense", PROXY),
        (f'for={LIAR}, for="{CLIENT}', PROXY),
        ("", PROXY),
    ],
)
def test_client_in_a_forwarded_header(header: str, client: str) -> None:
    """The standard's own header is read the same way; an element that is malformed ends the walk."""
    assert HOPS.client_of(request(forwarded=header)) == client


def test_two_headers_that_may_contradict_each_other_are_not_believed() -> None:
    """A proxy that sets one passes the other on as the client wrote it, so nobody can tell which is the proxy's."""
    assert HOPS.client_of(request(x_forwarded_for=CLIENT, forwarded=f"for={LIAR}")) == PROXY
    assert HOPS.client_of(request(x_forwarded_for=LIAR, forwarded=f"for={CLIENT}")) == PROXY


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "10.0.0.1", "", "unix:"])
def test_nobody_is_trusted_unless_named(peer: str) -> None:
    """Without a setting no header is believed, not even from this machine."""
    said = request(peer, x_forwarded_for=CLIENT, x_forwarded_proto="https", x_request_id="a" * 32)
    assert TrustedProxies().client_of(said) == peer
    assert not TrustedProxies().is_https(said)
    assert not TrustedProxies().trusts(said)
    assert TrustedProxies().request_id_of(said) is None


@pytest.mark.parametrize(
    ("peer", "headers", "secure"),
    [
        (PROXY, {"x_forwarded_proto": "https"}, True),
        (PROXY, {"x_forwarded_proto": "http, HTTPS"}, True),
        (PROXY, {"x_forwarded_proto": "https, http"}, False),
        (PROXY, {"x_forwarded_proto": "https://"}, False),
        (PROXY, {"forwarded": f"for={CLIENT};proto=https"}, True),
        (PROXY, {"forwarded": f"proto=https, for={CLIENT};proto=http"}, False),
        (PROXY, {"forwarded": f"proto=https, for={CLIENT}"}, False),
        (PROXY, {"x_forwarded_proto": "http", "forwarded": "proto=https"}, False),
        (PROXY, {}, False),
        (LIAR, {"x_forwarded_proto": "https"}, False),
        (LIAR, {"forwarded": "proto=https"}, False),
    ],
)
def test_tls_in_front(peer: str, headers: dict[str, str], secure: bool) -> None:
    """Whether clients use TLS is believed from the nearest hop, if that is trusted."""
    assert HOPS.is_https(request(peer, **headers)) is secure


@pytest.mark.parametrize(
    ("peer", "given", "known"),
    [
        (PROXY, "0123456789abcdef" * 2, True),
        (PROXY, "9b2d6c1e-7a54-4f0e-8d0a-3c4f5e6a7b8c", True),
        (LIAR, "0123456789abcdef" * 2, False),
        (PROXY, "0123456789abcde", False),
        (PROXY, "0123456789abcdef" * 4, False),
        (PROXY, "0123456789abcdef\n", False),
        (PROXY, "alice@example.com", False),
        (PROXY, "alice-at-example-com", False),
        (PROXY, "", False),
    ],
)
def test_request_ids_of_proxies(peer: str, given: str, known: bool) -> None:
    """A trusted proxy's id is kept if it looks like one: nothing of the length of a token, no text of a client."""
    assert HOPS.request_id_of(request(peer, x_request_id=given)) == (given if known else None)
