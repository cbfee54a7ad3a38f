"""HTTP: which servers are talked to, what is never followed or believed, and what no error shows."""

import gzip
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.middle import GET_WALLET, POST_WALLET, WELL_KNOWN, Answer, Middle
from walletsync import Client, api
from walletsync.api import normalised_url
from walletsync.errors import (
    InvalidServerURL,
    ProtocolError,
    ServerError,
    ServerUnreachable,
    Unauthorized,
    WalletTooLarge,
)

Device = Callable[..., Client]


@pytest.mark.parametrize(
    ("given", "normalised"),
    [
        ("https://wallet.example.com", "https://wallet.example.com"),
        ("HTTPS://Wallet.Example.COM:443/", "https://wallet.example.com"),
        ("https://wallet.example.com:8443/sync/", "https://wallet.example.com:8443/sync"),
        ("https://b\u00fccher.example.com", "https://xn--bcher-kva.example.com"),
        ("http://127.0.0.1:8090", "http://127.0.0.1:8090"),
        ("http://localhost:80/", "http://localhost"),
        ("http://[::1]:8090", "http://[::1]:8090"),
    ],
)
def test_a_servers_url_has_one_form(given: str, normalised: str) -> None:
    """Keys are bound to it, so every spelling of an address is the same one."""
    assert normalised_url(given) == normalised


