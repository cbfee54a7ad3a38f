"""The statements of the hot routes, prepared by each connection once and run by libpq alone.

Neither SQLAlchemy nor psycopg's cursors are in the way: both take several times as long as the way to the server and
back. What comes and goes is binary, and only of the few types that our tables have.

A change of which nothing has to be known at once waits for the next question, and both go in one piece: that is libpq's
pipeline mode. So whatever goes wrong with it is told there, or by the commit.
"""

import select
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import psycopg
from psycopg import pq
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import Dialect

from walletsync_server.storage.sql.prepared import Driver

_BINARY = pq.Format.BINARY
_TRUE = b"\x01"
_FINE = pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK


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


class Silence(psycopg.OperationalError):
    """The server said nothing for too long."""


class _Prepared:
    """A statement that one connection has prepared."""

    def __init__(self, name: bytes, described: pq.abc.PGresult) -> None:
        self.name = name
        self.encode = [_TO_SERVER[described.param_type(number)] for number in range(described.nparams)]
        self.decode = [_FROM_SERVER[described.ftype(number)] for number in range(described.nfields)]
        self.formats = [_BINARY] * described.nparams


class Statements(Driver):
    """Runs statements on one connection. For one thread at a time.

    `patience` is for how many seconds the server may say nothing before the connection is given up; it may be set anew.
    `is_given_up` says that it was.

    Raises:
        Silence: by each method, after that time; the connection is closed.
        psycopg.Error: by each method, if the server refuses a statement, also one that waited, or cannot be reached.
    """

    __slots__ = ("_connection", "_incoming", "_outgoing", "_prepared", "is_given_up", "is_waiting", "patience")

    def __init__(self, connection: pq.abc.PGconn, patience: float) -> None:
        self._connection = connection
        self._prepared: dict[str, _Prepared] = {}
        self._incoming, self._outgoing = select.poll(), select.poll()
        self._incoming.register(connection.socket, select.POLLIN)
        self._outgoing.register(connection.socket, select.POLLIN | select.POLLOUT)
        self.patience = patience
        self.is_waiting = self.is_given_up = False
        self.execute: Callable[[str, list[Any]], Rows] = self._execute
        self.change: Callable[[str, list[Any]], object] = self._send
        self.dialect = _DIALECT
        self.dialect_class = _Dialect

    def defer(self, command: str) -> None:
        """Send a command without parameters with what comes next."""
        self._send(command, [])

    def run(self, command: str) -> bytes:
        """Run a command without parameters and rows, and return what the server calls it."""
        self._send(command, [])
        return self._answers()[-1].command_status or b""

    def catch_up(self) -> None:
        """Send what waits, so that others can use the connection."""
        if self.is_waiting:
            self._answers()

    def look(self) -> None:
        """Raise an error if the connection was closed by the server while nobody used it."""
        while self._incoming.poll(0):
            self._connection.consume_input()

    def give_up(self) -> NoReturn:
        """Close the connection, without waiting for the server."""
        self.is_given_up = True
        self._connection.finish()
        raise Silence

    def _execute(self, sql: str, values: Sequence[Any]) -> Rows:
        prepared = self._send(sql, values)
        found = self._answers()[-1]
        value_of, columns = found.get_value, list(enumerate(prepared.decode))
        return Rows(
            tuple(None if (value := value_of(row, column)) is None else decode(value) for column, decode in columns)
            for row in range(found.ntuples)
        )

    def _send(self, sql: str, values: Sequence[Any]) -> _Prepared:
        prepared = self._prepared.get(sql) or self._prepare(sql)
        encoded: list[Any] = [  # psycopg says that none may be None, and means that some may
            None if value is None else encode(value) for encode, value in zip(prepared.encode, values, strict=True)
        ]
        self._wait()
        self._connection.send_query_prepared(prepared.name, encoded, prepared.formats, _BINARY)
        return prepared

    def _prepare(self, sql: str) -> _Prepared:
        name = b"walletsync_%d" % len(self._prepared)
        self._wait()
        self._connection.send_prepare(name, sql.encode())
        self._connection.send_describe_prepared(name)
        prepared = self._prepared[sql] = _Prepared(name, self._answers()[-1])
        return prepared

    def _wait(self) -> None:
        if not self.is_waiting:
            self._connection.enter_pipeline_mode()
            self.is_waiting = True

    def _answers(self) -> list[pq.abc.PGresult]:
        """Send what waits, and return what the server says to each."""
        connection, results = self._connection, list[pq.abc.PGresult]()
        connection.pipeline_sync()
        try:
            while (result := self._next()) is None or result.status != pq.ExecStatus.PIPELINE_SYNC:
                if result is not None:  # which ends the results of one statement
                    results.append(result)
        except psycopg.OperationalError:
            _check(results)  # perhaps it said why
            raise
        connection.exit_pipeline_mode()
        self.is_waiting = False
        _check(results)
        return results

    def _next(self) -> pq.abc.PGresult | None:
        """Return what comes next. libpq would wait for it too, for ever and with Python's lock in its hand."""
        connection = self._connection
        while (is_unsent := connection.flush()) or connection.is_busy():
            ready = (self._outgoing if is_unsent else self._incoming).poll(self.patience * 1000)
            if not ready:
                self.give_up()
            if ready[0][1] != select.POLLOUT:
                connection.consume_input()
        return connection.get_result()


def _check(results: list[pq.abc.PGresult]) -> None:
    """Raise an error for the first that says one; it has the server's kind and none of its words."""
    for result in results:
        if result.status not in _FINE:
            state = result.error_field(pq.DiagnosticField.SQLSTATE)
            try:
                kind = psycopg.errors.lookup(state.decode()) if state else psycopg.OperationalError
            except KeyError:  # a newer server, or an extension
                kind = psycopg.DatabaseError
            raise kind("The server did not do it.")
