"""Where the committed files differ from a fresh run, told so that the reader need not run anything to see it."""

import difflib
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.docs.build import committed
from tools.docs.normalise import texts
from tools.docs.notebooks import parse

_CONTEXT = 3


def stale(root: Path, files: Mapping[str, str]) -> list[str]:
    """Return a paragraph for every place where a committed file is not what the run made of it."""
    found: list[str] = []
    for path, fresh in files.items():
        old = committed(root, path)
        if old == fresh:
            continue
        if old is None:
            found.append(f"{path}: is missing")
        elif path.endswith(".ipynb"):
            found += _notebook(path, old, fresh)
        else:
            found.append(f"{path}: differs\n{_first_hunk(old, fresh)}")
    return found


def _notebook(path: str, old: str, new: str) -> list[str]:
    committed_one, _ = parse(path, old)
    fresh, _ = parse(path, new)
    cells = {cell.id: cell for cell in fresh.cells}
    found = []
    for cell in committed_one.cells:
        if cell.id not in cells:
            found.append(f"{path}, cell `{cell.id}`: is not the author's; a run left it there")
            continue
        found += [f"{path}, cell `{cell.id}`: {what} differ\n{diff}" for what, diff in _cell(cell, cells[cell.id])]
    if not found and committed_one.metadata != fresh.metadata:
        found.append(f"{path}: metadata of the notebook differ")
    return found or [f"{path}: is written in another form, though its content is the same"]


def _cell(old: Any, new: Any) -> Iterator[tuple[str, str]]:
    for what, shown in (("source", _source), ("outputs", _outputs), ("metadata", _metadata)):
        if shown(old) != shown(new):
            yield what, _diff(shown(old), shown(new))


def _source(cell: Any) -> list[str]:
    return list(cell.source.splitlines())


def _outputs(cell: Any) -> list[str]:
    """Return what a cell put out, as lines to compare: a line in brackets before each output, then its text."""
    if cell.cell_type != "code":
        return []
    lines = [f"[execution count {cell.execution_count}]"]
    for output in cell.outputs:
        kinds = [output.name] if output.output_type == "stream" else list(output.get("data", []))
        lines.append(f"[{output.output_type} {' '.join(kinds)}]")
        lines += itertools.chain.from_iterable(text.splitlines() for text in texts(output))
    return lines


def _metadata(cell: Any) -> list[str]:
    return [f"{name}: {value}" for name, value in sorted(cell.metadata.items())]


def _diff(old: list[str], new: list[str]) -> str:
    lines = difflib.unified_diff(old, new, "committed", "this run", n=_CONTEXT, lineterm="")
    return "\n".join(f"    {line}" for line in lines)


def _first_hunk(old: str, new: str) -> str:
    lines = _diff(old.splitlines(), new.splitlines()).splitlines()
    marks = [number for number, line in enumerate(lines) if line.startswith("    @@")]
    return "\n".join(lines[: marks[1]] if len(marks) > 1 else lines)
