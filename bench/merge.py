"""The part `merge`: two wallets of 10,000 entries, 100 edits a side, beside Python's json reading the three files.

Both run in turn, in processor time, and the ratio counts, pair by pair: a machine's speed drifts.
"""

import json
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

from bench.report import Row
from tests.labels import edited, spaced, sparrow
from walletsync import BIP329Format, JSONFormat
from walletsync.formats.base import Format

ENTRIES = 10_000
EDITS = 100


def labels(export: Callable[[int, int], str]) -> list[str]:
    """Return base, mine and theirs of a label file."""
    base = export(1, ENTRIES)
    half = range(ENTRIES // 2), range(ENTRIES // 2, ENTRIES)
    return [base, edited(base, 2, EDITS, half[0]), edited(base, 3, EDITS, half[1])]


def entries() -> list[dict[str, Any]]:
    """Return base, mine and theirs of a JSON object of objects."""
    base = {f"{number:064x}": {"label": f"Rent {number}", "value": number} for number in range(ENTRIES)}
    sides = [dict(base) for _ in range(2)]
    chance = random.Random(1)  # noqa: S311 - the same edits each time
    for side in sides:
        for name in chance.sample(sorted(base), EDITS):
            side[name] = {"label": f"edited {len(sides)}", "value": 0}
    return [base, *sides]


def accounts() -> list[dict[str, Any]]:
    """Return the same as a list that merges by key."""
    return [{"accounts": [{"id": name, **entry} for name, entry in side.items()]} for side in entries()]


def milliseconds(run: Callable[[], object]) -> float:
    """Return the processor time that `run` takes."""
    started = time.process_time()
    run()
    return (time.process_time() - started) * 1000


def read(files: list[bytes]) -> None:
    """Read the three files as somebody would with nothing but the standard library."""
    for file in files:
        if file.startswith(b'{"type"') or b"\n" in file:
            for line in file.splitlines():
                json.loads(line)
        else:
            json.loads(file)


def rows(rounds: int) -> list[Row]:
    """Return a row per kind of wallet: medians, and the median of the ratios; the first round only warms up."""
    kinds: list[tuple[str, Format[Any], list[Any]]] = [
        ("JSON, object", JSONFormat(), entries()),
        ("JSON, list by key", JSONFormat({"/accounts": "id"}), accounts()),
        ("labels of Sparrow", BIP329Format(), labels(sparrow)),
        ("labels with spaces", BIP329Format(), labels(spaced)),
    ]
    return [_row(name, format, sides, rounds) for name, format, sides in kinds]


def _row(name: str, format: Format[Any], sides: list[Any], rounds: int) -> Row:
    files = [format.encode(side) for side in sides]
    pairs = [
        (milliseconds(lambda: format.merge(*sides)), milliseconds(lambda: read(files))) for _ in range(1 + rounds)
    ][1:]
    merging, reading = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Row(
        "merge",
        f"merge {ENTRIES:,} entries, {EDITS} edits a side",
        name,
        half=merging,
        ratio=statistics.median(merged / loaded for merged, loaded in pairs),
        other=f"{reading:.1f} ms to read the {len(files[0]) / 1e6:.1f} MB of each as JSON",
        target="≤ 50 ms",
    )
