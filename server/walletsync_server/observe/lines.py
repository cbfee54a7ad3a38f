"""Writing lines where perhaps nobody reads them, such as into a pipe whose reader pauses, without ever waiting."""

import os
import select
import threading


class Lines:
    """Writes lines to a file descriptor. What there is no room for is dropped and counted; any thread may write.

    `dropped` says how many in all. Once there is room again, `about` makes the line that tells how many since the last.
    """

    def __init__(self, file: int) -> None:
        self.dropped = 0
        self._file = _not_waiting(file)
        self._room = select.poll()
        self._room.register(self._file, select.POLLOUT)
        self._lock = threading.Lock()
        self._untold = 0
        self._is_cut = False

    def about(self, dropped: int) -> str:
        """Return the line that says how many were dropped."""
        return f"dropped={dropped}"

    def write(self, line: str) -> None:
        """Write a line, or drop it."""
        with self._lock:
            if self._untold and self._put(self.about(self._untold)):
                self._untold = 0
            if self._untold or not self._put(line):
                self.dropped += 1
                self._untold += 1

    def _put(self, line: str) -> bool:
        """Write a line and say whether all of it was written; what was cut short ends where the next one begins."""
        rest = (b"\n" if self._is_cut else b"") + f"{line}\n".encode(errors="backslashreplace")
        size = len(rest)
        while rest and self._room.poll(0):
            try:
                # What `poll` has room for is at least this much; more could wait.
                rest = rest[os.write(self._file, rest[: select.PIPE_BUF]) :]
            except OSError:  # it is full after all, or nobody is left to be told
                break
        if len(rest) < size:
            self._is_cut = bool(rest)
        return not rest


def _not_waiting(file: int) -> int:
    """Return what to write to: a terminal is opened once more, since even with some room it may let its writer wait."""
    if not os.isatty(file):
        return file
    try:
        return os.open(os.ttyname(file), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return file
