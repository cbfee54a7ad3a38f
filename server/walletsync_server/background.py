"""What the server does in the background, from time to time."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from walletsync_server.observe import logs
from walletsync_server.services.errors import Unavailable

PURGE_SECONDS = 60 * 60.0


@contextmanager
def purging(*, every: float = PURGE_SECONDS, **purges: Callable[[], int]) -> Iterator[None]:
    """Call the `purges` in a thread, at once and then every so many seconds, as long as this lasts.

    Each returns how many it removed; its name stands for them in the log.
    A database that cannot be asked is logged, and asked again the next time.
    """
    over = threading.Event()

    def run() -> None:
        first = True
        while True:
            try:
                removed = {name: purge() for name, purge in purges.items()}
            except Unavailable as error:
                logs.unavailable(str(error.__cause__))
            else:
                if first or any(removed.values()):  # the first line shows that it works
                    logs.event("purged", **removed)
                first = False
            if over.wait(every):
                return

    thread = threading.Thread(target=run, name="purging", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
