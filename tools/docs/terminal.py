"""A shell that commands are typed into, and what was said in it."""

import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import psutil

SECONDS = 60.0
"""How long a command may say nothing that is waited for."""
# A shell that Ctrl-C can end things in, even if whoever started this one ignores it, as a shell does for `… &`.
_SHELL = (
    "import os, signal; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "os.execvp('bash', ['bash', '--norc', '--noprofile'])"
)


class Hangs(Exception):
    """A command did not say in time what it should. The message has what it said so far."""


class Terminal:
    """A shell, and what was said in it. Programs find that nobody sits there: they neither ask nor draw."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *, seconds: float = SECONDS) -> None:
        self._shell = subprocess.Popen(
            [sys.executable, "-c", _SHELL],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._seconds = seconds
        self._said = ""
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running():
            process.kill()
        self._shell.kill()
        self._reader.join()
        with self._shell:
            pass  # closes the pipes

    def begin(self, command: str, end: str) -> None:
        """Start a command, which sees the exit status of the one before; `end` is printed when it is over."""
        assert self._shell.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
        script = f"{{ {command}\n}} </dev/null\n_status=$?; printf %s {shlex.quote(end)}; (exit $_status)\n"
        self._shell.stdin.write(script.encode())
        self._shell.stdin.flush()

    def until(self, end: str) -> str:
        """Return what is said until `end`.

        Raises:
            Hangs: it is not said in time.
        """
        self._wait(lambda: end in self._said)
        said, _, self._said = self._said.partition(end)
        return said

    def lines(self, number: int) -> str:
        """Return the next so many lines.

        Raises:
            Hangs: they are not said in time.
        """
        self._wait(lambda: self._said.count("\n") >= number)
        lines = self._said.split("\n", number)
        self._said = lines.pop()
        return "".join(f"{line}\n" for line in lines)

    def press_ctrl_c(self) -> None:
        """Interrupt what runs."""
        for process in self._running():
            process.send_signal(signal.SIGINT)

    def _running(self) -> list[psutil.Process]:
        return psutil.Process(self._shell.pid).children(recursive=True)

    def _wait(self, condition: Callable[[], bool]) -> None:
        with self._more:
            if not self._more.wait_for(condition, self._seconds):
                raise Hangs(f"It hangs. So far it said:\n{self._said}")

    def _read(self) -> None:
        assert self._shell.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        for line in self._shell.stdout:
            with self._more:
                self._said += line.decode()
                self._more.notify_all()
