"""Whether the server can do its work: read, and write so that it lasts."""

import threading
from collections.abc import Callable
from datetime import datetime

from walletsync_server.live.interface import Publisher, Reach
from walletsync_server.services.errors import Unavailable
from walletsync_server.services.store import Store

LATELY_SECONDS = 60.0
"""How long a write that succeeded is a proof that the next one will."""
PAUSE_SECONDS = 1.0
"""How long after a write that failed another is tried, so that asking often costs nothing."""


class Readiness:
    """Any thread may ask it; at most one of them waits for the disk to be written.

    Args:
        store: tells also when it was last written to.
        clock: returns the time, aware.
        seconds: returns the seconds since any moment, by a clock that nobody sets.
        publisher: knows whether other servers are reached.
    """

    def __init__(
        self, store: Store, clock: Callable[[], datetime], seconds: Callable[[], float], publisher: Publisher
    ) -> None:
        self._store = store
        self._clock = clock
        self._seconds = seconds
        self._publisher = publisher
        self._trying = threading.Lock()
        self._failure: Unavailable | None = None
        self._failed_at = seconds()

    @property
    def reach(self) -> Reach:
        """Whom a change is told to. Without the others this server is ready all the same: clients poll as well."""
        return self._publisher.reach

    def check(self) -> None:
        """Ask the database and, unless something was written lately, write to it.

        Raises:
            Unavailable: if it does not answer, cannot be written to, or was deleted or replaced.
        """
        self._store.check()
        if self._seconds() - self._store.written_at <= LATELY_SECONDS:
            return
        if self._trying.acquire(blocking=False):
            try:
                self._try()
            finally:
                self._trying.release()
        if self._failure is not None:
            raise Unavailable from self._failure.__cause__

    def _try(self) -> None:
        if self._failure is not None and self._seconds() - self._failed_at < PAUSE_SECONDS:
            return
        now = self._clock()
        try:
            self._store.write(lambda transaction: transaction.note_time(now))
        except Unavailable as error:
            self._failure, self._failed_at = error, self._seconds()
        else:
            self._failure = None
