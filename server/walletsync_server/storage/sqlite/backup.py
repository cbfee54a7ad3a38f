"""Moving whole database files: copying one that is in use, checking a copy, putting it in place of another."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

import apsw
import sqlalchemy as sa

from walletsync_server.storage.interface import StorageError
from walletsync_server.storage.sql.migrate import migrate
from walletsync_server.storage.sql.schema import metadata
from walletsync_server.storage.sqlite.connect import (
    connect,
    connect_immutable,
    driver_of,
    engine,
    refuse_broken_sqlite,
    refuse_foreign_tables,
    sqlite_version,
)
from walletsync_server.storage.sqlite.digest import seal, unseal
from walletsync_server.storage.sqlite.failures import driver_errors_end_here
from walletsync_server.storage.sqlite.lock import DatabaseInUse, DatabaseLock
from walletsync_server.storage.sqlite.verify import verify

_PAGES_AT_ONCE = 1000
_COMPANIONS = ("-wal", "-shm", "-journal")
NOT_REVIVED = ("tokens", "signups", "mails")
"""Tables whose rows a restored backup must not bring back to life."""

Progress = Callable[[int, int], None]
"""Called with how much is done, and of how much."""


def back_up(file: Path, target: Path, *, replace: bool, progress: Progress) -> None:
    """Write one consistent state of the database in `file` to `target`, of mode 0600, while others write to it.

    `target` is complete and on the disk when it appears under its name.

    Args:
        file: the database; it must exist.
        target: where; its folder must exist.
        replace: whether `target` may exist already.
        progress: of the copying.

    Raises:
        StorageError: with a sentence for the operator. `target` is as it was.
    """
    refuse_broken_sqlite(sqlite_version())
    refuse_missing(file)
    if target.exists() and not replace:
        raise StorageError(f"{target} exists already; name another file, or replace it with --force.")
    lock = DatabaseLock(file)
    try:
        with draft_beside(target) as draft, driver_errors_end_here(file):
            with closing(connect(file)) as source:
                source.execute("PRAGMA query_only = ON")
                refuse_foreign_tables(source)
                _copy(source, draft, progress)
            with closing(connect(draft)) as copy:
                seal(copy)
            put_in_place(draft, target, replace=replace)
    finally:
        lock.release()


def restore(backup: Path, file: Path, *, now: datetime, progress: Progress) -> Path | None:
    """Put the state in `backup` in place of the database in `file`, without what must not come back to life.

    All tokens are gone, so every device has to log in again. The schema is brought up to date.

    Args:
        backup: made by `back_up`, perhaps by an earlier version of this package.
        file: the database, which nobody may have open; it may be missing.
        now: goes into the name of the file that keeps the old database.
        progress: of checking the backup.

    Returns:
        Where the old database is kept, or None if there was none.

    Raises:
        DatabaseInUse: if a server or another command has the database open.
        StorageError: with a sentence for the operator. The database is as it was.
    """
    refuse_broken_sqlite(sqlite_version())
    lock = DatabaseLock(file, exclusive=True)
    try:
        faults = verify(backup, progress=progress).faults
        if faults:
            raise StorageError(f"{backup} is damaged, so nothing was restored: {faults[0]}")
        with draft_beside(file) as draft:
            with driver_errors_end_here(backup), closing(connect_immutable(backup)) as source:
                _copy(source, draft, lambda done, total: None)
            _make_current(draft)
            aside = _set_aside(file, now)
            put_in_place(draft, file, replace=True)
    finally:
        lock.release()
    return aside


def _make_current(draft: Path) -> None:
    """Bring the copy's schema up to date and leave out what must not come back, all in one file."""
    writing = engine(draft, readonly=False, pool_size=1)
    try:
        with driver_errors_end_here(draft), writing.begin() as connection:
            migrate(connection)
            for name in NOT_REVIVED:
                connection.execute(sa.delete(metadata.tables[name]))
            unseal(driver_of(connection))
    finally:
        writing.dispose()
    with driver_errors_end_here(draft), closing(connect(draft)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def _set_aside(file: Path, now: datetime) -> Path | None:
    """Give the old database another name beside the one that it has, and leave none of its companions behind."""
    if not file.exists():
        return None
    aside = file.with_name(f"{file.name}.before-restore-{now:%Y%m%dT%H%M%SZ}")
    try:
        with closing(connect(file)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")  # what is in its log goes into the file
    except apsw.BusyError as error:
        raise DatabaseInUse(f"Another program has {file} open; stop it, then try again.") from error
    except apsw.Error:
        pass  # it is broken, and kept as it is
    try:
        for companion in _COMPANIONS:  # there are some only if the old one is broken
            with suppress(FileNotFoundError):
                Path(f"{file}{companion}").rename(f"{aside}{companion}")
        os.link(file, aside)
    except OSError as error:
        raise StorageError(f"{file} cannot be kept as {aside}: {error.strerror}.") from error
    return aside


def refuse_missing(file: Path) -> None:
    """Raise `StorageError` if there is no such database."""
    if not file.is_file():
        raise StorageError(f"There is no database {file}; say with --database which one you mean.")


def _copy(source: apsw.Connection, draft: Path, progress: Progress) -> None:
    """Copy what `source` sees now. Its open transaction keeps others' writes from starting the copy anew."""
    source.execute("BEGIN")
    source.execute("SELECT count(*) FROM sqlite_master").fetchall()
    with closing(connect(draft)) as copy:
        copy.execute("PRAGMA synchronous = OFF")  # it is synced as a whole, later
        with copy.backup("main", source, "main") as copying:
            while not copying.done:
                copying.step(_PAGES_AT_ONCE)
                progress(copying.page_count - copying.remaining, copying.page_count)
        copy.execute("PRAGMA journal_mode = DELETE")


@contextmanager
def draft_beside(target: Path) -> Iterator[Path]:
    """Make a private file beside `target`; remove it afterwards if it still has its own name."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent)
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror}.") from error
    os.close(descriptor)
    draft = Path(name)
    try:
        yield draft
    finally:
        for companion in ("", *_COMPANIONS):
            Path(f"{draft}{companion}").unlink(missing_ok=True)


def put_in_place(draft: Path, target: Path, *, replace: bool) -> None:
    """Flush `draft` to the disk and give it the name; a name that is taken is an error unless it may be replaced."""
    try:
        _sync(draft)
        if replace:
            draft.replace(target)
        else:
            os.link(draft, target)  # unlike a rename it never replaces
        _sync(target.parent)
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror}.") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
