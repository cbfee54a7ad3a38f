"""A real server for tests, notebooks and wallets that embed the client.

with RunningServer(accounts="open") as server:
    client = Client(server.url, …)
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

from walletsync_server.services.throttle import OFF
from walletsync_server.settings import TABLE

_STARTS_WITH = "Listening on "
UNLIMITED: dict[str, Any] = {"rate_signup": OFF, "rate_login": OFF, "rate_seed": OFF, "rate_resend": OFF}
"""Settings of a server that takes as many requests as a test sends."""
Value: TypeAlias = str | int | Iterable[str]


class ServerDidNotStart(RuntimeError):
    """The server process ended or said nothing in time. The message has what it wrote to stderr."""


class RunningServer:
    """One server process, from `start` or `with` until `close`, on a port of its own that it keeps over restarts.

    It cannot outlive this process, however that ends. Not for use by several threads at once.

    Args:
        database: the file to serve. By default one in a temporary directory, removed by `close`.
        accounts: who may sign up, as `walletsync-server serve --accounts`.
        allow: addresses that may sign up with `allowlist`.
        settings: more of `Settings`, by name, such as `{"rate_login": "5/minute"}`; without one, rates are not limited.
        patience: seconds that a start or a stop may take; on a machine that is busy with others, a start takes many.
    """

    def __init__(
        self,
        *,
        database: Path | None = None,
        accounts: str = "allowlist",
        allow: Iterable[str] = (),
        settings: Mapping[str, Value] | None = None,
        patience: float = 120.0,
    ) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="walletsync-server-")
        self._log_file = Path(self._directory.name) / "server.log"
        self.database = database or Path(self._directory.name) / "walletsync.db"
        self._settings: dict[str, Value] = {
            **UNLIMITED,
            "accounts": accounts,
            "allow": tuple(allow),
            **(settings or {}),
        }
        self.patience = patience
        self._port = 0
        self._process: subprocess.Popen[str] | None = None

    def __repr__(self) -> str:
        return f"RunningServer({self.url!r})" if self._port else "RunningServer(not started)"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The server's address, the same after a restart."""
        if not self._port:
            raise RuntimeError("The server has no address before it is started.")
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The number of the process that runs now."""
        if self._process is None:
            raise RuntimeError("The server is not running.")
        return self._process.pid

    def log(self) -> str:
        """Return what the server has written to stderr, over all its starts."""
        return self._log_file.read_text() if self._log_file.exists() else ""

    def start(self) -> Self:
        """Start the process, or start it again on the same database and port; return when it answers.

        Raises:
            ServerDidNotStart: if it does not. Nothing is left running.
        """
        if self._process is not None:
            raise RuntimeError("The server is running already.")
        self._process = self._spawn()
        line = self._first_line(self._process)
        if line is None or not line.startswith(_STARTS_WITH):
            self.kill()
            waited = f"It was not ready after {self.patience:.0f} s, which `patience` allows. " if line is None else ""
            raise ServerDidNotStart(f"The server did not start. {waited}It wrote:\n{self.log()}")
        self._port = int(line.rpartition(":")[2])
        return self

    def stop(self) -> int:
        """Ask the process to end as an operator would, kill it if it does not; return its exit status.

        Does nothing and returns 0 if none is running.
        """
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """End the process the hard way, as a loss of power would; return its exit status."""
        return self._end(signal.SIGKILL)

    def close(self) -> None:
        """Stop the server and remove what it wrote, unless the database was given. Twice is fine."""
        self.stop()
        self._directory.cleanup()

    def _spawn(self) -> "subprocess.Popen[str]":
        with self._log_file.open("a") as log:
            return subprocess.Popen(
                self._command(),
                stdin=subprocess.PIPE,  # its end ends the server, see --stop-with-stdin
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self._environment(),
            )

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "walletsync_server", *self._words()]

    def _words(self) -> list[str]:
        here: dict[str, Value] = {"port": self._port, "database": f"sqlite:///{self.database.absolute()}"}
        words = [word for name, value in (here | self._settings).items() for word in _options(name, value)]
        return ["serve", "--stop-with-stdin", *words]

    @staticmethod
    def _environment() -> dict[str, str]:
        return {k: v for k, v in os.environ.items() if not k.startswith("WALLETSYNC_")}

    def _first_line(self, process: "subprocess.Popen[str]") -> str | None:
        """Return the first line of its stdout, nothing if it ends, or None if it takes too long."""
        assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        return process.stdout.readline() if wait([process.stdout.fileno()], self.patience) else None

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        with process:  # closes the pipes
            process.send_signal(number)
            try:
                return process.wait(self.patience)
            except subprocess.TimeoutExpired:
                process.kill()
                return process.wait()


def _options(name: str, value: Value) -> Iterator[str]:
    for each in [value] if isinstance(value, str | int) else value:
        yield from (TABLE[name].option, str(each))
