"""How the front door begins, ends and fails, in this process."""

import http.client
import resource
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import flask
import pytest

from tests.cheap_server import CheapServer
from tests.server.front import served
from tests.server.helpers import HttpWire, cheap_passwords, connect, refuses, until
from walletsync_server.app import close_app, create_app
from walletsync_server.asgi import http_protocol
from walletsync_server.asgi import server as asgi_server
from walletsync_server.asgi.http_protocol import HttpProtocol
from walletsync_server.asgi.server import CannotListen, bind, url_of
from walletsync_server.live.hub import Hub
from walletsync_server.settings import CONNECTIONS, Settings

CANARY = "canary-7f3a"
LARGE = 16 * 1024 * 1024


@pytest.fixture
def app(tmp_path: Path) -> Iterator[flask.Flask]:
    """An application of this test's own."""
    settings = Settings(database=f"sqlite:///{tmp_path}/walletsync.db", accounts="open")
    app = create_app(settings, passwords=cheap_passwords(), hub=Hub())
    yield app
    close_app(app)


def test_address_is_taken_at_once() -> None:
    """From `bind` on nobody else can have the port, and who connects waits."""
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(CannotListen, match=f"{port}: Address already in use"):
            bind("127.0.0.1", port)
        connect(url_of(listener)).close()


def test_answer_under_way_is_sent_after_a_stop(app: flask.Flask) -> None:
    """A request that has begun when the server is told to stop gets all of its answer, to the last byte."""
    begun, go = threading.Event(), threading.Event()

    @app.get("/slow")
    def slow() -> bytes:
        begun.set()
        assert go.wait(20)
        return b"x" * LARGE

    with served(app) as front, connect(front.url) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        assert begun.wait(20)
        front.stopping.set()
        go.set()
        with client.makefile("rb") as received:
            assert received.read().endswith(b"\r\n\r\n" + b"x" * LARGE)


def test_stop_does_not_wait_for_idle_connections(app: flask.Flask) -> None:
    """Connections that are kept alive, or that have said nothing for a while, are closed and hold up nothing."""
    with served(app) as front:
        kept = http.client.HTTPConnection(front.url.removeprefix("http://"), timeout=20)
        kept.request("GET", "/healthz")
        assert kept.getresponse().read()
        with connect(front.url) as silent:
            front.stopping.set()
            assert silent.recv(1) == b""
        assert kept.sock.recv(1) == b""
        kept.close()


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [("/healthz", "", b"200"), ("/api/3/websocket", "Connection: upgrade\r\nUpgrade: websocket\r\n", b"503")],
    ids=["request", "websocket"],
)
def test_newcomer_is_answered_at_a_stop(
    app: flask.Flask, monkeypatch: pytest.MonkeyPatch, path: str, more: str, status: bytes
) -> None:
    """Who had connected when the server was told to stop, and asks only then, is answered once, and not reset."""
    monkeypatch.setattr(http_protocol, "NEWCOMER_SECONDS", 20.0)
    with served(app) as front, connect(front.url) as client:
        front.wire("GET", "/healthz")  # by now the server knows the client
        front.stopping.set()
        until(lambda: refuses(front.url))
        key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{more}{key if more else ''}\r\n".encode())
        with client.makefile("rb") as received:
            head, _, body = received.read().partition(b"\r\n\r\n")
        assert head.split()[1] == status, body
        assert b"connection: close" in head.lower()


def test_stop_waits_no_longer_than_it_may(app: flask.Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that does not come to its end is cut when the time for that is over."""
    monkeypatch.setattr(asgi_server, "DRAIN_SECONDS", 0)
    with served(app) as front, connect(front.url) as client:
        client.sendall(b"POST /wallet HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        front.wire("GET", "/healthz")  # by now the other one has begun
        front.stopping.set()
        assert client.recv(1) == b""


def test_health_needs_no_thread(app: flask.Flask) -> None:
    """While every thread waits, /healthz answers, and so does the wallet."""
    begun, go = threading.Semaphore(0), threading.Event()

    @app.get("/stuck")
    def stuck() -> str:
        begun.release()
        assert go.wait(60)
        return ""

    with served(app) as front, ExitStack() as clients:
        for _ in range(100):  # more than there are threads
            client = clients.enter_context(connect(front.url))
            client.sendall(b"GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n")
        assert all(begun.acquire(timeout=20) for _ in range(16))
        try:
            assert front.wire("GET", "/healthz").status == 200
            assert front.wire("GET", "/wallet").status == 401
        finally:
            go.set()


def test_fault_of_the_door_is_logged_without_words(
    app: flask.Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault in a connection closes it, and of it the log has type and place only; others are served."""
    received = HttpProtocol.data_received

    def fail(self: HttpProtocol, data: bytes) -> None:
        if CANARY.encode() in data:
            raise RuntimeError(CANARY)
        received(self, data)

    monkeypatch.setattr(HttpProtocol, "data_received", fail)
    with served(app) as front:
        with connect(front.url) as client:
            client.sendall(CANARY.encode())
            assert client.recv(1) == b""
        assert front.wire("GET", "/healthz").status == 200
    assert "event=unexpected_error type=builtins.RuntimeError" in caplog.text
    assert CANARY not in caplog.text
    assert "127.0.0.1" not in caplog.text


def test_fault_behind_the_door_is_json(app: flask.Flask) -> None:
    """What fails inside of Flask, beyond the handlers, is 500 in the shape of every error, without its words."""

    @app.get("/broken")
    def broken() -> str:
        raise RuntimeError(CANARY)

    with served(app) as front:
        answer = front.wire("GET", "/broken")
    assert (answer.status, answer.code) == (500, "internal_error")
    assert CANARY not in answer.body.decode()


def answers(url: str) -> bool:
    try:
        return HttpWire(url)("GET", "/healthz").status == 200
    except ConnectionError:
        return False


def test_lack_of_descriptors_does_not_fill_the_log() -> None:
    """While no connection can be accepted little is logged, and when there is room again the server answers."""
    with CheapServer() as server:
        open_now = len(list(Path(f"/proc/{server.pid}/fd").iterdir()))
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (open_now + 5, open_now + 5))
        with ExitStack() as clients:
            for _ in range(50):
                clients.enter_context(connect(server.url))
        until(lambda: answers(server.url))  # until it has noticed that they left, it turns others away
        assert len(server.log()) < 20_000


def test_as_many_files_as_allowed_are_asked_for() -> None:
    """The server raises its own limit of open files, so that thousands can listen."""
    with CheapServer() as server:
        soft, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    assert soft >= min(hard, CONNECTIONS)
