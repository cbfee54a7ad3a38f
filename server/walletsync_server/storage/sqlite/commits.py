"""Jobs in one commit, and what comes after it: removing what is gone in pieces, truncating the log, the answers."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from walletsync_server.storage.interface import OnCommit, StorageError, WriteTransaction
from walletsync_server.storage.sqlite.connect import driver_of
from walletsync_server.storage.sqlite.deletions import Journal
from walletsync_server.storage.sqlite.failures import driver_errors_end_here, failure, translated
from walletsync_server.storage.sqlite.log import PAUSE_SECONDS, WriteAheadLog
from walletsync_server.storage.sqlite.place import Place
from walletsync_server.storage.sqlite.transaction import SqliteWriteTransaction

LOOK_SECONDS = 60 * 60.0
"""How often to look for what others left unfinished, be it a server that was killed or a command."""


@dataclass
class Job:
    """Work for one transaction, all or nothing, and who waits for it.

    `erases` says whether something is gone that nobody may find any more, `left` in which accounts some of it is still
    to be removed, `deleted` which accounts are gone, by number, and since when.
    """

    work: Callable[[WriteTransaction], Any]
    future: Future[Any] = field(default_factory=Future)
    value: Any = None
    error: BaseException | None = None
    erases: bool = False
    left: list[int] = field(default_factory=list)
    deleted: dict[int, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.future.set_running_or_notify_cancel()  # who waits may give up, but what was submitted is written

    def run(self, connection: sa.Connection) -> None:
        """Run in a savepoint and remember how it went; only a broken connection raises."""
        driver = driver_of(connection)
        driver.execute("SAVEPOINT job")
        transaction = SqliteWriteTransaction(connection)
        try:
            self.value = self.work(transaction)
            # Only if all of it is small it needs no other transaction: nobody is to wait for a piece beside the work.
            self.left = [account_id for account_id in transaction.erased if not transaction.erase_if_small(account_id)]
            self.erases, self.deleted = bool(transaction.erased), transaction.deleted
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


class Commits:
    """Commits jobs on `writing`. For one thread at a time.

    A job is answered once it is committed; one that erases, once all of that is removed and the log truncated.
    """

    def __init__(self, writing: sa.Engine, around: Surroundings) -> None:
        self._writing = writing
        self._around = around
        self._erasing: deque[Job] = deque()
        self._next_look = 0.0

    @property
    def is_erasing(self) -> bool:
        """Whether there is something for `erase_piece`."""
        return bool(self._erasing)

    @property
    def seconds_to_rest(self) -> float:
        """How long there is nothing to do if no job comes."""
        if self._erasing:
            return 0.0
        until_look = max(0.0, self._next_look - time.monotonic())
        return min(until_look, PAUSE_SECONDS) if self._around.log.is_due else until_look

    def run(self, jobs: Sequence[Job]) -> None:
        """Run `jobs` in one commit. If that fails, or is not where it belongs, all of them fail."""
        started = time.perf_counter()
        try:
            with self._writing.begin() as connection:
                for job in jobs:
                    job.run(connection)
            self._around.place.check()
        except StorageError as error:
            for job in jobs:
                job.error = StorageError(*error.args)
        except Exception as error:  # noqa: BLE001 - not swallowed: every one who waits gets an error of its own
            for job in jobs:
                job.error = failure(error)
        else:
            self._erasing.extend(job for job in jobs if job.left)
            self._note(erased=any(job.erases and not job.left for job in jobs))
            with suppress(StorageError):  # it is written after the next commit then
                self._around.journal.committed({account: at for job in jobs for account, at in job.deleted.items()})
        seconds = time.perf_counter() - started
        for job in jobs:
            if job.error is not None or not job.left:
                job.answer()
        self._around.on_commit(seconds, len(jobs))

    def erase_piece(self) -> None:
        """Remove one piece of what has waited longest.

        If the disk fails, nobody waits any longer: what was committed is so, and the rest is tried again later.
        """
        job = self._erasing[0]
        try:
            with driver_errors_end_here(), self._writing.begin() as connection:
                is_left = SqliteWriteTransaction(connection).erase_piece(job.left[0])
            self._around.place.check()
        except StorageError:
            self._next_look = time.monotonic() + PAUSE_SECONDS
            while self._erasing:
                self._erasing.popleft().answer()
            return
        if not is_left:
            job.left.pop(0)
        if not job.left:
            self._erasing.popleft()
            self._note(erased=True)
            job.answer()

    def begin(self) -> None:
        """Take over the log of an earlier process, which may not have come to truncate it."""
        self._around.log.opened()

    def look_for_unfinished(self) -> None:
        """Look whether something is to be removed that nobody here waits for, if the last look was some time ago."""
        if time.monotonic() < self._next_look or self._erasing:
            return
        account_id = None
        with suppress(StorageError), driver_errors_end_here(), self._writing.connect() as connection:
            account_id = SqliteWriteTransaction(connection).being_erased()  # which begins no transaction
        if account_id is None:
            self._next_look = time.monotonic() + LOOK_SECONDS
        else:
            self._erasing.append(Job(lambda transaction: None, left=[account_id]))

    def truncate_log(self) -> None:
        """Truncate the log if it is time for that."""
        with suppress(StorageError):
            self._around.log.retry()

    def close(self) -> None:
        """Truncate the log for the last time."""
        with suppress(StorageError):
            self._around.log.close()

    def _note(self, *, erased: bool) -> None:
        with suppress(StorageError):  # what was written is written; the log is truncated another time
            self._around.log.committed(erased=erased)
