"""As many connections as there may be, and who has to go for one more."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.server.front import Front, app_with, served
from tests.server.helpers import connect, new_account, until
from tests.server.raw import BEHIND, first_status, is_open, post
from walletsync_server.app import close_app
from walletsync_server.asgi.crowd import BATCH, who_gives_way

HERE, THERE = "127.0.1.1", "127.0.2.1"


@dataclass(eq=False)
class Connection:
    network: str
    arrival: int
    is_idle: bool = True


@pytest.mark.promise("P-18")
def test_idle_connections_go_first() -> None:
    """Of the network that has most idle ones the oldest go, several at once, whoever comes; those at work stay."""
    many = [Connection("a", number) for number in range(200, 0, -1)]
    busy = [Connection("b", 0, is_idle=False) for _ in range(300)]
    few = [Connection("c", 0), Connection("c", 1)]
    for newcomer in "abcd":
        gone = who_gives_way([*few, *busy, *many], newcomer)
        assert [connection.arrival for connection in gone] == list(range(1, BATCH + 1))
        assert {connection.network for connection in gone} == {"a"}
    assert who_gives_way([*busy, *few], "c") == few[:1]


def test_where_nobody_is_idle_whoever_has_most_gives_way_to_who_has_less() -> None:
    """One goes, the oldest, of the network that has most; and none where the newcomer would have as many."""
    busy = [Connection(network, arrival, is_idle=False) for arrival, network in enumerate("abababcab")]
    assert who_gives_way(busy, "d") == busy[:1]
    assert who_gives_way(busy, "c") == busy[:1]
    assert who_gives_way(busy[:3], "b") == []
    assert who_gives_way(busy[:2], "d") == []
    assert who_gives_way(busy, "a") == []


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    app = app_with(tmp_path)
    with served(app, connections=20) as front:
        yield front
    close_app(app)


def test_idle_connections_of_one_address_shut_nobody_out(front: Front) -> None:
    """However many of them one client opens, others are served, at the same address and elsewhere."""
    with ExitStack() as clients:
        idle = [clients.enter_context(connect(front.url, HERE)) for _ in range(100)]
        for source in (HERE, THERE):
            with connect(front.url, source) as client:
                client.sendall(BEHIND)
                assert first_status(client) == 200
        assert not is_open(front, idle[0])
        assert is_open(front, idle[-1])


def stuck(front: Front, source: str) -> socket.socket:
    """Return a connection over which half of a request has come."""
    client = connect(front.url, source)
    client.sendall(post(b"Expect: 100-continue\r\nContent-Length: 10\r\n", b""))
    assert first_status(client) == 100
    return client


@pytest.mark.promise("P-18")
def test_half_requests_of_one_network_shut_no_other_out(front: Front) -> None:
    """Where all connections are at work, one of whoever has most goes for a newcomer from elsewhere; its own is 503."""
    with ExitStack() as clients:
        held = [clients.enter_context(stuck(front, HERE)) for _ in range(20)]
        with connect(front.url, HERE) as refused, refused.makefile("rb") as received:
            answer = received.read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b'"code":"busy"' in answer
        assert all(is_open(front, client) for client in held)
        with connect(front.url, THERE) as client:
            client.sendall(BEHIND)
            assert first_status(client) == 200
        until(lambda: not is_open(front, held[0]))


@pytest.mark.parametrize("behind_a_proxy", [False, True])
def test_websockets_count_for_their_clients_network(tmp_path: Path, behind_a_proxy: bool) -> None:
    """A network's WebSockets give way to others, too, also behind a proxy that says where they are from."""
    app = app_with(tmp_path, trusted_proxies=("127.0.0.1",)) if behind_a_proxy else app_with(tmp_path)
    with served(app, connections=6) as front:
        alice = new_account(front.wire)
        first, *_ = [front.listen(alice.token, headers=["X-Forwarded-For: 192.0.2.1"]) for _ in range(6)]
        with connect(front.url, "" if behind_a_proxy else THERE) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n")
            assert first_status(client) == 200
        first.sock.settimeout(20)
        assert first.sock.recv(1) == b""
    close_app(app)
