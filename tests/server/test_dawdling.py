"""Clients that take their time: what they send and read buys some, and stopping buys none."""

import math
import socket
import time
from contextlib import suppress

import flask
import pytest

from tests.server.front import Front, served
from tests.server.helpers import connect, until
from tests.server.raw import BEHIND, LIMIT, chunked, first_status, is_open, post, statuses
from walletsync_server.asgi import http_protocol, server
from walletsync_server.asgi.http_protocol import SLOWEST, bought

SLOW = {
    "nothing": b"",
    "half a line": b"GET /hea",
    "half a head": b"GET /healthz HTTP/1.1\r\nHost: x\r\n",
    "half a body": post(b"Content-Length: 10\r\n", b"{"),
    "half a chunk": chunked(b"10\r\n{"),
    "half a body after the refusal": post(b"Content-Length: %d\r\n" % (7 * LIMIT), b" "),
}


@pytest.mark.promise("P-17")
@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW.keys())
def test_request_that_does_not_come_is_cut(
    front: Front, sent: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection has so long for a request and no longer, also if a byte comes now and then."""
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(http_protocol, "BODY_SECONDS", 0.2)
    with connect(front.url) as client:
        client.sendall(sent)

        def is_cut() -> bool:
            if not is_open(front, client):
                return True
            if sent and not sent.startswith(b"POST"):
                client.sendall(b"x")
            return False

        until(is_cut)
    assert front.wire("GET", "/healthz").status == 200
    assert all(record.levelname in ("INFO", "DEBUG") for record in caplog.records)


@pytest.mark.promise("P-17")
def test_bytes_buy_the_time_that_they_take() -> None:
    """A byte buys its time at the slowest rate and no more, and all together never more than may be stopped for."""
    assert bought(10.0, SLOWEST, now=5.0, seconds=20.0) == 11.0
    assert bought(10.0, 0, now=5.0, seconds=20.0) == 10.0
    assert bought(10.0, 1000 * SLOWEST, now=5.0, seconds=20.0) == 25.0
    assert bought(math.inf, 0, now=5.0, seconds=20.0) == 25.0


@pytest.mark.promise("P-17")
@pytest.mark.parametrize("sent", [1, 40_000])
def test_body_that_stops_is_cut(front: Front, sent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much of it has come, and however fast, a client that sends no more is cut."""
    monkeypatch.setattr(http_protocol, "BODY_SECONDS", 0.2)
    monkeypatch.setattr(http_protocol, "SLOWEST", 1.0)  # so every byte would be worth a second
    with connect(front.url) as client:
        client.sendall(post(b"Content-Length: 50000\r\n", b" " * sent))
        until(lambda: not is_open(front, client))


def test_body_that_keeps_coming_has_more_time(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow line can send a large wallet, for longer than it may stop."""
    monkeypatch.setattr(http_protocol, "BODY_SECONDS", 2.0)
    monkeypatch.setattr(http_protocol, "SLOWEST", 0.1)
    with connect(front.url) as client:
        client.sendall(post(b"Content-Length: 50000\r\n", b""))
        began, sent = time.monotonic(), 0

        def drip() -> bool:
            nonlocal sent
            client.sendall(b" ")
            sent += 1
            return time.monotonic() > began + 3.5

        until(drip)
        client.sendall(b" " * (50_000 - sent))
        assert first_status(client) == 400


def test_idle_connection_is_closed(narrow: flask.Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is kept alive for nothing is closed."""
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.1)
    with served(narrow) as front, connect(front.url) as client, client.makefile("rb") as received:
        client.sendall(BEHIND)
        assert statuses(received.read()) == [200]


def test_line_ends_do_not_keep_an_idle_connection_alive(narrow: flask.Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client sends between two requests, and that begins none, buys it no time."""
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.2)
    with served(narrow) as front, connect(front.url) as client, client.makefile("rb") as received:
        client.sendall(BEHIND)
        assert received.readline() == b"HTTP/1.1 200 OK\r\n"
        client.sendall(b"\r\n")
        client.settimeout(20)
        received.read()  # ends when the server closes the connection


MUCH = 10_000_000


@pytest.fixture
def generous(narrow: flask.Flask) -> flask.Flask:
    """The application, which has much to tell besides."""
    narrow.add_url_rule("/much", view_func=lambda: b"*" * MUCH)
    return narrow


def ask_for_much(front: Front, headers: bytes = b"") -> socket.socket:
    """Return a connection over which that answer has begun to come; the system keeps little of it for the client."""
    client = socket.socket()
    client.settimeout(20)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", int(front.url.rpartition(":")[2])))
    client.sendall(b"GET /much HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n")
    until(lambda: client.recv(1) == b"*")
    return client


def is_whole(client: socket.socket) -> bool:
    """Say whether all of that answer comes; else the connection ends before."""
    received = 0
    with client, suppress(ConnectionError):
        while received < MUCH - 1 and (piece := client.recv(1024 * 1024)):
            received += len(piece)
    return received >= MUCH - 1


@pytest.mark.promise("P-17")
@pytest.mark.parametrize("more", [b"", BEHIND], ids=["nothing more", "another request"])
def test_answer_that_is_not_read_is_cut(generous: flask.Flask, more: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that asks for much and reads nothing does not hold the memory for it, whatever else it asks."""
    monkeypatch.setattr(http_protocol, "ANSWER_SECONDS", 0.2)
    with served(generous, send_buffer=4096) as front:
        client = ask_for_much(front)
        client.sendall(more)
        began = time.monotonic()
        until(lambda: time.monotonic() > began + 2.5)  # at least one sweep after the one that sees what is unread
        assert not is_whole(client)


@pytest.mark.parametrize("last", [b"", b"Connection: close\r\n"], ids=["kept", "closed"])
def test_answer_that_is_read_slowly_comes(generous: flask.Flask, last: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that reads on and on has more time than it may stop for, also for the last answer."""
    monkeypatch.setattr(http_protocol, "ANSWER_SECONDS", 2.0)
    monkeypatch.setattr(http_protocol, "LINGER_SECONDS", 0.1)
    monkeypatch.setattr(http_protocol, "SLOWEST", 0.1)
    with served(generous, send_buffer=4096) as front, ask_for_much(front, last) as client:
        began = time.monotonic()
        received = 1

        def sip() -> bool:
            nonlocal received
            received += len(client.recv(4096))
            return time.monotonic() > began + 3.5

        until(sip)
        while received < MUCH:
            piece = client.recv(1024 * 1024)
            assert piece
            received += len(piece)
