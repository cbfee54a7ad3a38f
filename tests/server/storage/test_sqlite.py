"""What is SQLite's own: grouped commits and their failures, several processes on one file."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import apsw
import pytest
import sqlalchemy as sa

from tests.server.helpers import until
from walletsync_server.storage.contract_tests.records import ALICE, BOB, Refused, append, wallet
from walletsync_server.storage.interface import Storage, StorageError, WriteTransaction
from walletsync_server.storage.sqlite import connect, writer
from walletsync_server.storage.sqlite.opening import open_sqlite
from walletsync_server.storage.sqlite.storage import SqliteStorage


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "walletsync.db"


@pytest.fixture
def storage(file: Path) -> Iterator[SqliteStorage]:
    """A storage with the writer thread, and one account."""
    storage = cast(SqliteStorage, open_sqlite(file))
    storage.write(lambda transaction: transaction.insert_account(ALICE))
    yield storage
    storage.close()


def write_together(storage: SqliteStorage, *works: Callable[[WriteTransaction], Any]) -> list[Any]:
    """Have `works` done in one commit; return for each its value or its exception."""
    begun, go = threading.Event(), threading.Event()

    def hold(transaction: WriteTransaction) -> None:
        begun.set()
        assert go.wait(20)

    def outcome(work: Callable[[WriteTransaction], Any]) -> Any:
        try:
            return storage.write(work)
        except (StorageError, Refused) as error:
            return error

    jobs = cast(writer.ThreadedWriter, storage._writer)._jobs
    with ThreadPoolExecutor(len(works) + 1) as pool:
        holding = pool.submit(storage.write, hold)
        assert begun.wait(20)
        futures = []
        for number, work in enumerate(works, 1):
            futures.append(pool.submit(outcome, work))
            until(lambda number=number: jobs.qsize() == number)  # type: ignore[misc]
        go.set()
        holding.result()
        return [future.result() for future in futures]


def add(number: int) -> Callable[[WriteTransaction], int]:
    def work(transaction: WriteTransaction) -> int:
        account = replace(BOB, account_id=number, email=f"bob{number}@example.com")
        transaction.insert_account(account)
        return number

    return work


def refused(transaction: WriteTransaction) -> None:
    add(99)(transaction)
    raise Refused


def exists(storage: Storage, number: int) -> bool:
    return storage.read(lambda t: t.find_account(f"bob{number}@example.com")) is not None


def commits_of(storage: SqliteStorage) -> list[int]:
    """Return a list that grows by one with every commit."""
    seen: list[int] = []
    sa.event.listen(storage._writing, "commit", lambda connection: seen.append(1))
    return seen


def test_queued_jobs_share_a_commit(storage: SqliteStorage) -> None:
    """What is queued while the writer is busy is committed together, and every job gets its own answer."""
    commits = commits_of(storage)
    assert write_together(storage, *map(add, range(10, 30))) == list(range(10, 30))
    assert len(commits) == 2  # the one that held the writer, and all the others


def test_long_queue_is_committed_in_parts(storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit has at most `MAX_BATCH` jobs, so that the first do not wait for ever more to come."""
    monkeypatch.setattr(writer, "MAX_BATCH", 4)
    commits = commits_of(storage)
    assert write_together(storage, *map(add, range(10, 20))) == list(range(10, 20))
    assert len(commits) == 1 + 3


def test_failing_job_fails_alone(storage: SqliteStorage) -> None:
    """A job that raises, or that the database refuses, leaves no trace; its neighbours are stored."""
    outcomes = write_together(storage, add(10), refused, lambda t: append_to(t, 12345), add(11), refused, add(12))
    assert outcomes[0::3] == [10, 11]
    assert [type(outcome) for outcome in outcomes[1:3]] == [Refused, StorageError]
    assert (type(outcomes[4]), outcomes[5]) == (Refused, 12)
    assert [exists(storage, number) for number in (10, 11, 12, 99)] == [True, True, True, False]


def append_to(transaction: WriteTransaction, account_id: int) -> None:
    transaction.append_wallet(account_id, wallet(1))


def break_the_commit(transaction: WriteTransaction) -> None:
    """Do what only the COMMIT refuses: a foreign key that leads nowhere, checked late."""
    connection: sa.Connection = transaction._connection  # type: ignore[attr-defined]
    connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    append_to(transaction, 12345)


