"""The notebooks on somebody else's server: whether what they show happens there too. Nothing of it is published.

Notebooks that do not use the server they are given say so, and why, beside `server_url = ""`; they are not run.
"""

import copy
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.docs.build import SCRATCH
from tools.docs.execute import execute
from tools.docs.junit import report_of
from tools.docs.normalise import without_outputs
from tools.docs.notebooks import Refused, read_all, tags
from tools.docs.project import LEFT_BEHIND, NOTEBOOKS, for_one_run
from tools.docs.runs import Failure

REPORT = f"{SCRATCH}/trial.xml"
"""The trial as JUnit."""
_NOT_USED = re.compile(r'^server_url = ""  # not used here: (.+)$', re.MULTILINE)


def try_on(root: Path, server_url: str, say: Callable[[str], None]) -> int:
    """Run copies of the notebooks on this server, say how each ended, and return the exit code.

    Only the report is written, in `.docs`.
    """
    try:
        notebooks = read_all(root)
    except Refused as refused:
        say(str(refused))
        return 1
    ends = {name: f"not run: {reason}" for name, each in notebooks.items() if (reason := _why_not(each, server_url))}
    run = secrets.token_hex(4)
    copies = {name: _copy(each, run) for name, each in notebooks.items() if name not in ends}
    runs = execute(copies, folder=root / NOTEBOOKS, server_url=server_url, report=say)
    (root / SCRATCH).mkdir(exist_ok=True)
    (root / REPORT).write_text(report_of(runs), encoding="utf-8")
    ends |= {each.name: _end(each.failure, say) for each in runs}
    say("\n" + "\n".join(f"{name:<24} {end}" for name, end in sorted(ends.items())))
    if copies:
        say(LEFT_BEHIND.format(run=run))
    return int(any(each.failure for each in runs))


def _end(failure: Failure | None, say: Callable[[str], None]) -> str:
    """Return how a notebook ended, in a line; the whole of a failure is told at once."""
    if failure is None:
        return "as it should be"
    say(f"\n{failure}\n")
    return f"stopped at `{failure.cell}`: {failure.summary}"


def _why_not(notebook: Any, server_url: str) -> str | None:
    (parameters,) = (cell for cell in notebook.cells if "parameters" in tags(cell))
    if found := _NOT_USED.search(parameters.source):
        return found[1]
    return (
        None if server_url.startswith("http://") else "it shows what passes, which TLS hides; give an http:// address"
    )


def _copy(notebook: Any, run: str) -> Any:
    made = copy.deepcopy(without_outputs(notebook))
    for cell in made.cells:
        cell.source = for_one_run(cell.source, run)
    return made
