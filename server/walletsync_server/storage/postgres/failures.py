"""Where the errors of the driver end: those of psycopg and its pool, and of SQLAlchemy."""

import psycopg
import sqlalchemy as sa

DRIVER_ERRORS = sa.exc.SQLAlchemyError, psycopg.Error
_MEANINGS = {
    "DiskFull": "its disk is full",
    "ReadOnlySqlTransaction": "it takes no writes, as a standby does",
    "InsufficientPrivilege": "its user may not do this; see the manual for what it needs",
    "AdminShutdown": "it was stopped",
    "CrashShutdown": "it crashed, and recovers",
    "CannotConnectNow": "it is starting or stopping",
    "TooManyConnections": "it has as many connections as it may; see the manual for how many a server needs",
    "OperationalError": "the connection is lost",
    "Silence": "it said nothing for too long",
    "QueryCanceled": "something took too long, or was cancelled by its administrator",
    "LockNotAvailable": "another transaction does not let go of what this one needs",
}


def failure(error: Exception) -> str:
    """Return what a `StorageError` says of `error`: its kind, and no values."""
    name = type(getattr(error, "orig", error)).__name__
    meaning = _MEANINGS.get(name)
    return f"The database failed ({f'{name}: {meaning}' if meaning else name})."