def test_failing_commit_fails_every_job(storage: SqliteStorage) -> None:
    """If the COMMIT fails, nobody was told otherwise and nothing is stored; the next write works."""
    outcomes = write_together(storage, add(10), break_the_commit, refused, add(11))
    assert [type(outcome) for outcome in outcomes] == [StorageError] * 4
    assert len({id(link) for outcome in outcomes for link in chain(outcome)}) == 4  # two threads raise none of them
    assert not exists(storage, 10)
    assert not exists(storage, 11)
    assert storage.write(add(12)) == 12
    assert exists(storage, 12)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def test_failing_commit_fails_an_inline_write(file: Path) -> None:
    """The same without the thread."""
    storage = open_sqlite(file, inline=True)
    with pytest.raises(StorageError, match="SQLITE_CONSTRAINT"):
        storage.write(break_the_commit)
    assert storage.write(add(10)) == 10
    storage.close()


def test_close_finishes_what_was_given(file: Path) -> None:
    """When `close` returns, all that was queued is in the file and the writer has ended."""
    storage = cast(SqliteStorage, open_sqlite(file))
    thread = cast(writer.ThreadedWriter, storage._writer)
    begun = threading.Event()

    def hold(transaction: WriteTransaction) -> None:
        begun.set()
        until(lambda: thread._closed)

    with ThreadPoolExecutor(51) as pool:
        pool.submit(storage.write, hold)
        assert begun.wait(20)
        futures = [pool.submit(storage.write, add(number)) for number in range(10, 60)]
        until(lambda: thread._jobs.qsize() == 50)
        storage.close()
        assert not thread._thread.is_alive()
        assert [future.result() for future in futures] == list(range(10, 60))
    again = open_sqlite(file)
    assert all(exists(again, number) for number in range(10, 60))
    again.close()


def test_full_disk_stores_what_was_acknowledged_and_nothing_else(storage: SqliteStorage) -> None:
    """When the disk is full, each job of a commit is either acknowledged and stored, or neither."""
    with storage._writing.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 8}")
    large = wallet(1, "x" * 1_000_000)
    outcomes = write_together(storage, add(10), lambda t: t.append_wallet(ALICE.account_id, large), add(11))
    assert isinstance(outcomes[1], StorageError)
    assert storage.read(lambda t: t.current_wallet(ALICE.account_id)) is None
    for number, outcome in zip((10, 11), outcomes[::2], strict=True):
        assert exists(storage, number) == (outcome == number)
    assert storage.write(add(12)) == 12


def test_errors_name_no_values(storage: SqliteStorage) -> None:
    """A driver's error reaches nobody, and neither its words nor the parameters are in what does."""
    account = replace(BOB, account_id=ALICE.account_id, password_hash="secret canary")
    with pytest.raises(StorageError) as raised:
        storage.write(lambda t: t.insert_account(account))
    cause = raised.value.__cause__
    for text in (str(raised.value), str(cause)):
        assert account.email not in text
        assert account.password_hash not in text


def test_readers_cannot_write(storage: SqliteStorage) -> None:
    """The connections of readers are read-only."""
    with storage._readers._engine.begin() as connection, pytest.raises(sa.exc.OperationalError):
        connection.exec_driver_sql("DELETE FROM accounts")


def test_connections_are_set_as_promised(storage: SqliteStorage) -> None:
    """Write-ahead log, a flush at every commit, foreign keys."""
    with storage._writing.connect() as connection:
        names = ("journal_mode", "synchronous", "foreign_keys")
        values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]
    assert values == ["wal", 2, 1]


def test_queries_are_planned_once(storage: SqliteStorage) -> None:
    """SQLite does not plan a query anew for each value of its parameters, whoever asks."""
    for engine in (storage._writing, storage._readers._engine):
        with engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, apsw.Connection)
            assert driver.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, -1) == 1


def test_write_waits_for_another_process_and_gives_up_in_time(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody else holds the file, writes fail after a while and reads work; afterwards all is well."""
    monkeypatch.setattr(connect, "BUSY_SECONDS", 0.2)
    storage = open_sqlite(file)
    other = apsw.Connection(str(file))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="SQLITE_BUSY"):
        storage.write(add(10))
    assert not exists(storage, 10)
    other.execute("ROLLBACK")
    other.close()
    assert storage.write(add(10)) == 10
    storage.close()


def test_two_openings_of_one_file_write_in_turn(file: Path) -> None:
    """Several storages, as several processes have, open a new file at once and lose nothing of each other."""
    with ThreadPoolExecutor(4) as pool:
        storages = list(pool.map(open_sqlite, [file] * 4))
        storages[0].write(lambda t: t.insert_account(ALICE))

        def work(number: int) -> int:
            return storages[number % 4].write(add(number))

        assert list(pool.map(work, range(10, 110))) == list(range(10, 110))
    append(storages[1], ALICE.account_id, wallet(1))
    assert storages[2].read(lambda t: t.current_wallet(ALICE.account_id)) == wallet(1)
    assert all(exists(storages[3], number) for number in range(10, 110))
    for storage in storages:
        storage.close()
