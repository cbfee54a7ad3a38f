"""Where the errors of the driver end: those of apsw and of SQLAlchemy, and Python's for text that is not UTF-8."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import sqlalchemy as sa

from walletsync_server.storage.interface import StorageError

DRIVER_ERRORS = sa.exc.SQLAlchemyError, apsw.Error, UnicodeDecodeError
"""SQLite does not look at the bytes of a text. Whoever decodes them finds out that they have changed on the disk."""

_MEANINGS = {
    "SQLITE_NOTADB": "the file is not a SQLite database; name one that `serve` or `backup` made",
    "SQLITE_CORRUPT": "the file is damaged; restore a backup",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_BUSY": "another program has locked the file",
    "SQLITE_READONLY": "the file is read-only",
    "SQLITE_IOERR_SHMSIZE": "the disk is full",  # what SQLite keeps beside the file did not fit
    "SQLITE_IOERR": "the disk failed",
    UnicodeDecodeError.__name__: "the file is damaged; restore a backup",
}


@contextmanager
def driver_errors_end_here(file: Path | None = None) -> Iterator[None]:
    """Turn whatever the driver raises into `StorageError`, which names `file` if it is given."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise failure(error, file) from error


def translated(error: Exception) -> Exception:
    """Return `error`, or the `StorageError` for it if it is one of the driver's."""
    if not isinstance(error, DRIVER_ERRORS):
        return error
    told = failure(error)
    told.__cause__ = error
    return told


def failure(error: Exception, file: Path | None = None) -> StorageError:
    """Return a new error that names the kind of `error` and no values."""
    return StorageError(f"{f'{file}: ' if file else ''}The database failed ({_kind(error)}).")


def _kind(error: Exception) -> str:
    """Return SQLite's own name, such as SQLITE_BUSY, where it has one, and what that means."""
    name = error_name(getattr(error, "orig", error))
    meaning = next((said for start, said in _MEANINGS.items() if name.startswith(start)), None)
    return f"{name}: {meaning}" if meaning else name


def error_name(error: Exception) -> str:
    """Return SQLite's most exact name for an error, such as SQLITE_IOERR_WRITE; for one not SQLite's, its class's."""
    code: int = getattr(error, "extendedresult", -1)  # only what SQLite itself says has one
    name = apsw.mapping_extended_result_codes.get(code) or apsw.mapping_result_codes.get(code)
    return str(name or type(error).__name__)
