"""One tenant tries everything of another's: token, device, sequence and address, on every row of the route table.

10,000 times in all; the environment's TRIES says otherwise.
"""

import os
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.attack.forked import ForkedServer
from tests.attack.tenant import TRIES, Attacker, Tenant
from tests.attack.wires import KeptWire
from tests.conftest import ON_POSTGRESQL
from tests.postgres import Postgres
from tests.server.helpers import API
from walletsync_server.api.routes import ROUTES
from walletsync_server.storage.sql.schema import metadata

COUNT = int(os.environ.get("TRIES", "10000"))
SEEDS = 4


@pytest.fixture
def database(tmp_path: Path) -> Path | str:
    """A file; a test may say another database, by its URL."""
    return tmp_path / "walletsync.db"


@pytest.fixture
def server(tmp_path: Path, database: Path | str) -> Iterator[ForkedServer]:
    server = ForkedServer(tmp_path / "walletsync.db", at=database if isinstance(database, str) else "")
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


@pytest.mark.promise("T-24")
@pytest.mark.parametrize("seed", range(SEEDS))  # so that a failure names it
def test_no_tenant_reaches_another(server: ForkedServer, victim: Tenant, database: Path | str, seed: int) -> None:
    """No answer tells anything of the victim's, and afterwards the victim's rows are what they were, to the byte."""
    attack(server, victim, database, seed, COUNT // SEEDS)


class TestOnPostgresql:
    @pytest.fixture
    def database(self, postgres: Postgres) -> str:
        return postgres.new_storage()

    def test_no_tenant_reaches_another(self, server: ForkedServer, victim: Tenant, database: str) -> None:
        """The same, fewer times: what decides whose rows are found are the same queries, in other words."""
        attack(server, victim, database, SEEDS, COUNT // SEEDS // (1 if ON_POSTGRESQL else 5))


def attack(server: ForkedServer, victim: Tenant, database: Path | str, seed: int, count: int) -> None:
    me = Tenant("attacker@example.com", "attacker's password", "a7" * 32, "attacker's device", "attacker's wallet", 3)
    with closing(KeptWire(server.url)) as wire:
        me.move_in(wire)
        listed = wire("GET", f"{API}/wallet/history", token=victim.tokens[victim.device]).json["versions"]
    assert len(listed) >= 11  # the first and the last ten; an hour that ended meanwhile has more
    before = rows_of(database, victim)
    assert len(before) == 1 + len(listed) + 2 + 3  # the account, tokens, and who is known: two devices, one network
    choices = random.Random(seed)
    with closing(Attacker(server.url, me, victim, seed)) as attacker:
        for _ in range(count):
            route = choices.choice(ROUTES)
            path = choices.choice(sorted(route.prefixes)) + route.path
            attempt, answer = attacker.move(route.method, path, TRIES[route.method, route.path])
            assert answer.status < 500, (route, attempt)
            told = victim.in_answer(answer)
            # Whoever knows an address may have its seed: a new device needs it before it can log in.
            assert told in ([], ["seed"] if attempt.asks_for_seed_of(victim.email) else []), (route, attempt, answer)
    assert rows_of(database, victim) == before


def rows_of(database: Path | str, tenant: Tenant) -> list[tuple[object, ...]]:
    """Return each row of each table that belongs to the tenant."""
    url = f"sqlite:///{database}" if isinstance(database, Path) else f"postgresql+psycopg{database[10:]}"
    engine = sa.create_engine(url, poolclass=sa.NullPool)  # which keeps no connection open
    with engine.connect() as connection:
        return [
            (table.name, *row)
            for table in metadata.sorted_tables
            for column, value in (("account_id", tenant.user_id), ("email", tenant.email))
            if column in table.c and not (column == "email" and "account_id" in table.c)
            for row in connection.execute(sa.select(table).where(table.c[column] == value).order_by(*table.primary_key))
        ]
