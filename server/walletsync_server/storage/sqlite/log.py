"""SQLite's write-ahead log: what it is to keep no longer, and how large it may become.

What a transaction deletes is overwritten in the database file (`secure_delete`), but the log beside it still has the
pages as they were, until it is truncated. SQLite itself never does so while a database is open, and lets the log grow
as long as there is always somebody who reads.
"""

import time
from pathlib import Path

import sqlalchemy as sa

from walletsync_server.storage.sqlite.connect import BUSY_SECONDS, driver_of
from walletsync_server.storage.sqlite.failures import driver_errors_end_here

MOST_BYTES = 64 * 1024 * 1024
"""How large the log may become; only while somebody reads for long, as a backup does, it becomes larger."""
PAUSE_SECONDS = 0.5
"""How long after the first try in vain the next one is; each further time twice as long."""
_LONGEST_PAUSE_SECONDS = 8.0
_PATIENCE_SECONDS = 0.05
"""How long a try waits for those who read what the log has; meanwhile nobody writes."""
_LAST_PATIENCE_SECONDS = 2.0
"""How long the last try does. Some read for as long as they run, such as litestream."""


class WriteAheadLog:
    """Truncates the log of the database that `writing` writes to, once there is a reason. For one thread at a time."""

    def __init__(self, writing: sa.Engine, file: Path) -> None:
        self._writing = writing
        self._file = file.with_name(f"{file.name}-wal")
        self._next_try = 0.0
        self._pause = PAUSE_SECONDS / 2  # doubled by a try
        self.is_due = False

    def opened(self) -> None:
        """Take over the log of an earlier process, which may not have come to truncate it."""
        self.is_due = self._bytes() > 0

    def committed(self, *, erased: bool) -> None:
        """Take note of a commit: whether it erased something. Truncate the log now if there is a reason, and it may be.

        Otherwise `is_due` is True from then on, and `retry` is to be called.
        """
        if erased or self._bytes() > MOST_BYTES:
            self.is_due = True
            if erased:
                self._next_try = 0.0
        self.retry()

    def retry(self) -> None:
        """Try again if it is due, and the last try was some time ago: the longer, the more were in vain."""
        if self.is_due and time.monotonic() >= self._next_try:
            self._truncate(_PATIENCE_SECONDS)

    def close(self) -> None:
        """Try for the last time, with more patience."""
        if self.is_due:
            self._truncate(_LAST_PATIENCE_SECONDS)

    def _bytes(self) -> int:
        try:
            return self._file.stat().st_size
        except FileNotFoundError:
            return 0

    def _truncate(self, patience: float) -> None:
        with driver_errors_end_here(), self._writing.connect() as connection:
            driver = driver_of(connection)
            driver.set_busy_timeout(round(patience * 1000))
            try:
                ((is_busy, _, _),) = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                driver.set_busy_timeout(round(BUSY_SECONDS * 1000))
        self.is_due = bool(is_busy)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS) if is_busy else PAUSE_SECONDS / 2
        self._next_try = time.monotonic() + self._pause
