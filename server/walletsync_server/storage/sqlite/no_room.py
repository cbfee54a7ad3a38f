"""A database on a disk that is full: it is read as it is until there is room to open it.

To open one, SQLite makes two files beside it, of some ten KiB, and removes them when the last one closes it. So where
the disk fills up while a server is stopped, nobody could read any more. What an orderly stop leaves is all in one file,
and that can be read as it is as long as nobody writes to it: whoever reads has the lock alone.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

import apsw
from typing_extensions import override

from walletsync_server.storage.interface import ReadTransaction, Storage, StorageError, WriteTransaction
from walletsync_server.storage.sqlite.connect import engine
from walletsync_server.storage.sqlite.failures import error_name
from walletsync_server.storage.sqlite.files import COMPANIONS
from walletsync_server.storage.sqlite.lock import DatabaseLock
from walletsync_server.storage.sqlite.readers import Readers

T = TypeVar("T")
PAUSE_SECONDS = 5.0
"""How long after one try in vain to open the database the next one is: meanwhile, others wait for a moment."""
_PATIENCE_SECONDS = 0.2
"""How long a try waits for those who read."""


def lacks_room(error: BaseException | None) -> bool:
    """Say whether a database could not be opened because the disk is full."""
    while error is not None:
        if isinstance(error, apsw.Error):
            return error_name(error) in ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")
        error = error.__cause__ or error.__context__
    return False


class Snapshot(Storage):
    """A database file as it is: nobody else has it open, and nothing can be written.

    Raises:
        DatabaseInUse: if somebody has it open.
        StorageError: if the newest of its data is in another file beside it.
    """

    def __init__(self, file: Path, places: int) -> None:
        self._lock = DatabaseLock(file, exclusive=True)
        if any(_has_anything(Path(f"{file}{more}")) for more in COMPANIONS if more != "-shm"):
            self._lock.release()
            raise StorageError(f"{file} was not closed in order, and there is no room to put it in order. Make room.")
        self._readers = Readers(engine(file, readonly=True, pool_size=places, immutable=True))
        self._closed = False

    @override
    def read(self, work: Callable[[ReadTransaction], T]) -> T:
        if self._closed:
            raise StorageError("The database is closed.")
        return self._readers.read(work)

    @override
    def readers(self) -> tuple[int, int]:
        return self._readers.places()

    @override
    def submit(self, work: Callable[[WriteTransaction], T]) -> Future[T]:
        raise StorageError("The database can only be read now.")

    @override
    def close(self) -> None:
        self._closed = True
        self._readers.close()
        self._lock.release()


def _has_anything(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:
        return False


class WithoutRoom(Storage):
    """Reads a snapshot, and becomes the whole database with the first write for which there is room.

    Args:
        open_snapshot: opens that. It is called again after each try in vain, since others may have changed the file.
        open_whole: opens the database to read and write.
        failure: why that was not possible; each write fails with it, until one succeeds.
        seconds: returns the seconds since any moment, by a clock that nobody sets.
    """

    def __init__(
        self,
        open_snapshot: Callable[[], Storage],
        open_whole: Callable[[], Storage],
        failure: StorageError,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_snapshot = open_snapshot
        self._open_whole = open_whole
        self._failure = failure
        self._seconds = seconds
        self._tried_at = seconds()
        self._storage = open_snapshot()
        self._turn = threading.Condition()
        self._reading = 0
        self._is_switching = self._is_whole = self._is_closed = False

    @override
    def read(self, work: Callable[[ReadTransaction], T]) -> T:
        if self._is_whole:
            return self._storage.read(work)
        with self._turn:
            self._turn.wait_for(lambda: not self._is_switching)
            self._reading += 1
        try:
            return self._storage.read(work)
        finally:
            with self._turn:
                self._reading -= 1
                self._turn.notify_all()

    @override
    def check(self) -> None:
        if self._is_whole:
            self._storage.check()
        else:
            super().check()

    @override
    def readers(self) -> tuple[int, int]:
        return self._storage.readers()

    @override
    def submit(self, work: Callable[[WriteTransaction], T]) -> Future[T]:
        if not self._is_whole:
            self._try()
        return self._storage.submit(work)

    @override
    def close(self) -> None:
        with self._turn:
            self._is_closed = True
            self._turn.wait_for(lambda: not self._is_switching)
        self._storage.close()

    def _try(self) -> None:
        """Become the whole database; raise `StorageError` if that cannot be, or was tried just now."""
        with self._turn:
            if self._is_whole:
                return
            if self._is_closed or self._is_switching or self._seconds() - self._tried_at < PAUSE_SECONDS:
                raise StorageError(*self._failure.args)
            self._is_switching = True
            self._tried_at = self._seconds()
            is_idle = self._turn.wait_for(lambda: not self._reading, _PATIENCE_SECONDS)
        try:
            if is_idle:
                self._switch()
        finally:
            with self._turn:
                self._is_switching = False
                self._turn.notify_all()
        if not self._is_whole:
            raise StorageError(*self._failure.args)

    def _switch(self) -> None:
        """Open the whole database in place of the snapshot, which nobody reads: a write would change it under them."""
        self._storage.close()
        try:
            self._storage = self._open_whole()
        except StorageError as error:
            self._failure = error
            self._storage = self._open_snapshot()
        else:
            self._is_whole = True
