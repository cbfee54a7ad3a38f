"""How requests arrive at the front door, byte by byte: what can be understood in two ways, too much, too slow, half."""

import json
import socket
import struct

import flask
import pytest

from tests.server.front import Front, served
from tests.server.helpers import connect, new_account, until, wallet_body
from tests.server.raw import BEHIND, HOST, chunked, exchange, is_open, post, send_for_ever, statuses
from walletsync_server.asgi import http_protocol
from walletsync_server.asgi.front_door import SLACK

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


def test_clients_that_vanish_leave_no_trace_in_the_log(narrow: flask.Flask, caplog: pytest.LogCaptureFixture) -> None:
    """Who resets the connection while several of its requests wait is nobody's fault, so nothing is logged of it."""
    reset = struct.pack("ii", 1, 0)
    with served(narrow) as front:
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


def test_names_with_underscores_are_dropped(narrow: flask.Flask, front: Front) -> None:
    """A header that only WSGI takes for another one, behind the back of a proxy, does not arrive."""

    @narrow.get("/headers")
    def headers() -> list[str]:
        return [name.lower() for name, _ in flask.request.headers.items()]

    answer = front.wire("GET", "/headers", headers={"X_Forwarded_For": "192.0.2.1", "X-Real": "1"})
    assert "x-real" in answer.json
    assert "x-forwarded-for" not in answer.json


TOO_MUCH = {
    "header": (b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 100_000, 431),
    "header, whole": (b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 33_000 + b"\r\n\r\n", 431),
    "headers, whole": (b"GET /healthz HTTP/1.1\r\n" + (b"X: " + b"x" * 6_000 + b"\r\n") * 6 + b"\r\n", 431),
    "many headers": (b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
    "endless headers": (b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 20_000, 431),
    "target": (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
    "endless target": (b"GET /" + b"x" * 100_000, 414),
    "length": (post(b"Content-Length: %d\r\n" % 10**12, b""), 413),
    "length, and a question": (post(b"Expect: 100-continue\r\nContent-Length: %d\r\n" % 10**12, b""), 413),
}


@pytest.mark.promise("X-23")
@pytest.mark.parametrize(("sent", "status"), TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_too_much_is_refused(front: Front, sent: bytes, status: int) -> None:
    """What exceeds a bound is refused in JSON before its end has come, without an invitation to go on."""
    with connect(front.url) as client, client.makefile("rb") as received:
        client.sendall(sent)
        answer = received.read()
    assert statuses(answer) == [status]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "too_large"


def test_much_is_taken(front: Front) -> None:
    """A head just below the bound, in one piece and in several, is none that is too long."""
    for of_each in (32_000, 8_000):
        head = b"".join(b"X-%d: %s\r\n" % (number, b"x" * of_each) for number in range(32_000 // of_each))
        assert statuses(exchange(front, b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n" + BEHIND)) == [
            200,
            200,
        ]


def test_body_somewhat_over_the_limit_gets_its_answer(front: Front) -> None:
    """The connection is not cut, so that the sender sees the answer; the next request on it is understood."""
    size = front.door.discards_up_to
    for sent in (
        post(b"Content-Length: %d\r\n" % size, b" " * size),
        chunked(b"%x\r\n%s\r\n0\r\n\r\n" % (size, b" " * size)),
    ):
        assert statuses(exchange(front, sent + BEHIND)) == [413, 200]


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
