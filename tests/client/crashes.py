"""Every point at which a device can be interrupted, enumerated: each write of its store, and each request.

    points = Points()
    with points.watched(): …                 count the points of a run
    with points.crashing(7): …               the same run ends at the point with number 7

A point is the moment before or after a state is written, or before or after a request reaches the server. A crash is
no `Exception`, so nothing in the client handles it, and whatever the client object still holds is thrown away.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn
from unittest.mock import patch
from urllib.parse import urlsplit

from walletsync.errors import ServerUnreachable
from walletsync.store import Store
from walletsync.transport import Transport


class Crash(BaseException):
    """The process is gone."""


class Points:
    """Numbers the points of a run in the order in which they are reached."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        self._stop_at: int | None = None
        self._kind: Callable[[], BaseException] = Crash

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Number the points of what happens inside."""
        self.reached.clear()
        with (
            patch.object(Store, "save", self._around("save", Store.save)),
            patch.object(Transport, "exchange", self._around("exchange", Transport.exchange)),
        ):
            yield

    @contextmanager
    def crashing(self, number: int) -> Iterator[None]:
        """End what happens inside at point `number`, with a `Crash`."""
        self._stop_at = number
        with self.watched():
            yield

    @contextmanager
    def killed(self, number: int) -> Iterator[None]:
        """Kill this very process at point `number`: nothing of it runs any more, no handler and no `finally`."""

        def kill() -> NoReturn:
            os.kill(os.getpid(), signal.SIGKILL)
            raise AssertionError("still alive")

        self._kind = kill
        with self.crashing(number):
            yield

    @contextmanager
    def disconnected(self, number: int) -> Iterator[None]:
        """Lose the request, or its answer, at point `number`; the process goes on."""
        self._kind = lambda: ServerUnreachable("The wire was cut.")
        with self.crashing(number):
            yield

    def _around(self, what: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            name = f"{arguments[1]} {urlsplit(arguments[2]).path}" if what == "exchange" else what
            self._point(f"before {name}")
            result = real(*arguments, **options)
            self._point(f"after {name}")
            return result

        return call

    def _point(self, name: str) -> None:
        self.reached.append(name)
        if self._stop_at == len(self.reached) - 1:
            raise self._kind()
