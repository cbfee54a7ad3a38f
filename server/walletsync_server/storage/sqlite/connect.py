"""Connections to a database file: which SQLite may touch it, and how each connection is set."""

import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import apsw
import sqlalchemy as sa
from sqlalchemy import event

from walletsync_server.storage.interface import StorageError
from walletsync_server.storage.sqlite import dbapi
from walletsync_server.storage.sqlite.dialect import NAME
from walletsync_server.storage.sqlite.failures import error_name

BUSY_SECONDS = 10.0
"""How long a write waits for another process that writes to the same file."""
_PAUSE_SECONDS = 0.01
_LITESTREAM = "_litestream_"

_FIRST_BROKEN, _FIRST_MENDED = (3, 7, 0), (3, 51, 3)
_ALSO_MENDED = ((3, 44), 6), ((3, 50), 7)


def sqlite_version() -> tuple[int, ...]:
    """Return the version of the SQLite that this package uses."""
    return dbapi.sqlite_version_info


def refuse_broken_sqlite(version: tuple[int, ...]) -> None:
    """Raise `StorageError` for a SQLite that can corrupt a write-ahead log when it starts it anew.

    From 3.7.0 on all have the fault up to 3.51.2, except 3.50.7 and 3.44.6 (https://sqlite.org/wal.html).
    """
    mended = any(version[:2] == line and version[2] >= patch for line, patch in _ALSO_MENDED)
    if _FIRST_BROKEN <= version < _FIRST_MENDED and not mended:
        raise StorageError(
            f"SQLite {'.'.join(map(str, version))} can corrupt its write-ahead log; "
            "install one from 3.51.3 on, which the package apsw brings along."
        )


def connect(file: Path) -> apsw.Connection:
    """Return a new connection to a database file that exists, as SQLite makes it."""
    connection = apsw.Connection(_name(file), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(round(BUSY_SECONDS * 1000))
    # Otherwise SQLite plans a query with parameters anew for each of their values, which takes longer than reading.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    return connection


def connect_alone(file: Path) -> apsw.Connection:
    """Return a new connection to a file that nobody else knows of.

    It asks for no locks and no shared memory, which the file system of another machine may not have.
    """
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW
    connection = apsw.Connection(_name(file), flags=flags, vfs="unix-none")
    connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
    return connection


def connect_immutable(file: Path) -> apsw.Connection:
    """Return a new connection to a file that nobody writes to; it writes nothing itself, not even beside the file."""
    uri = f"file:{quote(_name(file))}?immutable=1"
    return apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)


def _name(file: Path) -> str:
    name = str(file.absolute())
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise StorageError(f"{file!r} cannot be opened as a database: its name is not valid UTF-8.") from error
    return name


def engine(file: Path, *, readonly: bool, pool_size: int, immutable: bool = False) -> sa.Engine:
    """Return connections to a database file, set as this package needs them; raises `StorageError` as they open.

    `immutable`: nobody writes to it meanwhile, see `connect_immutable`.
    """
    made = sa.create_engine(
        f"{NAME}://",
        creator=lambda: dbapi.Connection((connect_immutable if immutable else connect)(file)),
        poolclass=sa.QueuePool,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS,
        hide_parameters=True,
    )

    @event.listens_for(made, "connect")
    def _set(connection: dbapi.Connection, record: object) -> None:
        driver = connection.driver
        driver.execute("PRAGMA foreign_keys = ON")
        if readonly:
            driver.execute("PRAGMA query_only = ON")
        else:
            refuse_foreign_tables(driver)
            _use_write_ahead_log(driver)
            driver.execute("PRAGMA synchronous = FULL")
            # What is deleted is gone from the file, too, and from every copy made of it later.
            driver.execute("PRAGMA secure_delete = ON")

    @event.listens_for(made, "begin")
    def _begin(connection: sa.Connection) -> None:
        driver: Any = connection.connection.driver_connection
        if not driver.in_transaction:  # a reader's begins at the driver, see `Readers`
            driver.execute("BEGIN" if readonly else "BEGIN IMMEDIATE")

    return made


def driver_of(connection: sa.Connection) -> apsw.Connection:
    """Return the connection of apsw under one of SQLAlchemy that `engine` made."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, apsw.Connection)  # noqa: S101 - for the type checker
    return driver


def refuse_foreign_tables(connection: apsw.Connection) -> None:
    """Raise `StorageError` if the file is another program's database; nothing is written to it.

    Litestream, which replicates a database, keeps tables of its own in it, perhaps before we have made ours.
    """
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    foreign = {name for name in names if not name.startswith(_LITESTREAM)}
    if foreign and "alembic_version" not in names:
        raise StorageError("It holds the tables of another program; name another file.")


def _use_write_ahead_log(connection: apsw.Connection) -> None:
    """Switch the file to WAL. Where several processes do so at once SQLite gives up without waiting; this waits."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            ((mode,),) = connection.execute("PRAGMA journal_mode = WAL").fetchall()
        except apsw.BusyError as error:
            if error_name(error) != "SQLITE_BUSY" or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            break
    if mode != "wal":
        raise StorageError(f"SQLite cannot use a write-ahead log there, only the journal mode {mode}.")
