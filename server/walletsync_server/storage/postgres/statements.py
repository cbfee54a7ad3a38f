"""The statements of the hot routes, prepared by each connection once and run by libpq alone.

Neither SQLAlchemy nor psycopg's cursors are in the way: both take several times as long as the way to the server and
back. What comes and goes is binary, and only of the few types that our tables have.
"""

from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import pq
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import Dialect

from walletsync_server.storage.sql.prepared import Driver

_BINARY = pq.Format.BINARY
_TRUE = b"\x01"


class _Dialect(PGDialect_psycopg):
    """SQLAlchemy's PostgreSQL with parameters as the server itself takes them, and values as they are."""

    supports_statement_cache = True


_DIALECT: Dialect = _Dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # SQLAlchemy's own


def _signed(size: int) -> Callable[[Any], bytes]:
    return lambda value: int(value).to_bytes(size, "big", signed=True)


def _number(value: bytes) -> int:
    return int.from_bytes(value, "big", signed=True)


def _same(value: bytes) -> bytes:
    return value


# By the number that PostgreSQL gives to a type, which is the same everywhere.
_TO_SERVER: dict[int, Callable[[Any], bytes]] = {
    17: _same,  # bytea
    20: _signed(8),  # bigint
    23: _signed(4),  # integer
    25: str.encode,  # text
    1043: str.encode,  # varchar
}
_FROM_SERVER: dict[int, Callable[[bytes], Any]] = {
    16: _TRUE.__eq__,  # boolean
    17: _same,
    20: _number,
    23: _number,
    25: bytes.decode,
    1043: bytes.decode,
}


class Rows(list[tuple[Any, ...]]):
    """What came back, as a driver's cursor has it."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all of it."""
        return self


class _Prepared:
    """A statement that one connection has prepared."""

    def __init__(self, name: bytes, described: pq.abc.PGresult) -> None:
        self.name = name
        self.encode = [_TO_SERVER[described.param_type(number)] for number in range(described.nparams)]
        self.decode = [_FROM_SERVER[described.ftype(number)] for number in range(described.nfields)]
        self.formats = [_BINARY] * described.nparams


class Statements(Driver):
    """Runs statements on one connection. For one thread at a time."""

    __slots__ = ("_connection", "_prepared")

    def __init__(self, connection: pq.abc.PGconn) -> None:
        self._connection = connection
        self._prepared: dict[str, _Prepared] = {}
        self.execute: Callable[[str, list[Any]], Rows] = self._execute
        self.dialect = _DIALECT
        self.dialect_class = _Dialect

    def run(self, command: bytes) -> bytes:
        """Run a command without parameters and rows, and return what the server calls it.

        Raises:
            psycopg.Error: if the server refuses it, or cannot be reached.
        """
        return _checked(self._connection.exec_(command)).command_status or b""

    def _execute(self, sql: str, values: Sequence[Any]) -> Rows:
        prepared = self._prepared.get(sql) or self._prepare(sql)
        encoded: list[Any] = [  # psycopg says that none may be None, and means that some may
            None if value is None else encode(value) for encode, value in zip(prepared.encode, values, strict=True)
        ]
        found = _checked(self._connection.exec_prepared(prepared.name, encoded, prepared.formats, _BINARY))
        value_of, columns = found.get_value, list(enumerate(prepared.decode))
        return Rows(
            tuple(None if (value := value_of(row, column)) is None else decode(value) for column, decode in columns)
            for row in range(found.ntuples)
        )

    def _prepare(self, sql: str) -> _Prepared:
        name = b"walletsync_%d" % len(self._prepared)
        _checked(self._connection.prepare(name, sql.encode()))
        prepared = self._prepared[sql] = _Prepared(name, _checked(self._connection.describe_prepared(name)))
        return prepared


_FINE = pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK


def _checked(result: pq.abc.PGresult) -> pq.abc.PGresult:
    """Return `result` if the server did what it was to do; the error has the server's kind and none of its words."""
    if result.status in _FINE:
        return result
    state = result.error_field(pq.DiagnosticField.SQLSTATE)
    try:
        kind = psycopg.errors.lookup(state.decode()) if state else psycopg.OperationalError
    except KeyError:  # a newer server, or an extension
        kind = psycopg.DatabaseError
    raise kind("The server did not do it.")
