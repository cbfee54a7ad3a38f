"""What becomes of expired tokens: their devices are known for a while, and then nothing is left of them."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import apsw
import pytest
from sqlalchemy import select

from tests.cheap_server import CheapServer
from tests.server.helpers import PASSWORD, FakeClock, HttpWire, cheap_passwords, new_account, until
from tests.server.world import EMAIL, Interrupted, World
from walletsync.protocol import MAX_DEVICES
from walletsync_server.background import purging
from walletsync_server.services import build_services, errors, store
from walletsync_server.services.errors import RateLimited, Unavailable, WrongCredentials
from walletsync_server.services.known_clients import KNOWN_FOR
from walletsync_server.services.throttle import Rates
from walletsync_server.services.tokens import LATELY, LIFETIME
from walletsync_server.storage.interface import Storage, StorageError, WriteTransaction
from walletsync_server.storage.sql import schema
from walletsync_server.storage.sqlite.connect import driver_of
from walletsync_server.storage.sqlite.opening import open_sqlite

T = TypeVar("T")


def devices(world: World) -> list[str]:
    """Return the devices that the database has a token of, alive or not."""
    statement = select(schema.tokens.c.device_id).order_by(schema.tokens.c.device_id)
    return world.storage.read(lambda t: list(t._connection.execute(statement).scalars()))  # type: ignore[attr-defined]


def test_expired_tokens_are_purged_in_the_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that expired two weeks ago go, whosever they are and however many; live and lately expired ones stay."""
    monkeypatch.setattr(store, "PIECE", 2)
    world.services.accounts.sign_up("bob@example.com", PASSWORD, None)
    for device in "abc":
        world.log_in(device)
    world.log_in("d", "bob@example.com")
    world.clock.move(timedelta(microseconds=1))
    world.log_in("e")
    world.clock.move(LIFETIME)
    alive = world.log_in("f")
    assert world.services.tokens.purge() == 0
    world.clock.move(LATELY - timedelta(microseconds=2))
    assert world.services.tokens.purge() == 0
    assert devices(world) == list("abcdef")
    world.clock.move(timedelta(microseconds=1))
    assert world.services.tokens.purge() == 4
    assert devices(world) == ["e", "f"]
    assert world.services.tokens.purge() == 0
    with pytest.raises(errors.NoWallet):
        world.read(alive)


class Meanwhile(Interrupted):
    """A storage that remembers how many rows a write changed at most."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage)
        self.largest = 0

    def submit(self, work: Callable[[WriteTransaction], T]) -> Future[T]:
        def counted(transaction: WriteTransaction) -> T:
            driver = transaction._connection.connection.driver_connection  # type: ignore[attr-defined]
            before = driver.total_changes()
            done = work(transaction)
            self.largest = max(self.largest, driver.total_changes() - before)
            return done

        return super().submit(counted)


def test_purges_are_done_in_pieces_and_search_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much there is, nobody who writes waits for more than a piece, and no piece looks at what stays."""
    monkeypatch.setattr(store, "PIECE", 3)
    seen: list[str] = []
    inner = open_sqlite(tmp_path / "w.db", inline=True)
    storage, clock = Meanwhile(inner), FakeClock()
    services = build_services(
        storage,
        may_sign_up=lambda email: True,
        max_wallet_bytes=1,
        clock=clock,
        seconds=clock.seconds,
        passwords=cheap_passwords(),
    )
    waiting = build_services(
        inner,
        may_sign_up=lambda email: True,
        max_wallet_bytes=1,
        clock=clock,
        seconds=clock.seconds,
        passwords=cheap_passwords(),
        confirm_addresses=True,
    )
    services.accounts.sign_up(EMAIL, PASSWORD, None)
    for number in range(10):
        services.accounts.log_in(EMAIL, PASSWORD, f"{number}", f"192.0.2.{number}")
        waiting.accounts.sign_up(f"bob{number}@example.com", PASSWORD, None)
    clock.move(max(LIFETIME + LATELY, KNOWN_FOR))
    storage.largest = 0
    storage.write(lambda t: driver_of(t._connection).trace_v2(apsw.SQLITE_TRACE_STMT, seen_by(seen)))  # type: ignore[attr-defined]
    assert services.tokens.purge() == 10
    assert services.known_clients.purge() == 20
    assert services.signups.purge() == 10
    assert storage.largest == 3
    deletions = {each for each in seen if each.startswith("DELETE")}
    assert len(deletions) == 4
    for each in deletions:
        plan = storage.read(lambda t, s=each: explain(driver_of(t._connection), s))  # type: ignore[misc]
        assert not [step for step in plan if step.startswith("SCAN")], plan
    storage.close()


def explain(driver: apsw.Connection, statement: str) -> list[str]:
    """Return how SQLite goes about a statement."""
    steps = driver.execute(f"EXPLAIN QUERY PLAN {statement}", (1,) * statement.count("?"))
    return [str(step) for *_, step in steps]


