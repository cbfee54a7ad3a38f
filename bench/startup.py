"""The part `startup`: `import walletsync` and `walletsync --help`, beside a bare Python and what others import.

All run in turn, and the median of each counts; the ratio is to the bare Python of the same round: a machine's speed
drifts. Files are warm, as they are for whoever types a second command.
"""

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from resource import RUSAGE_CHILDREN, getrusage

from bench.report import Row

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

TARGETS = {"import walletsync": "≤ 60 ms", "walletsync --help": "≤ 150 ms"}


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


def rows(count: int) -> list[Row]:
    """Return a row per program: medians, and the median of the ratios; the round before the first only warms up."""
    rounds = [{name: run(arguments) for name, arguments in PROGRAMS.items()} for _ in range(1 + count)][1:]
    return [
        Row(
            "startup",
            "start",
            name,
            work=statistics.median(taken[name].processor for taken in rounds) * 1000,
            half=statistics.median(taken[name].clock for taken in rounds),
            ratio=statistics.median(taken[name].processor / taken[BARE].processor for taken in rounds),
            target=TARGETS.get(name, ""),
        )
        for name in PROGRAMS
    ]
