"""Runs inside every kernel before its first cell: the kernels of a run take turns at what is expensive.

What that is, the project says: functions that take so much memory, or so many cores, that all notebooks at once would
gain nothing. A turn is a file lock, which the system takes back even from a kernel that was killed. And since a tour's
actors live in one process, a kernel remembers what such a function returned: the second of them would only compute the
same again.

It stands alone, since it is copied to where kernels start.
"""


def _take_turns() -> None:
    import fcntl
    import functools
    import importlib
    import os
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    turns = Path(os.environ["DOCS_TURNS"])

    def taken_in_turns(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.cache
        @functools.wraps(function)
        def in_turn(*arguments: Any) -> Any:
            with turns.open("wb") as turn:
                fcntl.flock(turn, fcntl.LOCK_EX)
                return function(*arguments)

        return in_turn

    for place in os.environ["DOCS_TAKEN_IN_TURNS"].split():
        module_name, _, name = place.partition(":")
        module = importlib.import_module(module_name)
        setattr(module, name, taken_in_turns(getattr(module, name)))


_take_turns()
del _take_turns  # a reader's notebook starts without it, so this one does too
