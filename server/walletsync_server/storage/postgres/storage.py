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
from walletsync_server.storage.postgres.failures import DRIVER_ERRORS, failure
from walletsync_server.storage.postgres.links import Link, Links
from walletsync_server.storage.postgres.transaction import PostgresWriteTransaction

T = TypeVar("T")
_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_COMMIT = "COMMIT"
_SIZE = "SELECT pg_database_size(current_database())"
_CLOSED = "The database is closed."


class _Lost(StorageError):
    """The connection was closed by the server, or somebody on the way."""


class PostgresStorage(Storage):
    """Uses `links`, which it owns. A write runs in the thread that submits it; there are no others."""

    may_wait = True

    def __init__(self, links: Links, on_commit: OnCommit, *, has_company: bool = False) -> None:
        self.has_company = has_company
        self._links = links
        self._on_commit = on_commit
        self._closed = False

    @override
    def read(self, work: Callable[[ReadTransaction], T]) -> T:
        def reading(link: Link) -> T:
            link.statements.defer(_READ)
            return work(link.reading)

        return self._asked(reading)

    @override
    def ask(self, question: Callable[[ReadTransaction], T]) -> T:
        return self._asked(lambda link: question(link.reading))

    @override
    def size(self) -> int:
        ((size,),) = self._asked(lambda link: link.statements.execute(_SIZE, []))
        return int(size)

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
        def writing(link: Link) -> T:
            link.statements.defer(_WRITE)
            try:
                transaction = PostgresWriteTransaction(link.sql, link.statements)
                value = work(transaction)
                transaction.erase()
                _commit(link)
                return value
            except (psycopg.errors.ReadOnlySqlTransaction, sa.exc.InternalError):
                link.close()  # perhaps another server is the one that takes writes now
                raise

        return self._on_a_link(writing)

    def _asked(self, work: Callable[[Link], T]) -> T:
        try:
            return self._on_a_link(work)
        except _Lost:  # perhaps while it was idle; and nothing was changed
            return self._on_a_link(work)

    def _on_a_link(self, work: Callable[[Link], T]) -> T:
        if self._closed:
            raise StorageError(_CLOSED)
        link: Link | None = None
        try:  # and no context manager, which would cost as much as a statement
            link = self._links.take()
            try:
                return work(link)
            finally:
                self._links.give_back(link)
        except DRIVER_ERRORS as error:
            is_lost = link is not None and link.closed and not link.statements.is_given_up
            raise (_Lost if is_lost else StorageError)(failure(error)) from error


def _commit(link: Link) -> None:
    """Commit; a transaction of which a part failed is none that the server commits, though it does not say so."""
    if link.statements.run(_COMMIT) != _COMMIT.encode():
        raise psycopg.errors.InFailedSqlTransaction
