"""One tenant tries everything of another's: token, device, sequence and address, on every row of the route table.

10,000 times in all; the environment's TRIES says otherwise.
"""

import os
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from tests.attack.forked import ForkedServer
from tests.attack.tenant import TRIES, Attacker, Tenant
from tests.attack.wires import KeptWire
from tests.server.helpers import API
from walletsync_server.api.routes import ROUTES

COUNT = int(os.environ.get("TRIES", "10000"))
SEEDS = 4


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ForkedServer]:
    server = ForkedServer(tmp_path / "walletsync.db")
    assert server.wait_until_ready(), server.log.read_text()
    yield server
    assert server.kill() == -9


@pytest.fixture
def victim(server: ForkedServer) -> Tenant:
    victim = Tenant(
        email="victim@example.com",
        password="password canary 7c1",
        seed="7c2" * 21 + "0",
        device="device canary 7c3",
        wallet="wallet canary 7c4",
        sequence=13,
    )
    with closing(KeptWire(server.url)) as wire:
        victim.move_in(wire)
    return victim


def test_every_route_is_tried() -> None:
    """A new row of the route table needs an entry in `TRIES`."""
    assert TRIES.keys() == {(route.method, route.path) for route in ROUTES}


def test_a_leak_would_be_noticed(server: ForkedServer, victim: Tenant) -> None:
    """Answers to the victim's own requests are full of what is looked for in those to others."""
    found: set[str] = set()
    with closing(KeptWire(server.url)) as wire:
        for path in ("/wallet", "/wallet/history", "/wallet/history/5", "/devices"):
            found |= set(victim.in_answer(wire("GET", API + path, token=victim.tokens[victim.device])))
    assert {"wallet", "device", "entity tag 4", "entity tag 12"} <= found


@pytest.mark.parametrize("seed", range(SEEDS))  # so that a failure names it
def test_no_tenant_reaches_another(server: ForkedServer, victim: Tenant, tmp_path: Path, seed: int) -> None:
    """No answer tells anything of the victim's, and afterwards the victim's rows are what they were, to the byte."""
    me = Tenant("attacker@example.com", "attacker's password", "a7" * 32, "attacker's device", "attacker's wallet", 3)
    with closing(KeptWire(server.url)) as wire:
        me.move_in(wire)
        listed = wire("GET", f"{API}/wallet/history", token=victim.tokens[victim.device]).json["versions"]
    assert len(listed) >= 11  # the first and the last ten; an hour that ended meanwhile has more
    before = rows_of(tmp_path / "walletsync.db", victim)
    assert len(before) == 1 + len(listed) + 2 + 3  # the account, tokens, and who is known: two devices, one network
    choices = random.Random(seed)
    with closing(Attacker(server.url, me, victim, seed)) as attacker:
        for _ in range(COUNT // SEEDS):
            route = choices.choice(ROUTES)
            path = choices.choice(sorted(route.prefixes)) + route.path
            attempt, answer = attacker.move(route.method, path, TRIES[route.method, route.path])
            assert answer.status < 500, (route, attempt)
            told = victim.in_answer(answer)
            # Whoever knows an address may have its seed: a new device needs it before it can log in.
            assert told in ([], ["seed"] if attempt.asks_for_seed_of(victim.email) else []), (route, attempt, answer)
    assert rows_of(tmp_path / "walletsync.db", victim) == before


def rows_of(database: Path, tenant: Tenant) -> list[tuple[object, ...]]:
    """Return each row of each table that belongs to the tenant."""
    found = []
    with closing(apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            for column, value in (("account_id", tenant.user_id), ("email", tenant.email)):
                if column in columns:
                    query = f"SELECT '{table}', * FROM {table} WHERE {column} = ? ORDER BY 1, 2, 3"  # noqa: S608
                    found += connection.execute(query, (value,)).fetchall()
                    break
    return found
