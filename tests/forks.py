"""Real processes of the server that start in milliseconds: forked from one that has the server's modules loaded."""

import multiprocessing
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Self

from walletsync_server.cli import main
from walletsync_server.services.passwords import PASSWORD_HASHER

_IMPORTED_LATE = ["walletsync_server.cli.serve", "walletsync_server.storage.sqlite.opening", "alembic.command"]
"""What `serve` imports only when it runs."""
_forks = multiprocessing.get_context("forkserver")
# With the module that the tests' own process runs, or every child would load pytest again.
_forks.set_forkserver_preload(["__main__", __name__, *_IMPORTED_LATE])


class Fork:
    """`walletsync-server` with these words on its command line, and with passwords that cost nothing to hash.

    It has what is used of `subprocess.Popen`. `log` is the file that has what it writes to stderr, after what is there;
    `fault` is what its process does before that, a function of a module.
    """

    def __init__(
        self,
        words: Sequence[str],
        log: Path,
        environment: Mapping[str, str] = os.environ,
        fault: Callable[[], None] | None = None,
    ) -> None:
        its_stdin, self._stdin = _forks.Pipe(duplex=False)
        stdout, its_stdout = _forks.Pipe(duplex=False)
        self.stdout = os.fdopen(os.dup(stdout.fileno()))
        stdout.close()
        # Not a daemon of multiprocessing, which would send SIGTERM at the end: a test ends it.
        self._process = _forks.Process(target=_run, args=(words, its_stdin, its_stdout, log, dict(environment), fault))
        self._process.start()
        its_stdin.close()
        its_stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stdin.close()
        self.wait()
        self._process.close()
        self.stdout.close()

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process.pid is not None
        return self._process.pid

    def first_line(self, timeout: float) -> str:
        """Return the first line of its stdout, nothing if it ended without one; fail if that takes so many seconds."""
        assert select.select([self.stdout], [], [], timeout)[0], "the server neither started nor ended"
        return self.stdout.readline()

    def send_signal(self, number: int) -> None:
        """Send it, unless the process has ended."""
        with suppress(ProcessLookupError):  # it ends by itself just now
            if self._process.exitcode is None:
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end, as an operator would."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a loss of power would."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; return its exit status.

        Raises:
            subprocess.TimeoutExpired: it has not, in so many seconds.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("walletsync-server", timeout or 0.0)
        return self._process.exitcode


def _run(
    words: Sequence[str],
    stdin: Connection,
    stdout: Connection,
    log: Path,
    environment: dict[str, str],
    fault: Callable[[], None] | None,
) -> None:
    os.dup2(stdin.fileno(), 0)
    os.dup2(stdout.fileno(), 1)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
    sys.stdin = os.fdopen(0, closefd=False)
    for each in (stdin, stdout):  # the copies, or nobody would notice the end of the others
        each.close()
    os.environ.clear()
    os.environ.update(environment)
    PASSWORD_HASHER.__init__(time_cost=1, memory_cost=8, parallelism=1)  # type: ignore[misc]  # the one that all use
    if fault:
        fault()
    main(words)
