"""Reading the notebooks, and the rules that keep their files readable and their runs comparable."""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat  # it tells that it has types, but its functions have none

from tools.docs.project import NOTEBOOKS

_HAND_WRITTEN = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_SAYS_WHAT = re.compile(r"# \S+(?: \S+)+[.]\n")
"""The first line of a check: a comment that is a sentence."""
_RANDOM = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f-]{27})?")
"""What nbformat (8 hex digits) and JupyterLab (a UUID) give to a new cell."""


@dataclass(frozen=True)
class Problem:
    """Something that an author has to mend. `notebook` is the file's name without its ending."""

    notebook: str
    cell: str | None
    message: str

    def __str__(self) -> str:
        place = path_of(self.notebook)
        return f"{place}, cell `{self.cell}`: {self.message}" if self.cell else f"{place}: {self.message}"


class Refused(Exception):
    """The notebooks, or what their cells put out, can't be published like this."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def path_of(name: str) -> str:
    """Return the path of a notebook below the root."""
    return f"{NOTEBOOKS}/{name}.ipynb"


def read_all(root: Path) -> dict[str, Any]:
    """Return every notebook of the tour by name, in reading order.

    Raises:
        Refused: with everything that is wrong in any of them.
    """
    notebooks: dict[str, Any] = {}
    problems: list[Problem] = []
    for path in sorted((root / NOTEBOOKS).glob("*.ipynb")):
        notebook, wrong = parse(path.stem, path.read_text(encoding="utf-8"))
        problems += wrong
        notebooks[path.stem] = notebook
    if not notebooks and not problems:
        problems.append(Problem("*", None, "there is no notebook to run"))
    if problems:
        raise Refused(problems)
    return notebooks


def parse(name: str, text: str) -> tuple[Any, list[Problem]]:
    """Return a notebook from the text of its file, and what is wrong with it before it has run."""
    try:
        raw = json.loads(text)
    except ValueError as error:
        return None, [Problem(name, None, f"is not JSON: {error}")]
    if not isinstance(raw, dict) or (raw.get("nbformat"), raw.get("nbformat_minor")) != (4, 5):
        return None, [Problem(name, None, "is not a notebook of format 4.5, which has cell ids")]
    problems = list(_wrong_ids(name, raw))
    if problems:  # nbformat would mend them silently
        return None, problems
    try:
        nbformat.validate(raw)
    except nbformat.ValidationError as error:
        return None, [Problem(name, None, f"is not valid: {str(error).splitlines()[0]}")]
    notebook = nbformat.v4.to_notebook(raw)  # type: ignore[no-untyped-call]
    return notebook, [*_wrong_parameters(name, notebook), *_wrong_checks(name, notebook)]


def node(value: dict[str, Any]) -> Any:
    """Return a notebook, cell or output as nbformat wants it, a dict whose entries are attributes as well."""
    return nbformat.from_dict(value)  # type: ignore[no-untyped-call]


def to_text(notebook: Any) -> str:
    """Return what is written to a notebook's file."""
    return str(nbformat.writes(notebook, version=4)).rstrip("\n") + "\n"  # type: ignore[no-untyped-call]


def tags(cell: Any) -> list[str]:
    """Return the tags of a cell."""
    return list(cell.metadata.get("tags", []))


def _wrong_ids(name: str, notebook: dict[str, Any]) -> Iterator[Problem]:
    seen: set[str] = set()
    for number, cell in enumerate(notebook.get("cells", []), start=1):
        cell_id = cell.get("id")
        if cell_id is None:
            yield Problem(name, None, f"cell number {number} has no id")
        elif cell_id in seen:
            yield Problem(name, cell_id, "another cell has this id")
        elif _RANDOM.fullmatch(cell_id) or not _HAND_WRITTEN.fullmatch(cell_id):
            hint = "give it one that says what the cell is about, like `first-edit`"
            yield Problem(name, cell_id, f"this id was not written by hand; {hint}")
        seen.add(cell_id)


def _wrong_parameters(name: str, notebook: Any) -> Iterator[Problem]:
    cells = [cell for cell in notebook.cells if "parameters" in tags(cell)]
    if len(cells) != 1:
        yield Problem(name, None, f"has {len(cells)} cells tagged `parameters`; it needs exactly one")
        return
    (cell,) = cells
    try:
        values = {
            target.id: node.value.value
            for node in ast.parse(cell.source).body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
    except SyntaxError as error:
        yield Problem(name, cell.id, f"is not Python: {error.msg}")
        return
    if values.get("server_url") != "":
        yield Problem(name, cell.id, 'needs `server_url = ""`; empty stands for a server of its own')
    if type(values.get("seed")) is not int:
        yield Problem(name, cell.id, "needs `seed = 1`, from which the demo edits come")


def _wrong_checks(name: str, notebook: Any) -> Iterator[Problem]:
    for cell in notebook.cells:
        if "check" in tags(cell) and not _SAYS_WHAT.match(cell.source):
            hint = "begin it with a comment that says what it proves, like `# The phone has the laptop's edit.`"
            yield Problem(name, cell.id, f"a reader who opens this check is not told what it is for; {hint}")
    if notebook.cells and "check" in tags(notebook.cells[-1]):
        yield Problem(name, notebook.cells[-1].id, "ends the chapter on a check; put it before the last words")
