"""Nothing that a run started outlives it.

A kernel may start servers, and these may detach themselves from it, so neither the process group nor the tree of
parents finds them all. What every descendant does inherit is the environment: a run marks it, and in the end whatever
still carries the mark is killed.
"""

import os
import time
import uuid

import psutil

MARK = "DOCS_RUN"
"""The environment variable that marks processes. It has no prefix of the project: such are kept from its programs."""


class NoServer(Exception):
    """The server that a run needs did not start. The message says why, and has what it wrote."""


def new_mark() -> str:
    """Return a mark. What is marked with it is also covered by the mark that this very process has."""
    return f"{os.environ.get(MARK, '')}/{uuid.uuid4().hex}"


def kill_marked(mark: str) -> None:
    """Kill every process that the mark covers, except this one, and return when none is left."""
    while pids := _marked(mark):
        for pid in pids:
            try:
                psutil.Process(pid).kill()
            except psutil.NoSuchProcess:
                continue  # it was quicker
        time.sleep(0.01)


def _marked(mark: str) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK, "").startswith(mark):
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # gone meanwhile, or another user's: not ours
    return found
