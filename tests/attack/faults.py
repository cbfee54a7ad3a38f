"""Faults that the kernel hands to a running server at a chosen system call on its database's files, by strace."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KILL, EIO, ENOSPC, EROFS = "signal=SIGKILL", "error=EIO", "error=ENOSPC", "error=EROFS"
CALLS = ("write", "pwrite64", "ftruncate", "fallocate", "fsync", "fdatasync")
"""What SQLite changes files with, and makes the changes durable."""
_FILES = ("", "-wal", "-shm")


class Trace:
    """What strace saw. Complete once `traced` has ended."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def calls(self) -> list[str]:
        """The names of the system calls that changed the database's files, in their order."""
        lines = (line.split(maxsplit=1)[1] for line in self._file.read_text().splitlines())
        return [line.partition("(")[0] for line in lines if line.startswith(CALLS)]

    @property
    def hit(self) -> bool:
        """Whether the call that was to fail did."""
        return "(INJECTED)" in self._file.read_text()


@contextmanager
def traced(pid: int, database: Path, fault: str = "", call: str = "", number: int | str = 0) -> Iterator[Trace]:
    """Watch what the process does with the database's files; its `number`th `call` on them gets the `fault`.

    With `1+` as the number every one of these calls gets it.
    """
    output = database.with_suffix(".strace")
    words = ["strace", "-f", "-o", str(output), "-p", str(pid), "-e", f"trace={','.join(CALLS)}"]
    for suffix in _FILES:
        words += ["-P", f"{database}{suffix}"]
    if fault:
        words += ["-e", f"inject={call}:{fault}:when={number}"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        line = strace.stderr.readline()
        assert "attached" in line, f"strace cannot watch the server: {line}"
        try:
            yield Trace(output)
        finally:
            # After the kill it may wait for the end of a thread for ever; else it has to let the process go on.
            strace.send_signal(signal.SIGKILL if fault == KILL else signal.SIGTERM)
