"""What all parts of the bench have in common: a row of the table, and how rows are printed and kept."""

import dataclasses
import json
import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Row:
    """One line of the table. What a part does not measure is None.

    Attributes:
        part: the part of the bench that measured it.
        what: was done.
        of: whom it was done to.
        rate: how often in a second.
        work: µs of a processor in the server for each, without what a database's own server takes.
        half, most: ms of the median, and of the slowest of a hundred.
        ratio: to the first server of the part, of `work` or of what the part says.
        other: a figure with its unit that has no column.
        target: what is to be reached.
    """

    part: str
    what: str
    of: str
    rate: float | None = None
    work: float | None = None
    half: float | None = None
    most: float | None = None
    ratio: float | None = None
    other: str = ""
    target: str = ""


_HEADS = ("", "of", "a second", "µs", "p50 ms", "p99 ms", "ratio", "other", "target")


def table(rows: list[Row]) -> str:
    """Return the table in Markdown."""
    lines = [_HEADS, ("---", "---", *["---:"] * 5, "---", "---")]
    for row in rows:
        times = (_number(value, 1) for value in (row.half, row.most))
        figures = [_number(row.rate, 0), _number(row.work, 0), *times, _number(row.ratio, 2)]
        lines.append((row.what, row.of, *figures, row.other, row.target))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def keep(file: Path, rows: list[Row], options: dict[str, Any]) -> None:
    """Write all figures to a file as JSON, with what they were measured on."""
    file.parent.mkdir(exist_ok=True)
    described = {"measured": datetime.now(UTC).isoformat(timespec="seconds"), **machine(), "options": options}
    file.write_text(json.dumps(described | {"rows": [dataclasses.asdict(row) for row in rows]}, indent=2) + "\n")


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True)  # noqa: S607 - wherever it is
    return {
        "commit": commit.stdout.strip(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_before": os.getloadavg()[0],
    }
