"""Moving whole database files: copying one that is in use, checking a copy, putting it in place of another."""

import itertools
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

import apsw
import sqlalchemy as sa

from walletsync_server.storage.interface import StorageError
from walletsync_server.storage.sql.migrate import migrate
from walletsync_server.storage.sql.schema import EVERYTHING, accounts, metadata
from walletsync_server.storage.sqlite.connect import (
    connect,
    connect_alone,
    connect_immutable,
    driver_of,
    engine,
    refuse_broken_sqlite,
    refuse_foreign_tables,
    sqlite_version,
)
from walletsync_server.storage.sqlite.deletions import add_to_journal, journal_beside, read_journal
from walletsync_server.storage.sqlite.digest import seal, unseal
from walletsync_server.storage.sqlite.failures import driver_errors_end_here
from walletsync_server.storage.sqlite.files import (
    COMPANIONS,
    cannot_write,
    draft_beside,
    files_of,
    put_in_place,
    refuse_missing,
)
from walletsync_server.storage.sqlite.lock import DatabaseLock, end_log
from walletsync_server.storage.sqlite.transaction import SqliteWriteTransaction
from walletsync_server.storage.sqlite.verify import verify

_PAGES_AT_ONCE = 1000
NOT_REVIVED = ("tokens", "signups", "mails")
"""Tables whose rows a restored backup must not bring back to life."""

Progress = Callable[[int, int], None]
"""Called with how much is done, and of how much."""


def back_up(file: Path, target: Path, *, replace: bool, progress: Progress) -> None:
    """Write one consistent state of the database in `file` to `target`, while others write to it.

    `target` is complete and on the disk when it appears under its name, of mode 0600 where the file system has modes.

    Args:
        file: the database; it must exist.
        target: where; its folder must exist. It may be on another machine's disk.
        replace: whether `target` may exist already. It is never replaced if it belongs to the database, or is no plain
            file.
        progress: of the copying.

    Raises:
        StorageError: with a sentence for the operator. `target` is as it was.
    """
    with _locked(file):
        _refuse_target(file, target, replace=replace)
        with draft_beside(target) as draft:
            _write_sealed(file, draft, target, progress)
            # Before the backup, so that none is without what was deleted since those beside it were made.
            add_to_journal(journal_beside(target), read_journal(journal_beside(file)))
            put_in_place(draft, target, replace=replace)


