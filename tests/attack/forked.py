"""Real server processes on a database that outlives them, each to be killed at any moment."""

import subprocess
from pathlib import Path

from tests.forks import Fork
from walletsync_server.testing import UNLIMITED

_STARTS_WITH = "Listening on "
_PATIENCE_SECONDS = 30.0


class ForkedServer:
    """One server process on a database that outlives it. To be killed at any moment, and replaced by the next.

    Args:
        database: its file; what it writes to stderr goes beside that.
        options: more of the command line.
        at: the URL of another database, if it is not that file.

    Attributes:
        url: where it listens, once `wait_until_ready` has returned True.
        log: the file that has what it writes to stderr; the servers before it may have written there too.
    """

    def __init__(self, database: Path, *options: str, at: str = "") -> None:
        self.log = database.with_suffix(".log")
        self.url = ""
        where = at or f"sqlite:///{database}"
        words = ["serve", "--port", "0", "--database", where, "--accounts", "open", *options]
        for name, value in UNLIMITED.items():
            words += [f"--{name.replace('_', '-')}", value]
        self._process = Fork(words, self.log)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until_ready(self) -> bool:
        """Return True when it listens, False if it ended before; fail if it takes too long."""
        line = self._process.first_line(_PATIENCE_SECONDS)
        self.url = line.removeprefix(_STARTS_WITH).strip()
        assert not line or line.startswith(_STARTS_WITH), line
        return bool(line)

    def runs_on_for(self, seconds: float) -> bool:
        """Let this time pass; return early, with False, if it ends meanwhile."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def kill(self) -> int:
        """End it as a loss of power would; return its exit status, which is another if it had ended before."""
        self._process.kill()
        return self.end()

    def ask_to_stop(self) -> None:
        """Ask it to end, as an operator would."""
        self._process.terminate()

    def end(self) -> int:
        """Wait until it has ended; return its exit status."""
        with self._process:
            return self._process.wait(_PATIENCE_SECONDS)
