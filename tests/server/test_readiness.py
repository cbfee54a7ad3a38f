"""`/readyz`: whether the server can read, and write so that it lasts."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import apsw
import pytest

from tests.apt import require
from tests.attack.faults import ENOSPC, EROFS, traced
from tests.attack.forked import ForkedServer
from tests.cheap_server import CheapServer
from tests.server.helpers import FakeClock, HttpWire, new_account, until
from walletsync_server.live.hub import Hub
from walletsync_server.services.errors import Unavailable
from walletsync_server.services.readiness import LATELY_SECONDS, PAUSE_SECONDS, Readiness
from walletsync_server.services.store import Store
from walletsync_server.storage.contract_tests.records import NOW
from walletsync_server.storage.interface import Storage, StorageError, WriteTransaction
from walletsync_server.storage.sqlite.opening import open_sqlite

T = TypeVar("T")


@pytest.mark.promise("P-120")
@pytest.mark.parametrize("fault", [ENOSPC, EROFS])
def test_disk_that_takes_nothing_more_is_noticed(tmp_path: Path, fault: str) -> None:
    """Full or read-only: not ready once a write has failed, though reads go on; ready again when writing works."""
    require("strace")
    database = tmp_path / "walletsync.db"
    server = ForkedServer(database)
    assert server.wait_until_ready(), server.log.read_text()
    wire = HttpWire(server.url)
    account = new_account(wire)
    assert account.post(1).status == 200
    with traced(server.pid, database, fault, "pwrite64", "1+"):
        assert account.post(2).status == 503
        assert account.get().status == 200
        assert [wire("GET", path).status for path in ("/readyz", "/readyz", "/healthz")] == [503, 503, 200]
    until(lambda: wire("GET", "/readyz").status == 200)
    assert account.post(2).status == 200
    assert server.kill() == -9


@pytest.mark.parametrize("name", ["walletsync.db", "walletsync.db-wal"])
@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_file_that_is_gone_under_the_server_is_noticed(tmp_path: Path, name: str, how: str) -> None:
    """Nothing is acknowledged that a restart would not find; the log says why. Put back, all is well again."""
    file, aside = tmp_path / name, tmp_path / "aside"
    with CheapServer(accounts="open", database=tmp_path / "walletsync.db") as server:
        wire = HttpWire(server.url)
        account = new_account(wire)
        assert account.post(1).status == 200
        file.rename(aside)
        if how == "replaced":
            shutil.copyfile(aside, file)
        assert [wire("GET", path).status for path in ("/readyz", "/healthz")] == [503, 200]
        assert account.post(2).status == 503
        assert "was deleted or replaced while it was open. Stop the server" in server.log()
        aside.replace(file)
        assert wire("GET", "/readyz").status == 200
        assert account.post(2).status == 200  # the lost answer of before: it is current
        server.stop()
        server.start()
        assert account.get().json["sequence"] == 2


class World:
    """A database in which writing can be forbidden, and the time."""

    def __init__(self, file: Path) -> None:
        self.storage: Storage = open_sqlite(file, inline=True)
        self.file = file
        self.seconds = 0.0
        self.store = Store(self.storage, lambda: self.seconds)
        self.readiness = Readiness(self.store, FakeClock(NOW), lambda: self.seconds, Hub())

    def run(self, statement: str) -> int:
        with closing(apsw.Connection(str(self.file))) as connection:
            rows = connection.execute(statement).fetchall()
        return len(rows)

    def forbid(self) -> None:
        self.run("CREATE TRIGGER no BEFORE INSERT ON server_values BEGIN SELECT RAISE(ABORT, 'no'); END")

    def allow(self) -> None:
        self.run("DROP TRIGGER no")

    def is_ready(self) -> bool:
        try:
            self.readiness.check()
        except Unavailable as error:
            return not isinstance(error.__cause__, StorageError)
        return True

    def writes(self) -> int:
        return self.run("SELECT 1 FROM server_values WHERE name = 'noted_at'")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "walletsync.db")
    yield world
    world.storage.close()


def test_busy_server_writes_nothing_to_show_that_it_can(world: World) -> None:
    """A client's write is proof enough, for a while."""
    world.store.write(lambda transaction: transaction.keep_secret(b"secret"))
    world.seconds = LATELY_SECONDS
    assert (world.is_ready(), world.writes()) == (True, 0)
    world.seconds += 1
    assert (world.is_ready(), world.writes()) == (True, 1)


def test_idle_server_notices_that_it_cannot_write(world: World) -> None:
    """Without a client's write it tries one itself, not more often than once a second, until one succeeds."""
    assert world.is_ready()
    world.forbid()
    world.seconds = LATELY_SECONDS
    assert world.is_ready()
    world.seconds += 1
    assert not world.is_ready()
    world.allow()
    assert not world.is_ready()
    world.seconds += PAUSE_SECONDS
    assert world.is_ready()


def test_whoever_asks_meanwhile_does_not_wait(world: World) -> None:
    """While one write is tried, others get the last result: a disk that hangs does not take every thread."""
    tried, go_on, answers = threading.Event(), threading.Event(), []

    class Slow(Store):
        def write(self, work: Callable[[WriteTransaction], T]) -> T:
            tried.set()
            assert go_on.wait(30)
            return super().write(work)

    world.readiness = Readiness(Slow(world.storage), FakeClock(NOW), lambda: world.seconds, Hub())
    first = threading.Thread(target=lambda: answers.append(world.is_ready()))
    first.start()
    assert tried.wait(30)
    assert world.is_ready()
    go_on.set()
    first.join()
    assert answers == [True]
