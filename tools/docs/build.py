"""The whole run: every notebook executed and normalised, README.md rendered; and writing what changed, all or none."""

import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.docs.execute import CELL_SECONDS, execute
from tools.docs.junit import report_of
from tools.docs.normalise import normalise, private_folders, without_outputs
from tools.docs.notebooks import Problem, Refused, path_of, read_all, to_text
from tools.docs.project import NOTEBOOKS
from tools.docs.records import Record, made_alike, path_of_record, read, record, to_json
from tools.docs.render import readme
from tools.docs.runs import Run

SCRATCH = ".docs"
"""Below the repository, ignored by git."""
REPORT = f"{SCRATCH}/report.xml"
"""The last run as JUnit: each cell with code is a test."""


class RunFailed(Exception):
    """Cells raised, hung or killed their kernel; `problems` are those of the notebooks that came through."""

    def __init__(self, runs: list[Run], problems: Sequence[Problem] = ()) -> None:
        self.failed = [run for run in runs if run.failure]
        self.failures = [run.failure for run in self.failed if run.failure]
        self.problems = list(problems)
        super().__init__("\n\n".join(map(str, [*self.failures, *self.problems])))


@dataclass(frozen=True)
class Results:
    """What a run made, by the names of the notebooks: each in normal form, and its record."""

    notebooks: dict[str, Any]
    records: dict[str, Record]

    def files(self, root: Path) -> dict[str, str]:
        """Return the text of every generated file by its path below `root`.

        A record goes with the outputs that it explains: where these are as before, it stays as well.
        """
        files = {"README.md": readme(root, self.notebooks)}
        for name, notebook in self.notebooks.items():
            files[path_of(name)] = text = to_text(notebook)
            old = read(root, name)
            kept = text == committed(root, path_of(name)) and made_alike(old, self.records[name])
            files[path_of_record(name)] = to_json(old if kept and old else self.records[name])
        return files


def produce(
    root: Path,
    *,
    server_url: str,
    report: Callable[[str], None],
    cell_seconds: int = CELL_SECONDS,
) -> Results:
    """Run everything.

    Nothing is written but in `.docs`: the JUnit report, and a failed run, to be looked at.

    Raises:
        Refused: the notebooks or their outputs break a rule.
        RunFailed: cells failed.
    """
    shutil.rmtree(root / SCRATCH / "failed", ignore_errors=True)
    notebooks = read_all(root)
    runs = _run(root, notebooks, server_url=server_url, report=report, cell_seconds=cell_seconds)
    (root / SCRATCH).mkdir(exist_ok=True)
    (root / REPORT).write_text(report_of(runs), encoding="utf-8")
    try:
        return _results(root, runs)
    except (Refused, RunFailed):
        keep(root, {path_of(run.name): to_text(run.notebook) for run in runs})
        raise


def again(root: Path, names: Collection[str], *, server_url: str, report: Callable[[str], None]) -> Results:
    """Run some notebooks a second time, and keep nothing of it.

    Raises:
        Refused: the outputs break a rule.
        RunFailed: cells failed.
    """
    notebooks = {name: notebook for name, notebook in read_all(root).items() if name in names}
    runs = _run(root, notebooks, server_url=server_url, report=report, cell_seconds=CELL_SECONDS)
    return _results(root, runs)


def _run(root: Path, notebooks: Mapping[str, Any], **settings: Any) -> list[Run]:
    sources = {name: without_outputs(notebook) for name, notebook in notebooks.items()}
    return execute(sources, folder=root / NOTEBOOKS, **settings)


def _results(root: Path, runs: list[Run]) -> Results:
    notebooks = {}
    problems: list[Problem] = []
    for run in runs:
        if run.failure:
            continue
        try:
            notebooks[run.name] = normalise(run.name, run.notebook, private=private_folders(root))
        except Refused as refused:
            problems += refused.problems
    if any(run.failure for run in runs):
        raise RunFailed(runs, problems)
    if problems:
        raise Refused(problems)
    return Results(notebooks, {run.name: record(root, notebooks[run.name], run.calls) for run in runs})


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
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            new.replace(root / path)
    return changed
