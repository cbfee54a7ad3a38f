"""Live updates over real sockets: who is told what, who is hung up and when, and what a client can do wrong."""

import asyncio
import re
import socket
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import flask
import psutil
import pytest
import websocket

from tests.cheap_server import CheapServer
from tests.server.front import Front, listen, served
from tests.server.helpers import (
    API,
    PASSWORD,
    SEED,
    UNKNOWN_TOKEN,
    Account,
    HttpWire,
    cheap_passwords,
    connect,
    log_in,
    new_account,
    until,
)
from walletsync_server.app import close_app, create_app
from walletsync_server.asgi import server as asgi_server
from walletsync_server.live.hub import Hub
from walletsync_server.services.tokens import LIFETIME
from walletsync_server.settings import Settings

GONE = (websocket.WebSocketConnectionClosedException, OSError)


class Clock:
    """The real time, and what a test adds to it."""

    ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hub() -> Hub:
    return Hub(per_account=3)


@pytest.fixture
def app(tmp_path: Path, clock: Clock, hub: Hub) -> Iterator[flask.Flask]:
    settings = Settings(database=f"sqlite:///{tmp_path}/walletsync.db", accounts="open")
    app = create_app(settings, passwords=cheap_passwords(), clock=clock, hub=hub)
    yield app
    close_app(app)


@pytest.fixture
def front(app: flask.Flask) -> Iterator[Front]:
    with served(app) as front:
        yield front


@pytest.fixture
def alice(front: Front) -> Account:
    return new_account(front.wire)


def closing_code(client: Any) -> int:
    """Wait until the server says goodbye, and return the code that it says it with."""
    while True:
        opcode, data = client.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            client.shutdown()
            return int(struct.unpack("!H", data[:2])[0])


def refused(front: Front, token: str, **options: Any) -> "tuple[int, str]":
    """Return status and code of the answer to a handshake that is refused."""
    with pytest.raises(websocket.WebSocketBadStatusException) as raised:
        front.listen(token, **options)
    body = bytes(raised.value.resp_body or b"").decode()
    found = re.search(r'"code":"(\w+)"', body)
    assert found
    return raised.value.status_code, found[1]


@pytest.mark.promise("L-2", "L-3")
def test_every_device_is_told_of_every_write(front: Front, alice: Account) -> None:
    """A write that was accepted is told to all who listen, and on connect there is the current sequence."""
    first = front.listen(alice.token)
    assert alice.post(1).status == 200
    assert first.recv() == "wallet-update:1"
    phone = log_in(front.wire, alice.email, device="phone").json["token"]
    second = front.listen(phone, in_query=True)
    assert second.recv() == "wallet-update:1"
    assert alice.post(2).status == 200
    assert [client.recv() for client in (first, second)] == ["wallet-update:2"] * 2


@pytest.mark.promise("L-3", "L-4")
def test_nothing_is_told_of_others_and_of_nothing(front: Front, alice: Account) -> None:
    """Where no wallet is, and of other accounts' writes, of retries and of conflicts, nothing is said."""
    listening = front.listen(alice.token)
    assert new_account(front.wire).post(1).status == 200
    assert alice.post(5).status == 409
    assert [alice.post(1).status for _ in range(2)] == [200, 200]
    assert alice.post(1, "another").status == 409
    assert alice.post(2).status == 200
    assert [listening.recv(), listening.recv()] == ["wallet-update:1", "wallet-update:2"]


@pytest.mark.promise("L-5")
def test_handshake_without_a_live_token_is_401(front: Front, alice: Account, clock: Clock) -> None:
    """A token that is missing, unknown or expired gets an answer of HTTP in the shape of every error."""
    assert refused(front, UNKNOWN_TOKEN) == (401, "unauthorized")
    assert refused(front, "", in_query=True) == (401, "unauthorized")
    clock.ahead = LIFETIME
    assert refused(front, alice.token) == (401, "unauthorized")
    assert len(front.door.websockets) == 0


