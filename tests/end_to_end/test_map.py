"""CONTRIBUTING.md has the map: a line for each folder of the repository, and none for a folder that is not there."""

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]
HIDDEN_BUT_OURS = {".ci"}
"""Other hidden folders belong to the tools of whoever works here."""


def folders() -> Iterator[str]:
    """Yield every folder that has a file of the repository somewhere in it."""
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split() if line.endswith("/")]
    for place, below, files in os.walk(ROOT):
        below[:] = [
            name
            for name in below
            if not any(fnmatch(name, pattern) for pattern in ignored)
            and (not name.startswith(".") or name in HIDDEN_BUT_OURS)
        ]
        if files:
            path = PurePosixPath(place).relative_to(ROOT)
            yield from {str(path), *map(str, path.parents)}


def test_every_folder_has_its_line() -> None:
    """Both ways, each once, and in an order that a reader finds again: a folder before what is in it."""
    section = (ROOT / "CONTRIBUTING.md").read_text().partition("\n## The map\n")[2]
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", section, re.MULTILINE)
    named = [name.rstrip("/") for name, _ in rows]
    assert len(named) == len(set(named))
    assert set(named) == set(folders())
    for number, name in enumerate(named[1:], start=1):
        assert str(PurePosixPath(name).parent) in named[:number], name
