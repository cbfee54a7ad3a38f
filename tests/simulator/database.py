"""The server's database, in memory: the real schema and the real queries, and nothing that makes it durable.

How transactions are kept apart and made durable is tested with real files. Here one thread does one thing after the
other, so a read needs no transaction, and every history can begin with a database of its own.
"""

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import apsw
import sqlalchemy as sa

from walletsync_server.storage.interface import ReadTransaction, Storage, WriteTransaction
from walletsync_server.storage.sql.migrate import migrate
from walletsync_server.storage.sql.queries import SqlReadTransaction
from walletsync_server.storage.sqlite import dbapi
from walletsync_server.storage.sqlite.backup import NOT_REVIVED
from walletsync_server.storage.sqlite.dialect import NAME
from walletsync_server.storage.sqlite.failures import driver_errors_end_here
from walletsync_server.storage.sqlite.transaction import SqliteWriteTransaction

T = TypeVar("T")
Backup = apsw.Connection
"""A copy of the whole database; a connection of its own."""


class DatabaseInMemory(Storage):
    """See above."""

    def __init__(self) -> None:
        self._driver = apsw.Connection(":memory:")
        engine = sa.create_engine(f"{NAME}://", creator=lambda: dbapi.Connection(self._driver), poolclass=sa.StaticPool)
        with engine.begin() as connection:
            migrate(connection)
        self._engine = engine
        self._connection = engine.connect()
        self._driver.execute("PRAGMA foreign_keys = ON")

    def read(self, work: Callable[[ReadTransaction], T]) -> T:
        """See `Storage`."""
        with driver_errors_end_here():
            return work(SqlReadTransaction(self._connection))

    def submit(self, work: Callable[[WriteTransaction], T]) -> Future[T]:
        """See `Storage`."""
        future: Future[T] = Future()
        self._driver.execute("BEGIN")
        try:
            with driver_errors_end_here():
                transaction = SqliteWriteTransaction(self._connection)
                done = work(transaction)
                for account_id in transaction.erased:
                    while transaction.erase_piece(account_id):
                        pass
        except Exception as error:  # noqa: BLE001 - not swallowed: it is raised where the result is asked for
            self._driver.execute("ROLLBACK")
            future.set_exception(error)
        else:
            self._driver.execute("COMMIT")
            future.set_result(done)
        return future

    def close(self) -> None:
        """See `Storage`."""
        self._connection.close()
        self._engine.dispose()

    def back_up(self) -> Backup:
        """Copy all of it."""
        copy = apsw.Connection(":memory:")
        _copy(self._driver, copy)
        return copy

    def put_back(self, backup: Backup) -> None:
        """Be what it was."""
        _copy(backup, self._driver)

    def restore(self, backup: Backup) -> None:
        """Put all of it back, but for what must not come back to life, as `walletsync-server restore` does."""
        self.put_back(backup)
        for table in NOT_REVIVED:
            self._driver.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names

    def digests(self, account_id: int) -> dict[int, str]:
        """Return those of the versions that are kept of an account, by sequence, the oldest first."""
        query = "SELECT sequence, hex(digest) FROM wallets WHERE account_id = ? ORDER BY sequence"
        return {sequence: digest.lower() for sequence, digest in self._driver.execute(query, (account_id,))}


def _copy(source: apsw.Connection, target: apsw.Connection) -> None:
    with target.backup("main", source, "main") as copying:
        copying.step()
