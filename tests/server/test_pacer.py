"""Large bodies take turns, so that whoever asks for little waits for a piece of one of them and not of all."""

import asyncio
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import flask
import pytest

from tests.server.front import served
from tests.server.helpers import API, new_account
from walletsync_server.asgi import server as asgi_server
from walletsync_server.asgi.pacer import Pacer, Reading

SENDERS = 4
BYTES = 2_000_000


class Sender:
    """A connection where something has always come."""

    def __init__(self, name: str, steps: list[str]) -> None:
        self.name, self._steps = name, steps
        self.is_reading = True

    def pause_reading(self) -> None:
        self.is_reading = False

    def read_on(self) -> None:
        self.is_reading = True
        self._steps.append(self.name)


def test_one_reads_in_each_step() -> None:
    """In the order in which they came, and the loop's other work is done in between."""

    async def run() -> list[str]:
        steps: list[str] = []
        paced, senders = Pacer(), [Sender(name, steps) for name in "abc"]
        for sender in senders:
            paced.wait(sender)
        assert not any(sender.is_reading for sender in senders)
        for _ in range(5):
            await asyncio.sleep(0)
            steps.append("-")
        return steps

    assert "".join(asyncio.run(run())) == "a-b-c---"


def test_large_bodies_take_turns(app: flask.Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that send much at once wait for each other, also those that are told that it is too much, and all go on."""
    turns: Counter[object] = Counter()

    class Watched(Pacer):
        def wait(self, connection: Reading) -> None:
            turns[connection] += 1
            super().wait(connection)

    monkeypatch.setattr(asgi_server, "Pacer", Watched)
    body = json.dumps({"email": "a@example.com", "password": "x" * BYTES}).encode()
    with served(app) as front, ThreadPoolExecutor(SENDERS) as pool:
        answers = list(pool.map(front.wire.send, *zip(*[("POST", f"{API}/signup", body, {})] * SENDERS, strict=True)))
    assert [answer.status for answer in answers] == [413] * SENDERS
    assert len(turns) == SENDERS
    assert min(turns.values()) > 1


def test_large_wallet_is_taken_in_turns(app: flask.Flask) -> None:
    """Where the server has to work on what came before it takes more, a turn that comes meanwhile is none."""
    with served(app) as front:
        account = new_account(front.wire)
        wallet = "x" * (2 * BYTES)
        assert account.post(1, wallet).status == 200
        assert account.get().json["encryptedWallet"] == wallet
