"""Connections for reading."""

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa

from walletsync_server.storage.interface import ReadTransaction
from walletsync_server.storage.sql.queries import SqlReadTransaction
from walletsync_server.storage.sqlite.failures import driver_errors_end_here

T = TypeVar("T")


class Readers:
    """As many as read at one time. They stay open: taking one from the engine costs more than reading a wallet."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._idle: deque[sa.Connection] = deque()  # appending and popping need no lock
        self._closed = False

    def read(self, work: Callable[[ReadTransaction], T]) -> T:
        """Return `work(transaction)`, on a connection that nobody else has meanwhile; see `Storage.read`."""
        with driver_errors_end_here():
            connection = self._take()
            driver: Any = connection.connection.driver_connection
            try:
                driver.execute("BEGIN")
                return work(SqlReadTransaction(connection))
            finally:
                connection.rollback()  # if SQLAlchemy was needed, for it the transaction is over, too
                if driver.in_transaction:
                    driver.execute("COMMIT")
                self._give_back(connection)

    def close(self) -> None:
        """Close those that are idle; those that are read from follow when they are given back."""
        self._closed = True
        self._close_idle()
        self._engine.dispose()

    def _take(self) -> sa.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._engine.connect()

    def _give_back(self, connection: sa.Connection) -> None:
        self._idle.append(connection)
        if self._closed:
            self._close_idle()

    def _close_idle(self) -> None:
        while self._idle:
            self._take().close()