def stream_backup(file: Path, stream: BinaryIO, *, progress: Progress) -> None:
    """Write to `stream` what `back_up` would write to a file; meanwhile it takes as much room beside the database.

    Raises:
        StorageError: with a sentence for the operator; nothing was written.
        OSError: of the stream.
    """
    with _locked(file):
        with draft_beside(file, database=file) as draft:
            _write_sealed(file, draft, draft, progress)
            with draft.open("rb") as made:
                shutil.copyfileobj(made, stream)
        stream.flush()


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Keep others from replacing the database, which must exist."""
    refuse_broken_sqlite(sqlite_version())
    refuse_missing(file)
    lock = DatabaseLock(file)
    try:
        yield
    finally:
        lock.release()


def _write_sealed(file: Path, draft: Path, target: Path, progress: Progress) -> None:
    """Copy the database in `file` to `draft`, with a digest of it; `target` is how an operator calls the draft."""
    try:
        with driver_errors_end_here(file):
            with closing(connect(file)) as source:
                source.execute("PRAGMA query_only = ON")
                refuse_foreign_tables(source)
                _copy(source, draft, progress)
            with closing(connect_alone(draft)) as copy:
                _erase(copy)
                seal(copy)
    except StorageError as error:
        if isinstance(error.__cause__, apsw.FullError):
            raise StorageError(f"{target} cannot be written: the disk is full. Make room.") from error
        raise


def _erase(copy: apsw.Connection) -> None:
    """Finish the deletions that were being carried out: what is gone for everybody is not in a backup either."""
    columns = {name for (name,) in copy.execute("SELECT name FROM pragma_table_info('accounts')")}
    if accounts.c.erase_before.name not in columns:
        return  # an older schema, of which deletions leave nothing
    copy.execute("PRAGMA secure_delete = ON").fetchall()
    copy.execute(
        "DELETE FROM wallets WHERE (account_id, sequence) IN (SELECT account_id, sequence FROM accounts"
        " JOIN wallets USING (account_id) WHERE erase_before > 0 AND sequence < erase_before)"
    )
    copy.execute("DELETE FROM accounts WHERE erase_before = ?", (EVERYTHING,))
    copy.execute("UPDATE accounts SET erase_before = 0 WHERE erase_before > 0")


def _refuse_target(file: Path, target: Path, *, replace: bool) -> None:
    """Raise `StorageError` for a target that is not to be written to: above all what the server has open."""
    try:
        own = [each.stat() for each in files_of(file) if each.exists()]
        state = target.lstat() if os.path.lexists(target) else None
    except OSError as error:
        raise cannot_write(target, error) from error
    is_own_name = Path(os.path.realpath(target.parent), target.name) in files_of(Path(os.path.realpath(file)))
    if is_own_name or (state and any(os.path.samestat(state, each) for each in own)):
        raise StorageError(f"{target} belongs to the database itself, which the server writes to; name another file.")
    if state and not stat.S_ISREG(state.st_mode):
        raise StorageError(f"{target} is no plain file, but a folder, a link, a pipe or a device; name another file.")
    if state and not replace:
        raise StorageError(f"{target} exists already; name another file, or replace it with --force.")


@dataclass(frozen=True)
class Restored:
    """What became of it.

    Attributes:
        aside: where the old database is kept; None if there was none.
        deleted_again: the accounts that were deleted after the backup, by number.
    """

    aside: Path | None
    deleted_again: "dict[int, DeletedAgain]"


class DeletedAgain(NamedTuple):
    """An account that the backup has, and when it was deleted."""

    email: str
    deleted_at: datetime


def restore(backup: Path, file: Path, *, now: datetime, progress: Progress) -> Restored:
    """Put the state in `backup` in place of the database in `file`, without what must not come back to life.

    All tokens are gone, so every device has to log in again. The schema is brought up to date. Accounts that
    the journals beside the backup and the database know as deleted are deleted again, with their permission to sign up.

    Args:
        backup: made by `back_up`, perhaps by an earlier version of this package.
        file: the database, which nobody may have open; it may be missing.
        now: goes into the name of the file that keeps the old database.
        progress: of checking the backup.

    Raises:
        DatabaseInUse: if a server or another program has the database open.
        StorageError: with a sentence for the operator. The database is as it was.
    """
    refuse_broken_sqlite(sqlite_version())
    _refuse_restoring(backup, file)
    lock = DatabaseLock(file, exclusive=True)
    try:
        faults = verify(backup, progress=progress).faults
        if faults:
            raise StorageError(f"{backup} is damaged, so nothing was restored: {faults[0]}")
        deletions = read_journal(journal_beside(backup)) | read_journal(journal_beside(file))
        with draft_beside(file, database=file) as draft:
            with driver_errors_end_here(backup), closing(connect_immutable(backup)) as source:
                _copy(source, draft, lambda done, total: None)
            again = _make_current(draft, deletions)
            aside = _set_aside(file, now)
            put_in_place(draft, file, replace=True)
    finally:
        lock.release()
    return Restored(aside, again)


def _refuse_restoring(backup: Path, file: Path) -> None:
    """Raise `StorageError` where there is nothing to restore, or nothing that may be replaced."""
    if os.path.lexists(file) and not stat.S_ISREG(file.lstat().st_mode):
        raise StorageError(f"{file} is no plain file, so nothing was restored; name another database.")
    if backup.exists() and any(each.exists() and backup.samefile(each) for each in files_of(file)):
        raise StorageError(f"{backup} belongs to the database itself, so nothing was restored; name a backup.")


def _make_current(draft: Path, deletions: Mapping[int, datetime]) -> dict[int, DeletedAgain]:
    """Bring the copy's schema up to date and leave out what must not come back, all in one file.

    Returns:
        Those of the deletions that were repeated.
    """
    writing = engine(draft, readonly=False, pool_size=1)
    try:
        with driver_errors_end_here(draft), writing.begin() as connection:
            migrate(connection)
            for name in NOT_REVIVED:
                connection.execute(sa.delete(metadata.tables[name]))
            again = _delete_again(connection, deletions)
            unseal(driver_of(connection))
    finally:
        writing.dispose()
    with driver_errors_end_here(draft), closing(connect(draft)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    return again


def _delete_again(connection: sa.Connection, deletions: Mapping[int, datetime]) -> dict[int, DeletedAgain]:
    """Delete the accounts of which there are any, and know of all from now on; return those that there were."""
    transaction, again = SqliteWriteTransaction(connection), {}
    for account_id, deleted_at in deletions.items():
        account = transaction.lock_account(account_id)
        if account is not None:
            transaction.disallow(account.email)  # which would keep the address
            transaction.delete_account(account_id, deleted_at)
            while transaction.erase_piece(account_id):
                pass  # nobody waits for the next one here
            again[account_id] = DeletedAgain(account.email, deleted_at)
        transaction.note_deletion(account_id, deleted_at)
    return again


def _set_aside(file: Path, now: datetime) -> Path | None:
    """Give the old database another name beside the one that it has, and leave none of its companions behind."""
    if not file.exists():
        return None
    aside = _free_name(f"{file}.before-restore-{now:%Y%m%dT%H%M%SZ}")
    try:
        with closing(connect(file)) as connection:
            end_log(connection, file)
    except apsw.Error:
        pass  # it is broken, and kept as it is
    try:
        for companion in COMPANIONS:  # there are some only if the old one is broken
            with suppress(FileNotFoundError):
                Path(f"{file}{companion}").rename(f"{aside}{companion}")
        os.link(file, aside)
    except OSError as error:
        raise StorageError(f"{file} cannot be kept as {aside}: {error.strerror}.") from error
    return aside


def _free_name(name: str) -> Path:
    """Return a file of this name that is not there yet, with a number if there was a restore in the same second."""
    names = (name if number == 1 else f"{name}-{number}" for number in itertools.count(1))
    return next(path for path in map(Path, names) if not os.path.lexists(path))


def _copy(source: apsw.Connection, draft: Path, progress: Progress) -> None:
    """Copy what `source` sees now. Its open transaction keeps others' writes from starting the copy anew."""
    source.execute("BEGIN")
    source.execute("SELECT count(*) FROM sqlite_master").fetchall()
    with closing(connect_alone(draft)) as copy:
        copy.execute("PRAGMA synchronous = OFF")  # it is synced as a whole, later
        with copy.backup("main", source, "main") as copying:
            while not copying.done:
                copying.step(_PAGES_AT_ONCE)
                progress(copying.page_count - copying.remaining, copying.page_count)
        copy.execute("PRAGMA journal_mode = DELETE")
