"""The time for what cannot be undone."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

BELIEVED_AFTER = timedelta(days=1)
_SET = timedelta(minutes=1)
"""By how much a clock has to be off from before to have been set; less is how any clock is put right bit by bit."""


class CautiousClock:
    """A clock that is not believed at once when it was set forward, but when it has gone on like that for a day.

    So a wrong clock, which somebody soon puts right, purges nothing that still lives. One that was set back is believed
    at once: by that less is purged. Any thread may call it.

    Args:
        clock: returns the time, aware.
        seconds: returns the seconds since any moment, by a clock that nobody sets.
    """

    def __init__(self, clock: Callable[[], datetime], seconds: Callable[[], float]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._lock = threading.Lock()
        self._since = timedelta(seconds=seconds())
        self._believed = self._seen = clock() - self._since  # when the seconds began, by the clock

    def __call__(self) -> datetime:
        """Return the time, aware."""
        now, passed = self._clock(), timedelta(seconds=self._seconds())
        began = now - passed
        with self._lock:
            if abs(began - self._seen) > _SET:
                self._seen, self._since = began, passed
            elif passed - self._since >= BELIEVED_AFTER:
                self._believed = began
            return min(now, self._believed + passed)
