"""Writes a lock like `requirements.lock`, but with the lowest versions of what both distributions ask for.

    .venv/bin/python -m tools.lowest .venv-lowest.lock

A lower bound in a `pyproject.toml` is a promise that nobody's own installation tests: all of them take what is newest.
`make test-lowest` installs this lock and runs the tests with it. What is asked for by others only stays as it is in
`requirements.lock`, as far as the lower versions allow, so that the result does not depend on the day.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = Path("requirements.lock")
PROJECTS = (Path("pyproject.toml"), Path("server/pyproject.toml"))
_ENTRY = re.compile(r"^([A-Za-z0-9._-]+)==.*?(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


def write(target: Path) -> dict[str, str]:
    """Write the lock to `target`, and return the lowest versions by name."""
    asked = {canonicalize_name(Requirement(each).name): each for each in _requirements()}
    entries = {match[1]: match[0] for match in _ENTRY.finditer(LOCK.read_text(encoding="utf-8"))}
    with tempfile.TemporaryDirectory() as folder:
        wanted, lowest = Path(folder) / "wanted.txt", Path(folder) / "lowest.txt"
        wanted.write_text("\n".join(_requirements()), encoding="utf-8")
        # What stands in the file that it writes to, uv keeps as long as it suits.
        lowest.write_text("".join(entry for name, entry in entries.items() if name not in asked), encoding="utf-8")
        _compile(lowest, str(wanted), "--resolution", "lowest-direct", "--only-binary", ":all:")
        found = {name: version for name, version in _pins(lowest) if name in asked}
        lowest.write_text("\n".join(f"{name}=={version}" for name, version in found.items()), encoding="utf-8")
        target.write_text(LOCK.read_text(encoding="utf-8"), encoding="utf-8")
        constrained = ("--constraint", str(lowest), "--generate-hashes", "--group", f"{PROJECTS[0]}:dev")
        _compile(target, *map(str, PROJECTS), *constrained)
    return found


def _requirements() -> Iterator[str]:
    """Yield what the distributions, and what one gets with their extras, ask for; but not one for the other."""
    for project in PROJECTS:
        table = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
        for each in chain(table["dependencies"], *table.get("optional-dependencies", {}).values()):
            if Requirement(each).name != "walletsync":
                yield each


def _pins(lock: Path) -> list[tuple[str, str]]:
    return re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)


def _compile(target: Path, *words: str) -> None:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    plain = ("--no-annotate", "--no-header", "--no-emit-index-url", "--no-emit-find-links", "--quiet")
    options = (*plain, "--python-version", python, "--no-emit-package", "walletsync", "--output-file", str(target))
    subprocess.run([sys.executable, "-m", "uv", "pip", "compile", *options, *words], check=True)


if __name__ == "__main__":
    for name, version in sorted(write(Path(sys.argv[1])).items()):
        sys.stdout.write(f"  {name} {version}\n")
