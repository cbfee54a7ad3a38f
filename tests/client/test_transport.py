"""One exchange with a server that is not trusted, over real sockets."""

import datetime
import gzip
import http.server
import ipaddress
import logging
import os
import resource
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from tests.end_to_end.lbry_server import LbryServer
from tests.middle import GET_WALLET, POST_WALLET, WELL_KNOWN, Answer, Middle
from walletsync import Client, api, transport
from walletsync.errors import (
    CertificateUntrusted,
    ConnectionRefused,
    InvalidServerURL,
    ProtocolError,
    ServerError,
    ServerNameUnknown,
    ServerUnreachable,
    UsageError,
    WalletSyncError,
)

Device = Callable[..., Client]


@pytest.mark.promise("T-14")
def test_a_compressed_answer_is_refused_unread(device: Device, middle: Middle) -> None:
    """No bomb gets near a decompressor."""
    client = device("laptop")
    middle.always(GET_WALLET, Answer(200, gzip.compress(bytes(10_000_000)), {"Content-Encoding": "gzip"}))
    with pytest.raises(ProtocolError, match="compressed"):
        client.get_wallet()


@pytest.mark.promise("P-14", "T-14")
def test_an_endless_answer_is_cut_off(device: Device, middle: Middle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory stays bounded, whatever a server sends; and where no wallet is expected, the bound is a small one."""
    monkeypatch.setattr(api, "_MAX_WALLET_ANSWER_BYTES", 100_000)
    client = device("laptop")
    middle.always(GET_WALLET, Answer(200, b"x" * 1_000_000))
    with pytest.raises(ProtocolError, match="cut off after 100,000 bytes"):
        client.get_wallet()
    middle.always(WELL_KNOWN, Answer(200, b"x" * 1_000_000))
    with pytest.raises(ProtocolError, match="cut off after 65,536 bytes"):
        device("phone")


REDIRECTS = {
    "nothing": (b"", {}),
    "a bomb": (gzip.compress(bytes(200_000_000)), {"Content-Encoding": "gzip"}),
    "a place that is no URL": (b"", {"Location": "http://[::1"}),
    "a place in no encoding": (b"", {"Location": "http://example.com/\xff"}),
}


@pytest.mark.promise("P-5", "S-9", "T-16")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(("body", "headers"), REDIRECTS.values(), ids=REDIRECTS.keys())
def test_no_redirect_is_followed_or_read(
    status: int, body: bytes, headers: dict[str, str], device: Device, middle: Middle
) -> None:
    """Neither a body nor a token goes to an address that a server names, and nothing in the redirect is looked at."""
    client = device("laptop")
    client.new_wallet_state()
    elsewhere = Answer(status, body, {"Location": f"{middle.url}/elsewhere"} | headers)
    middle.always(GET_WALLET, elsewhere)
    middle.always(POST_WALLET, elsewhere)
    middle.requests.clear()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for call in (client.get_wallet, client.post_wallet):
        with pytest.raises(ProtocolError, match="redirects"):
            call()
    assert middle.requests == [GET_WALLET, POST_WALLET]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB; the bomb has 200,000


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


ENDLESS = {
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a header": (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
    "a body": (b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", b"x"),
    "a chunk's extension": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x"),
    "trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n"),
}


@contextmanager
def raw_server(start: bytes, then: bytes | None) -> Iterator[str]:
    """Answer every connection with `start`, then with `then` again and again until the client hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return  # closed by the test
                with connection:
                    connection.recv(65536)
                    connection.sendall(start)
                    gone = threading.Event()
                    while then is not None and not gone.wait(0.01):
                        try:
                            connection.sendall(then)
                        except OSError:
                            gone.set()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(("start", "then"), ENDLESS.values(), ids=ENDLESS.keys())
def test_a_server_cannot_hold_a_client(start: bytes, then: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a server drags an answer out, a little at a time, the exchange ends."""
    monkeypatch.setattr(transport, "_EXCHANGE_SECONDS", 0.5)
    with raw_server(start, then) as url, Client(url, timeout=20) as client:
        client.set_account("alice@example.com", "a password")
        with pytest.raises(WalletSyncError):
            client.register()


def test_an_exchange_that_was_cut_says_so_and_the_next_one_works(
    device: Device, middle: Middle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message tells that it took too long, and the client goes on with a new connection."""
    client = device("laptop")
    client.set_document({"a": 1})
    release = threading.Event()

    def late(_: bytes) -> Answer:
        release.wait()
        return Answer(200, {})

    middle.instead(GET_WALLET, late)
    monkeypatch.setattr(transport, "_EXCHANGE_SECONDS", 0.3)
    with pytest.raises(ServerUnreachable, match="it took too long"):
        client.get_wallet()
    release.set()
    monkeypatch.undo()
    middle.honest()


def unreachable(url: str) -> ServerUnreachable:
    with Client(url, timeout=5, allow_plain_http=True) as client:
        client.set_account("alice@example.com", "a password")
        with pytest.raises(ServerUnreachable) as error:
            client.register()
    return error.value


def test_why_nobody_answers_is_told_apart(middle: Middle) -> None:
    """A name without an address, and an address where nothing listens; each with what to check."""
    unknown = unreachable("http://wallet.invalid")
    assert type(unknown) is ServerNameUnknown
    assert "Check its spelling" in unknown.message
    assert isinstance(unknown.__cause__, socket.gaierror)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    refused = unreachable(f"http://127.0.0.1:{port}")
    assert type(refused) is ConnectionRefused
    assert "Check that the server is running, and its port" in refused.message
    assert isinstance(refused.__cause__, ConnectionRefusedError)


def test_broken_http_ends_in_our_own_errors() -> None:
    """Whatever a server sends instead of HTTP, it is an error of ours."""
    for start in (
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.1 99999 \xff\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    ):
        with raw_server(start, None) as url, Client(url, timeout=5) as client:
            client.set_account("alice@example.com", "a password")
            with pytest.raises(WalletSyncError):
                client.register()


def test_no_cookie_is_kept(device: Device, middle: Middle) -> None:
    """A server cannot mark a device."""
    cookie = {"Set-Cookie": "track=me; Path=/"}
    middle.change(WELL_KNOWN, lambda answer: Answer(answer.status, answer.body, cookie))
    middle.change(GET_WALLET, lambda answer: Answer(answer.status, answer.body, cookie))
    client = device("laptop")
    client.set_document({})
    client.sync()
    client.sync()
    assert not any("Cookie" in head for head in middle.heads)


@pytest.mark.promise("T-17")
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


def test_plain_http_through_a_proxy_beyond_this_machine_is_refused() -> None:
    """Even to a loopback address it would show tokens to the network."""
    with pytest.raises(InvalidServerURL, match="allow_plain_http"):
        Client("http://127.0.0.1:8090", proxy="http://proxy.example.com:3128")
    Client("http://127.0.0.1:8090", proxy="http://proxy.example.com:3128", allow_plain_http=True).close()
    Client("https://wallet.example.com", proxy="http://proxy.example.com:3128").close()


@pytest.mark.parametrize("options", [{"timeout": 0}, {"timeout": -1.0}, {"ca_file": "/missing.pem"}])
def test_settings_that_cannot_work_are_refused_at_once(options: dict[str, Any]) -> None:
    """Before anything is sent, with a sentence that names the setting."""
    with pytest.raises(UsageError, match=r"timeout|CA certificates"):
        Client("https://wallet.example.com", **options)


@pytest.mark.promise("S-9", "T-15")
def test_no_log_line_shows_a_token_or_what_a_server_wrote(caplog: pytest.LogCaptureFixture) -> None:
    """Not even for a server that takes the token in the URL only, and not even at the level of debugging."""
    caplog.set_level(logging.DEBUG)
    with LbryServer() as server, Client(server.url) as client:
        client.set_account("alice@example.com", "a password")
        client.register()
        token = client.get_auth_token().value
        client.set_document({})
        client.sync()
    assert "/api/3/wallet" in caplog.text
    assert token not in caplog.text
    assert "email=" not in caplog.text
    caplog.clear()
    broken = b"HTTP/1.1 404 Not Found\r\nsecret reflected\r\nContent-Length: 0\r\n\r\n"
    with raw_server(broken, None) as url, Client(url, timeout=5) as client:
        client.set_account("alice@example.com", "a password")
        with pytest.raises(WalletSyncError):
            client.register()
    assert "reflected" not in caplog.text


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "walletsync test")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + built.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
def tls(certificate: Path, running_server: Any) -> Iterator[Middle]:
    """The middle, over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Middle(running_server.url, tls=context) as middle:
        yield middle


def test_https_is_trusted_by_the_ca_file_that_is_given(
    tls: Middle, certificate: Path, address: Callable[[], str]
) -> None:
    """With it the whole flow works; without it, or under another name, nothing but the handshake leaves."""
    assert tls.url.startswith("https://127.0.0.1:")
    with Client(tls.url, ca_file=str(certificate)) as client:
        client.set_account(address(), "a password")
        client.register()
        client.set_document({"a": 1})
        assert client.sync().sequence == 1
    tls.requests.clear()
    told: list[str] = []
    for url, ca_file in ((tls.url, None), (tls.url.replace("127.0.0.1", "localhost"), str(certificate))):
        with Client(url, ca_file=ca_file) as client:
            client.set_account("alice@example.com", "a password")
            with pytest.raises(CertificateUntrusted, match=r"not trusted.*`ca_file=`") as error:
                client.register()
            assert isinstance(error.value.__cause__, ssl.SSLCertVerificationError)
            told.append(error.value.message)
    assert "self-signed" in told[0]
    assert "Hostname mismatch" in told[1]
    assert not tls.requests


def test_no_key_log_is_written_for_the_environment(
    tls: Middle, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSLKEYLOGFILE would hand every token to whoever can set a variable."""
    log = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    with Client(tls.url, ca_file=str(certificate)) as client:
        client.set_account("alice@example.com", "a password")
        with pytest.raises(ServerError):
            client.get_auth_token()
    assert tls.requests
    assert not log.exists()
