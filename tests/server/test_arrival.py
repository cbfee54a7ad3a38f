"""How requests arrive at the front door, byte by byte: what can be understood in two ways, too much, too slow, half."""

import asyncio
import json
import re
import socket
import struct
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NoReturn

import flask
import pytest

from tests.server.front import Front, served
from tests.server.helpers import API, Account, cheap_passwords, connect, new_account, until, wallet_body
from walletsync_server.app import close_app, create_app
from walletsync_server.asgi import body_budget, front_door, http_protocol, server
from walletsync_server.asgi.body_budget import SMALL, BodyBudgets, HeldBodies
from walletsync_server.asgi.front_door import SLACK
from walletsync_server.live.hub import Hub
from walletsync_server.services.errors import Overloaded
from walletsync_server.settings import Settings

LIMIT = 100_000
HOST = b"Host: x\r\n"
BEHIND = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
"""A request that nobody sent, if the one before it is misunderstood."""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[flask.Flask]:
    settings = Settings(database=f"sqlite:///{tmp_path}/walletsync.db", accounts="open", max_wallet_bytes=LIMIT)
    app = create_app(settings, passwords=cheap_passwords(), hub=Hub())
    yield app
    close_app(app)


@pytest.fixture
def front(app: flask.Flask) -> Iterator[Front]:
    with served(app) as front:
        yield front


def exchange(front: Front, sent: bytes) -> bytes:
    """Send exactly these bytes and nothing more; return all that comes until the server closes the connection."""
    with connect(front.url) as client, client.makefile("rb") as received:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        return received.read()


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", answers)]


def is_open(front: Front, client: socket.socket) -> bool:
    """Say whether the server has not closed the connection; nothing else comes over it."""
    client.settimeout(0.01)
    try:
        return client.recv(1) != b""
    except TimeoutError:
        return True
    except OSError:
        return False


def chunked(body: bytes) -> bytes:
    return b"POST /wallet HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + body


def post(headers: bytes, body: bytes = b"{}ab", version: bytes = b"1.1") -> bytes:
    return b"POST /wallet HTTP/" + version + b"\r\n" + HOST + headers + b"\r\n" + body


