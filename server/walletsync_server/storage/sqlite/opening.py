"""Opening a SQLite file: who may read it, who has it open, which schema it has."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa

from walletsync_server.storage.interface import OnCommit, Storage, StorageError, take_no_notice
from walletsync_server.storage.sql.migrate import UnknownRevision, is_known, migrate, newest_revision, revision_of
from walletsync_server.storage.sqlite.commits import Commits, Surroundings
from walletsync_server.storage.sqlite.connect import (
    driver_of,
    engine,
    refuse_broken_sqlite,
    refuse_foreign_tables,
    sqlite_version,
)
from walletsync_server.storage.sqlite.deletions import Journal
from walletsync_server.storage.sqlite.digest import unseal
from walletsync_server.storage.sqlite.failures import driver_errors_end_here
from walletsync_server.storage.sqlite.files import make_private, refuse_missing
from walletsync_server.storage.sqlite.lock import DatabaseInUse, DatabaseLock, cannot_open
from walletsync_server.storage.sqlite.log import WriteAheadLog
from walletsync_server.storage.sqlite.no_room import Snapshot, WithoutRoom, lacks_room
from walletsync_server.storage.sqlite.place import Place
from walletsync_server.storage.sqlite.readers import Readers
from walletsync_server.storage.sqlite.storage import SqliteReading, SqliteStorage
from walletsync_server.storage.sqlite.transaction import SqliteWriteTransaction
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

    Where the disk is full, what is there can be read all the same, and written to once there is room: see `no_room`.
    That is for `create`, which servers ask for; commands fail.

    Raises:
        DatabaseInUse: if its schema is an older one and another process has it open, or if it is being replaced.
        StorageError: with a sentence for the operator, if this cannot be done.
    """
    if not create:
        refuse_missing(file)
        return _open_whole(file, inline, on_commit)
    try:
        return _open_whole(file, inline, on_commit)
    except StorageError as error:
        if not lacks_room(error):
            raise
        with suppress(StorageError):  # then it cannot be read either
            return WithoutRoom(lambda: _snapshot(file), lambda: _open_whole(file, inline, on_commit), error)
        raise


def _open_whole(file: Path, inline: bool, on_commit: OnCommit) -> Storage:
    lock, writing, _ = _open_current(file)
    place = Place(writing, file)
    around = Surroundings(WriteAheadLog(writing, file), _journal(writing, file), place, on_commit)
    commits = Commits(writing, around)
    return SqliteStorage(
        writing=writing,
        writer=InlineWriter(commits) if inline else ThreadedWriter(commits),
        readers=Readers(engine(file, readonly=True, pool_size=READERS)),
        place=place,
        lock=lock,
    )


def _journal(writing: sa.Engine, file: Path) -> Journal:
    """Return the journal of deletions, with all in it that the database knows, unless it cannot be written now."""
    with driver_errors_end_here(file), writing.begin() as connection:
        journal = Journal(file, SqliteWriteTransaction(connection).deletions())
    with suppress(StorageError):
        journal.committed({})
    return journal


def read_sqlite(file: Path) -> Storage:
    """Open the database in `file` to look at it: nothing is made, migrated or locked, and writing is refused.

    Raises:
        StorageError: with a sentence for the operator, if there is none, or not one of this version.
    """
    refuse_broken_sqlite(sqlite_version())
    refuse_missing(file)
    refuse_other_schema(file)
    return SqliteReading(Readers(engine(file, readonly=True, pool_size=1)))


def _snapshot(file: Path) -> Storage:
    """Open the database as it is, where there is no room for more, if it is one of this version."""
    snapshot = Snapshot(file, READERS)
    try:
        refuse_other_schema(file, immutable=True)
    except StorageError:
        snapshot.close()
        raise
    return snapshot


def refuse_other_schema(file: Path, *, immutable: bool = False) -> None:
    """Raise `StorageError` if the schema of a database is not today's."""
    reading = engine(file, readonly=True, pool_size=1, immutable=immutable)
    try:
        with driver_errors_end_here(file), reading.connect() as connection:
            refuse_foreign_tables(driver_of(connection))
            revision, newest = revision_of(connection), newest_revision()
    finally:
        reading.dispose()
    if revision != newest:
        raise StorageError(
            f"The schema of {file} is {revision or 'none'}, not the {newest} of this version. "
            "Make a backup, then run `migrate` or start the server."
        )


def migrate_sqlite(file: Path) -> tuple[str | None, str | None]:
    """Make the database in `file` if it is missing and bring its schema up to date, as `open_sqlite` does.

    Returns:
        The revision of the schema before, None for a new database, and the one after.

    Raises:
        DatabaseInUse: see `open_sqlite`.
        StorageError: with a sentence for the operator, if this cannot be done.
    """
    lock, writing, revisions = _open_current(file)
    writing.dispose()
    lock.release()
    return revisions


_Revisions = tuple[str | None, str | None]


def _open_current(file: Path) -> tuple[DatabaseLock, sa.Engine, _Revisions]:
    """Open the database for writing, as one of those that have it open, unless this SQLite must not touch it."""
    refuse_broken_sqlite(sqlite_version())
    before = _migrate_alone(file)
    lock = DatabaseLock(file)
    try:
        writing, revisions = _open(file)
    except BaseException:
        lock.release()
        raise
    return lock, writing, (before or revisions[0], revisions[1])


def _migrate_alone(file: Path) -> str | None:
    """Bring an older schema up to date while nobody else has the database open, since an older server may.

    Returns:
        The revision before, None if there was nothing to do.
    """
    before = _older_revision(file)
    if before is None:
        return None
    try:
        lock = DatabaseLock(file, exclusive=True)
    except DatabaseInUse as error:
        said = f"The schema of {file} is {before} and has to be brought up to date, which takes the database alone."
        raise DatabaseInUse(f"{said} {error}") from error
    try:
        _open(file)[0].dispose()
    finally:
        lock.release()
    return before


def _older_revision(file: Path) -> str | None:
    """Return the revision of an older schema of ours; None for any other, and for a file that says nothing."""
    if not file.is_file():
        return None
    reading = engine(file, readonly=True, pool_size=1)
    try:
        with _opening(file), reading.connect() as connection:
            revision = revision_of(connection)
            is_older = revision is not None and is_known(revision) and revision != newest_revision()
            return revision if is_older else None
    finally:
        reading.dispose()


def _open(file: Path) -> tuple[sa.Engine, _Revisions]:
    _make_private(file)
    writing = engine(file, readonly=False, pool_size=1)
    try:
        with _opening(file), writing.begin() as connection:
            revisions = migrate(connection)
            unseal(driver_of(connection))  # if it is a backup, it is none any more
    except StorageError:
        writing.dispose()
        raise
    return writing, revisions


@contextmanager
def _opening(file: Path) -> Iterator[None]:
    try:
        with driver_errors_end_here():
            yield
    except StorageError as error:
        raise StorageError(f"{file} cannot be opened as a database. {error}") from error
    except UnknownRevision as error:
        raise StorageError(f"{file} was made by a newer version of walletsync-server; run that one.") from error


def _make_private(file: Path) -> None:
    """Make the file if it is new, for its owner only; SQLite gives its companions the same mode."""
    try:
        os.close(make_private(file, file))
    except OSError as error:
        raise StorageError(cannot_open(file, error)) from error
