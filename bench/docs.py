"""The part `docs`: how long the machine takes for all notebooks, beside the papermill command over them, one by one.

Both run in turn against a server of the same kind, and the ratio counts, pair by pair: a machine's speed drifts.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.report import Row
from walletsync_server.testing import RunningServer

ROOT = Path(__file__).parent.parent


def machine() -> None:
    """Run everything as `make docs-check` does, its server and README included."""
    subprocess.run([sys.executable, "-m", "tools.docs", "check"], cwd=ROOT, check=True, capture_output=True)


def papermill(server_url: str) -> None:
    """Run each notebook with papermill's own command, on a server that is running already."""
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "--cwd", str(ROOT / "notebooks")]
    with tempfile.TemporaryDirectory() as folder:
        for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
            files = [str(notebook), str(Path(folder) / notebook.name)]
            subprocess.run([*command, "-p", "server_url", server_url, *files], check=True, capture_output=True)


def seconds(run: Callable[[], None]) -> float:
    """Return how long `run` takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def rows(rounds: int) -> list[Row]:
    """Return one row, with the median of the ratios; the round before the first only warms up."""
    found = []
    for _ in range(1 + rounds):
        with RunningServer(accounts="open") as server:
            found.append((seconds(machine), seconds(partial(papermill, server.url))))
    ours, theirs = (statistics.median(column) for column in zip(*found[1:], strict=True))
    ratio = statistics.median(one / other for one, other in found[1:])
    said = f"papermill's command took {theirs:.1f} s"
    return [Row("docs", "run all notebooks", "make docs", half=ours * 1000, ratio=ratio, other=said, target="≤ ½")]
