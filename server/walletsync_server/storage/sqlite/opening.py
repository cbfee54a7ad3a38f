"""Opening a SQLite file: who may read it, who has it open, which schema it has."""

import os
from contextlib import ExitStack
from pathlib import Path

import sqlalchemy as sa
from alembic.util import CommandError

from walletsync_server.storage.interface import OnCommit, Storage, StorageError, take_no_notice
from walletsync_server.storage.sql.migrate import migrate
from walletsync_server.storage.sqlite.connect import driver_of, engine, refuse_broken_sqlite, sqlite_version
from walletsync_server.storage.sqlite.digest import unseal
from walletsync_server.storage.sqlite.failures import driver_errors_end_here
from walletsync_server.storage.sqlite.files import make_private, refuse_missing
from walletsync_server.storage.sqlite.lock import DatabaseLock, cannot_open
from walletsync_server.storage.sqlite.log import WriteAheadLog
from walletsync_server.storage.sqlite.place import Place
from walletsync_server.storage.sqlite.readers import Readers
from walletsync_server.storage.sqlite.storage import SqliteStorage
from walletsync_server.storage.sqlite.writer import InlineWriter, ThreadedWriter

READERS = 256
"""Connections for reading, made when needed: more than threads, since the event loop must not wait for one."""


def open_sqlite(
    file: Path, *, create: bool = True, inline: bool = False, on_commit: OnCommit = take_no_notice
) -> Storage:
    """Open the database in `file` and bring its schema up to date.

    Several processes may have the file open: SQLite lets one write at a time, the others wait `connect.BUSY_SECONDS`.

    Args:
        file: where; its folder must exist.
        create: make it, with mode 0600, if it is missing.
        inline: run writes in the calling thread instead of one thread that groups commits.
        on_commit: see there.

    Raises:
        StorageError: with a sentence for the operator, if this cannot be done.
    """
    if not create:
        refuse_missing(file)
    with ExitStack() as undo:
        lock = _lock(file)
        undo.callback(lock.release)
        writing, _ = _open(file)
        undo.pop_all()
    place = Place(writing, file)
    writer = (InlineWriter if inline else ThreadedWriter)(writing, WriteAheadLog(writing, file), place, on_commit)
    return SqliteStorage(
        writing=writing,
        writer=writer,
        readers=Readers(engine(file, readonly=True, pool_size=READERS)),
        place=place,
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
    refuse_broken_sqlite(sqlite_version())
    return DatabaseLock(file)


def _open(file: Path) -> tuple[sa.Engine, tuple[str | None, str | None]]:
    _make_private(file)
    writing = engine(file, readonly=False, pool_size=1)
    try:
        with driver_errors_end_here(), writing.begin() as connection:
            revisions = migrate(connection)
            unseal(driver_of(connection))  # if it is a backup, it is none any more
            return writing, revisions
    except StorageError as error:
        writing.dispose()
        raise StorageError(f"{file} cannot be opened as a database. {error}") from error
    except CommandError as error:
        writing.dispose()
        raise StorageError(f"{file} was made by a newer version of walletsync-server; run that one.") from error


def _make_private(file: Path) -> None:
    """Make the file if it is new, for its owner only; SQLite gives its companions the same mode."""
    try:
        os.close(make_private(file, file))
    except OSError as error:
        raise StorageError(cannot_open(file, error)) from error
