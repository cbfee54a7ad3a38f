"""`Storage` over SQLAlchemy: a writer, a pool of readers, and the one place where drivers' errors end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import sqlalchemy as sa

from walletsync_server.storage.interface import (
    ReadTransaction,
    Storage,
    StorageError,
    WriteTransaction,
)
from walletsync_server.storage.queries import SqlReadTransaction
from walletsync_server.storage.writer import Writer

T = TypeVar("T")


class SqlStorage(Storage):
    """Reads go to `readers`, writes through `writer`, which uses `writing`. Owns all three."""

    def __init__(self, *, writing: sa.Engine, writer: Writer, readers: sa.Engine) -> None:
        self._writing = writing
        self._writer = writer
        self._readers = readers
        self._closed = False

    def read(self, work: Callable[[ReadTransaction], T]) -> T:
        """See `Storage`."""
        if self._closed:
            raise StorageError("The database is closed.")
        with driver_errors_end_here(), self._readers.begin() as connection:
            return work(SqlReadTransaction(connection))

    def write(self, work: Callable[[WriteTransaction], T]) -> T:
        """See `Storage`."""
        with driver_errors_end_here():
            return self._writer.run(work)

    def close(self) -> None:
        """See `Storage`."""
        self._closed = True
        self._writer.close()
        self._readers.dispose()
        self._writing.dispose()  # the last one out writes SQLite's log back into the file


@contextmanager
def driver_errors_end_here() -> Iterator[None]:
    """Turn whatever the driver or SQLAlchemy raises into `StorageError`."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        raise StorageError(f"The database failed ({_kind(error)}).") from error


def _kind(error: sa.exc.SQLAlchemyError) -> str:
    """Return a name without values: the driver's own, such as SQLITE_BUSY, where it has one."""
    return getattr(getattr(error, "orig", None), "sqlite_errorname", type(error).__name__)
