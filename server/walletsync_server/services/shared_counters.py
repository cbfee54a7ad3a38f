"""What rate limits count in where several processes count together: Valkey's counters, and our own beside."""

import time
from collections.abc import Callable

import limits.storage
from typing_extensions import override

from walletsync_server.services.memory_counters import MemoryCounters
from walletsync_server.services.throttle import MakeCounters

TIMEOUT = 0.25
"""Seconds that Valkey may take to count; nobody waits longer."""
PAUSE_SECONDS = 2.0
"""How long it is left alone after it did not answer."""


class _Fuse:
    """Whether Valkey is asked: not for a while after it did not answer, so that not everybody waits for it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until = clock()

    @property
    def is_blown(self) -> bool:
        return self._clock() < self._until

    def blow(self) -> None:
        self._until = self._clock() + PAUSE_SECONDS


class SharedCounters(limits.storage.Storage):
    """Counters that all processes have together. What happens here is counted here, too.

    So there is a limit when Valkey is away or came back empty: the one that this process alone would have.
    """

    STORAGE_SCHEME = None  # no URL names it

    def __init__(
        self, shared: limits.storage.RedisStorage, own: MemoryCounters, fuse: _Fuse, clock: Callable[[], float]
    ) -> None:
        super().__init__()
        self._shared = shared
        self._own = own
        self._fuse = fuse
        self._clock = clock

    @property
    @override
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        return self._shared.base_exceptions

    @override
    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to a counter and return it; a new one lives for `expiry` seconds."""
        return int(self._most(self._own.incr(key, expiry, amount), lambda: self._shared.incr(key, expiry, amount)))

    @override
    def get(self, key: str) -> int:
        """Return a counter, 0 if there is none."""
        return int(self._most(self._own.get(key), lambda: self._shared.get(key)))

    @override
    def get_expiry(self, key: str) -> float:
        """Return when a counter's window ends, in seconds of the clock; now if there is none."""
        return self._most(self._own.get_expiry(key), lambda: self._clock() + self._shared.get_expiry(key) - time.time())

    @override
    def check(self) -> bool:
        """Say whether Valkey answers."""
        return self._shared.check()

    @override
    def reset(self) -> int:
        """Forget all that was counted here; return how many counters there were."""
        return self._own.reset()

    @override
    def clear(self, key: str) -> None:
        """Forget one."""
        self._own.clear(key)
        if not self._fuse.is_blown:
            self._shared.clear(key)

    def _most(self, own: float, ask: Callable[[], float]) -> float:
        """Return the larger one of what was counted here and by all, as far as these can be asked."""
        if self._fuse.is_blown:
            return own
        try:
            return max(own, ask())
        except self._shared.base_exceptions:
            self._fuse.blow()
            return own


def sharing(url: str, name: str, clock: Callable[[], float] = time.monotonic) -> MakeCounters:
    """Return what makes counters that all who count by this name have together.

    Args:
        url: of the Valkey, `valkey://` or `valkeys://`.
        name: that of the database whose accounts are counted.
        clock: returns seconds since any moment, by a clock that only goes forward.
    """
    fuse = _Fuse(clock)

    def counters(kind: str, most: int) -> SharedCounters:
        prefix = f"{name}:{kind}"
        shared = limits.storage.RedisStorage(
            url, key_prefix=prefix, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT
        )
        return SharedCounters(shared, MemoryCounters(most, clock), fuse, clock)

    return counters
