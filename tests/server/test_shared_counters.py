"""Counters that several processes have together, in a real Valkey that comes and goes."""

from tests.valkey import Valkey
from walletsync_server.services.shared_counters import PAUSE_SECONDS, sharing


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_two_count_together_by_name_and_kind(valkey: Valkey) -> None:
    """What one counts the other has counted; another kind, or another database's, is not the same."""
    here, there, elsewhere = (sharing(valkey.url, name) for name in ("walletsync:1", "walletsync:1", "walletsync:2"))
    assert [here("login", 9).incr("k", 60), there("login", 9).incr("k", 60), here("login", 9).get("k")] == [1, 2, 2]
    assert [elsewhere("login", 9).get("k"), here("signup", 9).get("k")] == [0, 0]
    assert there("login", 9).incr("k", 60, -1) == 1


def test_window_ends_as_the_clock_says(valkey: Valkey) -> None:
    """Though Valkey's clock is another one; where nothing was counted it ends now."""
    clock = Clock()
    here, there = sharing(valkey.url, "walletsync:1", clock), sharing(valkey.url, "walletsync:1", clock)
    counters = here("login", 9)
    counters.incr("k", 600)
    assert clock.now + 590 < there("login", 9).get_expiry("k") <= clock.now + 600.5
    assert clock.now - 1 < counters.get_expiry("other") < clock.now + 1


def test_each_counts_alone_without_valkey(valkey: Valkey) -> None:
    """On top of what it counted itself; and Valkey, once back and empty, takes nothing of that away."""
    clock = Clock()
    here, there = (
        sharing(valkey.url, "walletsync:1", clock)("login", 9),
        sharing(valkey.url, "walletsync:1")("login", 9),
    )
    assert [here.incr("k", 600), there.incr("k", 600), there.incr("k", 600)] == [1, 2, 3]
    valkey.stop()
    assert not here.check()
    assert [here.incr("k", 600), here.get("k")] == [2, 2]
    valkey.start()
    assert here.check()
    assert there.incr("new", 600) == 1
    assert here.get("new") == 0  # it is left alone for a while
    here.clear("k")
    assert here.get("k") == 0
    clock.now += PAUSE_SECONDS
    assert [here.get("new"), here.incr("k", 600), here.incr("k", 600)] == [1, 1, 2]


def test_what_was_counted_can_be_forgotten(valkey: Valkey) -> None:
    """One counter everywhere, or all that were counted here."""
    counters = sharing(valkey.url, "walletsync:1")("login", 9)
    counters.incr("k", 600)
    counters.clear("k")
    assert counters.get("k") == 0
    counters.incr("k", 600)
    assert counters.reset() == 1
    assert counters.get("k") == 1
    assert not isinstance(MemoryError(), counters.base_exceptions)
