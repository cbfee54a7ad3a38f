"""`Storage` in a SQLite file: a writer and readers."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import sqlalchemy as sa
from typing_extensions import override

from walletsync_server.storage.interface import ReadTransaction, Storage, StorageError, WriteTransaction
from walletsync_server.storage.sqlite.lock import DatabaseLock
from walletsync_server.storage.sqlite.place import Place
from walletsync_server.storage.sqlite.readers import Readers
from walletsync_server.storage.sqlite.writer import Writer

T = TypeVar("T")


class SqliteStorage(Storage):
    """Reads go to `readers`, writes through `writer`, which uses `writing`; all in `place`. Owns them and `lock`."""

    def __init__(
        self, *, writing: sa.Engine, writer: Writer, readers: Readers, place: Place, lock: DatabaseLock
    ) -> None:
        self._writing = writing
        self._writer = writer
        self._readers = readers
        self._place = place
        self._lock = lock
        self._closed = False

    @override
    def read(self, work: Callable[[ReadTransaction], T]) -> T:
        if self._closed:
            raise StorageError("The database is closed.")
        return self._readers.read(work)

    @override
    def ask(self, question: Callable[[ReadTransaction], T]) -> T:
        if self._closed:
            raise StorageError("The database is closed.")
        return self._readers.ask(question)

    @override
    def check(self) -> None:
        super().check()
        self._place.check()

    @override
    def readers(self) -> tuple[int, int]:
        return self._readers.places()

    @override
    def submit(self, work: Callable[[WriteTransaction], T]) -> Future[T]:
        return self._writer.submit(work)

    @override
    def close(self) -> None:
        self._closed = True
        self._writer.close()
        self._readers.close()
        self._writing.dispose()  # the last one out writes SQLite's log back into the file
        self._lock.release()


class SqliteReading(Storage):
    """Looks at a database through `readers`, which it owns, and changes nothing."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    @override
    def read(self, work: Callable[[ReadTransaction], T]) -> T:
        return self._readers.read(work)

    @override
    def submit(self, work: Callable[[WriteTransaction], T]) -> Future[T]:
        raise StorageError("The database was opened to look at it only.")

    @override
    def close(self) -> None:
        self._readers.close()
