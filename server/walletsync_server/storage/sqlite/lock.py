"""Who has a database open: many at once, or one that replaces it."""

import fcntl
import os
from pathlib import Path

import apsw

from walletsync_server.storage.interface import StorageError
from walletsync_server.storage.sqlite.files import LOCK, make_private


class DatabaseInUse(StorageError):
    """Another process has the database open, or is replacing it."""


class DatabaseLock:
    """Holds the lock of a database file from now until `release`, or until the process ends, however it does.

    It is the kernel's lock on a file beside the database, which stays there: the name of a locked file must not be
    given to another.

    Raises:
        DatabaseInUse: if it is held by others in a way that excludes this one.
        StorageError: if the file beside the database cannot be made.
    """

    def __init__(self, database: Path, *, exclusive: bool = False) -> None:
        try:
            self._descriptor = make_private(Path(f"{database}{LOCK}"), database)
        except OSError as error:
            raise StorageError(cannot_open(database, error)) from error
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            said = "is in use: stop the server, and wait for other commands" if exclusive else "is being replaced"
            raise DatabaseInUse(f"{database} {said}; then try again.") from None

    def release(self) -> None:
        """Let others have it. Twice is fine."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def end_log(connection: apsw.Connection, database: Path) -> None:
    """Put what is in the log of a database into its file, so that this is all there is.

    Raises:
        DatabaseInUse: if a program has it open that knows nothing of our lock, such as litestream.
        apsw.Error: if it is broken.
    """
    try:
        connection.execute("PRAGMA journal_mode = DELETE")
    except apsw.BusyError as error:
        raise DatabaseInUse(f"Another program has {database} open; stop it, then try again.") from error


def cannot_open(database: Path, error: OSError) -> str:
    """Return what to tell an operator whose database cannot be opened."""
    if not database.parent.is_dir():
        return f"{database} cannot be opened as a database: its folder does not exist. Make it, or name another file."
    remedy = " Run this as the server's user." if isinstance(error, PermissionError) else ""
    return f"{database} cannot be opened as a database: {error.strerror}.{remedy}"
