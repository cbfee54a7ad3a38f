"""Who runs the writes: one thread that groups commits, or the caller itself. Both on one connection.

SQLite lets one transaction write at a time and a durable commit costs a flush of the disk. So one thread owns the
writing connection: it takes whatever is queued, commits it at once, and only then answers.
"""

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from typing_extensions import override

from walletsync_server.storage.interface import StorageError, WriteTransaction
from walletsync_server.storage.sqlite.commits import Commits, Job

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


class InlineWriter(Writer):
    """Runs each job in the calling thread, one at a time: no thread, no grouping, the same promises."""

    def __init__(self, commits: Commits) -> None:
        self._commits = commits
        self._lock = threading.Lock()
        self._closed = False

    @override
    def submit(self, work: Callable[[WriteTransaction], T]) -> Future[T]:
        job = Job(work)
        with self._lock:
            if self._closed:
                raise StorageError("The database is closed.")
            self._commits.run([job])
            while self._commits.is_erasing:
                self._commits.erase_piece()
        return job.future

    @override
    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._commits.close()


class ThreadedWriter(Writer):
    """Runs jobs in one thread of its own, as many in one commit as have come meanwhile, at most `MAX_BATCH`.

    Between two commits it removes a piece of what is gone, also of what an earlier process did not come to.
    """

    def __init__(self, commits: Commits) -> None:
        self._commits = commits
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="storage-writer", daemon=True)
        self._thread.start()

    @override
    def submit(self, work: Callable[[WriteTransaction], T]) -> Future[T]:
        job = Job(work)
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
        self._commits.begin()
        going = True
        while going:
            self._commits.look_for_unfinished()
            going, jobs = self._take()
            if jobs:
                self._commits.run(jobs)
            if self._commits.is_erasing:
                self._commits.erase_piece()
            elif not jobs:
                self._commits.truncate_log()
        while self._commits.is_erasing:
            self._commits.erase_piece()
        self._commits.close()

    def _take(self) -> tuple[bool, list[Job]]:
        """Wait for a job and take it with those behind it; False if the end mark was among them.

        If there is something else to do, there may be none.
        """
        jobs: list[Job] = []
        try:
            job = self._jobs.get(timeout=self._commits.seconds_to_rest)
            while job is not None:
                jobs.append(job)
                if len(jobs) == MAX_BATCH:
                    return True, jobs
                job = self._jobs.get_nowait()
        except queue.Empty:
            return True, jobs
        return False, jobs
