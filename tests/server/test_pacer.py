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
from walletsync_server.asgi.pacer import PacedFlow, Pacer

SENDERS = 4
BYTES = 2_000_000


class Transport(asyncio.Transport):
    """Where something has always come, and nobody ends it unless it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = True
        self.is_closed = False

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        assert not self.is_closed
        self.reads = True

    def is_closing(self) -> bool:
        return self.is_closed


@pytest.mark.parametrize("is_worked_on", [False, True], ids=["refused", "accepted"])
def test_one_reads_in_each_step(is_worked_on: bool) -> None:
    """Also where uvicorn pauses each until its piece was worked on, and then lets it go on, as it does with a body that
    is wanted."""

    async def run() -> list[int]:
        paced, transports = Pacer(), [Transport() for _ in range(SENDERS)]
        flows = [PacedFlow(each) for each in transports]
        read = []
        for _ in range(100):
            came = [flow for flow, transport in zip(flows, transports, strict=True) if transport.reads]
            read.append(len(came))
            for flow in came:
                if is_worked_on:
                    flow.pause_reading()
                paced.wait(flow)
            for flow in flows:
                flow.resume_reading()
            await asyncio.sleep(0)
        return read

    first, *others = asyncio.run(run())
    assert first == SENDERS
    assert set(others) == {1}


def test_who_is_still_worked_on_or_gone_when_its_turn_comes_lets_the_next_one_have_it() -> None:
    """Nobody reads for it, and nobody is held up."""

    async def run() -> list[bool]:
        paced, transports = Pacer(), [Transport() for _ in range(3)]
        flows = [PacedFlow(each) for each in transports]
        for flow in flows:
            paced.wait(flow)
            paced.wait(flow)  # once more is no other turn
        flows[0].pause_reading()
        transports[1].is_closed = True
        for _ in flows:
            await asyncio.sleep(0)
        reading = [each.reads for each in transports]
        flows[0].resume_reading()
        return [*reading, transports[0].reads]

    assert asyncio.run(run()) == [False, False, True, True]


def test_large_bodies_take_turns(app: flask.Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that send much at once wait for each other, also those that are told that it is too much, and all go on."""
    turns: Counter[PacedFlow] = Counter()

    class Watched(Pacer):
        def wait(self, flow: PacedFlow) -> None:
            turns[flow] += 1
            super().wait(flow)

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
