"""All notebooks side by side, through papermill: a thread and a kernel for each."""

import asyncio
import contextlib
import copy
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import papermill
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import CellTimeoutError, DeadKernelError

from tools.docs.kernels import manager_class, open_room
from tools.docs.processes import kill_marked, new_mark
from tools.docs.relay import Relay
from tools.docs.runs import Run

SEED = 1
CELL_SECONDS = 120
"""A cell that runs longer has failed. Kernels take turns at what is expensive, and waiting counts."""
_START_SECONDS = 120
_OUTPUT_SECONDS = 30

logging.getLogger("papermill").addHandler(logging.NullHandler())  # what it logs is told in a `Failure`


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
        settings = _settings(manager_class(room), folder, cell_seconds)
        try:
            for name, notebook in notebooks.items():
                futures.append(pool.submit(_run_one, Run(name, notebook, report), server_url, settings))
            return [future.result() for future in futures]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            kill_marked(mark)
            while running := [future for future in futures if not future.done()]:
                wait(running, timeout=0.1)
                kill_marked(mark)  # again, since one may have been about to start its kernel


def _settings(kernels: type[AsyncKernelManager], folder: Path, cell_seconds: int) -> dict[str, Any]:
    return {
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


def _run_one(run: Run, server_url: str, settings: dict[str, Any]) -> Run:
    run.report(f"{run.name}: started")
    loop = ensure_event_loop()
    try:
        with _recorded(run, server_url) as url:
            run.notebook = papermill.execute_notebook(
                copy.deepcopy(run.notebook),
                None,
                parameters={"server_url": url, "seed": SEED},
                on_notebook_start=run.on_start,
                on_cell_execute=run.on_cell,
                on_cell_executed=run.on_end,
                **settings,
            )
    except papermill.PapermillExecutionError as error:
        run.current = next(filter(_raised, run.notebook.cells), run.current)
        run.raised(error.traceback or [f"{error.ename}: {error.evalue}"])
    except CellTimeoutError:
        waited = f"The cell was still running after {settings['execution_timeout']} s."
        run.fail(f"{waited} Either it goes on for ever, or what it waits for does not come.", hung=True)
    except DeadKernelError:
        run.fail("The kernel died.")
    except RuntimeError as error:  # jupyter_client has no class of its own for a kernel that won't start
        run.fail(f"The kernel failed: {error}")
    finally:
        run.on_end()
        _close(loop)
    run.report(f"{run.name}: {'failed' if run.failure else 'done'} in {sum(run.seconds.values()):.1f} s")
    return run


@contextlib.contextmanager
def _recorded(run: Run, server_url: str) -> Iterator[str]:
    """Give the address that the notebook is told; what passes there is in `calls` afterwards.

    What is not plain http, or no server at all, cannot be listened to and is given as it is.
    """
    if not server_url.startswith("http://"):
        yield server_url
        return
    with Relay(server_url, place=lambda: run.current.id if run.current else "") as relay:
        try:
            yield relay.url
        finally:
            run.calls = relay.calls()


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
