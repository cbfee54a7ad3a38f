"""All notebooks side by side, through papermill: a thread and a kernel for each."""

import asyncio
import copy
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import papermill
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import CellTimeoutError, DeadKernelError

from tools.docs.kernels import manager_class, open_room
from tools.docs.processes import kill_marked, new_mark
from tools.docs.project import NOTEBOOKS

SEED = 1
CELL_SECONDS = 120
"""A cell that runs longer has failed. Kernels take turns at what is expensive, and waiting counts."""
_START_SECONDS = 60
_OUTPUT_SECONDS = 30
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

logging.getLogger("papermill").addHandler(logging.NullHandler())  # what it logs is told in a `Failure`


@dataclass(frozen=True)
class Failure:
    """The cell that stopped a notebook: its id, the first line of its source, and why."""

    notebook: str
    cell: str | None
    first_line: str
    reason: str

    def __str__(self) -> str:
        place = f"{NOTEBOOKS}/{self.notebook}.ipynb"
        cell = f", cell `{self.cell}`: {self.first_line}" if self.cell else ""
        return f"{place}{cell}\n\n{self.reason}"


@dataclass
class Run:
    """One notebook's run: `notebook` is what papermill made of it, as far as it came."""

    name: str
    notebook: Any
    failure: Failure | None = None
    current: Any = field(default=None, repr=False)

    def on_start(self, notebook: Any) -> None:
        """Called by nbclient with the notebook that it fills: what is left of it if the run fails."""
        self.notebook = notebook

    def on_cell(self, cell: Any, cell_index: int) -> None:
        """Called by nbclient before each cell."""
        self.current = cell

    def fail(self, reason: str) -> None:
        """Note that the current cell stopped the run."""
        cell = self.current
        first_line = next(iter(cell.source.splitlines()), "") if cell else ""
        text = _ANSI.sub("", reason).rstrip()
        self.failure = Failure(self.name, cell.id if cell else None, first_line, text)


def execute(
    notebooks: Mapping[str, Any],
    *,
    folder: Path,
    server_url: str,
    report: Callable[[str], None],
    cell_seconds: int = CELL_SECONDS,
) -> list[Run]:
    """Run the notebooks in `folder` against a server, and return them in the given order.

    A failing cell stops its notebook, not the others. Whatever happens, no process of theirs is left.
    """
    mark = new_mark()
    with open_room(mark) as room, ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as pool:
        futures: list[Future[Run]] = []
        settings = _settings(manager_class(room), folder, server_url, cell_seconds)
        try:
            for name, notebook in notebooks.items():
                futures.append(pool.submit(_run_one, name, notebook, settings, report))
            return [future.result() for future in futures]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            kill_marked(mark)
            while running := [future for future in futures if not future.done()]:
                wait(running, timeout=0.1)
                kill_marked(mark)  # again, since one may have been about to start its kernel


def _settings(kernels: type[AsyncKernelManager], folder: Path, server_url: str, cell_seconds: int) -> dict[str, Any]:
    return {
        "parameters": {"server_url": server_url, "seed": SEED},
        "kernel_name": "python3",
        "progress_bar": False,
        "request_save_on_cell_execute": False,
        "autosave_cell_every": 0,
        "start_timeout": _START_SECONDS,
        "execution_timeout": cell_seconds,
        # The rest is passed on to nbclient.
        "kernel_manager_class": kernels,
        "resources": {"metadata": {"path": str(folder)}},  # papermill's `cwd` changes it for all threads
        "iopub_timeout": _OUTPUT_SECONDS,
        "raise_on_iopub_timeout": True,
        "shell_timeout_interval": 1,
        "shutdown_kernel": "immediate",
        "coalesce_streams": True,
        "record_timing": False,
    }


def _run_one(name: str, notebook: Any, settings: dict[str, Any], report: Callable[[str], None]) -> Run:
    run = Run(name, notebook)
    report(f"{name}: started")
    started = time.monotonic()
    loop = ensure_event_loop()
    try:
        run.notebook = papermill.execute_notebook(
            copy.deepcopy(notebook),
            None,
            on_notebook_start=run.on_start,
            on_cell_start=run.on_cell,
            **settings,
        )
    except papermill.PapermillExecutionError as error:
        run.current = next(filter(_raised, run.notebook.cells), run.current)
        run.fail("\n".join(error.traceback) or f"{error.ename}: {error.evalue}")
    except CellTimeoutError:
        run.fail(f"The cell was still running after {settings['execution_timeout']} s.")
    except DeadKernelError:
        run.fail("The kernel died.")
    except RuntimeError as error:  # jupyter_client has no class of its own for a kernel that won't start
        run.fail(f"The kernel failed: {error}")
    finally:
        _close(loop)
    report(f"{name}: {'failed' if run.failure else 'done'} in {time.monotonic() - started:.1f} s")
    return run


def _raised(cell: Any) -> bool:
    return any(output.output_type == "error" for output in cell.get("outputs", []))


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """End what nbclient left on this thread's loop, and close it."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
