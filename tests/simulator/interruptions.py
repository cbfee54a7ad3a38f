"""Interruptions that do not end the process: Ctrl-C in a terminal, "interrupt kernel" in a notebook.

CPython handles a signal when a function begins and when a call of C code has returned, which is where a profiler is
called. So one that raises there is a signal at a moment that a number decides.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import CO_GENERATOR
from pathlib import Path
from types import FrameType
from typing import Any

import walletsync

CLIENT = str(Path(walletsync.__file__).parent)
STORE = f"{CLIENT}/store.py"


class Interruption:
    """One at the moment `after` of those in the client's code, counted from 1, or the next outside of a generator; 0
    comes never. What comes to a generator that is being thrown away, Python reports and forgets.

    `where` is the beginning of the path of the code that counts. `passed` is how many there were.
    """

    def __init__(self, after: int, where: str = CLIENT) -> None:
        self._after = after
        self._where = where
        self.passed = 0

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Let it come to what happens inside.

        Raises:
            KeyboardInterrupt: here it is.
        """
        before = sys.getprofile()
        if self._after > 0:  # else nobody looks, for a profiler halves the speed
            sys.setprofile(self._look)
        try:
            yield
        finally:
            sys.setprofile(before)

    def _look(self, frame: FrameType, event: str, _: Any) -> None:
        if event in ("call", "c_return") and frame.f_code.co_filename.startswith(self._where):
            self.passed += 1
            if self.passed >= self._after > 0 and not frame.f_code.co_flags & CO_GENERATOR:
                self._after = 0
                raise KeyboardInterrupt


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let none come to what happens inside, which is not the client's doing although it uses some of its code."""
    before = sys.getprofile()
    sys.setprofile(None)
    try:
        yield
    finally:
        sys.setprofile(before)
