"""Requests that come again byte for byte: they are not parsed anew, and get no other answer than if they were."""

import json
import random
import re
from collections.abc import Iterator
from io import BufferedReader

import apsw
import flask
import pytest

from tests.server.front import Front, app_with, served
from tests.server.helpers import API, Account, connect, new_account, until, wallet_body
from tests.server.raw import BEHIND, HOST, exchange, statuses
from walletsync.protocol import AUTH_PATH
from walletsync_server.api.http import Request
from walletsync_server.app import close_app
from walletsync_server.asgi import repeated, server
from walletsync_server.asgi.front_door import FrontDoor
from walletsync_server.asgi.repeated import FIELDS, LONGEST, Repeated

STEPS = 60
_LENGTH = re.compile(rb"content-length: (\d+)")


class Watched(Repeated):
    """Counts what it found; while it is deaf, it remembers nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.found = 0
        self.is_deaf = False

    def find(self, data: bytes, peer: str) -> Request | None:
        request = super().find(data, peer)
        self.found += request is not None
        return request

    def remember(self, data: bytes, request: Request) -> None:
        if not self.is_deaf:
            super().remember(data, request)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Watched:
    """What the server of the test remembers."""
    known = Watched()
    monkeypatch.setattr(server, "Repeated", lambda: known)
    return known


@pytest.fixture
def alice(known: Watched, front: Front) -> Account:
    """Somebody with a wallet."""
    alice = new_account(front.wire)
    alice.post(1, "the first")
    return alice


def asking(account: Account, *lines: str, method: str = "GET", path: str = f"{API}/wallet") -> bytes:
    head = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {account.token}", *lines]
    return ("\r\n".join(head) + "\r\n\r\n").encode()


def posted(account: Account, sequence: int) -> bytes:
    body = json.dumps(wallet_body(sequence)).encode()
    return asking(account, f"Content-Length: {len(body)}", method="POST") + body


def one_answer(received: BufferedReader, sent: bytes) -> bytes:
    """Read the next answer; nothing if the connection has ended. Of an id and a date, only that they are there."""
    lines = list(iter(received.readline, b"\r\n")) if received.peek(1) else []
    head = b"".join(lines[:1] + sorted(line.lower() for line in lines[1:]))  # their order tells which way it took
    length = _LENGTH.search(head)
    has_body = length is not None and not sent.lstrip().startswith(b"HEAD") and b" 304 " not in head
    body = received.read(int(length[1])) if length and has_body else b""
    return re.sub(rb"(x-request-id|date): [^\r]+", rb"\1", head) + body


def talk(front: Front, steps: list[list[bytes]]) -> list[bytes]:
    """Take each step, sending all of it at once, and wait for its answers; on a new connection where one ended."""
    answers, client = [], connect(front.url)
    received = client.makefile("rb")
    for step in steps:
        try:
            client.sendall(b"".join(step))
            answers += [one_answer(received, sent) for sent in step]
            is_over = not answers[-1] or b"close" in answers[-1]
        except OSError:
            answers.append(b"")
            is_over = True
        if is_over:
            received.close()
            client.close()
            client = connect(front.url)
            received = client.makefile("rb")
    received.close()
    client.close()
    return answers


def any_step(alice: Account, tag: str, chance: random.Random) -> list[bytes]:
    get, nothing_new = asking(alice), asking(alice, f"If-None-Match: {tag}")
    late = b'{"sequence": 1, "encryptedWallet": "x", "hmac": "h"}'
    post = asking(alice, "Content-Type: application/json", f"Content-Length: {len(late)}", method="POST") + late
    kinds = [
        *([get], [nothing_new], [get, get], [nothing_new, get], [post], [post, get]),
        *([asking(alice, method="HEAD")], [asking(alice, path=f"{API}/nowhere")], [b"\r\n" + get], [get + b"\r\n"]),
        *(
            [get.replace(b"Bearer ", b"Bearer x")],
            [asking(alice, "Content-Length: 0")],
        ),
        *([asking(alice, "Connection: close")], [get.replace(b"HTTP/1.1", b"HTTP/1.0")]),
        *([asking(alice, "Connection: upgrade", "Upgrade: h2c")], [asking(alice, path=f"{API}/wallet?token=x")]),
    ]
    return chance.choice(kinds)


def test_no_answer_is_another_one(known: Watched, front: Front, alice: Account) -> None:
    """Whatever comes between requests that are known: pipelines, bodies, offers, ends of connections."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance, tag = random.Random(seed), alice.get().headers["etag"]
    steps = [any_step(alice, tag, chance) for _ in range(STEPS)]
    known.is_deaf = True
    parsed = talk(front, steps)
    assert not known.found
    known.is_deaf = False
    assert talk(front, steps + steps) == parsed + parsed
    assert known.found > STEPS / 10


