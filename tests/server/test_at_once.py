"""Answers that are made where their request was parsed: in order, counted, and no other than the rest."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import flask
import pytest

from tests.server.front import Front, served
from tests.server.helpers import API, Account, cheap_passwords, new_account, until, wallet_body
from tests.server.raw import LIMIT, exchange, statuses
from walletsync_server.api import history as api_of_history
from walletsync_server.api import wallets as api_of_wallets
from walletsync_server.api.dispatch import Holder
from walletsync_server.api.http import Request, Response
from walletsync_server.api.wallets import wallet_response
from walletsync_server.app import close_app, create_app
from walletsync_server.asgi import server
from walletsync_server.asgi.at_once import request_of
from walletsync_server.asgi.body_budget import FREE, ROOMLESS
from walletsync_server.asgi.front_door import PLACES_SHARE
from walletsync_server.services.throttle import neighbourhood_of
from walletsync_server.services.wallets import SMALL, Content, Wallet
from walletsync_server.settings import Settings

KNOWN = Holder("here", 1)


def get(account: Account, headers: str = "") -> bytes:
    head = f"GET {API}/wallet HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {account.token}\r\n{headers}\r\n"
    return head.encode()


@pytest.mark.parametrize("size", [10, ROOMLESS + 1000, LIMIT], ids=["at once", "counted", "read elsewhere"])
def test_answers_come_whole_and_in_order(front: Front, size: int) -> None:
    """However large a wallet is, and whatever is asked before and behind it, each answer is its request's."""
    alice, text = new_account(front.wire), "x" * size
    tag = alice.post(1, text).headers["etag"]
    nothing_new = get(alice, f"If-None-Match: {tag}\r\n")
    nowhere = get(alice).replace(b"/wallet", b"/nowhere")
    answers = exchange(front, get(alice) + nothing_new + nowhere + get(alice) + nothing_new)
    assert statuses(answers) == [200, 304, 404, 200, 304]
    assert answers.count(json.dumps(text).encode()) == 2


def test_only_quick_requests_with_small_bodies_need_no_task() -> None:
    """A target with a fragment, a body that is large or of unknown length, or an escaped path take the long way."""
    assert request_of(b"GET", b"/healthz?a=b", [], "") == Request(method="GET", path="/healthz", query="a=b")
    small = [(b"content-length", b"%d" % FREE)]
    assert request_of(b"POST", b"/wallet", small, "") == Request(
        method="POST", path="/wallet", headers={"content-length": str(FREE)}
    )
    for method, target, headers in [
        (b"GET", b"/healthz?a#b", []),
        (b"POST", b"/wallet", [(b"content-length", b"%d" % (FREE + 1))]),
        (b"POST", b"/wallet", [(b"transfer-encoding", b"chunked")]),
        (b"POST", b"/wallet", [*small, (b"expect", b"100-continue")]),
        (b"POST", b"/signup", small),
        (b"GET", b"/%68ealthz", []),
    ]:
        assert request_of(method, target, headers, "") is None


def test_answers_count_until_they_are_read(narrow: flask.Flask) -> None:
    """What is made for clients that do not read it is held, so that no number of connections fills the memory."""
    with served(narrow, send_buffer=4096) as front, ExitStack() as undo:
        alice = new_account(front.wire)
        body = alice.post(1, "x" * 50_000).body
        room = front.door.budgets.room_of(KNOWN)
        free = room.free
        clients = [undo.enter_context(socket.socket()) for _ in range(3)]
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(20)
            client.connect(("127.0.0.1", int(front.url.rpartition(":")[2])))
            client.sendall(get(alice, "Connection: close\r\n") if client is clients[0] else get(alice))
        until(lambda: room.free == free - 3 * (len(body) - ROOMLESS))
        clients.pop().close()
        until(lambda: room.free == free - 2 * (len(body) - ROOMLESS))
        for client in clients:
            client.shutdown(socket.SHUT_WR)
            with client.makefile("rb") as received:
                assert statuses(received.read()) == [200]
        until(lambda: room.free == free)


