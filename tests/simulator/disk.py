"""A disk in memory that outlives its process."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from walletsync.store import DeviceState, Store


class Crash(BaseException):
    """The process ends here. No `except` of the client may stop it."""


class Disk:
    """What one device has stored. `boundary` is called before and after every change, and may raise `Crash`."""

    def __init__(self, boundary: Callable[[str], None]) -> None:
        self.database: sqlite3.Connection | None = None
        self.boundary = boundary

    def read(self) -> bytes:
        """Return all that is on it."""
        assert self.database is not None
        return self.database.serialize()

    def put_back(self, content: bytes) -> None:
        """Have what a disk had that was read."""
        self.close()
        self.database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self.database.deserialize(content)

    def close(self) -> None:
        """Throw it away."""
        if self.database is not None:
            self.database.close()


class StoreOnDisk(Store):
    """The real store, on a `Disk`."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        super().__init__(None)

    def _connect(self, file: Path | None) -> sqlite3.Connection:
        """Another process finds what the one before left."""
        if self._disk.database is None:
            self._disk.database = super()._connect(file)
        return self._disk.database

    def save(self, state: DeviceState) -> None:
        """See `Store`; the process may end before or after it."""
        self._disk.boundary("before a save")
        super().save(state)
        self._disk.boundary("after a save")

    def close(self) -> None:
        """Keep the disk: another process will use it."""
