"""`Storage` over SQLAlchemy: a writer and readers."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import sqlalchemy as sa

from walletsync_server.storage.interface import (
    ReadTransaction,
    Storage,
    StorageError,
    WriteTransaction,
)
from walletsync_server.storage.lock import DatabaseLock
from walletsync_server.storage.readers import Readers
from walletsync_server.storage.writer import Writer

T = TypeVar("T")


class SqlStorage(Storage):
    """Reads go to `readers`, writes through `writer`, which uses `writing`. Owns them all, and `lock`."""

    def __init__(self, *, writing: sa.Engine, writer: Writer, readers: Readers, lock: DatabaseLock) -> None:
        self._writing = writing
        self._writer = writer
        self._readers = readers
        self._lock = lock
        self._closed = False

    def read(self, work: Callable[[ReadTransaction], T]) -> T:
        """See `Storage`."""
        if self._closed:
            raise StorageError("The database is closed.")
        return self._readers.read(work)

    def submit(self, work: Callable[[WriteTransaction], T]) -> Future[T]:
        """See `Storage`."""
        return self._writer.submit(work)

    def close(self) -> None:
        """See `Storage`."""
        self._closed = True
        self._writer.close()
        self._readers.close()
        self._writing.dispose()  # the last one out writes SQLite's log back into the file
        self._lock.release()