def test_answer_without_room_is_503(front: Front) -> None:
    """Where others hold all there is, a wallet that needs room is refused; what needs none is answered."""
    alice, bob = (new_account(front.wire) for _ in range(2))
    alice.post(1, "x" * 50_000)
    bob.post(1, "x" * 1000)
    room = front.door.budgets.room_of(KNOWN)
    taken = room.free
    room.free = 0
    assert statuses(exchange(front, get(alice) + get(bob) + get(alice))) == [503, 200, 503]
    room.free = taken
    assert alice.get().status == 200


def get_version(account: Account, sequence: int) -> bytes:
    return get(account).replace(b"/wallet", b"/wallet/history/%d" % sequence)


def test_large_answer_needs_a_place_to_be_made(front: Front) -> None:
    """Where a network has as many requests in work as it may, a wallet that is small is answered all the same."""
    alice, bob = (new_account(front.wire) for _ in range(2))
    alice.post(1, LIMIT * "x")
    bob.post(1, "x")
    for _ in range(PLACES_SHARE):
        front.door.places.take(neighbourhood_of("127.0.0.1"))
    answers = exchange(front, get(alice) + get(bob) + get_version(alice, 1))
    assert statuses(answers) == [503, 200, 503]
    front.door.places.leave(neighbourhood_of("127.0.0.1"))
    assert statuses(exchange(front, get(alice) + get(bob) + get_version(alice, 1))) == [200, 200, 200]
    assert front.door.places.taken == PLACES_SHARE - 1


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_large_wallets_are_read_one_after_the_other(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is being made for an answer is not counted yet, so that many at once would take any amount of memory."""
    made_in: list[str] = []

    def noting(wallet: Wallet | Content) -> Response:
        made_in.append(threading.current_thread().name.partition("_")[0])
        return wallet_response(wallet)

    for room in (api_of_wallets, api_of_history):
        monkeypatch.setattr(room, "wallet_response", noting)
    database = f"sqlite:///{tmp_path}/w.db"
    if engine == "postgresql":
        database = request.getfixturevalue("postgres").new_storage()
    app = create_app(Settings(database=database, accounts="open"), passwords=cheap_passwords())
    with closing_app(app), served(app) as front:
        alice = new_account(front.wire)
        alice.post(1, SMALL * "x")
        alice.post(2, LIMIT * "x")
        late, in_a_task = json.dumps(wallet_body(1)).encode(), get(alice).replace(b"HTTP/1.1", b"HTTP/1.0")
        conflict = get(alice, f"Content-Length: {len(late)}\r\n").replace(b"GET", b"POST") + late
        del made_in[:]
        answers = exchange(front, get(alice) + conflict + get_version(alice, 1) + in_a_task)
        assert statuses(answers) == [200, 409, 200, 200]
        assert statuses(exchange(front, get(alice).replace(b"GET", b"HEAD"))) == [200]
        assert made_in == 4 * ["large-wallets"]


@contextmanager
def closing_app(app: flask.Flask) -> Iterator[None]:
    try:
        yield
    finally:
        close_app(app)


@pytest.fixture
def small_buffers(narrow: flask.Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Account, socket.socket]]:
    """An account with a wallet, and a connection for which the system keeps less than that; idle ones end soon."""
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.2)
    with served(narrow, send_buffer=4096) as front, socket.socket() as client:
        alice = new_account(front.wire)
        alice.post(1, "x" * 15_000)
        client.settimeout(20)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", int(front.url.rpartition(":")[2])))
        yield alice, client


def test_answers_wait_for_those_that_are_not_read(small_buffers: tuple[Account, socket.socket]) -> None:
    """Who asks several times and reads nothing gets all of them, in order, once it reads."""
    alice, client = small_buffers
    client.sendall(10 * get(alice))
    with client.makefile("rb") as received:
        assert statuses(received.read()) == 10 * [200]


def test_idle_time_begins_when_the_answer_is_read(small_buffers: tuple[Account, socket.socket]) -> None:
    """A client that takes a while to read is not cut for asking nothing meanwhile."""
    alice, client = small_buffers
    client.sendall(get(alice))
    began = time.monotonic()
    until(lambda: time.monotonic() > began + 2.5)  # more than two sweeps over the connections
    with client.makefile("rb") as received:
        assert received.read().count(b"x" * 15_000) == 1
