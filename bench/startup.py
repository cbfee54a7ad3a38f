"""How long `import walletsync` and `walletsync --help` take, beside a bare Python and what other clients import.

All run in turn, and the median of each counts; the ratio is to the bare Python of the same round: a machine's speed
drifts. Files are warm, as they are for whoever types a second command.
"""

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from resource import RUSAGE_CHILDREN, getrusage

ROUNDS = 15
BARE = "python -c pass"
PROGRAMS = {
    BARE: ("-c", "pass"),
    "import walletsync": ("-c", "import walletsync"),
    "import walletsync.protocol": ("-c", "import walletsync.protocol"),
    "walletsync --help": ("-m", "walletsync", "--help"),
    "walletsync sync --help": ("-m", "walletsync", "sync", "--help"),
    "from walletsync import Client": ("-c", "from walletsync import Client"),
    "import click": ("-c", "import click"),
    "import requests": ("-c", "import requests"),
    "pip --help": ("-m", "pip", "--help"),
}


@dataclass(frozen=True)
class Taken:
    """Milliseconds of one run: on the clock, and of processor time, which other work on the machine changes less."""

    clock: float
    processor: float


def run(arguments: tuple[str, ...]) -> Taken:
    """Return how long a Python with these arguments takes, from its start to its end."""
    before, started = getrusage(RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    clock, after = time.perf_counter() - started, getrusage(RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Taken(clock * 1000, processor * 1000)


def main() -> None:
    """Print a row per program: medians, and the median of the ratios; the round before the first only warms up."""
    rounds = [{name: run(arguments) for name, arguments in PROGRAMS.items()} for _ in range(1 + ROUNDS)][1:]
    print(f"{'program':30}   on the clock   processor   its ratio to bare")
    for name in PROGRAMS:
        clock = statistics.median(taken[name].clock for taken in rounds)
        processor = statistics.median(taken[name].processor for taken in rounds)
        ratio = statistics.median(taken[name].processor / taken[BARE].processor for taken in rounds)
        print(f"{name:30}  {clock:10.0f} ms  {processor:7.0f} ms  {ratio:18.1f}")


if __name__ == "__main__":
    main()
