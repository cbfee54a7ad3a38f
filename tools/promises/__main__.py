"""`python -m tools.promises`: fails where a promise has no test, or a test a promise that nobody gave.

`--list` prints each promise with its tests instead. Exit code 0: all is well; 1: something is wrong, and told.
"""

import sys
from pathlib import Path

from tools.promises.check import faults
from tools.promises.holders import holders
from tools.promises.pages import sections

ROOT = Path(__file__).parents[2]


def show(root: Path) -> None:
    """Print a table: a promise, and below it what holds it."""
    held = holders(root)
    for section in sections(root):
        for promise in section.promises():
            print(f"{promise.id:6}{promise.page}: {promise.sentence}")
            for holder in held:
                if holder.id == promise.id:
                    print(f"      {holder.path}:{holder.line} {holder.name}")


def main(words: list[str], root: Path = ROOT) -> int:
    """Do what the command says; return its exit code."""
    if words == ["--list"]:
        show(root)
        return 0
    if words:
        print("Say --list, or nothing.", file=sys.stderr)
        return 2
    found = faults(root)
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
