"""A supervisor such as systemd: it starts a real server, listens to what that says, and may listen in its place."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 30.0
_SERVE = [sys.executable, "-m", "walletsync_server", "serve"]
# As systemd does it: the number is known only in the process that becomes the server.
_WITH_SOCKETS = 'count=$1; shift; LISTEN_FDS=$count LISTEN_PID=$$ exec "$@"'


class Supervised:
    """A server from `serving` on. `said` takes what it says, one message after the other."""

    def __init__(self, process: "subprocess.Popen[str]", ear: socket.socket, log: Path) -> None:
        self.process = process
        self._ear = ear
        self._log = log

    def said(self) -> list[str]:
        """Return the lines of the next message that is no sign of life; wait for it."""
        while True:
            lines = self._ear.recv(65536).decode().splitlines()
            if lines != ["WATCHDOG=1"]:
                return lines

    def next_sign_of_life(self) -> None:
        """Wait for the next one."""
        assert self._ear.recv(65536) == b"WATCHDOG=1"

    def log(self) -> str:
        """Return what it has written to stderr."""
        return self._log.read_text()


@contextmanager
def serving(
    folder: Path, *words: str, address: str = "", sockets: tuple[socket.socket, ...] = (), **variables: str
) -> Iterator[Supervised]:
    """Start `serve` with the words; it is killed in the end.

    Args:
        folder: for its database, its log, and the socket that it speaks to.
        words: options.
        address: where it speaks to instead, as in NOTIFY_SOCKET.
        sockets: which it gets as file descriptors from 3 on.
        variables: more of its environment.
    """
    address = address or str(folder / "notify")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("WALLETSYNC_", "LISTEN_", "WATCHDOG_"))}
    command = [*_SERVE, "--port", "0", "--database", f"sqlite:///{folder}/walletsync.db", *words]
    if sockets:
        moved = " ".join(f"{3 + i}<&{each.fileno()}" for i, each in enumerate(sockets))
        command = ["/bin/bash", "-c", f"exec {moved}; {_WITH_SOCKETS}", "sh", str(len(sockets)), *command]
    log = folder / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear, log.open("w") as stderr:
        ear.bind(address.replace("@", "\0", 1) if address.startswith("@") else address)
        ear.settimeout(PATIENCE)
        with subprocess.Popen(
            command,
            env={**environment, **variables, "NOTIFY_SOCKET": address},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            pass_fds=[each.fileno() for each in sockets],
            text=True,
        ) as process:
            try:
                yield Supervised(process, ear, log)
            finally:
                process.kill()
