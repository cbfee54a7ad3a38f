"""Runs targets of the Makefile under each Python that we say we run on and that this machine has.

    .venv/bin/python -m tools.pythons docs-check test

Each has an environment of its own, `.venv-3.12` and so on. That `docs-check` passes under all of them says that the
documentation's bytes are the same under all. Exit code 0: all passed under all that were found. 1: not so.
"""

import subprocess
import sys
import time
from collections.abc import Sequence

import findpython

VERSIONS = ("3.11", "3.12", "3.13", "3.14")
"""Those that the metadata of the distributions allow."""


def main(targets: Sequence[str]) -> int:
    """Run the targets under each Python, and say at the end what became of each. Return the exit code."""
    outcomes: list[tuple[str, str]] = []
    failed = False
    for version in VERSIONS:
        python = findpython.find(version)
        if python is None:
            outcomes.append((version, "not found on this machine, so nothing was run"))
            continue
        _say(f"\nPython {python.version}: {' '.join(targets)}")
        started = time.monotonic()
        done = subprocess.run(
            ["make", f"VENV=.venv-{version}", f"PYTHON={python.executable}", *targets],  # noqa: S607 - as people do
            check=False,
        )
        failed |= done.returncode != 0
        said = "failed" if done.returncode else "passed"
        outcomes.append((str(python.version), f"{said} in {time.monotonic() - started:.0f} s"))
    _say("\n" + "\n".join(f"Python {version}: {outcome}" for version, outcome in outcomes))
    return int(failed)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
