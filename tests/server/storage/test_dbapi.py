"""apsw by DB-API's rules: what SQLAlchemy and Alembic rely on."""

import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
import sqlalchemy as sa

from walletsync_server.storage.sqlite import dbapi
from walletsync_server.storage.sqlite.connect import connect
from walletsync_server.storage.sqlite.dialect import NAME
from walletsync_server.storage.sqlite.failures import driver_errors_end_here, error_name, translated

INSERT = "INSERT INTO things VALUES (?, ?)"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "things.db"
    file.touch()
    return file


@pytest.fixture
def connection(file: Path) -> Iterator[dbapi.Connection]:
    """A connection to a file with a table of things."""
    connection = dbapi.Connection(connect(file))
    connection.driver.execute("CREATE TABLE things (name PRIMARY KEY, value NOT NULL)")
    yield connection
    connection.close()


@pytest.fixture
def cursor(connection: dbapi.Connection) -> Iterator[dbapi.Cursor]:
    cursor = connection.cursor()
    yield cursor
    cursor.close()


@pytest.fixture
def engine(file: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(f"{NAME}://", creator=lambda: dbapi.Connection(connect(file)), poolclass=sa.NullPool)
    yield engine
    engine.dispose()


def fill(cursor: dbapi.Cursor, count: int) -> None:
    cursor.executemany(INSERT, [(number, number) for number in range(count)])


def names_in(connection: dbapi.Connection) -> list[Any]:
    return [name for (name,) in connection.driver.execute("SELECT name FROM things ORDER BY name")]


@pytest.mark.parametrize("value", [0, -(2**63), 2**63 - 1, 1.5, "", "ä🔑", "a\0b", b"", b"\0\xff", "x" * 1_000_000])
def test_values_come_back(cursor: dbapi.Cursor, value: object) -> None:
    """Numbers, text and bytes, with a NUL in them as well, as they went in and of the same type."""
    cursor.execute(INSERT, ("name", value))
    cursor.execute("SELECT value FROM things")
    (found,) = cursor.fetchone() or ()
    assert (type(found), found) == (type(value), value)
    assert cursor.fetchone() is None


@pytest.mark.parametrize(("value", "error"), [("\ud800", UnicodeEncodeError), (2**63, OverflowError)])
def test_what_sqlite_cannot_hold_is_refused(cursor: dbapi.Cursor, value: object, error: type[Exception]) -> None:
    """Half a surrogate pair and a number of more than 64 bits raise what Python calls them; nothing is stored."""
    with pytest.raises(error):
        cursor.execute(INSERT, ("name", value))
    cursor.execute("SELECT * FROM things")
    assert cursor.fetchall() == []


def test_columns_are_described_without_rows_too(cursor: dbapi.Cursor) -> None:
    """A query names its columns whether or not there are rows, before and after they are read; a change has none."""
    for count in (0, 2):
        cursor.execute("SELECT name AS what, value FROM things")
        described = cursor.description
        assert described is not None
        assert [column[0] for column in described] == ["what", "value"]
        assert {len(column) for column in described} == {7}
        assert len(cursor.fetchall()) == count
        assert cursor.description == described
        fill(cursor, 2 - count)
        assert cursor.description is None


def test_rows_are_read_in_parts(cursor: dbapi.Cursor) -> None:
    """One, some, the rest; after the last there is none."""
    fill(cursor, 10)
    cursor.execute("SELECT name FROM things ORDER BY name")
    assert cursor.fetchone() == (0,)
    assert cursor.fetchmany() == [(1,)]
    assert cursor.fetchmany(3) == [(2,), (3,), (4,)]
    assert len(cursor.fetchall()) == 5
    assert (cursor.fetchone(), cursor.fetchmany(3), cursor.fetchall()) == (None, [], [])


@pytest.mark.parametrize(
    ("statement", "count"),
    [
        ("INSERT INTO things VALUES (9, 9)", 1),
        ("INSERT INTO things VALUES (0, 9) ON CONFLICT DO NOTHING", 0),
        ("INSERT INTO things VALUES (9, 9) ON CONFLICT DO NOTHING", 1),
        ("INSERT INTO things VALUES (0, 9) ON CONFLICT (name) DO UPDATE SET value = excluded.value", 1),
        ("UPDATE things SET value = 9 WHERE name < 2", 2),
        ("UPDATE things SET value = 9 WHERE name > 99", 0),
        ("DELETE FROM things", 5),
        ("DELETE FROM things WHERE name > 99", 0),
        ("SELECT * FROM things", -1),
        ("PRAGMA user_version", -1),
        ("CREATE TABLE others (name)", 0),
    ],
)
def test_changed_rows_are_counted(cursor: dbapi.Cursor, statement: str, count: int) -> None:
    """By each statement its own, whatever others changed before; a query changes none."""
    fill(cursor, 5)
    assert cursor.rowcount == 5
    cursor.execute(statement)
    assert cursor.rowcount == count


@pytest.mark.parametrize(
    ("statement", "name", "to_sqlalchemy"),
    [
        ("INSERT INTO things VALUES (1, 2)", "SQLITE_CONSTRAINT_PRIMARYKEY", sa.exc.IntegrityError),
        ("INSERT INTO things VALUES (2, NULL)", "SQLITE_CONSTRAINT_NOTNULL", sa.exc.IntegrityError),
        ("SELECT nothing", "SQLITE_ERROR", sa.exc.OperationalError),
        ("SELECT ?", "BindingsError", sa.exc.OperationalError),
    ],
)
def test_errors_have_their_names(
    connection: dbapi.Connection, engine: sa.Engine, statement: str, name: str, to_sqlalchemy: type[Exception]
) -> None:
    """SQLite's most exact name, which reaches the operator; SQLAlchemy knows what kind it is."""
    connection.driver.execute("INSERT INTO things VALUES (1, 1)")
    with pytest.raises(dbapi.Error) as raised:
        connection.cursor().execute(statement)
    assert error_name(raised.value) == name
    with engine.connect() as other, pytest.raises(to_sqlalchemy) as wrapped:
        other.exec_driver_sql(statement)
    assert name in str(translated(wrapped.value))
    assert name in str(translated(raised.value))


def test_error_of_a_file_is_named(connection: dbapi.Connection, engine: sa.Engine, file: Path) -> None:
    """A file that another connection holds, and one that is no database."""
    connection.driver.execute("BEGIN IMMEDIATE")
    with closing(connect(file)) as other:
        other.set_busy_timeout(0)
        with pytest.raises(apsw.BusyError) as raised:
            other.execute("BEGIN IMMEDIATE")
        assert error_name(raised.value) == "SQLITE_BUSY"
    connection.close()
    file.write_text("no database" * 1000)
    with pytest.raises(Exception, match="SQLITE_NOTADB"), driver_errors_end_here(file), engine.connect() as another:
        another.exec_driver_sql("SELECT * FROM things")


def test_nothing_begins_or_ends_by_itself(connection: dbapi.Connection, cursor: dbapi.Cursor, file: Path) -> None:
    """A change outside a transaction is there at once; ending a transaction that never began does nothing."""
    fill(cursor, 1)
    assert not connection.driver.in_transaction
    connection.commit()
    connection.rollback()
    with closing(dbapi.Connection(connect(file))) as other:
        assert names_in(other) == [0]


@pytest.mark.parametrize(("end", "left"), [("commit", [0, 1]), ("rollback", []), ("close", [])])
def test_transaction_ends_as_it_is_told(
    connection: dbapi.Connection, cursor: dbapi.Cursor, file: Path, end: str, left: list[int]
) -> None:
    """What was not committed is undone, and a query that is read half ends as well, with its view of the database."""
    connection.driver.execute("PRAGMA journal_mode = WAL")
    cursor.execute("BEGIN")
    fill(cursor, 2)
    cursor.execute("SELECT name FROM things")
    assert cursor.fetchone() == (0,)
    getattr(connection, end)()
    with closing(dbapi.Connection(connect(file))) as other:
        assert names_in(other) == left
        if end != "close":
            other.driver.execute(INSERT, (9, 9))
            assert names_in(connection) == [*left, 9]


def test_query_that_nobody_reads_ends_at_once(connection: dbapi.Connection, cursor: dbapi.Cursor) -> None:
    """Its view of the database does not wait for the garbage collector."""
    fill(cursor, 2)
    gc.disable()
    try:
        connection.cursor().execute("SELECT name FROM things")
        assert connection.driver.txn_state() == apsw.SQLITE_TXN_NONE
    finally:
        gc.enable()


def test_failing_statement_leaves_the_transaction_to_its_owner(
    connection: dbapi.Connection, cursor: dbapi.Cursor
) -> None:
    """What was done before it stays until somebody ends the transaction."""
    cursor.execute("BEGIN")
    fill(cursor, 1)
    with pytest.raises(apsw.ConstraintError):
        fill(cursor, 1)
    assert connection.driver.in_transaction
    connection.commit()
    assert names_in(connection) == [0]


def test_interrupted_transaction_can_be_undone(connection: dbapi.Connection, cursor: dbapi.Cursor) -> None:
    """SQLite ends a transaction itself whose change is interrupted; undoing it then is no error."""
    cursor.execute("BEGIN")
    fill(cursor, 1)
    connection.driver.set_progress_handler(lambda: True, 1000)
    with pytest.raises(apsw.InterruptError):
        cursor.execute(
            "INSERT INTO things WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, i FROM n"
        )
    connection.driver.set_progress_handler(None)
    connection.rollback()
    assert not connection.driver.in_transaction
    assert names_in(connection) == []


def test_closed_connection_refuses(connection: dbapi.Connection, cursor: dbapi.Cursor) -> None:
    """Closing twice is fine, with a query read half as well; what is asked afterwards is an error."""
    fill(cursor, 2)
    cursor.execute("SELECT * FROM things")
    connection.close()
    connection.close()
    cursor.close()
    with pytest.raises(dbapi.Error):
        connection.driver.execute("SELECT 1")


def test_threads_may_take_turns(connection: dbapi.Connection) -> None:
    """A connection that one thread made may be used by others, one after the other."""
    with ThreadPoolExecutor(4) as pool:
        for number in range(20):
            pool.submit(connection.cursor().execute, INSERT, (number, number)).result()
    assert names_in(connection) == list(range(20))


def test_two_threads_at_once_are_refused(connection: dbapi.Connection) -> None:
    """While a statement runs in one thread the connection refuses another, rather than mixing them up."""
    begun, go = threading.Event(), threading.Event()

    def wait(*_: object) -> int:
        begun.set()
        assert go.wait(20)
        return 1

    connection.driver.create_scalar_function("wait", wait, 0)
    slow: Callable[[], object] = lambda: connection.driver.execute("SELECT wait()").fetchall()  # noqa: E731
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(slow)
        assert begun.wait(20)
        with pytest.raises(apsw.ThreadingViolationError) as raised:
            connection.cursor().execute("SELECT 1")
        go.set()
        assert running.result() == [(1,)]
    assert "ThreadingViolationError" in str(translated(raised.value))


def test_each_thread_has_a_connection_of_the_pool(file: Path) -> None:
    """SQLAlchemy hands connections to many threads, and all that they write is there."""
    engine = sa.create_engine(
        f"{NAME}://", creator=lambda: dbapi.Connection(connect(file)), poolclass=sa.QueuePool, pool_size=3
    )
    things = sa.Table("things", sa.MetaData(), sa.Column("name", sa.Integer, primary_key=True, autoincrement=False))
    with engine.begin() as connection:
        things.create(connection)

    def add(number: int) -> None:
        with engine.begin() as connection:
            connection.execute(sa.insert(things), {"name": number})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(100)))
    with engine.connect() as connection:
        assert sorted(connection.execute(sa.select(things.c.name)).scalars()) == list(range(100))
        assert connection.execute(sa.select(things.c.name).where(things.c.name > 99)).all() == []
    engine.dispose()


def test_dialect_knows_its_versions(engine: sa.Engine) -> None:
    """SQLAlchemy sees the SQLite that apsw brings, and apsw's own connection as the driver's."""
    with engine.connect() as connection:
        version = connection.exec_driver_sql("SELECT sqlite_version()").scalar_one()
        assert ".".join(map(str, connection.dialect.server_version_info or ())) == version
        assert isinstance(connection.connection.driver_connection, apsw.Connection)
    assert engine.dialect.dbapi_version >= (3, 51, 3)
