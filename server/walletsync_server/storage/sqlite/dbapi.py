"""apsw by the rules of DB-API 2 (PEP 249), as far as SQLAlchemy and Alembic ask for them.

apsw brings a SQLite of its own and speaks SQLite's language rather than DB-API's. What runs without SQLAlchemy uses
it as it is, see `Connection.driver`. This differs from the standard library's `sqlite3`:

- No transaction begins by itself: whoever wants one says which kind.
- A query that is not read to its end ends with the transaction: it would keep the transaction's view of the database.
- Errors are apsw's; SQLAlchemy learns from `Dialect` what they are to it, and `failures.error_name` names them. But a
  text that is not UTF-8 is a `UnicodeDecodeError`.
- A connection may go from thread to thread; two that use it at once get `apsw.ThreadingViolationError`.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any
from weakref import WeakSet

import apsw

apilevel = "2.0"
paramstyle = "qmark"
threadsafety = 1
Error = apsw.Error
Binary = bytes
sqlite_version_info = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))

Row = tuple[Any, ...]


class Cursor:
    """Runs one statement at a time.

    Attributes:
        description: of the rows' columns, each a tuple of its name and six more values; None for a statement without.
        rowcount: how many rows a statement without columns changed, all runs of `executemany` together; otherwise -1.
        arraysize: how many rows `fetchmany` returns if it is not told.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self._columns = _Columns()
        self._cursor.exec_trace = self._columns
        self.description: tuple[Row, ...] | None = None
        self.rowcount = -1
        self.arraysize = 1

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement up to its first row."""
        self._run(self._cursor.execute, statement, parameters)

    def executemany(self, statement: str, parameters: Iterable[Sequence[Any]]) -> None:
        """Run a statement with each of the parameters."""
        self._run(self._cursor.executemany, statement, parameters)

    def _run(self, run: Callable[..., object], statement: str, parameters: object) -> None:
        self.description, self.rowcount, self._columns.seen = None, -1, None
        before = self._connection.total_changes()
        run(statement, parameters)
        self.description = self._columns.seen
        if self.description is None:
            self.rowcount = self._connection.total_changes() - before

    def fetchone(self) -> Row | None:
        """Return the next row, None after the last."""
        return self._cursor.fetchone()

    def fetchmany(self, size: int | None = None) -> list[Row]:
        """Return the next rows, at most so many."""
        return list(islice(self._cursor, self.arraysize if size is None else size))

    def fetchall(self) -> list[Row]:
        """Return the rows that are left."""
        return self._cursor.fetchall()

    def close(self) -> None:
        """End the statement, read to its end or not."""
        self._cursor.close(True)


class _Columns:
    """Looks at a statement's columns as it begins: one without rows has forgotten them afterwards.

    It knows no cursor, so that one which nobody needs any more ends at once, without the garbage collector.
    """

    def __init__(self) -> None:
        self.seen: tuple[Row, ...] | None = None

    def __call__(self, cursor: apsw.Cursor, statement: str, bindings: object) -> bool:
        self.seen = cursor.description or None
        return True


class Connection:
    """A connection that SQLAlchemy can use. `driver` is apsw's own."""

    def __init__(self, driver: apsw.Connection) -> None:
        self.driver = driver
        self._cursors: WeakSet[Cursor] = WeakSet()

    def cursor(self) -> Cursor:
        """Return a new cursor, of use until the transaction ends."""
        cursor = Cursor(self.driver)
        self._cursors.add(cursor)
        return cursor

    def commit(self) -> None:
        """Commit the transaction that is open, if one is."""
        self._end("COMMIT")

    def rollback(self) -> None:
        """Undo the transaction that is open, if one is: SQLite ends it by itself after some errors."""
        self._end("ROLLBACK")

    def _end(self, statement: str) -> None:
        for cursor in list(self._cursors):  # not `pop`: the garbage collector may take the last one away meanwhile
            cursor.close()
        self._cursors.clear()
        if self.driver.in_transaction:
            self.driver.execute(statement)

    def close(self) -> None:
        """Close it with all its cursors; what was not committed is undone. Twice is fine."""
        self.driver.close(True)
