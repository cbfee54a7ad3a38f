"""Small POSTs, which have no task: in order with whatever is around them, and whole when client, disk or server end."""

import json
import tracemalloc
from contextlib import ExitStack

import apsw
import pytest

from tests.server.front import Front
from tests.server.helpers import API, Account, connect, new_account, until, wallet_body
from tests.server.raw import LIMIT, exchange, first_status, is_open, statuses
from walletsync_server.asgi.body_budget import FREE
from walletsync_server.asgi.front_door import PLACES_SHARE
from walletsync_server.services.throttle import neighbourhood_of


def post(account: Account, sequence: int, text: str = "-", headers: str = "") -> bytes:
    body = json.dumps(wallet_body(sequence, text)).encode()
    head = (
        f"POST {API}/wallet HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {account.token}\r\n"
        f"Content-Length: {len(body)}\r\n{headers}\r\n"
    )
    return head.encode() + body


def get(account: Account) -> bytes:
    return f"GET {API}/wallet HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {account.token}\r\n\r\n".encode()


def test_connection_keeps_nothing_of_a_body_that_was_answered(front: Front) -> None:
    """However many of them idle: what they sent before takes no memory."""
    many, size = 50, FREE // 2
    sent = b"POST /wallet HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + size * b"x"
    with ExitStack() as undo:
        tracemalloc.start()
        undo.callback(tracemalloc.stop)
        for _ in range(many):
            client = undo.enter_context(connect(front.url))
            client.sendall(sent)
            assert first_status(client) == 400
        of_that_size = [trace for trace in tracemalloc.take_snapshot().traces if size <= trace.size < 2 * size]
        assert len(of_that_size) < many // 2


def test_answers_come_in_order(front: Front) -> None:
    """Small and large POSTs, GETs, refusals and routes of Flask, all sent at once: each gets its own answer."""
    alice, large = new_account(front.wire), "x" * (LIMIT - 1)
    asked = [
        *(post(alice, 1), get(alice), post(alice, 1, "other"), post(alice, 2, large), post(alice, 3)),
        *(post(alice, 9).replace(alice.token.encode(), b"0" * 64), get(alice).replace(b"/wallet", b"/devices")),
        *(post(alice, 4).replace(b'"hmac"', b'"hnac"'), post(alice, 4, headers="Connection: close\r\n")),
    ]
    answers = exchange(front, b"".join(asked))
    assert statuses(answers) == [200, 200, 409, 200, 200, 401, 200, 400, 200]
    assert alice.get().json["sequence"] == 4


@pytest.mark.parametrize("piece", [1, 100])
def test_body_may_come_in_pieces(front: Front, piece: int) -> None:
    """However a request is cut on its way."""
    alice, answers = new_account(front.wire), b""
    with connect(front.url) as client, client.makefile("rb") as received:
        sent = post(alice, 1, headers="Connection: close\r\n")
        for begin in range(0, len(sent), piece):
            client.sendall(sent[begin : begin + piece])
        answers = received.read()
    assert statuses(answers) == [200]


def test_client_that_vanishes_has_written(front: Front, busy: apsw.Connection) -> None:
    """What was submitted is stored though nobody waits any more, and leaves nothing held."""
    alice = new_account(front.wire)
    busy.execute("BEGIN IMMEDIATE")
    with connect(front.url) as client:
        client.sendall(post(alice, 1))
        until(lambda: front.door.places.taken == 1)
    busy.execute("ROLLBACK")
    until(lambda: front.door.places.taken == 0)
    assert alice.get().json["sequence"] == 1


@pytest.mark.promise("N-3")
def test_client_that_vanishes_amid_its_body_has_not_written(front: Front) -> None:
    """Half a wallet is none."""
    alice = new_account(front.wire)
    with connect(front.url) as client:
        client.sendall(post(alice, 1)[:-1])
    assert alice.get().status == 404
    assert front.door.places.taken == 0


def test_stop_waits_for_the_disk(front: Front, busy: apsw.Connection) -> None:
    """A write that is under way when the server is told to stop is answered before the connection ends."""
    alice = new_account(front.wire)
    busy.execute("BEGIN IMMEDIATE")
    with connect(front.url) as client, client.makefile("rb") as received:
        client.sendall(post(alice, 1))
        until(lambda: front.door.places.taken == 1)
        front.stopping.set()
        busy.execute("ROLLBACK")
        assert statuses(received.read()) == [200]


def test_garbage_behind_a_write_ends_the_connection_after_its_answer(front: Front, busy: apsw.Connection) -> None:
    """Nothing is taken from the write before it."""
    alice = new_account(front.wire)
    busy.execute("BEGIN IMMEDIATE")
    with connect(front.url) as client, client.makefile("rb") as received:
        client.sendall(post(alice, 1) + b"garbage\r\n\r\n")
        until(lambda: front.door.places.taken == 1)
        assert is_open(front, client)
        client.settimeout(20)
        busy.execute("ROLLBACK")
        assert statuses(received.read()) == [200]
    assert alice.get().json["sequence"] == 1


def test_refused_place_is_503(front: Front) -> None:
    """Where a network has as many requests in work as it may, one more is told to come back."""
    alice = new_account(front.wire)
    for _ in range(PLACES_SHARE):
        front.door.places.take(neighbourhood_of("127.0.0.1"))
    answers = exchange(front, post(alice, 1) + get(alice))
    assert statuses(answers) == [503, 404]
    assert b"retry-after" in answers.lower()