AMBIGUOUS = {
    "length and chunks": post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "chunks and length": post(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n"),
    "two lengths": post(b"Content-Length: 2\r\nContent-Length: 4\r\n"),
    "the same length twice": post(b"Content-Length: 4\r\nContent-Length: 4\r\n"),
    "list of lengths": post(b"Content-Length: 4, 4\r\n"),
    "length with a sign": post(b"Content-Length: +4\r\n"),
    "length in hexadecimal": post(b"Content-Length: 0x4\r\n"),
    "length beyond 64 bits": post(b"Content-Length: 99999999999999999999\r\n"),
    "length before a space": post(b"Content-Length : 4\r\n"),
    "folded line": post(b"X: a\r\n Content-Length: 4\r\n"),
    "folded coding": post(b"Transfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n"),
    "line feeds alone": b"GET /healthz HTTP/1.1\nHost: x\n\n",
    "line feed in a header": post(b"X: a\nContent-Length: 4\r\n"),
    "carriage return in a header": post(b"X: a\rContent-Length: 4\r\n"),
    "NUL in a header": post(b"X: a\0b\r\n"),
    "line without a colon": post(b"Content-Length 4\r\n"),
    "unknown coding": post(b"Transfer-Encoding: gzip\r\n"),
    "coding that looks like chunked": post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"),
    "coding behind a tab": post(b"Transfer-Encoding:\x0bchunked\r\n", b"0\r\n\r\n"),
    "coding in chunks": post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
    "chunks in a coding": post(b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n"),
    "chunked twice": post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "chunks in HTTP/1.0": post(b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"1.0"),
    "negative chunk": chunked(b"-2\r\n{}\r\n0\r\n\r\n"),
    "hexadecimal prefix": chunked(b"0x2\r\n{}\r\n0\r\n\r\n"),
    "chunk beyond 64 bits": chunked(b"10000000000000002\r\n{}\r\n0\r\n\r\n"),
    "space behind a size": chunked(b"2 \r\n{}\r\n0\r\n\r\n"),
    "line feeds between chunks": chunked(b"2\n{}\n0\n\n"),
    "chunk that is longer": chunked(b"2\r\n{}x\r\n0\r\n\r\n"),
    "chunk without an end": chunked(b"2\r\n{}0\r\n\r\n"),
    "length in a trailer": chunked(b"2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n"),
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "unknown version": b"GET /healthz HTTP/1.2\r\nHost: x\r\n\r\n",
    "tunnel": b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "target with a space": b"GET /health z HTTP/1.1\r\nHost: x\r\n\r\n",
    "target that is no ASCII": b"GET /health\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n",
    "query that is no ASCII": b"GET /readyz?\xff HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("sent", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_request_with_two_meanings_is_refused(front: Front, sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """It is 400 in JSON, once, and the connection ends: nothing behind it is taken for a request."""
    answers = exchange(front, sent + BEHIND)
    assert statuses(answers) == [400]
    head, _, body = answers.partition(b"\r\n\r\n")
    assert json.loads(body)["code"] == "bad_request"
    assert b"\r\nConnection: close" in head
    assert all(record.levelname in ("INFO", "DEBUG") for record in caplog.records)


def test_requests_one_behind_the_other_are_answered_in_order(front: Front) -> None:
    """A client need not wait for an answer before it asks again."""
    first = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
    second = chunked(b"1;name=value\r\n{\r\n1\r\n}\r\n0\r\nX: y\r\n\r\n")
    assert statuses(exchange(front, first + second + BEHIND)) == [404, 400, 200]


def test_requests_that_wait_are_bounded(front: Front) -> None:
    """Who asks on and on before the first answer gets some, in order, then the end; no memory is taken for the rest."""
    first = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(front.url) as client, client.makefile("rb") as received:
        client.sendall(first + 1000 * BEHIND)
        assert statuses(received.read()) == [404] + http_protocol.PIPELINED * [200]


def test_garbage_in_a_body_takes_nothing_from_the_request_before(front: Front) -> None:
    """The refusal of a request does not come in the place of an answer that is still to be made."""
    first = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
    broken = chunked(b"-2\r\n{}\r\n0\r\n\r\n")
    assert statuses(exchange(front, first + broken)) == [200]
    assert statuses(exchange(front, first + BEHIND + broken)) == [200, 200]


def test_garbage_behind_a_request_takes_nothing_from_it(front: Front) -> None:
    """A request that is being answered gets its answer; what came behind is ignored."""
    assert statuses(exchange(front, b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\ngarbage\r\n\r\n")) == [200]


@pytest.mark.parametrize("offer", [b"h2c", b"websocket", b"TLS/1.2, IRC/6.9"])
def test_other_protocol_is_not_switched_to(front: Front, offer: bytes) -> None:
    """A request that offers another protocol is answered as if it did not, with its body; so are those behind it."""
    alice, body = new_account(front.wire), json.dumps(wallet_body(1)).encode()
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAA\r\nUpgrade: " + offer + b"\r\n"
    token = f"Authorization: Bearer {alice.token}\r\n".encode()
    get = b"GET /healthz HTTP/1.1\r\n" + HOST + upgrade + b"\r\n"
    whole = post(upgrade + token + b"Content-Length: %d\r\n" % len(body), body)
    pieces = post(upgrade + token + b"Transfer-Encoding: chunked\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
    assert statuses(exchange(front, get + whole + pieces + BEHIND)) == [200, 200, 200, 200]
    with connect(front.url) as client, client.makefile("rb") as received:
        client.sendall(whole[:-5])
        until(lambda: is_open(front, client))
        client.settimeout(20)
        client.sendall(whole[-5:] + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert statuses(received.read()) == [200, 200]
    assert alice.get().json["sequence"] == 1


LAST = {
    "431": (b"GET / HTTP/1.1\r\nX: " + b"x" * 2**20 + b"\r\n\r\n", 431),
    "414": (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    "400": (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + b"x" * 100_000, 400),
    "answered": (b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + b"x" * 100_000, 200),
}


@pytest.mark.parametrize(("sent", "status"), LAST.values(), ids=LAST.keys())
def test_last_answer_is_not_taken_back(front: Front, sent: bytes, status: int) -> None:
    """Who still sends when the connection ends gets to see why: no reset overtakes the answer."""
    for _ in range(100):
        with connect(front.url) as client, client.makefile("rb") as received:
            client.sendall(sent)
            assert statuses(received.read()) == [status]


def test_client_that_stays_after_the_last_answer_is_cut(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is heard out for a while, and no longer, whether it sends on or does nothing."""
    monkeypatch.setattr(http_protocol, "LINGER_SECONDS", 0.1)
    with connect(front.url) as silent, connect(front.url) as talking:
        for client in (silent, talking):
            client.sendall(LAST["400"][0])
        assert silent.recv(12) == b"HTTP/1.1 400"
        for client in (talking, silent):
            with pytest.raises(ConnectionError):
                send_for_ever(client, bytes(1000))


def test_clients_that_vanish_leave_no_trace_in_the_log(app: flask.Flask, caplog: pytest.LogCaptureFixture) -> None:
    """Who resets the connection while several of its requests wait is nobody's fault, so nothing is logged of it."""
    reset = struct.pack("ii", 1, 0)
    with served(app) as front:
        for _ in range(50):
            with connect(front.url) as client:
                client.sendall(5 * (b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n" + BEHIND))
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        assert front.wire("GET", "/readyz").status == 200
    # Its end waits for all requests that have begun.
    assert [record for record in caplog.records if record.levelname not in ("INFO", "DEBUG")] == []


def test_trailer_is_no_header(front: Front) -> None:
    """A field behind a chunked body, where no proxy looks, does not count."""
    alice = new_account(front.wire)
    body = b"%x\r\n%s\r\n0\r\n" % (len(json.dumps(wallet_body(1))), json.dumps(wallet_body(1)).encode())
    answers = exchange(front, chunked(body + f"Authorization: Bearer {alice.token}\r\n\r\n".encode()))
    assert statuses(answers) == [401]


def test_names_with_underscores_are_dropped(app: flask.Flask, front: Front) -> None:
    """A header that only WSGI takes for another one, behind the back of a proxy, does not arrive."""

    @app.get("/headers")
    def headers() -> list[str]:
        return [name.lower() for name, _ in flask.request.headers.items()]

    answer = front.wire("GET", "/headers", headers={"X_Forwarded_For": "192.0.2.1", "X-Real": "1"})
    assert "x-real" in answer.json
    assert "x-forwarded-for" not in answer.json


TOO_MUCH = {
    "header": (b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 100_000, 431),
    "many headers": (b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
    "endless headers": (b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 20_000, 431),
    "target": (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
    "endless target": (b"GET /" + b"x" * 100_000, 414),
    "length": (post(b"Content-Length: %d\r\n" % 10**12, b""), 413),
    "length, and a question": (post(b"Expect: 100-continue\r\nContent-Length: %d\r\n" % 10**12, b""), 413),
}


@pytest.mark.parametrize(("sent", "status"), TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_too_much_is_refused(front: Front, sent: bytes, status: int) -> None:
    """What exceeds a bound is refused in JSON before its end has come, without an invitation to go on."""
    with connect(front.url) as client, client.makefile("rb") as received:
        client.sendall(sent)
        answer = received.read()
    assert statuses(answer) == [status]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "too_large"


def test_body_somewhat_over_the_limit_gets_its_answer(front: Front) -> None:
    """The connection is not cut, so that the sender sees the answer; the next request on it is understood."""
    size = front.door.discards_up_to
    for sent in (
        post(b"Content-Length: %d\r\n" % size, b" " * size),
        chunked(b"%x\r\n%s\r\n0\r\n\r\n" % (size, b" " * size)),
    ):
        assert statuses(exchange(front, sent + BEHIND)) == [413, 200]


def send_for_ever(client: socket.socket, data: bytes) -> NoReturn:
    while True:
        client.sendall(data)


def test_endless_body_is_cut(front: Front) -> None:
    """Who goes on sending long after the refusal is cut."""
    with connect(front.url) as client:
        client.sendall(chunked(b""))
        piece = b"%x\r\n%s\r\n" % (SLACK, b" " * SLACK)
        with pytest.raises(ConnectionError):
            send_for_ever(client, piece)


def test_body_is_asked_for_if_the_client_waits(front: Front) -> None:
    """`Expect: 100-continue` is answered, then the request."""
    with connect(front.url) as client:
        client.sendall(post(b"Expect: 100-continue\r\nContent-Length: 2\r\n", b""))
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{}")
        assert client.recv(12) == b"HTTP/1.1 400"


SLOW = {
    "nothing": b"",
    "half a line": b"GET /hea",
    "half a head": b"GET /healthz HTTP/1.1\r\nHost: x\r\n",
    "half a body": post(b"Content-Length: 10\r\n", b"{"),
    "half a chunk": chunked(b"10\r\n{"),
    "half a body after the refusal": post(b"Content-Length: %d\r\n" % (7 * LIMIT), b" "),
}


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


def test_body_that_keeps_coming_has_more_time(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that a body has grows with what came of it, so that a slow line can send a large wallet."""
    monkeypatch.setattr(http_protocol, "BODY_SECONDS", 0.0)
    monkeypatch.setattr(http_protocol, "SLOWEST", 1.0)  # so every byte is worth a second
    with connect(front.url) as client:
        client.sendall(post(b"Content-Length: 100\r\n", b"{" * 60))
        assert is_open(front, client)
        began = time.monotonic()
        until(lambda: time.monotonic() > began + 1.5)  # at least one sweep
        client.sendall(b"}" * 40)
        client.settimeout(20)
        assert client.recv(12) == b"HTTP/1.1 400"


def test_body_has_no_more_time_than_its_bytes_are_worth(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second's worth of bytes keeps a connection for half a second, and not for as long as a client likes."""
    monkeypatch.setattr(http_protocol, "BODY_SECONDS", 0.0)
    monkeypatch.setattr(http_protocol, "SLOWEST", 1000.0)
    with connect(front.url) as client:
        client.sendall(post(b"Content-Length: 10000\r\n", b"{" * 500))
        until(lambda: not is_open(front, client))


def test_idle_connection_is_closed(app: flask.Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is kept alive for nothing is closed."""
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.1)
    with served(app) as front, connect(front.url) as client, client.makefile("rb") as received:
        client.sendall(BEHIND)
        assert statuses(received.read()) == [200]


def test_line_ends_do_not_keep_an_idle_connection_alive(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client sends between two requests, and that begins none, buys it no time beyond that of a request."""
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.2)
    with connect(front.url) as client, client.makefile("rb") as received:
        client.sendall(BEHIND)
        assert received.readline() == b"HTTP/1.1 200 OK\r\n"
        client.sendall(b"\r\n")
        client.settimeout(20)
        received.read()  # ends when the server closes the connection


MUCH = 10_000_000


@pytest.fixture
def generous(app: flask.Flask) -> flask.Flask:
    """The application, which has much to tell besides."""
    app.add_url_rule("/much", view_func=lambda: b"*" * MUCH)
    return app


def ask_for_much(front: Front, source: str = "127.0.0.1") -> socket.socket:
    """Return a connection over which that answer has begun to come."""
    client = connect(front.url, source)
    client.sendall(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n")
    until(lambda: client.recv(1) == b"*")
    return client


def is_whole(client: socket.socket) -> bool:
    """Say whether all of that answer comes; else the connection ends before."""
    received = 0
    with client, suppress(ConnectionError):
        while received < MUCH - 1 and (piece := client.recv(1024 * 1024)):
            received += len(piece)
    return received >= MUCH - 1


@pytest.mark.parametrize("more", [b"", BEHIND], ids=["nothing more", "another request"])
def test_answer_that_is_not_read_is_cut(generous: flask.Flask, more: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that asks for much and reads nothing does not hold the memory for it for ever, whatever else it asks."""
    monkeypatch.setattr(http_protocol, "ANSWER_SECONDS", 0.0)
    monkeypatch.setattr(http_protocol, "SLOWEST", 1e9)
    with served(generous) as front:
        client = ask_for_much(front)
        client.sendall(more)
        began = time.monotonic()
        until(lambda: time.monotonic() > began + 2.5)  # at least one sweep
        assert not is_whole(client)


@pytest.fixture
def tight(front: Front) -> Front:
    """A front with room for one and a half of the largest bodies of strangers."""
    front.door.budgets = BodyBudgets(front.door.budgets.limit, strangers=front.door.budgets.limit * 3 // 2)
    return front


def free(front: Front) -> list[int]:
    """Return how much room there is for strangers, and for those who are logged in."""
    return [front.door.budgets.budget_of(holder).free for holder in ("", 1)]


def test_strangers_do_not_take_all_memory(tight: Front) -> None:
    """Beyond the room for them bodies of strangers are refused, while who has an account is served."""
    alice, size = new_account(tight.wire), tight.door.budgets.limit
    held = post(b"Content-Length: %d\r\n" % size, b" " * (size - 1))
    large = wallet_body(1, "x" * LIMIT)
    with ExitStack() as clients:
        clients.enter_context(connect(tight.url, "127.0.0.2")).sendall(held)
        until(lambda: free(tight)[0] < size)
        answer = tight.wire("POST", f"{API}/signup", b" " * size)
        assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "busy", "10")
        assert tight.wire("POST", f"{API}/wallet", large, token="0" * 64).status == 401  # it fits into what is left
        assert Account(tight.wire, alice.email, alice.token).post(1, "x" * LIMIT).status == 200
    until(lambda: free(tight)[0] == size * 3 // 2)
    assert tight.wire("POST", f"{API}/signup", b" " * size).status == 400


def first_status(client: socket.socket) -> int:
    client.settimeout(20)
    return int(client.recv(12).split()[1])


@pytest.mark.parametrize("logged_in", [False, True])
def test_nobody_takes_all_the_room_for_requests(front: Front, logged_in: bool) -> None:
    """One network, or one account, has its share for bodies, however much room there is; another one's fit."""
    size = front.door.budgets.limit
    one, other = (new_account(front.wire).token.encode() if logged_in else b"-" for _ in range(2))
    elsewhere = "" if logged_in else "127.0.0.2"
    front.door.budgets = BodyBudgets(size, strangers=8 * size, logged_in=8 * size)

    def begin(token: bytes, source: str = "") -> socket.socket:
        client = clients.enter_context(connect(front.url, source))
        client.sendall(post(b"Content-Length: %d\r\nAuthorization: Bearer %s\r\n" % (size, token), b" " * (size - 1)))
        return client

    with ExitStack() as clients:
        held = [begin(one), begin(one)]
        until(lambda: free(front)[logged_in] == 6 * size + 2)
        assert first_status(begin(one)) == 503
        held.append(begin(other, elsewhere))
        until(lambda: free(front)[logged_in] == 5 * size + 3)
        for client in held:
            client.sendall(b" ")
        assert [first_status(client) for client in held] == [400] * 3


@pytest.mark.parametrize("path", ["/wallet", f"{API}/wallet/history/1"])
def test_nobody_takes_all_the_room_for_answers(app: flask.Flask, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that are not read are held for an account up to its share; others get theirs, and so does it later."""
    monkeypatch.setattr(body_budget, "SMALL", 1000)
    monkeypatch.setattr(front_door, "SMALL", 1000)
    with served(app, send_buffer=4096) as front, ExitStack() as clients:
        one, other = new_account(front.wire), new_account(front.wire)
        for account in (one, other):
            assert account.post(1, "x" * LIMIT).status == 200
        front.door.budgets = BodyBudgets(3 * LIMIT, logged_in=12 * LIMIT)

        def ask(account: Account) -> socket.socket:
            client = clients.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # what the system reads for the client
            client.connect(("127.0.0.1", int(front.url.rpartition(":")[2])))
            token = account.token.encode()
            client.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % (path.encode(), token))
            return client

        first = ask(one)
        assert [first_status(client) for client in (first, ask(one), ask(one))] == [200] * 3
        assert first_status(ask(one)) == 503
        assert first_status(ask(other)) == 200
        assert free(front)[1] < 9 * LIMIT
        first.close()
        until(lambda: first_status(ask(one)) == 200)
    until(lambda: free(front)[1] == 12 * LIMIT)


def test_small_pieces_take_no_more_memory_than_a_large_one() -> None:
    """A body that comes a few bytes at a time is held as what it is, not as the many pieces it came in."""
    pieces = 50_000
    messages = iter([*[True] * (pieces - 1), False])

    async def receive() -> object:
        return {"type": "http.request", "body": bytes(2), "more_body": next(messages)}

    tracemalloc.start()
    try:
        with HeldBodies(BodyBudgets(2 * pieces), None, lambda: "") as bodies:
            assert asyncio.run(bodies.read(receive)) == bytes(2 * pieces)
        assert tracemalloc.get_traced_memory()[1] < 20 * pieces
    finally:
        tracemalloc.stop()


def test_answer_to_what_was_stored_needs_no_room_beside_it() -> None:
    """A request that filled its room is answered with as much; a larger one, which stored nothing, may be refused."""

    async def receive() -> object:
        return {"type": "http.request", "body": bytes(LIMIT), "more_body": False}

    with HeldBodies(BodyBudgets(LIMIT, strangers=LIMIT), None, lambda: "") as bodies:
        asyncio.run(bodies.read(receive))
        bodies.hold_answer(LIMIT + SMALL)
        with pytest.raises(Overloaded):
            bodies.hold_answer(LIMIT + 2 * SMALL + 1)


def test_room_is_free_after_every_answer(tight: Front) -> None:
    """Whatever became of a body, its room can be used again."""
    size, before = tight.door.budgets.limit, free(tight)
    alice = new_account(tight.wire)
    alice.post(1, "x" * LIMIT)
    tight.wire("POST", f"{API}/wallet", b"[" * size)
    tight.wire("POST", "/nowhere", b" " * size, token=alice.token)
    exchange(tight, post(b"Content-Length: %d\r\n" % size, b" " * (size // 2)))
    until(lambda: free(tight) == before)
