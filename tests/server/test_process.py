"""What only a real process can show: races, restarts, loss of power, two processes on one file."""

import random
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPException
from pathlib import Path

import psutil
import pytest

from tests.cheap_server import CheapServer
from tests.server.helpers import (
    Account,
    HttpWire,
    connect,
    fresh_email,
    log_in,
    new_account,
    one_of_many_is_accepted,
    seed_of,
    send_raw,
    until,
)
from walletsync_server.testing import RunningServer


@pytest.fixture
def server(tmp_path: Path) -> RunningServer:
    """A server that the test starts and ends itself, on a database that stays."""
    return CheapServer(database=tmp_path / "walletsync.db", accounts="open")


def test_of_many_writes_with_one_sequence_one_is_accepted(running_server: RunningServer) -> None:
    """20 devices post different wallets with the same next sequence, 100 times: one 200 each time, and no gap."""
    one_of_many_is_accepted(new_account(HttpWire(running_server.url)), devices=20, rounds=100)


def test_restart_keeps_everything(server: RunningServer) -> None:
    """After a restart the address, accounts, tokens, wallet, history, seeds and fakes are what they were."""
    with server:
        wire = HttpWire(server.url)
        account = new_account(wire)
        nobody = fresh_email()
        for sequence in (1, 2):
            account.post(sequence, f"wallet {sequence}")
        before = [account.get(), seed_of(wire, account.email), seed_of(wire, nobody)]
        url = server.url
        assert server.stop() == 0
        server.start()
        assert server.url == url
        after = [account.get(), seed_of(wire, account.email), seed_of(wire, nobody)]
        assert [answer.body for answer in before] == [answer.body for answer in after]
        assert account.post(1, "wallet 1").json["applied"] is True
        assert log_in(wire, account.email, device="phone").status == 200


def test_signals_in_a_row_end_it() -> None:
    """Ctrl-C again and again, or a terminal's signal and a supervisor's, as quickly as they can come."""
    with RunningServer(patience=30) as server:
        process = psutil.Process(server.pid)

        def has_ended() -> bool:
            for number in 100 * (signal.SIGTERM, signal.SIGINT):
                process.send_signal(number)
            return process.status() == psutil.STATUS_ZOMBIE

        until(has_ended)
        assert server.stop() == 0


@pytest.mark.parametrize("seed", [20261123])  # so that a failure names it
def test_killed_server_keeps_what_it_acknowledged(server: RunningServer, seed: int) -> None:
    """kill -9 amid writes: after a restart each account has its last acknowledged wallet, or the one under way.

    Once, with the process as operators run it; `attack/test_kill.py` does it a hundred times.
    """
    moments = random.Random(seed)
    with server:
        accounts = [new_account(HttpWire(server.url)) for _ in range(3)]
        acknowledged = dict.fromkeys(range(len(accounts)), 0)
        goal = moments.randrange(20, 60)
        with ThreadPoolExecutor(len(accounts)) as pool:
            writing = [
                pool.submit(write_until_cut, account, number, acknowledged) for number, account in enumerate(accounts)
            ]
            until(lambda: sum(acknowledged.values()) >= goal)
            assert server.kill() == -9
            for each in writing:
                each.result()
        server.start()
        for number, account in enumerate(accounts):
            found = account.get().json
            assert found["sequence"] - acknowledged[number] in (0, 1)
            assert found["encryptedWallet"] == f"wallet {found['sequence']}"


def write_until_cut(account: Account, number: int, acknowledged: dict[int, int]) -> None:
    """Post one wallet after the other and count those that were acknowledged, until the server is gone."""
    while True:
        sequence = acknowledged[number] + 1
        try:
            answer = account.post(sequence, f"wallet {sequence}")
        except (OSError, HTTPException):  # an answer cut short is no acknowledgement either
            return
        assert answer.status == 200
        acknowledged[number] = sequence


def test_two_processes_share_one_database(server: RunningServer) -> None:
    """A second process on the same file is safe: what one acknowledges the other knows, and one of two wins."""
    with server, CheapServer(database=server.database, accounts="open") as second:
        here = new_account(HttpWire(server.url))
        there = Account(HttpWire(second.url), here.email, here.token)
        with ThreadPoolExecutor(2) as pool:
            for sequence in range(1, 51):
                futures = [
                    pool.submit(account.post, sequence, f"{name} {sequence}")
                    for name, account in (("here", here), ("there", there))
                ]
                answers = [future.result() for future in futures]
                assert sorted(answer.status for answer in answers) == [200, 409]
        assert here.get().body == there.get().body


def test_requests_under_way_are_finished_at_a_stop(server: RunningServer) -> None:
    """A write that has reached the server when it is told to stop is answered."""
    with server:
        account = new_account(HttpWire(server.url))
        with ThreadPoolExecutor(1) as pool:
            acknowledged = {0: 0}
            writing = pool.submit(write_until_cut, account, 0, acknowledged)
            until(lambda: acknowledged[0] >= 10)
            assert server.stop() == 0
            writing.result()
        server.start()
        assert account.get().json["sequence"] == acknowledged[0]


def test_idle_connections_leave_room(running_server: RunningServer) -> None:
    """150 clients that connect and say nothing keep nobody out."""
    with ExitStack() as idle:
        for _ in range(150):
            idle.enter_context(connect(running_server.url))
        assert send_raw(running_server.url, b"GET /readyz HTTP/1.1\r\n\r\n").status == 200
