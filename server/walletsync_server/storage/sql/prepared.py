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
    """A connection as `Prepared` needs it: its driver, and the dialect that this understands.

    `execute` runs a statement and returns its rows, `change` one whose end need not be waited for.
    """

    __slots__ = ("change", "dialect", "dialect_class", "execute")

    def __init__(self, connection: sa.Connection) -> None:
        driver: Any = connection.connection.driver_connection
        self.execute: Callable[[str, list[Any]], Any] = driver.execute
        self.change: Callable[[str, list[Any]], object] = driver.execute
        self.dialect: Dialect = connection.dialect
        self.dialect_class = type(connection.dialect)


class Prepared:
    """A statement whose parameters are all named by `bindparam`."""

    def __init__(self, statement: sa.Executable) -> None:
        self._statement = statement
        self._compiled: dict[type[Dialect], _Compiled] = {}

    def row(self, driver: Driver, **values: object) -> list[Any] | None:
        """Return the values of the only row; None if there is none."""
        compiled = self._compiled.get(driver.dialect_class) or self._compile(driver)
        # Read to the end: a statement that is not through keeps its view of the database.
        rows = self._run(compiled, driver, values).fetchall()
        if not rows:
            return None
        row = list(rows[0])
        for place, convert in compiled.converted:
            if row[place] is not None:
                row[place] = convert(row[place])
        return row

    def named(self, driver: Driver, **values: object) -> dict[str, Any] | None:
        """Return the only row by the names of its columns; None if there is none."""
        row = self.row(driver, **values)
        return None if row is None else dict(zip(self._compiled[driver.dialect_class].names, row, strict=True))

    def tuples(self, driver: Driver, **values: object) -> list[tuple[Any, ...]]:
        """Return all rows with the driver's own values."""
        compiled = self._compiled.get(driver.dialect_class) or self._compile(driver)
        rows: list[tuple[Any, ...]] = self._run(compiled, driver, values).fetchall()
        return rows

    def value(self, driver: Driver, **values: object) -> Any:
        """Return the only column of the only row; None if there is none."""
        row = self.row(driver, **values)
        return None if row is None else row[0]

    def run(self, driver: Driver, **values: object) -> None:
        """Change what it changes."""
        compiled = self._compiled.get(driver.dialect_class) or self._compile(driver)
        driver.change(compiled.sql, compiled.taken_from(values))

    def _run(self, compiled: "_Compiled", driver: Driver, values: dict[str, Any]) -> Any:
        return driver.execute(compiled.sql, compiled.taken_from(values))

    def _compile(self, driver: Driver) -> "_Compiled":
        compiled = self._compiled[driver.dialect_class] = _Compiled(self._statement, driver.dialect)
        return compiled


class _Compiled:
    """A statement in the words of one dialect.

    Attributes:
        sql: its text, which takes parameters by their position.
        parameters: their names in this order, with what makes the driver's values of ours.
        names: of a row's values in their order.
        converted: the places of those that are not the driver's values, with what makes ours of these.
    """

    def __init__(self, statement: sa.Executable, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]  # of every statement there is
        self.sql = str(compiled)
        self.parameters = [(name, _to_driver(compiled.binds[name].type, dialect)) for name in compiled.positiontup]
        columns = statement.selected_columns if isinstance(statement, sa.Select) else ()
        self.names = [str(column.key) for column in columns]
        converts = [_from_driver(column.type, dialect) for column in columns]
        self.converted = [(place, convert) for place, convert in enumerate(converts) if convert is not None]

    def taken_from(self, values: dict[str, Any]) -> list[Any]:
        """Return the driver's values of the parameters."""
        return [values[name] if convert is None else convert(values[name]) for name, convert in self.parameters]


def _to_driver(kind: Any, dialect: Dialect) -> _Convert | None:
    convert: _Convert | None = kind.dialect_impl(dialect).bind_processor(dialect)
    return convert


def _from_driver(kind: Any, dialect: Dialect) -> _Convert | None:
    convert: _Convert | None = kind.dialect_impl(dialect).result_processor(dialect, None)
    return convert
