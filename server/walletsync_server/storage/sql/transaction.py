"""What every transaction in SQL stands on: one connection."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from walletsync_server.storage.sql.prepared import Driver

_COUNTED = {"preserve_rowcount": True}
"""Otherwise not every driver's count of an INSERT is kept."""


class SqlTransaction:
    """Runs statements on one connection, inside the transaction that its owner began and ends.

    `driver` runs those that are prepared; by default the connection's own does.
    """

    def __init__(self, connection: sa.Connection, driver: Driver | None = None) -> None:
        self._connection = connection
        self._driver = driver or Driver(connection)

    def _row(self, statement: sa.Select[*tuple[Any, ...]], **values: object) -> Any:
        return self._connection.execute(statement, values).mappings().one_or_none()

    def _rows(self, statement: sa.Select[*tuple[Any, ...]], **values: object) -> Sequence[Any]:
        return self._connection.execute(statement, values).mappings().all()

    def _run(self, statement: sa.Executable, **values: object) -> int:
        """Run a change and return how many rows it changed."""
        return self._connection.execute(statement, values, execution_options=_COUNTED).rowcount


class SqlWrites(SqlTransaction, ABC):
    """What a transaction that writes needs besides."""

    def _delete_some(self, table: sa.Table, which: sa.ColumnElement[bool], most: int) -> int:
        """Delete at most so many of the rows, and return how many there were.

        Rows that others are changing stay for another time: whoever deletes rows of several accounts must not wait.
        """
        key = list(table.primary_key)
        some = sa.select(*key).where(which).limit(most).with_for_update(skip_locked=True)
        return self._run(sa.delete(table).where(sa.tuple_(*key).in_(some)))

    @staticmethod
    @abstractmethod
    def _insert(table: sa.Table) -> Any:
        """Return the engine's own INSERT, which has `on_conflict_do_nothing` and `on_conflict_do_update`."""
