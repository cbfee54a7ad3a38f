"""Whether anything changed since the documentation was last found right: told in milliseconds, from hashes."""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tools.docs.project import LOCK, NOTEBOOKS, READ

_KEPT = ".docs/unchanged.json"
_PASSED_OVER = {"__pycache__", ".ipynb_checkpoints"}


def snapshot(root: Path) -> dict[str, str]:
    """Return a hash for each file that a run reads or writes, and the version of Python."""
    hashes = {str(path.relative_to(root)): _hash(path.read_bytes()) for path in _files(root)}
    return {"python": sys.version, **hashes}


def after(before: Mapping[str, str], written: Mapping[str, str]) -> dict[str, str]:
    """Return what a snapshot becomes by writing files: what else was edited meanwhile is not in it."""
    return {**before, **{path: _hash(text.encode()) for path, text in written.items()}}


def remember(root: Path, hashes: Mapping[str, str]) -> None:
    """Note that the documentation is right as it is in this snapshot."""
    (root / _KEPT).parent.mkdir(exist_ok=True)
    (root / _KEPT).write_text(json.dumps(hashes), encoding="utf-8")


def is_unchanged(root: Path) -> bool:
    """Whether all is as it was noted."""
    try:
        return bool(json.loads((root / _KEPT).read_text(encoding="utf-8")) == snapshot(root))
    except (FileNotFoundError, ValueError):
        return False


def _files(root: Path) -> Iterator[Path]:
    for pattern in {*READ, NOTEBOOKS, LOCK, "README.md"}:
        for path in root.glob(pattern):
            for file in path.rglob("*") if path.is_dir() else [path]:
                if file.is_file() and not _PASSED_OVER & set(file.parts):
                    yield file


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
