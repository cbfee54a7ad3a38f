"""What the server does in the background, from time to time."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from walletsync_server.observe import logs
from walletsync_server.services.errors import Unavailable

PURGE_SECONDS = 60 * 60.0


class Purging:
    """What became of it: when all purges last succeeded, in seconds since 1970; NaN as long as they have not."""

    succeeded_at = math.nan


@contextmanager
def purging(*, every: float = PURGE_SECONDS, **purges: Callable[[], int]) -> Iterator["Purging"]:
    """Call the `purges` in a thread, at once and then every so many seconds, as long as this lasts.

    Each returns how many it removed; its name stands for them in the log.
    One that fails is logged, and called again the next time; the others are called all the same.
    """
    over, purging = threading.Event(), Purging()

    def run() -> None:
        first = True
        while True:
            removed = {name: count for name, purge in purges.items() if (count := _attempt(purge)) is not None}
            if len(removed) == len(purges):
                purging.succeeded_at = time.time()
            if removed and (first or any(removed.values())):  # the first line shows that it works
                logs.event("purged", **removed)
                first = False
            if over.wait(every):
                return

    thread = threading.Thread(target=run, name="purging", daemon=True)
    thread.start()
    try:
        yield purging
    finally:
        over.set()
        thread.join()


def _attempt(purge: Callable[[], int]) -> int | None:
    """Return how many it removed; None if it failed."""
    try:
        return purge()
    except Unavailable as error:
        logs.unavailable(str(error.__cause__))
    except Exception as error:  # noqa: BLE001 - the last resort: nothing else would ever purge again
        logs.unexpected(error)
    return None