@pytest.mark.promise("L-1", "P-105")
def test_plain_request_is_426(front: Front, alice: Account) -> None:
    """Who asks for no WebSocket learns that there is only one; so does who asks for it in a way that is none."""
    half = {"Upgrade": "websocket", "Connection": "Upgrade"}
    for headers in ({}, half, half | {"Sec-WebSocket-Version": "12", "Sec-WebSocket-Key": "A" * 22 + "=="}):
        answer = front.wire("GET", f"{API}/websocket", token=alice.token, headers=headers)
        assert (answer.status, answer.code) == (426, "bad_request")


def test_handshake_elsewhere_is_404(front: Front, alice: Account) -> None:
    """A WebSocket at an address that has none is refused like any request."""
    with pytest.raises(websocket.WebSocketBadStatusException) as raised:
        websocket.create_connection(f"{front.url.replace('http', 'ws')}/elsewhere", timeout=20)
    assert raised.value.status_code == 404


@pytest.mark.promise("P-105")
def test_nothing_is_compressed(front: Front, alice: Account) -> None:
    """An offer to compress is not taken: it would cost memory for every socket."""
    offer = ["Sec-WebSocket-Extensions: permessage-deflate", f"Authorization: Bearer {alice.token}"]
    address = f"{front.url.replace('http', 'ws')}{API}/websocket"
    client: Any = websocket.create_connection(address, timeout=20, header=offer)
    assert "sec-websocket-extensions" not in client.getheaders()
    client.shutdown()


@pytest.mark.promise("P-105")
def test_no_subprotocol_is_chosen(front: Front, alice: Account) -> None:
    """There is none to choose: a client that offers some goes on without."""
    offer = ["Sec-WebSocket-Protocol: v1.walletsync, v2.walletsync", f"Authorization: Bearer {alice.token}"]
    address = f"{front.url.replace('http', 'ws')}{API}/websocket"
    client: Any = websocket.create_connection(address, timeout=20, header=offer)
    assert "sec-websocket-protocol" not in client.getheaders()
    client.shutdown()


@pytest.mark.promise("P-114")
def test_sockets_of_an_account_are_bounded(front: Front, alice: Account, hub: Hub) -> None:
    """An account may listen in three places here; who closes one makes room, and others have their own."""
    clients = [front.listen(alice.token) for _ in range(3)]
    assert refused(front, alice.token) == (429, "rate_limited")
    front.listen(new_account(front.wire).token)
    clients[0].close()
    until(lambda: len(hub) == 3)
    front.listen(alice.token)


def change_password(alice: Account) -> int:
    body = {
        "email": alice.email,
        "oldPassword": PASSWORD,
        "newPassword": "another login password",
        "clientSaltSeed": SEED,
    }
    return alice.wire("POST", f"{API}/password", body).status


VOIDING: dict[str, Callable[[Account], int]] = {
    "logout": lambda alice: alice.wire("DELETE", f"{API}/auth/full", token=alice.token).status,
    "revocation": lambda alice: alice.wire("DELETE", f"{API}/devices/laptop", token=alice.token).status,
    "new login": lambda alice: log_in(alice.wire, alice.email).status,
    "password": change_password,
    "deletion": lambda alice: (
        alice.wire("POST", f"{API}/account/delete", {"email": alice.email, "password": PASSWORD}).status
    ),
}


@pytest.mark.promise("L-6", "L-7", "P-34", "X-11")
@pytest.mark.parametrize("name", VOIDING)
def test_void_token_closes_its_sockets(front: Front, alice: Account, hub: Hub, name: str) -> None:
    """Whatever makes a token void closes its sockets, with 1008; those of others stay."""
    phone = log_in(front.wire, alice.email, device="phone").json["token"]
    laptop, other, stranger = front.listen(alice.token), front.listen(phone), new_account(front.wire)
    outside = front.listen(stranger.token)
    assert VOIDING[name](alice) in (200, 204)
    assert closing_code(laptop) == 1008
    if name in ("password", "deletion"):
        assert closing_code(other) == 1008
    else:
        assert Account(front.wire, alice.email, phone).post(1).status == 200
        assert other.recv() == "wallet-update:1"
    assert stranger.post(1).status == 200
    assert outside.recv() == "wallet-update:1"