def seen_by(seen: list[str]) -> Callable[[dict[str, Any]], None]:
    return lambda statement: seen.append(statement["sql"])


def test_login_purges_its_own_account(world: World) -> None:
    """A login removes what expired two weeks ago, and only of its own account."""
    world.services.accounts.sign_up("bob@example.com", PASSWORD, None)
    world.log_in("a")
    world.log_in("b", "bob@example.com")
    world.clock.move(LIFETIME + LATELY)
    world.log_in("c")
    assert devices(world) == ["b", "c"]


def test_expired_tokens_take_no_room(world: World) -> None:
    """Devices whose token expired do not count among those that an account may have."""
    for number in range(MAX_DEVICES):
        world.log_in(f"{number}")
    world.clock.move(LIFETIME)
    world.log_in("another")
    assert len(devices(world)) == MAX_DEVICES + 1


def test_token_that_came_back_meanwhile_stays(world: World) -> None:
    """A device that logs in between the look and the purge keeps its new token."""
    world.log_in("a")
    world.clock.move(LIFETIME + LATELY)
    fresh: list[str] = []
    world.storage.before_write = lambda: fresh.append(world.log_in("a"))
    world.services.tokens.purge()
    assert devices(world) == ["a"]
    with pytest.raises(errors.NoWallet):
        world.read(fresh[0])


def test_expired_device_is_no_stranger(tmp_path: Path) -> None:
    """After two weeks away, and a restart, a device gets in while strangers have used up its account's allowance."""
    storage, clock = open_sqlite(tmp_path / "w.db", inline=True), FakeClock()

    def restart() -> World:
        services = build_services(
            storage,
            may_sign_up=lambda email: True,
            max_wallet_bytes=1,
            clock=clock,
            seconds=clock.seconds,
            passwords=cheap_passwords(),
            rates=Rates(login="1000/minute"),
        )
        return World(services, storage, clock, None)  # type: ignore[arg-type]

    world = restart()
    world.services.accounts.sign_up(EMAIL, PASSWORD, None, "192.0.2.1")
    world.log_in("laptop")
    clock.move(LIFETIME + timedelta(days=1))
    world = restart()
    accounts = world.services.accounts
    for number in range(100):
        with pytest.raises(WrongCredentials):
            accounts.log_in(EMAIL, "wrong", "stranger", f"203.0.113.{number // 5}")
    with pytest.raises(RateLimited):
        accounts.log_in(EMAIL, PASSWORD, "phone", "198.51.100.1")
    assert accounts.log_in(EMAIL, PASSWORD, "laptop", "198.51.100.1")
    accounts.delete(EMAIL, PASSWORD, "198.51.100.1")
    storage.close()


def test_purge_runs_at_once_and_again(caplog: pytest.LogCaptureFixture) -> None:
    """The first purge comes with the start, more follow, each is logged, and the end is not waited for."""
    caplog.set_level(logging.INFO)
    before = set(threading.enumerate())
    purged = threading.Semaphore(0)

    def purge() -> int:
        purged.release()
        return 7

    with purging(tokens=purge, every=0.001):
        for _ in range(3):
            assert purged.acquire(timeout=30)
    assert caplog.text.count("event=purged tokens=7") >= 3
    with purging(tokens=purge):
        assert purged.acquire(timeout=30)
    assert set(threading.enumerate()) <= before


def test_purge_survives_a_database_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """A failure is logged, and the next purge tries again."""
    tries = threading.Semaphore(0)

    def purge() -> int:
        tries.release()
        raise Unavailable from StorageError("The disk is full.")

    with purging(tokens=purge, every=0.001):
        for _ in range(3):
            assert tries.acquire(timeout=30)
    assert 'event=unavailable reason="The disk is full."' in caplog.text


def test_purge_survives_a_fault(caplog: pytest.LogCaptureFixture) -> None:
    """What nobody foresaw is logged, ends neither the purging nor the other purges, and is tried again."""
    tries, others = threading.Semaphore(0), threading.Semaphore(0)

    def purge() -> int:
        tries.release()
        raise ZeroDivisionError("secret")

    def other() -> int:
        others.release()
        return 0

    with purging(tokens=purge, others=other, every=0.001):
        for _ in range(3):
            assert tries.acquire(timeout=30)
            assert others.acquire(timeout=30)
    assert "event=unexpected_error type=builtins.ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text


def test_server_purges_by_itself(tmp_path: Path) -> None:
    """A process that starts removes old tokens of accounts that nobody uses."""
    with CheapServer(database=tmp_path / "w.db", accounts="open") as server:
        new_account(HttpWire(server.url))
        until(lambda: "event=purged tokens=0" in server.log())
        server.stop()
        connection = apsw.Connection(str(server.database))
        connection.execute("UPDATE tokens SET expires_at = 0")
        connection.close()
        server.start()
        until(lambda: "event=purged tokens=1" in server.log())
