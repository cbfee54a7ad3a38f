"""`Storage` over SQLAlchemy: a writer and a pool of readers."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import sqlalchemy as sa

from walletsync_server.storage.failures import driver_errors_end_here
from walletsync_server.storage.interface import (
    ReadTransaction,
    Storage,
    StorageError,
    WriteTransaction,
)
from walletsync_server.storage.lock import DatabaseLock
from walletsync_server.storage.queries import SqlReadTransaction
from walletsync_server.storage.writer import Writer

T = TypeVar("T")


class SqlStorage(Storage):
    """Reads go to `readers`, writes through `writer`, which uses `writing`. Owns them all, and `lock`."""

    def __init__(self, *, writing: sa.Engine, writer: Writer, readers: sa.Engine, lock: DatabaseLock) -> None:
        self._writing = writing
        self._writer = writer
        self._readers = readers
        self._lock = lock
        self._closed = False

    def read(self, work: Callable[[ReadTransaction], T]) -> T:
        """See `Storage`."""
        if self._closed:
            raise StorageError("The database is closed.")
        with driver_errors_end_here(), self._readers.begin() as connection:
            return work(SqlReadTransaction(connection))

    def submit(self, work: Callable[[WriteTransaction], T]) -> Future[T]:
        """See `Storage`."""
        return self._writer.submit(work)

    def close(self) -> None:
        """See `Storage`."""
        self._closed = True
        self._writer.close()
        self._readers.dispose()
        self._writing.dispose()  # the last one out writes SQLite's log back into the file
        self._lock.release()
