"""Real servers from wheels, such as PostgreSQL and Valkey, or the system's where there is no wheel for this machine.

Each lives in a folder of its own, needs no set-up, and ends with the process that started it, however that ends.
"""

import importlib.util
import shutil
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_SECONDS = 60
_POLL_SECONDS = 0.01
_UNTIL_STDIN_ENDS = '"$@" & while read -r line; do :; done; kill "-$0" $!; wait $!'


class WheelServer(ABC):
    """One server, from `with` to its end. Its folder stays the same over restarts; `log` there has what it says.

    Args:
        name: what its folder's begins with.
        signal: what ends it, such as `KILL`.

    Raises:
        RuntimeError: it did not start, or there is none on this machine; the message says what it said.
    """

    def __init__(self, name: str, signal: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        self._signal = signal
        self._log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._options: dict[str, Any] = {"cwd": self.folder}
        """What `subprocess` is told of its processes."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the command that starts it."""

    @abstractmethod
    def _is_up(self) -> bool:
        """Say whether it answers."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Start it, or start it again; return when it answers."""
        words = ["sh", "-c", _UNTIL_STDIN_ENDS, self._signal, *self._command()]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=log, stderr=log, **self._options)
        deadline = time.monotonic() + _SECONDS
        while not self._is_up():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self._log.read_text())
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """End it at once, and cut all connections. Twice is fine."""
        process, self._process = self._process, None
        if process is not None:
            with process:
                if process.stdin:
                    process.stdin.close()
                process.wait(_SECONDS)


def found_in_wheel(module: str, pattern: str) -> Path | None:
    """Return what a wheel has beside its `module`, as by `glob`; None if there is no such wheel on this machine."""
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        return None
    return next(Path(found.origin).parent.glob(pattern))
