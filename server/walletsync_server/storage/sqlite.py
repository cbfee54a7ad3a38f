"""Opening a SQLite file: which SQLite, how it is set, who may read the file."""

import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.util import CommandError
from pysqlite3 import dbapi2 as driver
from sqlalchemy import event

from walletsync_server.storage.failures import driver_errors_end_here
from walletsync_server.storage.interface import Storage, StorageError
from walletsync_server.storage.lock import DatabaseLock, cannot_open
from walletsync_server.storage.migrate import migrate
from walletsync_server.storage.prepared import driver_of
from walletsync_server.storage.readers import Readers
from walletsync_server.storage.sql import SqlStorage
from walletsync_server.storage.writer import InlineWriter, OnCommit, ThreadedWriter

BUSY_SECONDS = 10.0
"""How long a write waits for another process that writes to the same file."""
READERS = 256
"""Connections for reading, made when needed: more than threads, since the event loop must not wait for one."""
_PAUSE_SECONDS = 0.01

_FIRST_BROKEN, _FIRST_MENDED = (3, 7, 0), (3, 51, 3)
_ALSO_MENDED = ((3, 44), 6), ((3, 50), 7)


def take_no_notice(seconds: float, jobs: int) -> None:
    """Take no notice of a commit."""


def open_sqlite(file: Path, *, inline: bool = False, on_commit: OnCommit = take_no_notice) -> Storage:
    """Open the database in `file`, made with mode 0600 if it is new, and bring its schema up to date.

    Several processes may have the file open: SQLite lets one write at a time, the others wait `BUSY_SECONDS`.

    Args:
        file: where; its folder must exist.
        inline: run writes in the calling thread instead of one thread that groups commits.
        on_commit: see there.

    Raises:
        StorageError: with a sentence for the operator, if this cannot be done.
    """
    with ExitStack() as undo:
        lock = _lock(file)
        undo.callback(lock.release)
        writing, _ = _open(file)
        undo.pop_all()
    writer = (InlineWriter if inline else ThreadedWriter)(writing, on_commit)
    return SqlStorage(
        writing=writing,
        writer=writer,
        readers=Readers(engine(file, readonly=True, pool_size=READERS)),
        lock=lock,
    )


def migrate_sqlite(file: Path) -> tuple[str | None, str | None]:
    """Make the database in `file` if it is missing and bring its schema up to date, as `open_sqlite` does.

    Returns:
        The revision of the schema before, None for a new database, and the one after.

    Raises:
        StorageError: with a sentence for the operator, if this cannot be done.
    """
    lock = _lock(file)
    try:
        writing, revisions = _open(file)
        writing.dispose()
    finally:
        lock.release()
    return revisions


def _lock(file: Path) -> DatabaseLock:
    """Lock the database as one of those that have it open, unless this SQLite must not touch it."""
    refuse_broken_sqlite(driver.sqlite_version_info)
    return DatabaseLock(file)


def _open(file: Path) -> tuple[sa.Engine, tuple[str | None, str | None]]:
    _make_private(file)
    writing = engine(file, readonly=False, pool_size=1)
    try:
        with driver_errors_end_here(), writing.begin() as connection:
            return writing, migrate(connection)
    except StorageError as error:
        writing.dispose()
        raise StorageError(f"{file} cannot be opened as a database. {error}") from error
    except CommandError as error:
        writing.dispose()
        raise StorageError(f"{file} was made by a newer version of walletsync-server; run that one.") from error


def sqlite_version() -> tuple[int, int, int]:
    """Return the version of the SQLite that this package uses."""
    version: tuple[int, int, int] = driver.sqlite_version_info
    return version


def refuse_broken_sqlite(version: tuple[int, ...]) -> None:
    """Raise `StorageError` for a SQLite that can corrupt a write-ahead log when it starts it anew.

    From 3.7.0 on all have the fault up to 3.51.2, except 3.50.7 and 3.44.6 (https://sqlite.org/wal.html).
    """
    mended = any(version[:2] == line and version[2] >= patch for line, patch in _ALSO_MENDED)
    if _FIRST_BROKEN <= version < _FIRST_MENDED and not mended:
        raise StorageError(
            f"SQLite {'.'.join(map(str, version))} can corrupt its write-ahead log; "
            "install one from 3.51.3 on, which the package pysqlite3 brings along."
        )


def _make_private(file: Path) -> None:
    """Make the file if it is new, for its owner only; SQLite gives its companions the same mode."""
    try:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StorageError(cannot_open(file, error)) from error


def engine(file: Path, *, readonly: bool, pool_size: int) -> sa.Engine:
    """Return connections to a database file, set as this package needs them; raises `StorageError` as they open."""
    made = sa.create_engine(
        sa.URL.create("sqlite", database=str(file)),
        module=driver,
        # The driver must not begin transactions by itself: `_begin` says which kind.
        connect_args={
            "isolation_level": None,
            "check_same_thread": False,
            "timeout": BUSY_SECONDS,
        },
        poolclass=sa.QueuePool,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS,
        hide_parameters=True,
    )

    @event.listens_for(made, "connect")
    def _set(connection: Any, record: object) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        if readonly:
            connection.execute("PRAGMA query_only = ON")
        else:
            refuse_foreign_tables(connection)
            _use_write_ahead_log(connection)
            connection.execute("PRAGMA synchronous = FULL")
            # What is deleted is gone from the file, too, and from every copy made of it later.
            connection.execute("PRAGMA secure_delete = ON")

    @event.listens_for(made, "begin")
    def _begin(connection: sa.Connection) -> None:
        if not driver_of(connection).in_transaction:  # a reader's begins at the driver, see `Readers`
            connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")

    return made


def refuse_foreign_tables(connection: Any) -> None:
    """Raise `StorageError` if another program has made tables in the file; nothing is written to it."""
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if names and "alembic_version" not in names:
        raise StorageError("It holds the tables of another program; name another file.")


def _use_write_ahead_log(connection: Any) -> None:
    """Switch the file to WAL. Where several processes do so at once SQLite gives up without waiting; this waits."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except driver.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            break
    if mode != "wal":
        raise StorageError(f"SQLite cannot have a write-ahead log for it, only the journal mode {mode}.")
