"""One notebook's run: its cells as tests, each with its seconds, and what stopped it."""

import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tools.docs.notebooks import path_of
from tools.docs.relay import Call

SHOWN_AFTER_SECONDS = 5.0
"""A cell that runs longer is named while it runs, so that nobody wonders what they wait for."""
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class Failure:
    """The cell that stopped a notebook: its id, the first line of its source, and why.

    `hung`: it was still running when its time was over.
    """

    notebook: str
    cell: str | None
    first_line: str
    reason: str
    hung: bool = False

    @property
    def summary(self) -> str:
        """What was raised, in a line; what it says more stands indented below."""
        return [line for line in self.reason.splitlines() if line.strip() and not line.startswith(" ")][-1].rstrip()

    def __str__(self) -> str:
        cell = f", cell `{self.cell}`: {self.first_line}" if self.cell else ""
        return f"{path_of(self.notebook)}{cell}\n\n{self.reason}"


@dataclass
class Run:
    """`notebook` is what papermill made of it, as far as it came; `seconds` by the id of each cell that was run.

    The methods are nbclient's hooks.
    """

    name: str
    notebook: Any
    report: Callable[[str], None] = field(repr=False)
    failure: Failure | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list, repr=False)
    current: Any = field(default=None, repr=False)
    _started: float = 0.0
    _notice: threading.Timer | None = field(default=None, repr=False)

    def on_start(self, notebook: Any) -> None:
        """Take the notebook that nbclient fills: what is left of it if the run fails."""
        self.notebook = notebook

    def on_cell(self, cell: Any, cell_index: int) -> None:
        """Begin a cell with code."""
        self.current = cell
        self._started = time.monotonic()
        told = f"{self.name}::{cell.id} has been running for {SHOWN_AFTER_SECONDS:.0f} s"
        self._notice = threading.Timer(SHOWN_AFTER_SECONDS, self.report, [told])
        self._notice.daemon = True
        self._notice.start()

    def on_end(self, **_: Any) -> None:
        """End the cell that was begun last."""
        if self._notice:
            self._notice.cancel()
            self._notice = None
            self.seconds[self.current.id] = time.monotonic() - self._started

    def raised(self, traceback: Sequence[str]) -> None:
        """Note that the current cell raised: of the frames, its own and the last. The kept notebook has all of them."""
        frames = [_ANSI.sub("", each) for each in traceback]
        files = [number for number, frame in enumerate(frames) if frame.startswith("File ")]
        between = files[:-1]
        if between:
            frames[between[0]] = f"… {len(between)} more, which the kept run has …\n"
        self.fail("\n".join(frame for number, frame in enumerate(frames) if number not in between[1:]))

    def fail(self, reason: str, *, hung: bool = False) -> None:
        """Note that the current cell stopped the run."""
        self.on_end()
        cell = self.current
        first_line = next(iter(cell.source.splitlines()), "") if cell else ""
        text = _ANSI.sub("", reason).rstrip()
        self.failure = Failure(self.name, cell.id if cell else None, first_line, text, hung)
