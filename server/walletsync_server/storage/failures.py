"""Where the errors of drivers and of SQLAlchemy end."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from pysqlite3 import dbapi2 as driver

from walletsync_server.storage.interface import StorageError

_MEANINGS = {
    "SQLITE_NOTADB": "the file is no SQLite database",
    "SQLITE_CORRUPT": "the file is damaged; restore a backup",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_BUSY": "another program holds the file",
    "SQLITE_READONLY": "the file may not be written",
    "SQLITE_IOERR": "the disk failed",
}


@contextmanager
def driver_errors_end_here(file: Path | None = None) -> Iterator[None]:
    """Turn whatever the driver or SQLAlchemy raises into `StorageError`, which names `file` if it is given."""
    try:
        yield
    except (sa.exc.SQLAlchemyError, driver.Error) as error:
        raise failure(error, file) from error


def translated(error: Exception) -> Exception:
    """Return `error`, or the `StorageError` for it if the driver or SQLAlchemy raised it."""
    if not isinstance(error, sa.exc.SQLAlchemyError | driver.Error):
        return error
    told = failure(error)
    told.__cause__ = error
    return told


def failure(error: Exception, file: Path | None = None) -> StorageError:
    """Return a new error that names the kind of `error` and no values."""
    return StorageError(f"{f'{file}: ' if file else ''}The database failed ({_kind(error)}).")


def _kind(error: Exception) -> str:
    """Return the driver's own name, such as SQLITE_BUSY, where it has one, and what that means."""
    name: str = getattr(getattr(error, "orig", error), "sqlite_errorname", type(error).__name__)
    meaning = next((said for start, said in _MEANINGS.items() if name.startswith(start)), None)
    return f"{name}: {meaning}" if meaning else name