def test_what_is_new_is_told(known: Watched, front: Front, alice: Account) -> None:
    """What is remembered is the question: a new version, and that a token is void, show at once."""
    nothing_new = asking(alice, f"If-None-Match: {alice.get().headers['etag']}")
    assert [answer.split()[1] for answer in talk(front, 3 * [[nothing_new]])] == 3 * [b"304"]
    alice.post(2, "the second")
    (told,) = talk(front, [[nothing_new]])[:1]
    assert b"the second" in told
    assert alice.wire("DELETE", f"{API}{AUTH_PATH}", token=alice.token).status == 204
    again = talk(front, 2 * [[nothing_new]])
    assert [answer.split()[1] for answer in again] == 2 * [b"401"]
    assert known.found == 5


def test_only_what_is_one_request_is_remembered(known: Watched, front: Front, alice: Account) -> None:
    """Not several together, nor what has something unreadable behind it, or comes in parts, or is long."""
    talk(front, [[BEHIND]])
    get, before = asking(alice), len(known)
    assert statuses(exchange(front, BEHIND + get + get)) == [200, 200, 200]
    assert statuses(exchange(front, BEHIND + get + b"\0")) == [200, 200, 400]
    long = asking(alice, "X-Long: " + LONGEST * "x")
    talk(front, [[BEHIND], [get + b"\0"]])
    talk(front, [[BEHIND], [long]])
    with connect(front.url) as client, client.makefile("rb") as received:
        client.sendall(BEHIND)
        one_answer(received, BEHIND)
        client.sendall(get[:20])
        client.sendall(get[20:])
        assert b" 200 " in one_answer(received, get)
    assert len(known) == before


def test_rest_of_a_head_is_no_request(known: Watched, front: Front, alice: Account, busy: apsw.Connection) -> None:
    """A request whose head begins while another is in work goes on with whatever comes next, be it known by itself."""
    get = asking(alice)
    talk(front, [[get], [get]])
    assert known.found == 1
    busy.execute("BEGIN IMMEDIATE")
    with connect(front.url) as client, client.makefile("rb") as received:
        client.sendall(posted(alice, 2) + b"GET /nowhere HTTP/1.1\r\nX-Rest: ")
        until(lambda: front.door.places.taken == 1)
        busy.execute("ROLLBACK")
        assert b" 200 " in one_answer(received, b"POST")
        client.sendall(get)
        assert b" 404 " in one_answer(received, b"GET")
    assert known.found == 1


def test_many_fields_are_not_remembered() -> None:
    """Each takes ten times the bytes that came, so that a stranger could fill the memory with small ones."""
    known, few = Repeated(), {f"x{number}": "" for number in range(FIELDS)}
    known.remember(b"few", Request(method="GET", path="/", headers=few))
    known.remember(b"many", Request(method="GET", path="/", headers={**few, "y": ""}))
    assert known.find(b"few", "192.0.2.1") is not None
    assert known.find(b"many", "192.0.2.1") is None


def test_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is an end to how many are remembered."""
    monkeypatch.setattr(repeated, "MOST", 2)
    known = Repeated()
    for name in (b"a", b"b", b"c"):
        known.remember(name, Request(method="GET", path=f"/{name.decode()}"))
    assert len(known) == 2
    assert known.find(b"a", "192.0.2.1") is None
    assert known.find(b"c", "192.0.2.1") == Request(method="GET", path="/c", peer="192.0.2.1")


@pytest.fixture
def behind_a_proxy(known: Watched, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    app: flask.Flask = app_with(tmp_path_factory.mktemp("proxied"), trusted_proxies=("127.0.0.1",))
    with served(app) as front:
        yield front
    close_app(app)


def test_connection_is_of_whom_the_proxy_says(
    known: Watched, behind_a_proxy: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests of many come over a proxy's connection: it counts for the network of the one that is answered."""
    networks: list[str] = []
    network_of = FrontDoor.network_of

    def noting(door: FrontDoor, request: Request) -> str:
        networks.append(network_of(door, request))
        return networks[-1]

    monkeypatch.setattr(FrontDoor, "network_of", noting)
    here, there = (
        b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-Forwarded-For: %s\r\n\r\n" % address
        for address in (b"192.0.2.1", b"198.51.100.1")
    )
    talk(behind_a_proxy, [[here], [here], [there], [here], [there]])
    until(lambda: len(networks) == 5)
    first, _, second, *_ = networks
    assert networks == [first, first, second, first, second]
    assert first != second
    assert known.found == 3
