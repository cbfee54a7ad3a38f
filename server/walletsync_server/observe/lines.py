"""Writing lines where perhaps nobody reads them, such as into a pipe whose reader pauses, without ever waiting."""

import os
import select
import threading
from collections.abc import Callable

CallSoon = Callable[[Callable[[], None]], object]


class Lines:
    """Writes lines to a file descriptor. What there is no room for is dropped and counted; any thread may write.

    `dropped` says how many in all. Once there is room again, `about` makes the line that tells how many since the last.

    In the thread of an event loop, `write_soon` may write once in a turn of the loop, see `gather`.
    """

    def __init__(self, file: int) -> None:
        self.dropped = 0
        self._file = _not_waiting(file)
        self._room = select.poll()
        self._room.register(self._file, select.POLLOUT)
        self._lock = threading.Lock()
        self._untold = 0
        self._is_cut = False
        self._soon: list[bytes] = []
        self._soon_bytes = 0
        self._call_soon: CallSoon | None = None
        self._gathering: int | None = None

    def about(self, dropped: int) -> str:
        """Return the line that says how many were dropped."""
        return f"dropped={dropped}"

    def write(self, line: str) -> None:
        """Write a line, or drop it; before it those that wait to be written soon."""
        with self._lock:
            self._write_waiting()
            self._write([_encoded(line)])

    def gather(self, call_soon: CallSoon | None) -> None:
        """Let `write_soon` wait for the next turn of this thread's event loop, of `call_soon`; None ends that."""
        self._call_soon, self._gathering = call_soon, threading.get_ident() if call_soon else None
        self.flush()

    def write_soon(self, line: str) -> None:
        """Write a line together with the others of this turn of the event loop; elsewhere as `write`."""
        if self._call_soon is None or self._gathering != threading.get_ident():
            self.write(line)
            return
        encoded = _encoded(line)
        with self._lock:
            # What is written at once stays so small that a pipe keeps it apart from what other processes write.
            if self._soon_bytes + len(encoded) > select.PIPE_BUF:
                self._write_waiting()
            if not self._soon:
                self._call_soon(self.flush)
            self._soon.append(encoded)
            self._soon_bytes += len(encoded)

    def flush(self) -> None:
        """Write what waits to be written soon."""
        with self._lock:
            self._write_waiting()

    def _write_waiting(self) -> None:
        if self._soon:
            self._write(self._soon)
            self._soon, self._soon_bytes = [], 0

    def _write(self, lines: list[bytes]) -> None:
        if self._untold and self._put([_encoded(self.about(self._untold))]):
            self._untold = 0
        lost = len(lines) - (0 if self._untold else self._put(lines))
        self.dropped += lost
        self._untold += lost

    def _put(self, lines: list[bytes]) -> int:
        """Write lines and return how many whole ones; what was cut short ends where the next one begins."""
        rest = b"".join([b"\n", *lines] if self._is_cut else lines)
        size = len(rest)
        while rest and self._room.poll(0):
            try:
                # What `poll` has room for is at least this much; more could wait.
                rest = rest[os.write(self._file, rest[: select.PIPE_BUF]) :]
            except OSError:  # it is full after all, or nobody is left to be told
                break
        if len(rest) < size:
            self._is_cut = bool(rest)
        left = len(rest)
        while lines and left > 0:
            left -= len(lines[-1])
            lines = lines[:-1]
        return len(lines)


def _encoded(line: str) -> bytes:
    return f"{line}\n".encode(errors="backslashreplace")


def _not_waiting(file: int) -> int:
    """Return what to write to: a terminal is opened once more, since even with some room it may let its writer wait."""
    if not os.isatty(file):
        return file
    try:
        return os.open(os.ttyname(file), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return file
