"""Connections for reading."""

from collections import deque
from collections.abc import Callable
from typing import TypeVar

import apsw
import sqlalchemy as sa

from walletsync_server.storage.interface import ReadTransaction
from walletsync_server.storage.sql.queries import SqlReadTransaction
from walletsync_server.storage.sqlite.connect import driver_of
from walletsync_server.storage.sqlite.failures import DRIVER_ERRORS, failure

T = TypeVar("T")


class _Reader:
    """A connection and what is made of it once, since that costs about as much as reading."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.driver = driver_of(connection)
        self.transaction = SqlReadTransaction(connection)


class Readers:
    """As many as read at one time. They stay open: taking one from the engine costs more than reading a wallet."""

    def __init__(self, engine: sa.Engine) -> None:
        assert isinstance(engine.pool, sa.QueuePool)  # noqa: S101 - for the type checker
        self._engine = engine
        self._pool = engine.pool
        self._idle: deque[_Reader] = deque()  # appending and popping need no lock
        self._closed = False

    def places(self) -> tuple[int, int]:
        """Return how many read now, and how many may."""
        return self._pool.checkedout() - len(self._idle), self._pool.size()

    def read(self, work: Callable[[ReadTransaction], T]) -> T:
        """Return `work(transaction)`, on a connection that nobody else has meanwhile; see `Storage.read`."""
        try:  # and no context manager, which would cost as much as a statement
            reader = self._take()
            try:
                reader.driver.execute("BEGIN")
                return work(reader.transaction)
            finally:
                self._end(reader)
                self._give_back(reader)
        except DRIVER_ERRORS as error:
            raise failure(error) from error

    def ask(self, question: Callable[[ReadTransaction], T]) -> T:
        """Return `question(transaction)`, as `read` does; see `Storage.ask`."""
        try:
            reader = self._take()
            try:
                return question(reader.transaction)
            finally:
                if reader.driver.in_transaction:  # SQLAlchemy was needed, and began one
                    self._end(reader)
                self._give_back(reader)
        except DRIVER_ERRORS as error:
            raise failure(error) from error

    def close(self) -> None:
        """Close those that are idle; those that are read from follow when they are given back."""
        self._closed = True
        self._close_idle()
        self._engine.dispose()

    def _take(self) -> _Reader:
        try:
            return self._idle.pop()
        except IndexError:
            return _Reader(self._engine.connect())

    def _end(self, reader: _Reader) -> None:
        """End its transaction. A connection that cannot is closed, so that another one takes its place."""
        try:
            if reader.connection.in_transaction():  # SQLAlchemy was needed: for it the transaction is over, too
                reader.connection.rollback()
            if reader.driver.in_transaction:
                reader.driver.execute("COMMIT")
        except (apsw.Error, sa.exc.SQLAlchemyError):
            reader.connection.invalidate()
            reader.connection.close()
            raise

    def _give_back(self, reader: _Reader) -> None:
        self._idle.append(reader)
        if self._closed:
            self._close_idle()

    def _close_idle(self) -> None:
        while self._idle:
            self._take().connection.close()
