"""Who may do costly work now, who waits for it, and who is turned away."""

import math
import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from walletsync_server.services.errors import Busy


@dataclass(frozen=True)
class Asker:
    """For whom the work is. `holder` names those who have a share together, such as a network.

    Whoever `is_known` waits in a line of their own, which goes first.
    """

    holder: str = ""
    is_known: bool = False


ANYBODY = Asker()


class _Waiter:
    def __init__(self, holder: str) -> None:
        self.holder = holder
        self.called = threading.Event()
        self.gives_way = False


class Turns:
    """Lets `at_once` work, and twice `queue` wait: strangers, and those who are known.

    A full line takes one more only from a holder who has fewer in it than another: then the last of whoever has most
    gives way. So no network fills it for the others, however few requests each of its addresses sends.

    Args:
        at_once: how many work at one time.
        queue: how many may wait in each line.
        seconds: what one takes, to tell those who are turned away when to come back.
    """

    def __init__(self, at_once: int, queue: int, seconds: float) -> None:
        self._at_once = at_once
        self._queue = queue
        self._retry_after = max(1, math.ceil(queue * seconds / at_once))
        self._lock = threading.Lock()
        self._known: deque[_Waiter] = deque()
        self._strangers: deque[_Waiter] = deque()
        self.running = 0

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._known) + len(self._strangers)

    @property
    def places(self) -> int:
        """How many may work or wait at once; each holds a thread meanwhile."""
        return self._at_once + 2 * self._queue

    @contextmanager
    def take(self, asker: Asker) -> Iterator[None]:
        """Wait for a turn, and have it inside of the block.

        Raises:
            Busy: if too many wait.
        """
        waiter = self._begin(asker)
        if waiter is not None:
            waiter.called.wait()
            if waiter.gives_way:
                raise Busy(self._retry_after)
        try:
            yield
        finally:
            self._end()

    def _begin(self, asker: Asker) -> _Waiter | None:
        """Begin at once, or return who waits."""
        with self._lock:
            if self.running < self._at_once:
                self.running += 1
                return None
            line = self._known if asker.is_known else self._strangers
            if len(line) >= self._queue:
                self._make_way(line, asker.holder)
            waiter = _Waiter(asker.holder)
            line.append(waiter)
            return waiter

    def _make_way(self, line: deque[_Waiter], holder: str) -> None:
        shares = Counter(waiter.holder for waiter in line)
        largest, most = shares.most_common(1)[0]
        if shares[holder] + 1 >= most:
            raise Busy(self._retry_after)
        last = next(waiter for waiter in reversed(line) if waiter.holder == largest)
        line.remove(last)
        last.gives_way = True
        last.called.set()

    def _end(self) -> None:
        """Hand the turn on, to those who are known first."""
        with self._lock:
            line = self._known or self._strangers
            if line:
                line.popleft().called.set()
            else:
                self.running -= 1
