"""How long the machine takes for all notebooks, beside the papermill command line over the same ones, one by one.

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

from walletsync_server.testing import RunningServer

ROOT = Path(__file__).parent.parent
ROUNDS = 5


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


def main() -> None:
    """Print a row per round, then the median of the ratios; the round before the first only warms up."""
    print("round  make docs  papermill  ratio")
    ratios = []
    for number in range(1 + ROUNDS):
        with RunningServer(accounts="open") as server:
            ours, theirs = seconds(machine), seconds(partial(papermill, server.url))
        if number:
            ratios.append(ours / theirs)
            print(f"{number:5}  {ours:7.2f} s  {theirs:7.2f} s  {ratios[-1]:5.2f}")
    print(f"median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
