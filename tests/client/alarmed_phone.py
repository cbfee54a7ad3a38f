"""A phone that real signals interrupt while it syncs: `python -m tests.client.alarmed_phone URL EMAIL FILE SEED`.

In a process of its own, where nothing else runs that a signal could interrupt: not the tracer that measures coverage,
which would keep its lock for ever, and not the alarm that ends a test which hangs.
"""

import random
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cheap_walletsync import make_cheap
from tests.client.edits import putting
from tests.conftest import PASSWORD
from walletsync import Client

SIGNALS = 60


def main(url: str, email: str, file: Path, seed: int) -> None:
    """Lose nothing of phone and laptop; print how many signals came while the phone was at it."""
    rng = random.Random(seed)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    # Of a connection that was just being made when a signal came.
    warnings.filterwarnings("ignore", "unclosed .socket", ResourceWarning)
    expected, interrupted = {"n": 0}, 0
    with Client(url, device_id="laptop") as laptop:
        laptop.set_account(email, PASSWORD)
        laptop.set_document({"n": 0})
        laptop.sync()
        for number in range(SIGNALS):
            expected |= {f"laptop {number}": 1, f"phone {number}": 1}
            with phone_of(url, email, file) as phone:
                phone.sync()
                laptop.update_document(putting(f"laptop {number}"))
                laptop.sync()
                try:
                    with a_signal_after(rng.uniform(0.0001, 0.02)):
                        phone.sync()
                except KeyboardInterrupt:
                    interrupted += 1
                except RuntimeError as error:
                    # Where it comes inside of one of Python's own locks, Python says that this one is not locked.
                    if not isinstance(error.__context__, KeyboardInterrupt):
                        raise
                    interrupted += 1
                phone.update_document(putting(f"phone {number}"))
            with phone_of(url, email, file) as phone:
                phone.sync()
                laptop.sync()
                assert laptop.get_document() == phone.get_document() == expected, f"after signal {number}"
    print(interrupted)


@contextmanager
def phone_of(url: str, email: str, file: Path) -> Iterator[Client]:
    """Begin a process of the account's second device, as far as its file can tell."""
    with Client(url, store=file, device_id="phone") as phone:
        phone.set_account(email, PASSWORD)
        yield phone


@contextmanager
def a_signal_after(seconds: float) -> Iterator[None]:
    """Interrupt what happens inside."""
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    make_cheap()
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
