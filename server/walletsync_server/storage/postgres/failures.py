"""Where the errors of the driver end: those of psycopg and its pool, and of SQLAlchemy."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import sqlalchemy as sa

from walletsync_server.storage.interface import StorageError

_DRIVER_ERRORS = sa.exc.SQLAlchemyError, psycopg.Error
_MEANINGS = {
    "DiskFull": "its disk is full",
    "ReadOnlySqlTransaction": "it takes no writes, as a standby does",
    "InsufficientPrivilege": "its user may not do this; see the manual for what it needs",
    "AdminShutdown": "it was stopped",
    "CrashShutdown": "it crashed, and recovers",
    "CannotConnectNow": "it is starting or stopping",
    "TooManyConnections": "it has as many connections as it may; see the manual for how many a server needs",
    "OperationalError": "the connection is lost",
    "LockNotAvailable": "another transaction does not let go of what this one needs",
}


@contextmanager
def driver_errors_end_here() -> Iterator[None]:
    """Turn whatever the driver raises into `StorageError`."""
    try:
        yield
    except _DRIVER_ERRORS as error:
        raise failure(error) from error


def failure(error: Exception) -> StorageError:
    """Return a new error that names the kind of `error` and no values."""
    name = type(getattr(error, "orig", error)).__name__
    meaning = _MEANINGS.get(name)
    return StorageError(f"The database failed ({f'{name}: {meaning}' if meaning else name}).")
