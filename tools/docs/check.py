"""Where the committed files differ from a fresh run, and what that means for whoever reads it.

stale: what the outputs were made from was edited since; to write them anew mends it.
wrong: nothing of that was edited, and yet the outputs are others. The documentation no longer tells the truth, or the
system broke; a person has to find out which, before anything is written anew.
flaky: a second run differs from the first, so whatever is written will not hold.

Each difference is told once: README.md is compared with what the committed notebooks make of it.
"""

import difflib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from tools.docs.build import Results, committed
from tools.docs.normalise import texts, without_outputs
from tools.docs.notebooks import parse, path_of, read_all, to_text
from tools.docs.project import MEND
from tools.docs.records import Record, calls_in, made_from, read, record
from tools.docs.render import readme
from tools.docs.runs import Run

_CONTEXT = 3


class Verdict(StrEnum):
    """What a difference means; its text is what to do."""

    STALE = f"stale: the source was edited since the outputs were written. Mend it with: {MEND}"
    WRONG = (
        "wrong: the outputs changed though nothing was edited that they are made from. What the documentation says is "
        "no longer so. Find out which change of the code did it, and mend the code if it was not meant. If it was, "
        "read the prose and the checks around each cell named here: they tell of the old answer, too."
    )
    FLAKY = (
        "flaky: two runs of the same source differ. Let the cell wait for what it shows, sort what has no order, take "
        "chance from `seed`, or mask the value by a rule in project.py; then nothing here depends on luck."
    )


@dataclass(frozen=True)
class Difference:
    """`place` is a path or a test's name, `shown` the two versions of it."""

    verdict: Verdict
    place: str
    shown: str

    def __str__(self) -> str:
        return f"{self.verdict.name} {self.place}\n{self.shown}".rstrip()


def compare(root: Path, results: Results) -> list[Difference]:
    """Return every place where a committed file is not what the run made of it."""
    found: list[Difference] = []
    for name, notebook in results.notebooks.items():
        found += _notebook(root, name, notebook, results.records[name])
    old, fresh = committed(root, "README.md"), readme(root, read_all(root))
    if old != fresh:
        shown = "is missing" if old is None else diff(old.splitlines(), fresh.splitlines())
        found.append(Difference(Verdict.STALE, "README.md", shown))
    return found


def flaky(first: Results, second: Results) -> list[Difference]:
    """Return the cells whose outputs are not the same in two runs; `second` may have less notebooks."""
    return [
        Difference(
            Verdict.FLAKY, f"{name}::{cell.id}", diff(_outputs(cell), _outputs(again), "first run", "second run")
        )
        for name, notebook in second.notebooks.items()
        for cell, again in zip(first.notebooks[name].cells, notebook.cells, strict=True)
        if _outputs(cell) != _outputs(again)
    ]


def behind(root: Path, run: Run) -> str:
    """Say which call before a failure is not as recorded; nothing where the cell, or one before it, was edited."""
    before, now = read(root, run.name), record(root, without_outputs(run.notebook), run.calls)
    cell = run.failure.cell if run.failure else None
    if before is None or cell is None or cell in _edited(before, now):
        return ""
    known, made = before["cells"][cell], now["cells"][cell]
    as_far = {**known, "calls": known["calls"][: len(made["calls"])]}  # what it would have asked later says nothing
    return _calls({**before, "cells": {**before["cells"], cell: as_far}}, now, cell)


def names_in(root: Path, results: Results) -> list[str]:
    """Return the notebooks that are not committed as this run made them."""
    return [name for name, notebook in results.notebooks.items() if committed(root, path_of(name)) != to_text(notebook)]


def diff(old: list[str], new: list[str], was: str = "committed", now: str = "this run") -> str:
    """Return all differences of two texts, indented."""
    lines = difflib.unified_diff(old, new, was, now, n=_CONTEXT, lineterm="")
    return "\n".join(f"    {line}" for line in lines)


def _notebook(root: Path, name: str, fresh: Any, record: Record) -> Iterator[Difference]:
    text = committed(root, path_of(name))
    if text == to_text(fresh):
        return
    old, _ = parse(name, text or "")
    before = read(root, name)
    cells = {cell.id: cell for cell in fresh.cells}
    edited, differs = _edited(before, record), False
    for cell in old.cells:
        place = f"{name}::{cell.id}"
        if cell.id not in cells:
            yield Difference(Verdict.STALE, place, "is not the author's; a run left it there")
        elif _outputs(cell) != _outputs(cells[cell.id]):
            shown = diff(_outputs(cell), _outputs(cells[cell.id]))
            if before is None or cell.id in edited:
                yield Difference(Verdict.STALE, place, shown)
            else:
                yield Difference(Verdict.WRONG, place, f"{shown}\n{_calls(before, record, cell.id)}")
        elif _metadata(cell) != _metadata(cells[cell.id]):
            yield Difference(Verdict.STALE, place, diff(_metadata(cell), _metadata(cells[cell.id])))
        else:
            continue
        differs = True
    if not differs:
        yield Difference(Verdict.STALE, path_of(name), "is written in another form, though its content is the same")


def _edited(before: Record | None, now: Record) -> set[str]:
    """Return the cells from the first one on that is made from something else; those after it may follow from that."""
    old, new = made_from(before) if before else [], made_from(now)
    same = len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False))))
    return {cell for cell, _ in new[same:]}


def _calls(before: Record, now: Record, cell: str) -> str:
    """Say what of the calls up to this cell changed, in the first cell where anything did."""
    for each in now["cells"]:
        old, new = calls_in(before, each), calls_in(now, each)
        if old != new:
            who = "The server answers" if old[::2] == new[::2] else "The server is asked"
            return f"  {who} otherwise, in `{each}`:\n{diff(old, new)}"
        if each == cell:
            break
    return "  The server was asked and answered the same up to here: what this cell makes of it changed."


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
