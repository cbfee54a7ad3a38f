"""What every transaction in SQL stands on: one connection."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from walletsync_server.storage.sql.prepared import Driver


class SqlTransaction:
    """Runs statements on one connection, inside the transaction that its owner began and ends."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._driver = Driver(connection)

    def _row(self, statement: sa.Select[*tuple[Any, ...]], **values: object) -> Any:
        return self._connection.execute(statement, values).mappings().one_or_none()

    def _rows(self, statement: sa.Select[*tuple[Any, ...]], **values: object) -> Sequence[Any]:
        return self._connection.execute(statement, values).mappings().all()

    def _run(self, statement: sa.Executable, **values: object) -> int:
        """Run a change and return how many rows it changed."""
        return self._connection.execute(statement, values).rowcount


class SqlWrites(SqlTransaction, ABC):
    """What a transaction that writes needs besides."""

    @staticmethod
    @abstractmethod
    def _insert(table: sa.Table) -> Any:
        """Return the engine's own INSERT, which has `on_conflict_do_nothing` and `on_conflict_do_update`."""
