"""Who runs the writes: one thread that groups commits, or the caller itself. Both on one connection.

SQLite lets one transaction write at a time and a durable commit costs a flush of the disk. So one thread owns the
writing connection: it takes whatever is queued, runs each job in a savepoint, commits once, and only then answers.
"""

import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from typing_extensions import override

from walletsync_server.storage.interface import OnCommit, StorageError, WriteTransaction
from walletsync_server.storage.sqlite.deletions import Journal
from walletsync_server.storage.sqlite.failures import failure, translated
from walletsync_server.storage.sqlite.log import PAUSE_SECONDS, WriteAheadLog
from walletsync_server.storage.sqlite.place import Place
from walletsync_server.storage.sqlite.transaction import SqliteWriteTransaction

T = TypeVar("T")
MAX_BATCH = 64


class Writer(ABC):
    """Runs jobs, each all or nothing, and answers only when their commit is done."""

    @abstractmethod
    def submit(self, work: Callable[[WriteTransaction], T]) -> Future[T]:
        """Return a future of what `work` returns, done once it is committed; see `Storage.submit`.

        Raises:
            StorageError: after `close`.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish the jobs that were given, refuse those that come, release the connection."""


@dataclass
class _Job:
    work: Callable[[WriteTransaction], Any]
    future: Future[Any] = field(default_factory=Future)
    value: Any = None
    error: BaseException | None = None
    erases: bool = False
    deleted: dict[int, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.future.set_running_or_notify_cancel()  # who waits may give up, but what was submitted is written

    def run(self, connection: sa.Connection) -> None:
        """Run in a savepoint and remember how it went; only a broken connection raises."""
        driver: Any = connection.connection.driver_connection
        driver.execute("SAVEPOINT job")
        transaction = SqliteWriteTransaction(connection)
        try:
            self.value = self.work(transaction)
            self.erases, self.deleted = transaction.erases, transaction.deleted
        except Exception as error:  # noqa: BLE001 - not swallowed: it is raised where the job was given
            self.error = translated(error)
            driver.execute("ROLLBACK TO job")
        driver.execute("RELEASE job")

    def answer(self) -> None:
        """Tell the one who waits, after the commit."""
        if self.error is None:
            self.future.set_result(self.value)
        else:
            self.future.set_exception(self.error)


@dataclass(frozen=True)
class Surroundings:
    """What a commit concerns beside the database's file: the log and the journal beside it, the place, who is told."""

    log: WriteAheadLog
    journal: Journal
    place: Place
    on_commit: OnCommit


def _run_together(engine: sa.Engine, jobs: list[_Job], around: Surroundings) -> None:
    """Run `jobs` in one commit and answer all of them; if it fails, or is not where it belongs, all of them fail."""
    started = time.perf_counter()
    try:
        with engine.begin() as connection:
            for job in jobs:
                job.run(connection)
        around.place.check()
    except StorageError as error:
        for job in jobs:
            job.error = StorageError(*error.args)
    except Exception as error:  # noqa: BLE001 - not swallowed: every one who waits gets an error of its own
        for job in jobs:
            job.error = failure(error)
    else:
        # What was written is written: the log is truncated, and the journal written, another time.
        with suppress(StorageError):
            around.log.committed(erased=any(job.erases for job in jobs))
        with suppress(StorageError):
            around.journal.committed({account: at for job in jobs for account, at in job.deleted.items()})
    seconds = time.perf_counter() - started
    for job in jobs:
        job.answer()
    around.on_commit(seconds, len(jobs))


class InlineWriter(Writer):
    """Runs each job in the calling thread, one at a time: no thread, no grouping, the same promises."""

    def __init__(self, engine: sa.Engine, around: Surroundings) -> None:
        self._engine = engine
        self._around = around
        self._lock = threading.Lock()
        self._closed = False

    @override
    def submit(self, work: Callable[[WriteTransaction], T]) -> Future[T]:
        job = _Job(work)
        with self._lock:
            if self._closed:
                raise StorageError("The database is closed.")
            _run_together(self._engine, [job], self._around)
        return job.future

    @override
    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                with suppress(StorageError):
                    self._around.log.close()


class ThreadedWriter(Writer):
    """Runs jobs in one thread of its own, as many in one commit as have come meanwhile, at most `MAX_BATCH`."""

    def __init__(self, engine: sa.Engine, around: Surroundings) -> None:
        self._engine = engine
        self._around = around
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="storage-writer", daemon=True)
        self._thread.start()

    @override
    def submit(self, work: Callable[[WriteTransaction], T]) -> Future[T]:
        job = _Job(work)
        with self._lock:  # so that no job lands behind the end mark
            if self._closed:
                raise StorageError("The database is closed.")
            self._jobs.put(job)
        return job.future

    @override
    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    def _loop(self) -> None:
        self._around.log.opened()
        going = True
        while going:
            going, jobs = self._take()
            if jobs:
                _run_together(self._engine, jobs, self._around)
            else:
                with suppress(StorageError):
                    self._around.log.retry()
        with suppress(StorageError):
            self._around.log.close()

    def _take(self) -> tuple[bool, list[_Job]]:
        """Wait for a job and take it with those behind it; False if the end mark was among them.

        If the log is to be truncated, there may be none.
        """
        jobs: list[_Job] = []
        try:
            job = self._jobs.get(timeout=PAUSE_SECONDS if self._around.log.is_due else None)
            while job is not None:
                jobs.append(job)
                if len(jobs) == MAX_BATCH:
                    return True, jobs
                job = self._jobs.get_nowait()
        except queue.Empty:
            return True, jobs
        return False, jobs
