"""The rooms that clients share: for the bytes of bodies and answers, and for requests in work."""

import asyncio
import json
import socket
import threading
import tracemalloc
from contextlib import ExitStack, suppress

import flask
import pytest

from tests.server.front import Front, served
from tests.server.helpers import API, PASSWORD, SEED, Account, connect, new_account, until, wallet_body
from tests.server.raw import LIMIT, first_status, is_open, post
from walletsync_server.api.dispatch import WITHOUT_WALLET, BodyLimit, Holder
from walletsync_server.asgi.body_budget import FREE, BodyBudgets, HeldBodies
from walletsync_server.asgi.rooms import Place, Places, Room
from walletsync_server.services.errors import Overloaded

LARGE = BodyLimit(10 * LIMIT, 10 * LIMIT)
NETWORKS = [f"127.0.{number}.1" for number in range(1, 20)]


class Body:
    """A guest who can give way, and notes that it did."""

    def __init__(self, room: Room, size: int, holder: Holder) -> None:
        self.room, self.size, self.holder = room, size, holder
        self.gave_way = False
        room.enter(self, holder)
        room.reserve(size, holder)

    def give_way(self) -> None:
        self.gave_way = True
        self.room.leave(self, self.holder)
        self.room.release(self.size, self.holder)


def test_whoever_holds_most_gives_way() -> None:
    """Where a room is full, who wants less than another holds gets it from that one, from its oldest body first."""
    room = Room(100, 100)
    first, second = Body(room, 30, Holder("a")), Body(room, 30, Holder("a"))
    third = Body(room, 40, Holder("b"))
    Body(room, 20, Holder("c"))
    assert (first.gave_way, second.gave_way, third.gave_way) == (True, False, False)
    assert room.free == 10
    Body(room, 15, Holder("d"))
    assert third.gave_way
    assert not second.gave_way


def test_who_holds_most_takes_nothing_from_others() -> None:
    """Who would hold as much as anybody is refused, and nobody gives way to it."""
    room = Room(90, 90)
    bodies = [Body(room, 30, Holder(network)) for network in "abc"]
    with pytest.raises(Overloaded):
        room.reserve(30, Holder("d"))
    with pytest.raises(Overloaded):
        room.reserve(1, Holder("a"))
    assert not any(body.gave_way for body in bodies)
    assert room.free == 0


def test_accounts_of_one_network_take_nothing_from_other_networks() -> None:
    """What all accounts hold in one network counts as one; among themselves each has its part."""
    room = Room(100, 100)
    many = [Body(room, 10, Holder("a", account)) for account in range(8)]
    one = Body(room, 20, Holder("b", 100))
    Body(room, 40, Holder("c", 200))
    assert sum(body.gave_way for body in many) == 4
    assert not one.gave_way

    alone = Room(100, 100)
    greedy = Body(alone, 60, Holder("a", 1)), Body(alone, 20, Holder("a", 1))
    modest = Body(alone, 20, Holder("a", 2))
    Body(alone, 30, Holder("a", 3))
    assert (greedy[0].gave_way, greedy[1].gave_way, modest.gave_way) == (True, False, False)


def test_network_has_no_more_than_its_share() -> None:
    """However much room there is, one network gets its share of it, and what it gives back it can have again."""
    room = Room(100, 40)
    room.reserve(30, Holder("a", 1))
    with pytest.raises(Overloaded):
        room.reserve(11, Holder("a", 2))
    room.release(30, Holder("a", 1))
    room.reserve(40, Holder("a", 2))
    assert room.free == 60


STRANGER = Holder("")
KNOWN = Holder("", 1)


def free(front: Front, holder: Holder = STRANGER) -> int:
    """Return how much room there is for such as this one."""
    return front.door.budgets.room_of(holder).free


def begin(front: Front, size: int, source: str, *, token: str = "", path: bytes = b"/wallet") -> socket.socket:
    """Return a connection over which all but the last byte of a body has come."""
    client = connect(front.url, source)
    head = b"Content-Length: %d\r\nAuthorization: Bearer %s\r\n" % (size, token.encode() or b"-")
    client.sendall(post(head, b" " * (size - 1)).replace(b"/wallet", path, 1))
    return client


@pytest.fixture
def tight(front: Front) -> Front:
    """A front with room for three of the largest bodies of strangers."""
    front.door.budgets = BodyBudgets(12 * LIMIT, LIMIT)
    return front


