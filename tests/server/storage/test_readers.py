"""Connections for reading: what one of them suffers costs the others nothing."""

from pathlib import Path

import pytest

from walletsync_server.storage.interface import ReadTransaction, StorageError
from walletsync_server.storage.sql.queries import SqlReadTransaction
from walletsync_server.storage.sqlite.connect import driver_of, engine
from walletsync_server.storage.sqlite.opening import READERS, open_sqlite
from walletsync_server.storage.sqlite.readers import Readers


def test_readers_are_counted(tmp_path: Path) -> None:
    """Each as long as it reads, those inside of others as well; how many may, is told with it."""
    storage = open_sqlite(tmp_path / "walletsync.db")
    seen: list[tuple[int, int]] = []

    def read(depth: int) -> None:
        seen.append(storage.readers())
        if depth:
            storage.read(lambda _: read(depth - 1))

    read(3)
    assert [*seen, storage.readers()] == [(number, READERS) for number in (0, 1, 2, 3, 0)]
    storage.close()


def break_the_end(transaction: ReadTransaction) -> None:
    """Let SQLite refuse to end the transaction, as it does where the disk fails."""
    assert isinstance(transaction, SqlReadTransaction)
    driver_of(transaction._connection).exec_trace = lambda cursor, statement, bindings: statement != "COMMIT"


def test_a_reader_that_cannot_end_its_transaction_is_replaced(tmp_path: Path) -> None:
    """The one who read gets an error, and the next one a connection, though there is room for one only."""
    file = tmp_path / "walletsync.db"
    open_sqlite(file).close()
    readers = Readers(engine(file, readonly=True, pool_size=1))
    try:
        with pytest.raises(StorageError):
            readers.read(break_the_end)
        assert readers.read(lambda transaction: transaction.current_sequence(1)) == 0
    finally:
        readers.close()
