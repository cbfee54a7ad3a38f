"""kill -9 at random moments of a server's whole life, under load, with an outside log of what was acknowledged.

100 times; `KILLS=10000 .venv/bin/pytest tests/attack/test_kill.py` does the same more often.
"""

import os
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.attack.forked import ForkedServer
from tests.attack.ledger import Stored, stored_accounts
from tests.attack.person import Person
from tests.postgres import Postgres
from tests.server.helpers import until

STARTING, SERVING, STOPPING = "starting", "serving", "stopping"
LIVES = (STARTING, STARTING, SERVING, SERVING, SERVING, SERVING, SERVING, SERVING, SERVING, STOPPING)
"""When the servers of one database are killed, in a random order: so two in ten databases are first killed unmade."""
START_SECONDS, REQUESTS, REQUEST_SECONDS, STOP_SECONDS = 0.06, 30, 0.005, 0.02
"""Within which the moment is picked: since the start, which takes 30 ms on an idle machine; or how many requests are
acknowledged first, and how long after the last of them; or since the request to stop."""
KILLS = int(os.environ.get("KILLS", "100"))
DATABASES_OF_ONE_TEST = 2
PEOPLE = 6


SEEDS = range(max(1, KILLS // len(LIVES) // DATABASES_OF_ONE_TEST))
ON_POSTGRESQL = range(max(1, len(SEEDS) // 4))
"""Fewer: what is killed there is the server alone, whose threads and connections are all that differs."""


@dataclass(frozen=True)
class Database:
    """A database that outlives its servers: the file, or that of PostgreSQL, which has a URL."""

    file: Path
    url: str = ""

    def server(self) -> ForkedServer:
        return ForkedServer(self.file, at=self.url)

    def stored(self) -> dict[str, Stored]:
        return stored_accounts(self.url or self.file)

    def come_to_rest(self) -> None:
        """Wait until PostgreSQL knows that a server was killed: until then it may go on with what that sent last."""
        if self.url:
            until(self._is_nobodys)

    def _is_nobodys(self) -> bool:
        others = (
            "SELECT 1 FROM pg_stat_activity "
            "WHERE pid != pg_backend_pid() AND datname = current_database() AND backend_type = 'client backend'"
        )
        with psycopg.connect(self.url) as connection:
            return not connection.execute(others).fetchall()


@pytest.mark.promise("P-72")
@pytest.mark.parametrize("seed", SEEDS)  # so that a failure names it
def test_killed_server_keeps_what_it_acknowledged_and_nothing_by_halves(tmp_path: Path, seed: int) -> None:
    """After every kill the file is sound, and each account is wholly what was acknowledged, or the next request too."""
    be_killed(seed, lambda number: Database(tmp_path / f"{number}.db"))


@pytest.mark.promise("P-72")
@pytest.mark.parametrize("seed", ON_POSTGRESQL)
def test_the_same_on_postgresql(tmp_path: Path, postgres: Postgres, seed: int) -> None:
    """Where the database goes on without the server, and finds out by itself that nobody is there any more."""
    be_killed(seed, lambda number: Database(tmp_path / f"{number}.db", postgres.new_database()))


def be_killed(seed: int, make: Callable[[int], Database]) -> None:
    moments = random.Random(seed)
    for number in range(DATABASES_OF_ONE_TEST):
        database = make(number)
        people = [Person(f"user{each}@example.com", moments.getrandbits(64)) for each in range(PEOPLE)]
        for life in moments.sample(LIVES, len(LIVES)):
            server = database.server()
            if life == STARTING:
                server.runs_on_for(moments.uniform(0, START_SECONDS))
                assert server.kill() == -9
            else:
                live_until_killed(server, database, people, moments, stop_first=life == STOPPING)
            database.come_to_rest()
        check_at_rest(database, people)


def live_until_killed(
    server: ForkedServer, database: Database, people: Sequence[Person], moments: random.Random, *, stop_first: bool
) -> None:
    assert server.wait_until_ready(), server.log.read_text()
    settle(database, people)
    acknowledged = threading.Semaphore(0)
    with ThreadPoolExecutor(len(people)) as pool:
        lives = [pool.submit(person.live, server.url, acknowledged) for person in people]
        for _ in range(moments.randrange(REQUESTS)):
            assert acknowledged.acquire(timeout=30), [life.exception() for life in lives if life.done()]
        assert server.runs_on_for(moments.uniform(0, REQUEST_SECONDS)), server.log.read_text()
        if stop_first:
            server.ask_to_stop()
            server.runs_on_for(moments.uniform(0, STOP_SECONDS))
        assert server.kill() == -9 or stop_first
        for life in lives:
            life.result()


def check_at_rest(database: Database, people: Sequence[Person]) -> None:
    """Start once more, and stop in peace: all is there both times, and no fault was logged ever."""
    server = database.server()
    assert server.wait_until_ready(), server.log.read_text()
    settle(database, people)
    server.ask_to_stop()
    assert server.end() == 0
    settle(database, people)
    assert "level=error" not in server.log.read_text()


def settle(database: Database, people: Sequence[Person]) -> None:
    stored = database.stored()
    assert stored.keys() <= {person.email for person in people}
    for person in people:
        person.settle(stored.get(person.email))
