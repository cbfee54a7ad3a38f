"""A SQLite database that is copied from or to another engine, by one who has it alone."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa

from walletsync_server.storage.interface import StorageError
from walletsync_server.storage.sql.migrate import migrate
from walletsync_server.storage.sqlite.connect import connect, engine, refuse_broken_sqlite, sqlite_version
from walletsync_server.storage.sqlite.failures import driver_errors_end_here
from walletsync_server.storage.sqlite.files import draft_beside, put_in_place, refuse_missing
from walletsync_server.storage.sqlite.lock import DatabaseLock
from walletsync_server.storage.sqlite.opening import refuse_other_schema


@contextmanager
def reading_alone(file: Path) -> Iterator[sa.Connection]:
    """Look at a database that nobody else has open meanwhile.

    Raises:
        DatabaseInUse: if a server or another program has it open.
        StorageError: with a sentence for the operator, if there is none, or not one of this version; or where it cannot
            be read inside of the block.
    """
    refuse_broken_sqlite(sqlite_version())
    refuse_missing(file)
    lock = DatabaseLock(file, exclusive=True)
    try:
        refuse_other_schema(file)
        reading = engine(file, readonly=True, pool_size=1)
        try:
            with driver_errors_end_here(file), reading.begin() as connection:
                yield connection
        finally:
            reading.dispose()
    finally:
        lock.release()


@contextmanager
def filling(file: Path) -> Iterator[sa.Connection]:
    """Make a new database of what is written inside of the block; it appears when that has ended well.

    Raises:
        StorageError: with a sentence for the operator, if there is such a file, or it cannot be made.
    """
    refuse_broken_sqlite(sqlite_version())
    if os.path.lexists(file):
        raise StorageError(f"{file} exists already; name another file.")
    with draft_beside(file, database=file) as draft:
        writing = engine(draft, readonly=False, pool_size=1)
        try:
            with driver_errors_end_here(file), writing.begin() as connection:
                migrate(connection)
                yield connection
        finally:
            writing.dispose()
        with driver_errors_end_here(file), closing(connect(draft)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
        put_in_place(draft, file, replace=False)
