"""Statements of the hot routes: compiled once, and run by the driver alone.

SQLAlchemy spends several times as long on running a statement as SQLite does, nearly all of it on what is the same each
time. These run on the connection of the transaction that they are in, beside those that SQLAlchemy runs.
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

_DIALECT = sqlite.dialect()
_Convert = Callable[[Any], Any]


def driver_of(connection: sa.Connection) -> Any:
    """Return the driver's own connection."""
    return connection.connection.dbapi_connection


class Prepared:
    """A statement whose parameters are all named by `bindparam`."""

    def __init__(self, statement: sa.Executable) -> None:
        compiled: Any = statement.compile(dialect=_DIALECT)  # type: ignore[attr-defined]  # of every statement there is
        self._sql = str(compiled)
        self._parameters = [(name, _to_driver(compiled.binds[name].type)) for name in compiled.positiontup]
        columns = statement.selected_columns if isinstance(statement, sa.Select) else ()
        self._columns: list[tuple[str, _Convert | None]] = [
            (str(column.key), _from_driver(column.type)) for column in columns
        ]

    def row(self, driver: Any, **values: object) -> dict[str, Any] | None:
        """Return the only row by the names of its columns; None if there is none."""
        rows = self._run(driver, values).fetchall()  # to the end: a statement that is not through keeps its view open
        if not rows:
            return None
        return {
            name: value if convert is None or value is None else convert(value)
            for (name, convert), value in zip(self._columns, rows[0], strict=True)
        }

    def value(self, driver: Any, **values: object) -> Any:
        """Return the only column of the only row; None if there is none."""
        row = self.row(driver, **values)
        return None if row is None else next(iter(row.values()))

    def run(self, driver: Any, **values: object) -> None:
        """Change what it changes."""
        self._run(driver, values)

    def _run(self, driver: Any, values: dict[str, Any]) -> Any:
        return driver.execute(
            self._sql,
            [values[name] if convert is None else convert(values[name]) for name, convert in self._parameters],
        )


def _to_driver(kind: Any) -> _Convert | None:
    convert: _Convert | None = kind.dialect_impl(_DIALECT).bind_processor(_DIALECT)
    return convert


def _from_driver(kind: Any) -> _Convert | None:
    convert: _Convert | None = kind.dialect_impl(_DIALECT).result_processor(_DIALECT, None)
    return convert