@pytest.mark.promise("L-6")
def test_expired_token_closes_its_socket(front: Front, alice: Account, clock: Clock) -> None:
    """A socket is closed when its token expires, although nothing happens."""
    clock.ahead = LIFETIME - timedelta(seconds=1)
    assert closing_code(front.listen(alice.token)) == 1008


@pytest.mark.promise("P-111")
def test_server_says_goodbye() -> None:
    """A server that stops tells every client, with 1001, and ends with status 0."""
    with CheapServer(accounts="open") as server:
        token = new_account(HttpWire(server.url)).token
        clients = [listen(server.url, token) for _ in range(3)]
        assert server.stop() == 0
        assert [closing_code(client) for client in clients] == [1001] * 3


@pytest.mark.promise("P-110")
def test_clients_are_pinged(app: flask.Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server asks whether the client is there; one that answers stays, one that does not is dropped."""
    monkeypatch.setattr(asgi_server, "PING_SECONDS", 0.05)
    monkeypatch.setattr(asgi_server, "PONG_SECONDS", 0.2)
    with served(app) as front:
        alice = new_account(front.wire)
        silent, lively = front.listen(alice.token), front.listen(alice.token)
        for _ in range(20):
            opcode, _ = lively.recv_data(control_frame=True)
            assert opcode == websocket.ABNF.OPCODE_PING
        until(lambda: len(front.door.websockets) == 1)
        assert alice.post(1).status == 200
        while lively.recv_data(control_frame=True)[0] != websocket.ABNF.OPCODE_TEXT:
            pass
        silent.shutdown()


def fill(front: Front) -> None:
    """Send to the only client, which reads nothing, until nothing more goes out."""
    (client,) = front.door.websockets

    async def flood() -> None:
        while True:
            await asyncio.wait_for(client._send({"type": "websocket.send", "text": "x" * 1000}), 0.2)

    with pytest.raises(TimeoutError):
        asyncio.run_coroutine_threadsafe(flood(), client._loop).result(20)


@pytest.fixture
def deaf(app: flask.Flask) -> Iterator[tuple[Front, Account]]:
    """A client that never reads, so that nothing more can be sent to it; beside the front its account."""
    with served(app, send_buffer=4096) as front:
        alice = new_account(front.wire)
        assert alice.post(1).status == 200
        client = front.listen(alice.token, sockopt=((socket.SOL_SOCKET, socket.SO_RCVBUF, 4096),))
        assert client.recv() == "wallet-update:1"
        fill(front)
        yield front, alice


@pytest.mark.promise("P-107")
def test_slow_client_holds_up_nobody(deaf: tuple[Front, Account]) -> None:
    """While one client of the account reads nothing, others learn of every write, and no queue grows for that one."""
    front, alice = deaf
    quick = front.listen(alice.token)
    assert quick.recv() == "wallet-update:1"
    for sequence in range(2, 50):
        assert alice.post(sequence).status == 200
        assert quick.recv() == f"wallet-update:{sequence}"
    slow = next(iter(front.door.websockets))
    assert slow._telling is not None
    assert slow._listener is not None
    assert slow._listener.take() == 49


def test_hang_up_does_not_wait_for_a_slow_client(deaf: tuple[Front, Account], hub: Hub) -> None:
    """A client that reads nothing is cut all the same when its token is void."""
    front, alice = deaf
    assert alice.post(2).status == 200  # it is being told of that
    assert alice.wire("DELETE", f"{API}/auth/full", token=alice.token).status == 204
    until(lambda: len(front.door.websockets) == 0)
    assert len(hub) == 0


def test_connection_of_a_slow_client_is_cut(deaf: tuple[Front, Account]) -> None:
    """What was sent to a client that reads nothing is not kept for ever once its socket was closed."""
    front, alice = deaf
    port = int(front.url.rpartition(":")[2])

    def held() -> list[Any]:
        """Return the connections that the server has open."""
        found = psutil.Process().net_connections("tcp")
        return [each for each in found if each.laddr.port == port and each.status == psutil.CONN_ESTABLISHED]

    until(lambda: len(held()) == 1)
    assert alice.wire("DELETE", f"{API}/auth/full", token=alice.token).status == 204
    until(lambda: held() == [])


def test_stop_does_not_wait_for_a_slow_client(deaf: tuple[Front, Account]) -> None:
    """A server that stops takes leave of a client that reads nothing."""
    front, _ = deaf
    front.stopping.set()
    until(lambda: len(front.door.websockets) == 0)


def test_what_clients_say_is_ignored(front: Front, alice: Account) -> None:
    """A client may send small messages, text or not, which mean nothing here, and pings, which are answered."""
    client = front.listen(alice.token)
    client.send("hello")
    client.send_binary(b"\0\1")
    client.ping("x")
    assert client.recv_data(control_frame=True) == (websocket.ABNF.OPCODE_PONG, b"x")
    assert alice.post(1).status == 200
    assert client.recv() == "wallet-update:1"


@pytest.mark.promise("L-8")
def test_large_message_closes_the_socket(front: Front, alice: Account) -> None:
    """A message over the limit is not kept: the socket is closed, also if the message comes in pieces."""
    client = front.listen(alice.token)
    client.send("x" * 2000)
    assert closing_code(client) == 1009
    client = front.listen(alice.token)
    client.send_frame(websocket.ABNF.create_frame("x" * 600, websocket.ABNF.OPCODE_TEXT, 0))
    client.send_frame(websocket.ABNF.create_frame("x" * 600, websocket.ABNF.OPCODE_CONT, 1))
    assert closing_code(client) == 1009


@pytest.mark.parametrize(
    "frame",
    [
        b"\x81\x05hello",
        b"\xf1\x80\0\0\0\0",
        b"\x83\x80\0\0\0\0",
        b"\x89\xfe\x01\x00" + b"\0" * 260,
        b"\x81\x82\0\0\0\0\xff\xff",
    ],
    ids=["unmasked", "reserved bits", "unknown opcode", "long ping", "no UTF-8"],
)
def test_broken_frame_closes_the_socket(front: Front, alice: Account, hub: Hub, frame: bytes) -> None:
    """What is no frame of a client ends the socket, and nothing else."""
    client, other = front.listen(alice.token), front.listen(alice.token)
    client.sock.sendall(frame)
    with pytest.raises(GONE):
        closing_code(client)
    assert alice.post(1).status == 200
    assert other.recv() == "wallet-update:1"
    until(lambda: len(hub) == 1)


def send_for_ever(client: Any, data: bytes) -> NoReturn:
    while True:
        client.sock.sendall(data)


def test_client_that_pings_and_reads_nothing_is_cut(app: flask.Flask, hub: Hub) -> None:
    """Answers to pings do not pile up."""
    with served(app, send_buffer=4096) as front:
        client = front.listen(new_account(front.wire).token, sockopt=((socket.SOL_SOCKET, socket.SO_RCVBUF, 4096),))
        ping = b"\x89\xfd\0\0\0\0" + b"x" * 125
        with pytest.raises(GONE):
            send_for_ever(client, ping * 100)
        until(lambda: len(hub) == 0)


def test_client_that_vanishes_makes_room(front: Front, alice: Account, hub: Hub) -> None:
    """A connection that ends without goodbye, or is reset, is no listener any more."""
    front.listen(alice.token).shutdown()
    rude = front.listen(alice.token)
    rude.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    rude.shutdown()
    until(lambda: len(hub) == 0 and len(front.door.websockets) == 0)


HANDSHAKE = (
    b"GET /api/3/websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


def test_handshake_behind_another_request_is_none(front: Front, alice: Account) -> None:
    """Both answers would go over one connection; so the handshake is an ordinary request then."""
    token = f"Authorization: Bearer {alice.token}\r\n\r\n".encode()
    with connect(front.url) as client, client.makefile("rb") as received:
        client.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n" + HANDSHAKE + token)
        client.shutdown(socket.SHUT_WR)
        answers = received.read()
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"426"]


def test_log_has_no_token(alice: Account, front: Front, caplog: pytest.LogCaptureFixture) -> None:
    """A handshake is logged as a request, without token or query."""
    with caplog.at_level("INFO"):
        client = front.listen(alice.token, in_query=True)
        alice.post(1)
        assert client.recv()
        client.close()
        until(lambda: len(front.door.websockets) == 0)
    assert "route=/api/3/websocket status=101" in caplog.text
    assert alice.token not in caplog.text
