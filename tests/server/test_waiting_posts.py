"""How much memory requests take that wait for the disk."""

import json
import re
import select
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import apsw
import pytest

from tests.cheap_server import CheapServer
from tests.server.helpers import HttpWire, connect, new_account, until, wallet_body
from tests.server.raw import post
from walletsync_server.asgi.body_budget import FREE, SMALL

MEMORY = 24 * 1024 * 1024
ROOM = MEMORY * 3 // 4
"""What there is of it for those who show a token."""
BODIES = 150
NETWORKS = 10


@pytest.fixture
def server(tmp_path: Path) -> Iterator[CheapServer]:
    options = {"body_memory": MEMORY, "max_wallet_bytes": SMALL}
    with CheapServer(database=tmp_path / "walletsync.db", accounts="open", settings=options) as running:
        yield running


def test_posts_that_wait_take_no_more_memory_than_there_is_for_bodies(server: CheapServer, tmp_path: Path) -> None:
    """What is made of a body counts like the body itself; who finds no room is told to come back.

    One character beyond the basic plane makes Python take four bytes for each of a text.
    """
    alice = new_account(HttpWire(server.url))
    body = json.dumps(wallet_body(1, "🔑" + "x" * (SMALL - 1500)), ensure_ascii=False).encode()
    headers = b"Authorization: Bearer %s\r\nContent-Length: %d\r\n" % (alice.token.encode(), len(body))
    fitting = ROOM // (5 * len(body) - 2 * FREE)
    before = memory(server, "VmRSS")
    with ExitStack() as clients, closing(apsw.Connection(str(tmp_path / "walletsync.db"))) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = [
            clients.enter_context(connect(server.url, f"127.0.{number % NETWORKS}.1")) for number in range(BODIES)
        ]
        for client in waiting:
            client.sendall(post(headers, body))
        until(lambda: len(select.select(waiting, [], [], 0)[0]) == BODIES - fitting)
        other.execute("ROLLBACK")
        answers = []
        for client in waiting:
            client.settimeout(20)
            answers.append(client.recv(4096))
    statuses = [int(answer.split()[1]) for answer in answers]
    assert (statuses.count(200), statuses.count(503)) == (fitting, BODIES - fitting)  # all say the same
    assert all(re.search(rb"(?i)retry-after: 10\r\n", answer) for answer in answers if b" 503 " in answer[:20])
    assert memory(server, "VmHWM") - before < 1.5 * ROOM


def memory(server: CheapServer, which: str) -> int:
    """Return how many bytes the process takes, or took at most."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(re.findall(rf"{which}:\s+(\d+) kB", status)[0]) * 1024
