"""`make bench`: measures parts of walletsync, each beside something to compare with, and prints one table.

    make bench                            # all that a server and a client cost; it says how long that takes
    make bench ARGS=--short               # the same in less than five minutes, too short to be believed
    make bench ARGS="http --rounds 5"     # one part alone
    make bench ARGS="http --only sqlite --only kinto"

Parts that take turns do so round by round, since a machine's speed drifts, and what counts are ratios. The figures are
kept as JSON, with a picture of those of the part `http`, in .bench/.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import client, disk, docs, door, hot, merge, size, sockets, stalls, start, startup
from bench.picture import draw
from bench.report import Row, keep, table
from bench.servers import CANDIDATES

FIGURES = Path(".bench/figures.json")


@dataclass(frozen=True)
class Extent:
    """How much is measured: rounds and seconds of each, and how large what is measured is."""

    rounds: int
    seconds: float
    sockets: int
    listeners: int
    accounts: int
    labels: tuple[int, int]


FULL = Extent(rounds=3, seconds=4.0, sockets=10_000, listeners=1_000, accounts=1_000_000, labels=(5_000, 50_000))
SHORT = Extent(rounds=1, seconds=1.0, sockets=1_000, listeners=200, accounts=10_000, labels=(500, 5_000))


@dataclass(frozen=True)
class Part:
    """One part: what it measures, about how many minutes that takes in full, and whether it has to be asked for."""

    measure: Callable[[Extent, list[str]], list[Row]]
    minutes: float
    asked: bool = False


PARTS = {
    "disk": Part(lambda extent, _: disk.rows(extent.seconds), 0.1),
    "http": Part(lambda extent, only: hot.rows(extent.rounds, extent.seconds, only), 6),
    "sockets": Part(lambda extent, _: sockets.rows(extent.sockets, extent.listeners), 1),
    "size": Part(lambda extent, _: size.rows(1_000, extent.accounts, extent.rounds, extent.seconds), 12),
    "start": Part(lambda extent, _: start.rows(extent.rounds, extent.seconds), 1),
    "client": Part(lambda extent, _: client.rows(*extent.labels), 3),
    "stalls": Part(lambda extent, only: stalls.rows(extent.seconds, only), 3, asked=True),
    "stalls-elsewhere": Part(lambda extent, only: stalls.rows(extent.seconds, only, elsewhere=True), 3, asked=True),
    "door": Part(lambda extent, only: door.rows(extent.rounds, extent.seconds, extent.sockets, only), 4, asked=True),
    "merge": Part(lambda extent, _: merge.rows(5 * extent.rounds), 1, asked=True),
    "startup": Part(lambda extent, _: startup.rows(5 * extent.rounds), 1, asked=True),
    "docs": Part(lambda extent, _: docs.rows(extent.rounds), 5, asked=True),
}


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; by default the first six")
    parser.add_argument("--short", action="store_true", help="less of everything")
    parser.add_argument("--rounds", type=int, help="how often everything is measured")
    parser.add_argument("--seconds", type=float, help="how long each time")
    servers = f"a server of `http` ({', '.join(CANDIDATES)}) or `door`, or a kind of `stalls`"
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help=servers)
    parser.add_argument("--output", type=Path, default=FIGURES, help="the file of figures")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}.")
    chosen = options.parts or [name for name, part in PARTS.items() if not part.asked]
    extent = SHORT if options.short else FULL
    changes = {name: getattr(options, name) for name in ("rounds", "seconds") if getattr(options, name)}
    extent = Extent(**{**vars(extent), **changes})
    if not options.short:
        minutes = sum(PARTS[name].minutes for name in chosen)
        print(f"This takes about {minutes:.0f} minutes, on a machine that does nothing else.", file=sys.stderr)
    rows: list[Row] = []
    for name in chosen:
        began = time.perf_counter()
        rows += PARTS[name].measure(extent, options.only)
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
        keep(options.output, rows, vars(extent))  # what is there, should a later part fail
    print(table(rows))
    if any(row.part == "http" for row in rows):
        options.output.with_suffix(".svg").write_text(draw(rows))
    print(f"The figures are in {options.output}.", file=sys.stderr)


if __name__ == "__main__":
    main()
