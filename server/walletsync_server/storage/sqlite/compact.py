"""Giving back to the disk what a database file has no more use for: SQLite itself keeps it for later."""

from contextlib import closing
from pathlib import Path

from walletsync_server.storage.sqlite.connect import (
    connect,
    refuse_broken_sqlite,
    refuse_foreign_tables,
    sqlite_version,
)
from walletsync_server.storage.sqlite.failures import driver_errors_end_here
from walletsync_server.storage.sqlite.files import draft_beside, put_in_place, refuse_missing
from walletsync_server.storage.sqlite.lock import DatabaseLock, end_log


def compact(file: Path) -> tuple[int, int]:
    """Write the database in `file` anew, without gaps. The disk needs room for the new one beside the old one.

    Returns:
        How many bytes it had, and has.

    Raises:
        DatabaseInUse: if a server or another program has the database open.
        StorageError: with a sentence for the operator. The database is as it was.
    """
    refuse_broken_sqlite(sqlite_version())
    refuse_missing(file)
    lock = DatabaseLock(file, exclusive=True)
    try:
        with draft_beside(file, database=file) as draft, driver_errors_end_here(file):
            with closing(connect(file)) as connection:
                refuse_foreign_tables(connection)
                end_log(connection, file)
                before = file.stat().st_size
                connection.execute("VACUUM INTO ?", [str(draft)])
            after = draft.stat().st_size
            put_in_place(draft, file, replace=True)
    finally:
        lock.release()
    return before, after
