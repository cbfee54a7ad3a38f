"""Statements of the hot routes: compiled once for each engine, and run by its driver alone.

SQLAlchemy spends several times as long on running a statement as SQLite does, nearly all of it on what is the same each
time. These run on the connection of the transaction that they are in, beside those that SQLAlchemy runs.
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

_Convert = Callable[[Any], Any]


class Driver:
    """A connection as `Prepared` needs it: its driver, and the dialect that this understands."""

    __slots__ = ("dialect", "execute")

    def __init__(self, connection: sa.Connection) -> None:
        driver: Any = connection.connection.driver_connection
        self.execute: Callable[[str, list[Any]], Any] = driver.execute
        self.dialect: Dialect = connection.dialect


class Prepared:
    """A statement whose parameters are all named by `bindparam`."""

    def __init__(self, statement: sa.Executable) -> None:
        self._statement = statement
        self._compiled: dict[type[Dialect], _Compiled] = {}

    def row(self, driver: Driver, **values: object) -> dict[str, Any] | None:
        """Return the only row by the names of its columns; None if there is none."""
        compiled = self._compiled_for(driver.dialect)
        # Read to the end: a statement that is not through keeps its view open.
        rows = driver.execute(compiled.sql, compiled.bind(values)).fetchall()
        return compiled.named(rows[0]) if rows else None

    def value(self, driver: Driver, **values: object) -> Any:
        """Return the only column of the only row; None if there is none."""
        row = self.row(driver, **values)
        return None if row is None else next(iter(row.values()))

    def run(self, driver: Driver, **values: object) -> None:
        """Change what it changes."""
        compiled = self._compiled_for(driver.dialect)
        driver.execute(compiled.sql, compiled.bind(values))

    def _compiled_for(self, dialect: Dialect) -> "_Compiled":
        compiled = self._compiled.get(type(dialect))
        if compiled is None:
            compiled = self._compiled[type(dialect)] = _Compiled(self._statement, dialect)
        return compiled


class _Compiled:
    """A statement in the words of one dialect, which takes its parameters by their position."""

    def __init__(self, statement: sa.Executable, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]  # of every statement there is
        self.sql = str(compiled)
        self._parameters = [(name, _to_driver(compiled.binds[name].type, dialect)) for name in compiled.positiontup]
        columns = statement.selected_columns if isinstance(statement, sa.Select) else ()
        self._columns = [(str(column.key), _from_driver(column.type, dialect)) for column in columns]

    def bind(self, values: dict[str, Any]) -> list[Any]:
        """Return the parameters in the driver's order and types."""
        return [values[name] if convert is None else convert(values[name]) for name, convert in self._parameters]

    def named(self, row: tuple[Any, ...]) -> dict[str, Any]:
        """Return a row by the names of its columns."""
        return {
            name: value if convert is None or value is None else convert(value)
            for (name, convert), value in zip(self._columns, row, strict=True)
        }


def _to_driver(kind: Any, dialect: Dialect) -> _Convert | None:
    convert: _Convert | None = kind.dialect_impl(dialect).bind_processor(dialect)
    return convert


def _from_driver(kind: Any, dialect: Dialect) -> _Convert | None:
    convert: _Convert | None = kind.dialect_impl(dialect).result_processor(dialect, None)
    return convert
