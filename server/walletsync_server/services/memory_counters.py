"""What rate limits count in, in this process: counters that forget, as a storage of the `limits` library."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

import limits.storage
from typing_extensions import override


class MemoryCounters(limits.storage.Storage):
    """Counters in this process's memory, at most `most` of them, each gone at the end of its window.

    The storage that `limits` brings along holds as many as there are clients, and looks at each of them again and
    again. Here the oldest goes when there is no room: whoever has so many addresses had an allowance at each anyway.

    Args:
        most: how many; one takes about 350 bytes.
        clock: returns seconds since any moment, by a clock that only goes forward.
    """

    STORAGE_SCHEME = None  # no URL names it

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._counted: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counted)

    @property
    @override
    def base_exceptions(self) -> type[Exception]:
        return MemoryError  # what may go wrong, which is nothing that anybody should catch

    @override
    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to a counter and return it; a new one lives for `expiry` seconds. Less than nothing is never counted."""
        with self._lock:
            count, end = self._get(key)
            if not count and amount < 0:
                return 0
            if not count:
                self._counted.pop(key, None)  # so that the order is that of their beginning
                self._make_room()
                end = self._clock() + expiry
            self._counted[key] = count + amount, end
            return count + amount

    @override
    def get(self, key: str) -> int:
        """Return a counter, 0 if there is none."""
        with self._lock:
            return self._get(key)[0]

    @override
    def get_expiry(self, key: str) -> float:
        """Return when a counter's window ends, in seconds of the clock; now if there is none."""
        with self._lock:
            return self._get(key)[1]

    @override
    def check(self) -> bool:
        """Say that it works."""
        return True

    @override
    def reset(self) -> int:
        """Forget all; return how many there were."""
        with self._lock:
            many = len(self._counted)
            self._counted.clear()
            return many

    @override
    def clear(self, key: str) -> None:
        """Forget one."""
        with self._lock:
            self._counted.pop(key, None)

    def _get(self, key: str) -> tuple[int, float]:
        now = self._clock()
        count, end = self._counted.get(key, (0, now))
        return (count, end) if end > now else (0, now)

    def _make_room(self) -> None:
        """Forget the oldest as long as its window is over or there are too many."""
        now = self._clock()
        while self._counted:
            oldest = next(iter(self._counted))
            if self._counted[oldest][1] > now and len(self._counted) < self._most:
                return
            del self._counted[oldest]
