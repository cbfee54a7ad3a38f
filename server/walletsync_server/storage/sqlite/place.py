"""Whether the files that are open are still those that have the database's name."""

import os
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event

from walletsync_server.storage.interface import StorageError

_Identity = tuple[int, int]


class Place:
    """Knows the database file and the log beside it as they are now, and as `writing` opens them later.

    A file that was deleted or replaced stays open under no name: what is written to it is gone with the process. SQLite
    does not notice.
    """

    def __init__(self, writing: sa.Engine, file: Path) -> None:
        self._file = file
        self._log = file.with_name(f"{file.name}-wal")
        self._known = _identity(file), _identity(self._log)
        event.listen(writing, "checkout", self._reopened)
        self._connection: object = None

    def _reopened(self, connection: object, *_: object) -> None:
        """Take note of a new connection of the writer's: if all were closed before it, the log is a new one."""
        if connection is not self._connection:
            self._connection = connection
            self._known = self._known[0], None

    def check(self) -> None:
        """Raise `StorageError` if what was written has not come to where a restart would look for it."""
        now = _identity(self._file), _identity(self._log)
        if self._known[1] is None:
            self._known = self._known[0], now[1]
        if now != self._known:
            raise StorageError(
                f"{self._file} or the log beside it was deleted or replaced while it was open. Stop the server, "
                "put back what belongs there or restore a backup, and start it again."
            )


def _identity(file: Path) -> _Identity | None:
    try:
        state = os.stat(file)  # noqa: PTH116 - four times as fast as Path's, at each commit
    except OSError:
        return None
    return state.st_dev, state.st_ino
