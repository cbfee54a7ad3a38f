"""Where the errors of drivers and of SQLAlchemy end."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from walletsync_server.storage.interface import StorageError


@contextmanager
def driver_errors_end_here() -> Iterator[None]:
    """Turn whatever the driver or SQLAlchemy raises into `StorageError`."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        raise failure(error) from error


def translated(error: Exception) -> Exception:
    """Return `error`, or the `StorageError` for it if the driver or SQLAlchemy raised it."""
    if not isinstance(error, sa.exc.SQLAlchemyError):
        return error
    told = failure(error)
    told.__cause__ = error
    return told


def failure(error: Exception) -> StorageError:
    """Return a new error that names the kind of `error` and no values."""
    return StorageError(f"The database failed ({_kind(error)}).")


def _kind(error: Exception) -> str:
    """Return the driver's own name, such as SQLITE_BUSY, where it has one."""
    return getattr(getattr(error, "orig", None), "sqlite_errorname", type(error).__name__)
