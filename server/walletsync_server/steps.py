"""Work that has to wait for the disk on its way, written once for threads and for an event loop.

It is a generator that yields the futures it waits for, and goes on when they are done. A thread runs it with
`finished`, an event loop with `finished_on_loop`: neither has an implementation of its own, and no thread is held.
"""

import asyncio
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
Steps: TypeAlias = Generator[Future[Any], None, T]


def finished(steps: Steps[T]) -> T:
    """Return what `steps` returns, or raise what it raises; waits in this thread."""
    try:
        while True:
            next(steps).exception()
    except StopIteration as end:
        result: T = end.value
        return result


async def finished_on_loop(steps: Steps[T]) -> T:
    """Do the same without holding up the event loop."""
    try:
        while True:
            waiting = asyncio.wrap_future(next(steps))
            with suppress(Exception):  # `steps` looks at the future itself
                await waiting
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        steps.close()  # if this was cancelled
