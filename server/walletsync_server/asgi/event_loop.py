"""Running the generator-based coroutines of the services on an event loop."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import Executor
from contextlib import suppress
from typing import TypeVar

from walletsync_server.services.coroutines import GeneratorCoroutine, Where, run_at

T = TypeVar("T")


async def run_on_loop(coroutine: GeneratorCoroutine[T], threads: Mapping[Where, Executor]) -> T:
    """Return what `coroutine` returns, or raise what it raises; does not hold up the event loop.

    What must not run here runs in those of the `threads` that it names, and so does what comes after it.
    """
    loop = asyncio.get_running_loop()
    while True:
        try:
            awaited = next(coroutine)
        except StopIteration as end:
            result: T = end.value
            return result
        if isinstance(awaited, Where):
            coroutine = await loop.run_in_executor(threads[awaited], run_at, awaited, coroutine)
            continue
        try:
            with suppress(Exception):  # `coroutine` looks at the future itself
                await asyncio.wrap_future(awaited)
        except asyncio.CancelledError:
            coroutine.close()
            raise
