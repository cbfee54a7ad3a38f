"""The whole run: every notebook executed and normalised, README.md rendered; and writing what changed, all or none."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tools.docs.execute import CELL_SECONDS, Failure, execute
from tools.docs.normalise import normalise, private_folders, without_outputs
from tools.docs.notebooks import Problem, Refused, read_all, to_text
from tools.docs.project import NOTEBOOKS
from tools.docs.render import readme

SCRATCH = ".docs"
"""Below the repository, ignored by git."""


class RunFailed(Exception):
    """Cells raised, hung or killed their kernel."""

    def __init__(self, failures: list[Failure]) -> None:
        super().__init__("\n\n".join(str(failure) for failure in failures))
        self.failures = failures


def produce(
    root: Path,
    *,
    server_url: str,
    report: Callable[[str], None],
    cell_seconds: int = CELL_SECONDS,
) -> dict[str, str]:
    """Run everything, and return the text of every generated file by its path below `root`.

    Nothing is written, except that a failed run is kept in `.docs/failed` to be looked at.

    Raises:
        Refused: the notebooks or their outputs break a rule.
        RunFailed: cells failed.
    """
    shutil.rmtree(root / SCRATCH / "failed", ignore_errors=True)
    sources = {name: without_outputs(notebook) for name, notebook in read_all(root).items()}
    runs = execute(
        sources,
        folder=root / NOTEBOOKS,
        server_url=server_url,
        report=report,
        cell_seconds=cell_seconds,
    )
    raw = {path_of(run.name): to_text(run.notebook) for run in runs}
    if failures := [run.failure for run in runs if run.failure]:
        keep(root, raw)
        raise RunFailed(failures)
    notebooks = {}
    problems: list[Problem] = []
    for run in runs:
        try:
            notebooks[run.name] = normalise(run.name, run.notebook, private=private_folders(root))
        except Refused as refused:
            problems += refused.problems
    if problems:
        keep(root, raw)
        raise Refused(problems)
    files = {path_of(name): to_text(notebook) for name, notebook in notebooks.items()}
    return {**files, "README.md": readme(notebooks)}


def path_of(name: str) -> str:
    """Return the path of a notebook below the root."""
    return f"{NOTEBOOKS}/{name}.ipynb"


def keep(root: Path, files: Mapping[str, str]) -> None:
    """Keep a run in `.docs/failed`, in place of the one before."""
    folder = root / SCRATCH / "failed"
    shutil.rmtree(folder, ignore_errors=True)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


def committed(root: Path, path: str) -> str | None:
    """Return the text of a generated file as it is now; None if there is none."""
    try:
        return (root / path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def write(root: Path, files: Mapping[str, str]) -> list[str]:
    """Write the files that changed, each at one stroke, and return their paths."""
    changed = [path for path, text in files.items() if text != committed(root, path)]
    (root / SCRATCH).mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root / SCRATCH) as folder:
        fresh = [Path(folder) / str(number) for number in range(len(changed))]
        for path, new in zip(changed, fresh, strict=True):
            new.write_text(files[path], encoding="utf-8")
        for path, new in zip(changed, fresh, strict=True):
            new.replace(root / path)
    return changed