@pytest.mark.parametrize(
    "url",
    [
        "",
        "wallet.example.com",
        "ftp://wallet.example.com",
        "https://",
        "https://wallet.example.com:port",
        "https://wallet.example.com:99999",
        "https://[::1",
        "https://" + "a" * 70 + ".example.com",
        "https://me:secret@wallet.example.com",
        "https://wallet.example.com/?token=secret",
        "https://wallet.example.com/#secret",
    ],
)
def test_what_is_no_servers_url_is_refused(url: str) -> None:
    """The error says how one looks, and does not repeat what may be a secret."""
    with pytest.raises(InvalidServerURL) as refused:
        Client(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("host", ["wallet.example.com", "192.0.2.1", "127.0.0.1.example.com", "[2001:db8::1]"])
def test_plain_http_is_refused_off_loopback_unless_asked_for(host: str) -> None:
    """Tokens do not cross a network in the clear by mistake."""
    with pytest.raises(InvalidServerURL, match="use https, or pass allow_plain_http"):
        Client(f"http://{host}")
    Client(f"http://{host}", allow_plain_http=True).close()


HOSTILE = {
    "not JSON": b"<html>hello</html>",
    "empty": b"",
    "a list": b"[]",
    "NaN": b'{"encryptedWallet": "a", "sequence": NaN, "hmac": "b"}',
    "true as sequence": b'{"encryptedWallet": "a", "sequence": true, "hmac": "b"}',
    "a float": b'{"encryptedWallet": "a", "sequence": 1.0, "hmac": "b"}',
    "a huge integer": b'{"encryptedWallet": "a", "sequence": %s, "hmac": "b"}' % (b"9" * 100_000),
    "sequence 0": b'{"encryptedWallet": "a", "sequence": 0, "hmac": "b"}',
    "sequence 2^32": b'{"encryptedWallet": "a", "sequence": 4294967296, "hmac": "b"}',
    "a lone surrogate": b'{"encryptedWallet": "\\ud800", "sequence": 1, "hmac": "b"}',
    "bad UTF-8": b'{"encryptedWallet": "\xff", "sequence": 1, "hmac": "b"}',
    "an unknown field": b'{"encryptedWallet": "a", "sequence": 1, "hmac": "b", "suite": 0}',
    "a missing field": b'{"encryptedWallet": "a", "sequence": 1}',
    "an empty wallet": b'{"encryptedWallet": "", "sequence": 1, "hmac": "b"}',
    "deep nesting": b'{"encryptedWallet": ' + b"[" * 200_000,
    "another version": b'{"encryptedWallet": "a", "sequence": 1, "hmac": "b", "version": 2}',
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_an_answer_that_is_not_the_protocols_is_refused(body: bytes, device: Device, middle: Middle) -> None:
    """Whatever comes with a 200 or a 409, it is a ProtocolError, and nothing of it is used."""
    client = device("laptop")
    client.new_wallet_state()
    middle.always(GET_WALLET, Answer(200, body))
    middle.always(POST_WALLET, Answer(200, body))
    for call in (client.get_wallet, client.post_wallet):
        with pytest.raises(ProtocolError):
            call()
    conflict = body.replace(b"{", b'{"error": "a", ', 1)
    middle.always(POST_WALLET, Answer(409, conflict))
    if body != HOSTILE["a missing field"]:  # then there is no wallet in the answer, which is legitimate
        with pytest.raises(ProtocolError):
            client.post_wallet()


def test_deeply_nested_well_known_is_refused(middle: Middle) -> None:
    """Where unknown fields are ignored, they cannot exhaust the stack either."""
    middle.always(WELL_KNOWN, Answer(200, b'{"later": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"))
    with Client(middle.url) as client:
        client.set_account("alice@example.com", "a password")
        with pytest.raises(ProtocolError):
            client.register()


def test_a_server_without_our_payload_version_is_refused(middle: Middle) -> None:
    """The message says what to do."""
    middle.change(WELL_KNOWN, lambda answer: Answer(200, answer.json | {"payloadVersions": [2]}))
    with Client(middle.url) as client:
        client.set_account("alice@example.com", "a password")
        with pytest.raises(ProtocolError, match="Update this client"):
            client.register()


def test_a_compressed_answer_is_refused_unread(device: Device, middle: Middle) -> None:
    """No bomb gets near a decompressor."""
    client = device("laptop")
    middle.always(GET_WALLET, Answer(200, gzip.compress(bytes(10_000_000)), {"Content-Encoding": "gzip"}))
    with pytest.raises(ProtocolError, match="compressed"):
        client.get_wallet()


def test_an_endless_answer_is_cut_off(device: Device, middle: Middle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory stays bounded, whatever a server sends."""
    monkeypatch.setattr(api, "_MAX_ANSWER_BYTES", 100_000)
    client = device("laptop")
    middle.always(GET_WALLET, Answer(200, b"x" * 1_000_000))
    with pytest.raises(ProtocolError, match="does not end"):
        client.get_wallet()


def test_an_answer_that_takes_too_long_is_cut_off(
    device: Device, middle: Middle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server cannot hold a client by sending a little at a time."""
    client = device("laptop")
    monkeypatch.setattr(api, "_ANSWER_SECONDS", -1.0)
    with pytest.raises(ProtocolError, match="does not end"):
        client.get_wallet()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int, device: Device, middle: Middle) -> None:
    """Neither a body nor a token goes to an address that a server names."""
    client = device("laptop")
    client.new_wallet_state()
    elsewhere = Answer(status, b"", {"Location": f"{middle.url}/elsewhere"})
    middle.always(GET_WALLET, elsewhere)
    middle.always(POST_WALLET, elsewhere)
    middle.requests.clear()
    for call in (client.get_wallet, client.post_wallet):
        with pytest.raises(ProtocolError, match="redirects"):
            call()
    assert middle.requests == [GET_WALLET, POST_WALLET]


def test_a_planted_netrc_and_proxy_are_ignored(
    device: Device, middle: Middle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment neither gives credentials away nor sends requests elsewhere."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login mallory password planted\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    client = device("laptop")
    client.set_document({"a": 1})
    assert client.sync().sequence == 1


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy that only notes what it is asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(502)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_the_proxy_that_is_given_is_used(proxy: tuple[str, list[str]], middle: Middle) -> None:
    """`proxy=` sends every request there."""
    url, asked = proxy
    with Client(middle.url, proxy=url) as client:
        client.set_account("alice@example.com", "a password")
        with pytest.raises(ServerError):
            client.register()
    assert asked == [f"{middle.url}/.well-known/walletsync"]


def test_an_unreachable_server_is_named(middle: Middle) -> None:
    """Nobody listens there: the error names the address and says that nothing is lost."""
    with Client("http://127.0.0.1:9/sync") as client:
        client.set_account("alice@example.com", "a password")
        with pytest.raises(ServerUnreachable, match=r"No answer from http://127\.0\.0\.1:9/sync"):
            client.register()


def test_what_a_server_writes_does_not_get_into_an_error(device: Device, middle: Middle) -> None:
    """It could be our own token, reflected into a log."""
    client = device("laptop")
    token = client._device.state.token
    assert token is not None
    for body in ({"error": token, "code": token}, {"error": token, "code": "bad_request"}, token.encode()):
        middle.always(GET_WALLET, Answer(418, body))
        with pytest.raises(ServerError) as raised:
            client.get_wallet()
        assert raised.value.status == 418
        assert token not in f"{raised.value!s} {raised.value!r} {raised.value.__dict__}"


def test_an_error_carries_status_and_code(device: Device, middle: Middle) -> None:
    """For programs; the sentence is for people."""
    client = device("laptop")
    middle.always(GET_WALLET, Answer(401, {"error": "Sign in.", "code": "unauthorized"}))
    with pytest.raises(Unauthorized, match="get_auth_token") as raised:
        client.get_wallet()
    assert (raised.value.status, raised.value.code) == (401, "unauthorized")


def test_a_wallet_over_the_servers_limit_is_not_sent(device: Device, middle: Middle) -> None:
    """The limit is the server's own, and the document stays as it is."""
    limits = {"encryptedWalletBytes": 1000, "keptVersions": 10, "devices": 100}
    middle.change(WELL_KNOWN, lambda answer: Answer(200, answer.json | {"limits": limits}))
    client = device("laptop")
    client.set_document({"long": "x" * 1000})
    middle.requests.clear()
    with pytest.raises(WalletTooLarge, match="the server takes 1,000"):
        client.post_wallet()
    assert POST_WALLET not in middle.requests
    assert client.get_document() == {"long": "x" * 1000}


def test_every_request_has_a_time_out(middle: Middle, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts and never answers does not hold a client."""
    release = threading.Event()

    def never(_: Any) -> Answer:
        release.wait()
        return Answer(200, {})

    middle.instead(WELL_KNOWN, never)
    with Client(middle.url, timeout=0.2) as client:
        client.set_account("alice@example.com", "a password")
        with pytest.raises(ServerUnreachable, match="ReadTimeout"):
            client.register()
    release.set()
