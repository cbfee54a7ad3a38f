"""A shell that commands are typed into, and what was said in it."""

import re
import shlex
import signal
import subprocess
import sys
import threading
import uuid
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
        self._over = f"<over {uuid.uuid4().hex}>"
        self._said = ""
        self._ended = False
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close it. Whatever it started has to be gone by then: that could still write here."""
        self._shell.kill()
        self._reader.join()
        with self._shell:
            pass  # closes the pipes

    def begin(self, command: str) -> None:
        """Start a command, which sees the exit status of the one before."""
        assert self._shell.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
        over = f"printf '%s %d\\n' {shlex.quote(self._over)} $_status"
        self._shell.stdin.write(f"{{ {command}\n}} </dev/null\n_status=$?; {over}; (exit $_status)\n".encode())
        self._shell.stdin.flush()

    def rest(self) -> tuple[str, int]:
        """Return what the command says until it is over, and its exit status.

        Raises:
            Hangs: it does not end in time.
        """
        self._wait(lambda: re.search(rf"{self._over} \d+\n", self._said) is not None)
        said, _, after = self._said.partition(self._over)
        status, _, self._said = after.partition("\n")
        return said, int(status)

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
        for process in psutil.Process(self._shell.pid).children(recursive=True):
            process.send_signal(signal.SIGINT)

    def _wait(self, condition: Callable[[], bool]) -> None:
        with self._more:
            if not self._more.wait_for(lambda: condition() or self._ended, self._seconds) or not condition():
                what = "The shell ended" if self._ended else f"It hangs: {self._seconds:g} s were not enough"
                raise Hangs(f"{what}. So far it said:\n{self._said}")

    def _read(self) -> None:
        assert self._shell.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        for line in self._shell.stdout:
            with self._more:
                self._said += line.decode()
                self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()
