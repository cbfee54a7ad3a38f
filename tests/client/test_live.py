"""The listener: news at once, patience with a server that is gone or lies, and no secret in any log."""

import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from tests.cheap_server import CheapServer
from tests.conftest import PASSWORD
from tests.insides import token_of
from walletsync import Client, live
from walletsync.errors import NotReady, UsageError
from walletsync.live import Listener
from walletsync_server.testing import RunningServer

PATIENCE = 30.0


class News:
    """Counts what it was told of, and waits for more."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def __call__(self) -> None:
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.count >= count, PATIENCE), f"told of {self.count} only"


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.01)


@contextmanager
def devices(url: str, email: str) -> Iterator[tuple[Client, Client]]:
    """Two devices of one account that have the same."""
    with Client(url, device_id="laptop") as laptop, Client(url, device_id="phone") as phone:
        laptop.set_account(email, PASSWORD)
        laptop.register()
        laptop.set_document({})
        laptop.sync()
        phone.set_account(email, PASSWORD)
        phone.sync()
        yield laptop, phone


def refusing(status: int) -> AbstractContextManager[str]:
    """A WebSocket server that lets nobody in."""
    return speaking(lambda _: None, lambda connection, _: connection.respond(status, ""))


@contextmanager
def speaking(
    handler: Callable[[ServerConnection], None],
    hello: Callable[[ServerConnection, Request], Response | None] | None = None,
) -> Iterator[str]:
    """A WebSocket server that does what a test wants; gives its URL."""
    server: Server
    with serve(handler, "127.0.0.1", 0, compression=None, process_request=hello) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Keep no pause; return those that there would have been."""
    pauses: list[float] = []

    class Closing(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None
            pauses.append(timeout)
            return super().wait(0.001)

    monkeypatch.setattr(live, "threading", SimpleNamespace(Event=Closing, Thread=threading.Thread))
    monkeypatch.setattr(live, "random", SimpleNamespace(uniform=lambda low, high: high))
    return pauses


@pytest.mark.promise("P-108")
def test_news_come_while_one_listens(
    running_server: RunningServer, address: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each version that another device stores is told at once, and none afterwards."""
    news = News()
    with devices(running_server.url, address()) as (laptop, phone):
        with laptop.listen(news) as listener:
            news.wait_for(1)  # the current version, when one connects
            until(lambda: listener.is_connected)
            took = []
            for number in range(5):
                count, begin = news.count, time.monotonic()
                phone.set_document({"a": number})
                phone.sync()
                news.wait_for(count + 1)
                took.append(time.monotonic() - begin)
            laptop.sync()
            assert laptop.get_document() == {"a": 4}
        assert not listener.is_connected
        with capsys.disabled():
            print(f"\nfrom an edit to the news, with the sync: {min(took) * 1000:.0f} to {max(took) * 1000:.0f} ms")


def test_a_flood_of_news_is_told_now_and_then() -> None:
    """A sync for each frame would let a server, or a device that writes all the time, keep every other one busy."""
    news, frames = News(), 3000

    def flood(connection: ServerConnection) -> None:
        for number in range(frames):
            connection.send(f"wallet-update:{number}")

    with (
        speaking(flood) as url,
        Listener(url, token=lambda: "ab" * 32, on_news=news, tls=None) as listener,
    ):
        news.wait_for(2)  # the first frame, and the end
        until(lambda: not listener.is_connected)
    assert news.count < frames / 10


@pytest.mark.promise("P-111")
def test_it_listens_again_after_the_server_was_restarted(address: Callable[[], str]) -> None:
    """The end of the connection is news, too, since nobody knows what happened meanwhile; then it connects again."""
    news = News()
    with (
        CheapServer(accounts="open") as server,
        devices(server.url, address()) as (laptop, phone),
        laptop.listen(news) as listener,
    ):
        news.wait_for(1)
        server.kill()
        until(lambda: not listener.is_connected)
        news.wait_for(2)
        server.start()
        until(lambda: listener.is_connected)
        count = news.count
        phone.set_document({"a": 1})
        phone.sync()
        news.wait_for(count + 1)


def test_a_void_token_is_no_busy_loop(
    running_server: RunningServer, address: Callable[[], str], quick: list[float]
) -> None:
    """A revoked device tries again, each time after a longer pause, up to a minute; with a new token it gets in."""
    news = News()
    with devices(running_server.url, address()) as (laptop, phone):
        laptop.sync()
        phone.revoke_device("laptop")
        with laptop.listen(news) as listener:
            until(lambda: len(quick) >= 8)
            assert not listener.is_connected
            assert quick[:8] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
            assert news.count == 1  # for a sync to log in; the same token fails for the same reason
            laptop.sync()
            until(lambda: listener.is_connected)
            news.wait_for(2)


def test_each_void_token_is_told_of_once(quick: list[float]) -> None:
    """Whoever syncs has a new one afterwards; if that is void, too, it is worth telling again."""
    tokens, news = ["first"], News()
    with refusing(401) as url, Listener(url, token=lambda: tokens[-1], on_news=news, tls=None):
        until(lambda: len(quick) >= 4)
        assert news.count == 1
        tokens.append("second")
        news.wait_for(2)
        tried = len(quick)
        until(lambda: len(quick) >= tried + 4)
        assert news.count == 2


@pytest.mark.parametrize("status", [403, 404, 426, 503])
def test_other_refusals_are_no_news(status: int, quick: list[float]) -> None:
    """A server without live updates, or one that is too busy, says nothing about wallets, and no sync would help."""
    news = News()
    with refusing(status) as url, Listener(url, token=lambda: "t", on_news=news, tls=None):
        until(lambda: len(quick) >= 4)
    assert news.count == 0


def test_a_server_that_hangs_up_at_once_is_asked_less_and_less(quick: list[float]) -> None:
    """Being let in is not enough for small pauses: the connection has to last."""
    news = News()
    with (
        speaking(lambda connection: connection.close()) as url,
        Listener(url, token=lambda: "t", on_news=news, tls=None),
    ):
        news.wait_for(4)
    assert quick[:4] == [1.0, 2.0, 4.0, 8.0]


@pytest.mark.promise("P-111")
def test_each_device_comes_back_at_a_time_of_its_own(quick: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Else all of them would knock at once at a server that was just started again."""
    monkeypatch.setattr(live, "random", random.Random(1))  # seeded, so that no two draws happen to be the same
    for _ in range(2):
        news = News()
        with (
            speaking(lambda connection: connection.close()) as url,
            Listener(url, token=lambda: "t", on_news=news, tls=None),
        ):
            news.wait_for(2)
    first = [pause for pause in quick if pause <= 1.0]
    assert len(set(first)) == len(first) == 2
    assert all(0.5 <= pause <= 1.0 for pause in first)


def test_a_connection_that_lasted_makes_the_pauses_small_again(
    quick: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is restarted once a day is found again within a second."""
    monkeypatch.setattr(live, "_STABLE_SECONDS", 0.0)
    news = News()
    with (
        speaking(lambda connection: connection.close()) as url,
        Listener(url, token=lambda: "t", on_news=news, tls=None),
    ):
        news.wait_for(4)
    assert set(quick[:3]) == {1.0}


@pytest.mark.parametrize("kind", [ValueError, OSError, SystemError])
def test_a_function_that_fails_is_logged_and_called_again(
    kind: type[Exception], quick: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """At each frame of the same connection, and when that ends: nothing that it raises ends the listening."""
    news, done = News(), threading.Event()

    def fails() -> None:
        news()
        raise kind("a fault of the program")

    def handler(connection: ServerConnection) -> None:
        for number in range(3):
            connection.send(f"wallet-update:{number}")
            news.wait_for(number + 1)  # those that come meanwhile would be one
        done.wait(PATIENCE)

    with speaking(handler) as url, Listener(url, token=lambda: "t", on_news=fails, tls=None) as listener:
        news.wait_for(3)
        assert listener.is_connected
        assert not quick
        done.set()
        news.wait_for(5)  # the end, and the next connection
    assert caplog.text.count("listening goes on") >= 5
    assert f"{kind.__name__}: a fault of the program" in caplog.text


def test_without_a_token_nobody_is_asked(quick: list[float]) -> None:
    """Between logging out and logging in there is nothing to say hello with."""
    asked = News()

    def token() -> None:
        asked()

    connected = News()
    with speaking(lambda _: connected()) as url, Listener(url, token=token, on_news=connected, tls=None):
        asked.wait_for(3)
    assert connected.count == 0


@pytest.mark.parametrize(
    "frame", ["hello", b"wallet-update:1", "", b"\0" * 1024], ids=["text", "bytes", "empty", "long"]
)
def test_other_frames_are_no_news(frame: str | bytes) -> None:
    """Only the frame of the protocol counts; the rest is passed over, and the connection goes on."""
    news, done = News(), threading.Event()

    def handler(connection: ServerConnection) -> None:
        connection.send(frame)
        connection.send("wallet-update:7")
        done.wait(PATIENCE)

    with speaking(handler) as url, Listener(url, token=lambda: "t", on_news=news, tls=None):
        news.wait_for(1)
        assert news.count == 1
        done.set()


@pytest.mark.parametrize("size", [1025, 64 * 1024 * 1024])
def test_a_frame_that_is_too_large_ends_the_connection(size: int, quick: list[float]) -> None:
    """A server cannot fill the memory of who listens: the connection ends before the frame is read."""
    news, codes = News(), []

    def handler(connection: ServerConnection) -> None:
        try:
            connection.send("x" * size)
            connection.recv()
        except ConnectionClosed as closed:
            codes.append(closed.rcvd.code if closed.rcvd else None)

    with speaking(handler) as url, Listener(url, token=lambda: "t", on_news=news, tls=None):
        news.wait_for(2)
    assert codes[0] in (1009, None)  # None: the end did not wait for the rest of what was sent


def test_closing_does_not_wait_for_a_server_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for one that never answers the hello; nothing is told any more afterwards."""
    monkeypatch.setattr(live, "_CLOSE_SECONDS", 0.1)
    news = News()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        listener = Listener(f"ws://127.0.0.1:{silent.getsockname()[1]}/", token=lambda: "t", on_news=news, tls=None)
        connection, _ = silent.accept()
        listener.close()
        assert listener._thread.is_alive()  # it is left behind, and has no way to speak
        connection.close()
        listener._thread.join(PATIENCE)
        assert not listener._thread.is_alive()
    assert news.count == 0


def test_closing_ends_the_thread(running_server: RunningServer, address: Callable[[], str]) -> None:
    """While it listens, it looks several times a second whether it shall end."""
    news = News()
    with devices(running_server.url, address()) as (laptop, _):
        listener = laptop.listen(news)
        news.wait_for(1)
        listener.close()
        assert not listener._thread.is_alive()
        count = news.count
        listener.close()
        assert news.count == count


def test_the_token_is_in_no_log(
    running_server: RunningServer, address: Callable[[], str], caplog: pytest.LogCaptureFixture
) -> None:
    """Not even where somebody has every library log all it can."""
    news = News()
    with caplog.at_level(0), devices(running_server.url, address()) as (laptop, phone):
        for name in ("websockets", "websockets.client", live._SILENT.name):
            logging.getLogger(name).setLevel(1)
        token = token_of(laptop)
        logging.getLogger("test").debug("the log works")
        with laptop.listen(news) as listener:
            news.wait_for(1)
            phone.revoke_device("laptop")
            until(lambda: not listener.is_connected)
            assert token not in repr(listener)
    assert "the log works" in caplog.text
    assert token not in caplog.text
    assert "Bearer" not in caplog.text


def test_listening_needs_a_token_and_no_proxy(running_server: RunningServer, address: Callable[[], str]) -> None:
    """Otherwise the error says what to do instead."""
    with Client(running_server.url) as client:
        client.set_account(address(), PASSWORD)
        with pytest.raises(NotReady, match="get_auth_token"):
            client.listen(News())
        client.register()
        client.get_auth_token()
        client._api._proxy = "http://127.0.0.1:1"
        with pytest.raises(UsageError, match="through a proxy"):
            client.listen(News())
