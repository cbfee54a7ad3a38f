"""The front door's own work, in this process: what it buffers, what it logs, how it stops."""

import errno
import logging
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NoReturn
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest
import waitress.buffers
from waitress.parser import HTTPRequestParser

from tests.server.helpers import HttpWire, connect, until
from walletsync_server import serving
from walletsync_server.serving import CannotListen, bind, url_of

CANARY = "canary-7f3a"
LARGE = 32 * 1024 * 1024  # more than the buffers of a connection hold


@contextmanager
def served(app: WSGIApplication, listener: socket.socket) -> Iterator[threading.Event]:
    """Serve `app` in a thread; give the event that stops it."""
    stopping = threading.Event()
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as pool:
        patch.setattr(serving, "_WAKE_SECONDS", 0.01)  # to wake it from here would race with its end
        ended = pool.submit(
            serving.serve, app, listener, body_limit=LARGE, stopping=stopping, on_ready=lambda wake: None
        )
        try:
            yield stopping
        finally:
            stopping.set()
            ended.result()


def echo(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    body: bytes = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def test_address_is_taken_at_once() -> None:
    """From `bind` on nobody else can have the port, and who connects waits."""
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(CannotListen, match=f"{port}: Address already in use"):
            bind("127.0.0.1", port)
        connect(url_of(listener)).close()


def test_bodies_and_answers_stay_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a large body nor a large answer is put into a temporary file, nor needs a disk with space."""

    opened = []

    def fail(self: object) -> NoReturn:
        opened.append(self)
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(waitress.buffers.TempfileBasedBuffer, "newfile", fail)
    body = b"x" * LARGE
    listener = bind("127.0.0.1", 0)
    wire = HttpWire(url_of(listener))
    with served(echo, listener):
        assert wire("POST", "/", body).body == body
    assert not opened


class Answer:
    """A body of a WSGI answer that knows when the server has taken all of it."""

    def __init__(self) -> None:
        self.taken = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        yield b"x" * LARGE

    def close(self) -> None:
        self.taken.set()


def test_answer_under_way_is_sent_after_a_stop() -> None:
    """A request that has begun when the server is told to stop gets all of its answer, to the last byte."""
    begun, go, answer = threading.Event(), threading.Event(), Answer()

    def slow(environ: WSGIEnvironment, start_response: StartResponse) -> Answer:
        begun.set()
        assert go.wait(20)
        start_response("200 OK", [("Content-Length", str(LARGE))])
        return answer

    listener = bind("127.0.0.1", 0)
    with served(slow, listener) as stopping, connect(url_of(listener)) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert begun.wait(20)
        stopping.set()
        go.set()
        assert answer.taken.wait(20)
        with client.makefile("rb") as received:
            assert received.read().endswith(b"\r\n\r\n" + b"x" * LARGE)


def test_fault_of_the_door_is_logged_without_words(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault in a connection closes it, and of it the log has type and place only; others are served."""
    received = HTTPRequestParser.received

    def fail(self: HTTPRequestParser, data: bytes) -> Any:
        if CANARY.encode() in data:
            raise RuntimeError(CANARY)
        return received(self, data)

    monkeypatch.setattr(HTTPRequestParser, "received", fail)
    listener = bind("127.0.0.1", 0)
    with served(echo, listener):
        with connect(url_of(listener)) as client:
            client.sendall(CANARY.encode())
            assert client.recv(1) == b""
        assert HttpWire(url_of(listener))("POST", "/", b"still there").body == b"still there"
    assert "event=unexpected_error type=builtins.RuntimeError" in caplog.text
    assert CANARY not in caplog.text
    assert "127.0.0.1" not in caplog.text


class Exhausted(socket.socket):
    """A listener of a process that may open no more files."""

    refused = 0

    def accept(self) -> NoReturn:
        self.refused += 1
        raise OSError(errno.EMFILE, "too many open files")


def test_lack_of_descriptors_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """While no connection can be accepted, which is tried again and again, nothing is logged."""
    bound = bind("127.0.0.1", 0)
    listener = Exhausted(fileno=bound.detach())
    with served(echo, listener), caplog.at_level(logging.INFO), connect(url_of(listener)):
        until(lambda: listener.refused > 100)
    assert not caplog.records