@pytest.mark.promise("P-18")
@pytest.mark.parametrize("logged_in", [False, True])
def test_few_networks_do_not_shut_out_others(front: Front, logged_in: bool) -> None:
    """Whoever fills the room gives way to who wants less, with an account or without; and is told to come back."""
    front.door.budgets = BodyBudgets(12 * LIMIT if not logged_in else 4 * LIMIT, LIMIT)
    tokens = [new_account(front.wire).token if logged_in else "" for _ in range(4)]
    holder = KNOWN if logged_in else STRANGER
    with ExitStack() as clients:
        held = []
        for source, token in zip(NETWORKS[:3], tokens, strict=False):
            before = free(front, holder)
            held.append(clients.enter_context(begin(front, LIMIT, source, token=token)))
            until(lambda before=before: free(front, holder) == before - LIMIT + FREE + 1)  # type: ignore[misc]
        other = clients.enter_context(begin(front, LIMIT // 2, NETWORKS[3], token=tokens[3]))
        other.sendall(b" ")
        assert first_status(other) == 400
        for client in held:
            client.sendall(b" ")
        assert sorted(first_status(client) for client in held) == [400, 400, 503]
    until(lambda: free(front, holder) == 3 * LIMIT)


@pytest.mark.promise("P-36")
def test_who_shows_a_token_needs_no_room_of_strangers(tight: Front) -> None:
    """While strangers have all of theirs, wallets and password changes of those who show a token are served."""
    alice, wallet = new_account(tight.wire), "x" * (LIMIT - 1000)
    change = {"email": alice.email, "oldPassword": PASSWORD, "newPassword": PASSWORD + "!", "clientSaltSeed": SEED}
    with ExitStack() as clients:
        for source in NETWORKS[:18]:
            clients.enter_context(begin(tight, LIMIT // 6 + FREE + 1, source))
        until(lambda: free(tight) < 2000)
        stranger = tight.wire("POST", f"{API}/wallet", wallet_body(1, wallet))
        assert (stranger.status, stranger.code, stranger.headers["retry-after"]) == (503, "busy", "10")
        assert alice.post(1, wallet).status == 200
        body = json.dumps({**change, **wallet_body(2, wallet)}).encode()
        assert tight.wire("POST", f"{API}/password", body).status == 503
        assert tight.wire("POST", f"{API}/password", body, token=alice.token).status == 200


def test_small_request_needs_no_room(tight: Front) -> None:
    """While strangers have all of theirs, one can log in, in however many pieces that comes."""
    alice = new_account(tight.wire)
    login = json.dumps({"email": alice.email, "password": PASSWORD, "deviceId": "phone"}).encode()
    with ExitStack() as clients:
        for source in NETWORKS[:18]:
            clients.enter_context(begin(tight, LIMIT // 6 + FREE + 1, source))
        until(lambda: free(tight) < 2000)
        client = clients.enter_context(connect(tight.url))
        client.sendall(post(b"Content-Length: %d\r\n" % len(login), login[:20]).replace(b"/wallet", b"/auth/full"))
        assert is_open(tight, client)
        client.sendall(login[20:])
        assert first_status(client) == 200


@pytest.mark.promise("X-17")
def test_body_without_a_wallet_is_small(front: Front) -> None:
    """Where no wallet is read a body has a limit of its own, and takes no room beyond that."""
    for path in (b"/signup", b"/auth/full", b"/nowhere"):
        with connect(front.url) as client:
            client.sendall(post(b"Content-Length: %d\r\n" % (WITHOUT_WALLET.raw + 1), b"").replace(b"/wallet", path))
            assert first_status(client) == (404 if path == b"/nowhere" else 413)
        with begin(front, WITHOUT_WALLET.raw, "", path=path) as client:
            client.sendall(b" ")
            assert first_status(client) == (404 if path == b"/nowhere" else 400)


@pytest.mark.promise("P-18")
@pytest.mark.parametrize("path", ["/wallet", f"{API}/wallet/history/1"])
def test_answers_that_are_not_read_give_way(narrow: flask.Flask, path: str) -> None:
    """One network has its share of room for answers; where several have all of it, the oldest of them is cut."""
    with served(narrow, send_buffer=4096) as front, ExitStack() as clients:
        one, other = new_account(front.wire), new_account(front.wire)
        assert one.post(1, "x" * LIMIT).status == 200
        assert other.post(1, "x" * (LIMIT * 9 // 10)).status == 200
        front.door.budgets = BodyBudgets(4 * LIMIT, 3 * LIMIT // 2)  # room for three of these, share for one

        def ask(account: Account, source: str) -> socket.socket:
            return clients.enter_context(ask_for(front, path, source, account.token))

        held = [ask(one, source) for source in NETWORKS[:3]]
        assert [first_status(client) for client in held] == [200] * 3
        assert first_status(ask(one, NETWORKS[0])) == 503
        assert first_status(ask(other, NETWORKS[3])) == 200
        assert sum(is_cut(client) for client in held) == 1
    until(lambda: free(front, KNOWN) == 3 * LIMIT)


def ask_for(front: Front, path: str, source: str, token: str = "") -> socket.socket:
    """Return a connection over which an answer comes, of which the system reads little for the client."""
    client = socket.socket()
    client.settimeout(20)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.bind((source, 0))
    client.connect(("127.0.0.1", int(front.url.rpartition(":")[2])))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    return client


def test_answers_to_strangers_are_counted(narrow: flask.Flask) -> None:
    """Pages that a network asks for and does not read take of its share, too; another network gets them."""
    with served(narrow, send_buffer=4096) as front, ExitStack() as clients:
        front.door.budgets = BodyBudgets(12 * LIMIT, LIMIT)
        assert LIMIT // 2 < len(front.wire("GET", "/openapi.json").body) < LIMIT
        until(lambda: free(front) == 3 * LIMIT)
        held = [clients.enter_context(ask_for(front, "/openapi.json", NETWORKS[0])) for _ in range(3)]
        assert sorted(first_status(client) for client in held) == [200, 503, 503]
        assert first_status(clients.enter_context(ask_for(front, "/openapi.json", NETWORKS[1]))) == 200
    until(lambda: free(front) == 3 * LIMIT)


def is_cut(client: socket.socket) -> bool:
    """Read the answer; say whether it ends before all of the wallet has come."""
    received = 0
    with suppress(ConnectionError):
        while received < LIMIT and (piece := client.recv(LIMIT)):
            received += len(piece)
    return received < LIMIT


def test_small_pieces_take_no_more_memory_than_a_large_one() -> None:
    """A body that comes a few bytes at a time is held as what it is, not as the many pieces it came in."""
    pieces = 50_000
    messages = iter([*[True] * (pieces - 1), False])

    async def receive() -> object:
        return {"type": "http.request", "body": bytes(2), "more_body": next(messages)}

    tracemalloc.start()
    try:
        with held_bodies(2 * pieces) as bodies:
            assert asyncio.run(bodies.read(receive, LARGE, None)) == bytes(2 * pieces)
        assert tracemalloc.get_traced_memory()[1] < 20 * pieces
    finally:
        tracemalloc.stop()


def held_bodies(strangers: int) -> HeldBodies:
    return HeldBodies(BodyBudgets(0, strangers), lambda: Holder("here"), lambda: None)


def test_answer_to_what_was_stored_needs_no_room_beside_it() -> None:
    """A request that filled its room is answered with as much; a larger one, which stored nothing, may be refused."""

    async def receive() -> object:
        return {"type": "http.request", "body": bytes(LIMIT), "more_body": False}

    with held_bodies(LIMIT - FREE) as bodies:
        asyncio.run(bodies.read(receive, LARGE, None))
        bodies.hold_answer(LIMIT + FREE)
        with pytest.raises(Overloaded):
            bodies.hold_answer(LIMIT + FREE + 1)


def test_room_is_free_after_every_answer(tight: Front) -> None:
    """Whatever became of a body, its room can be used again."""
    before = free(tight), free(tight, KNOWN)
    alice = new_account(tight.wire)
    alice.post(1, "x" * LIMIT)
    tight.wire("POST", f"{API}/wallet", b"[" * LIMIT)
    tight.wire("POST", f"{API}/wallet", b" " * LIMIT, token=alice.token)
    begin(tight, LIMIT, "").close()
    until(lambda: (free(tight), free(tight, KNOWN)) == before)


def test_places_are_shared_among_networks() -> None:
    """A network has its share of the requests in work; in all there are no more than so many."""
    places = Places(3, 2)
    with Place(places) as first, Place(places) as second:
        first.take("a")
        second.take("a")
        with pytest.raises(Overloaded):
            Place(places).take("a")
        third = Place(places)
        third.take("b")
        with pytest.raises(Overloaded):
            Place(places).take("b")
        third.leave()
        third.leave()
        assert places.taken == 2
    assert places.taken == 0


def test_one_network_does_not_take_all_places(narrow: flask.Flask) -> None:
    """Beyond its share a network's requests are turned away while those of others, and what needs no place, go on."""
    begun, go = threading.Semaphore(0), threading.Event()

    @narrow.get("/stuck")
    def stuck() -> str:
        begun.release()
        assert go.wait(60)
        return ""

    with served(narrow) as front, ExitStack() as clients:
        front.door.places = Places(100, 2)
        ask = b"GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n"
        for _ in range(2):
            clients.enter_context(connect(front.url)).sendall(ask)
        assert all(begun.acquire(timeout=20) for _ in range(2))
        try:
            assert front.wire("GET", "/readyz").code == "busy"
            assert front.wire("POST", "/wallet", b"{}").code == "busy"
            assert front.wire("GET", "/healthz").status == 200
            assert front.wire("GET", "/wallet").status == 401
            elsewhere = clients.enter_context(connect(front.url, NETWORKS[0]))
            elsewhere.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert first_status(elsewhere) == 200
        finally:
            go.set()
        until(lambda: front.door.places.taken == 0)
        assert front.wire("GET", "/readyz").status == 200
