"""A run as JUnit, the form of test reports that every CI reads: a notebook is a suite, a cell with code is a test."""

from collections.abc import Iterable, Iterator
from typing import Any
from xml.etree import ElementTree

from tools.docs.normalise import INJECTED
from tools.docs.notebooks import tags
from tools.docs.runs import Run


def report_of(runs: Iterable[Run]) -> str:
    """Return the report. A test's name is `02-syncing::first-post`; one after a failure is skipped, and says so."""
    root = ElementTree.Element("testsuites")
    for run in runs:
        cells = list(_cells(run.notebook))
        skipped = [cell for cell in cells if cell.id not in run.seconds]
        counts = {"tests": len(cells), "failures": int(run.failure is not None), "skipped": len(skipped), "errors": 0}
        about = {name: str(count) for name, count in counts.items()}
        about |= {"name": run.name, "time": f"{sum(run.seconds.values()):.3f}"}
        suite = ElementTree.SubElement(root, "testsuite", about)
        for cell in cells:
            _add_test(suite, run, cell)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _cells(notebook: Any) -> Iterator[Any]:
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.source.strip() and INJECTED not in tags(cell):
            yield cell


def _add_test(suite: ElementTree.Element, run: Run, cell: Any) -> None:
    seconds = f"{run.seconds.get(cell.id, 0):.3f}"
    test = ElementTree.SubElement(suite, "testcase", classname=run.name, name=f"{run.name}::{cell.id}", time=seconds)
    if run.failure and run.failure.cell == cell.id:
        ElementTree.SubElement(test, "failure", message=run.failure.summary).text = str(run.failure)
    elif cell.id not in run.seconds:
        ElementTree.SubElement(test, "skipped", message="a cell before it failed")
