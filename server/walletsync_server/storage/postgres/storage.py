"""`Storage` in a PostgreSQL database: each read and each write is a transaction on a connection of its own.

Writes that come at once share a flush of the disk all the same: that is what the server's own group commit does.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import psycopg
import sqlalchemy as sa
from typing_extensions import override

from walletsync_server.storage.interface import OnCommit, ReadTransaction, Storage, StorageError, WriteTransaction
from walletsync_server.storage.postgres.failures import driver_errors_end_here
from walletsync_server.storage.postgres.links import Link, Links
from walletsync_server.storage.postgres.transaction import PostgresWriteTransaction

T = TypeVar("T")
_READ = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE = b"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_COMMIT = b"COMMIT"
_CLOSED = "The database is closed."


class PostgresStorage(Storage):
    """Uses `links`, which it owns. A write runs in the thread that submits it; there are no others."""

    may_wait = True

    def __init__(self, links: Links, on_commit: OnCommit) -> None:
        self._links = links
        self._on_commit = on_commit
        self._closed = False

    @override
    def read(self, work: Callable[[ReadTransaction], T]) -> T:
        if self._closed:
            raise StorageError(_CLOSED)
        with driver_errors_end_here():
            link = self._links.begin(_READ)
            try:
                return work(link.reading)
            finally:
                self._links.give_back(link)

    @override
    def readers(self) -> tuple[int, int]:
        return self._links.places()

    @override
    def submit(self, work: Callable[[WriteTransaction], T]) -> Future[T]:
        if self._closed:
            raise StorageError(_CLOSED)
        future: Future[T] = Future()
        started = time.perf_counter()
        try:
            future.set_result(self._write(work))
        except Exception as error:  # noqa: BLE001 - not swallowed: it is raised where the future is looked at
            future.set_exception(error)
        self._on_commit(time.perf_counter() - started, 1)
        return future

    def erase_unfinished(self) -> None:
        """Remove what is left of accounts that were being erased in another database, from which this is a copy."""
        while self._write(lambda transaction: transaction.erase_unfinished()):
            pass

    @override
    def close(self) -> None:
        self._closed = True
        self._links.close()

    def _write(self, work: Callable[[PostgresWriteTransaction], T]) -> T:
        with driver_errors_end_here():
            link = self._links.begin(_WRITE)
            try:
                transaction = PostgresWriteTransaction(link.sql, link.statements)
                value = work(transaction)
                transaction.erase()
                _commit(link)
                return value
            except (psycopg.errors.ReadOnlySqlTransaction, sa.exc.InternalError):
                link.close()  # perhaps another server is the one that takes writes now
                raise
            finally:
                self._links.give_back(link)


def _commit(link: Link) -> None:
    """Commit; a transaction of which a part failed is none that the server commits, though it does not say so."""
    if link.statements.run(_COMMIT) != _COMMIT:
        raise psycopg.errors.InFailedSqlTransaction
