"""Real server processes that start in milliseconds: forked from one that has the server's modules loaded."""

import multiprocessing
import os
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from walletsync_server.cli import main
from walletsync_server.services.passwords import PASSWORD_HASHER
from walletsync_server.testing import UNLIMITED

_STARTS_WITH = "Listening on "
_PATIENCE_SECONDS = 30.0
_forks = multiprocessing.get_context("forkserver")
# With the module that the tests' own process runs, or every child would load pytest again.
_forks.set_forkserver_preload(["__main__", __name__])


def _serve(words: list[str], stdout: Connection, log: Path) -> None:
    """Be `walletsync-server` with these words on its command line, and with passwords that cost nothing."""
    os.dup2(stdout.fileno(), 1)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
    PASSWORD_HASHER.__init__(time_cost=1, memory_cost=8, parallelism=1)  # type: ignore[misc]  # the one that all use
    main(words)


class ForkedServer:
    """One server process on a database that outlives it. To be killed at any moment, and replaced by the next.

    Attributes:
        url: where it listens, once `wait_until_ready` has returned True.
        log: the file that has what it writes to stderr; the servers before it may have written there too.
    """

    def __init__(self, database: Path, *options: str) -> None:
        self.log = database.with_suffix(".log")
        self.url = ""
        words = ["serve", "--port", "0", "--database", f"sqlite:///{database}", "--accounts", "open", *options]
        for name, value in UNLIMITED.items():
            words += [f"--{name.replace('_', '-')}", value]
        self._stdout, theirs = _forks.Pipe(duplex=False)
        # Not a daemon of multiprocessing, which would send SIGTERM at the end: `kill` is how a test ends it.
        self._process: BaseProcess = _forks.Process(target=_serve, args=(words, theirs, self.log))
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def wait_until_ready(self) -> bool:
        """Return True when it listens, False if it ended before; fail if it takes too long."""
        assert self._stdout.poll(_PATIENCE_SECONDS), "the server neither started nor ended"
        line = os.read(self._stdout.fileno(), 4096).decode()
        self.url = line.removeprefix(_STARTS_WITH).strip()
        assert not line or line.startswith(_STARTS_WITH), line
        return bool(line)

    def runs_on_for(self, seconds: float) -> bool:
        """Let this time pass; return early, with False, if it ends meanwhile."""
        self._process.join(seconds)
        return self._process.exitcode is None

    def kill(self) -> int:
        """End it as a loss of power would; return its exit status, which is another if it had ended before."""
        self._process.kill()
        return self.end()

    def ask_to_stop(self) -> None:
        """Ask it to end, as an operator would."""
        self._process.terminate()

    def end(self) -> int:
        """Wait until it has ended; return its exit status."""
        self._process.join(_PATIENCE_SECONDS)
        status = self._process.exitcode
        assert status is not None, "the server does not end"
        self._process.close()
        self._stdout.close()
        return status
