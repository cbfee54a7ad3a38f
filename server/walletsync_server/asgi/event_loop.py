"""Running the generator-based coroutines of the services on an event loop."""

import asyncio
from concurrent.futures import Executor
from contextlib import suppress
from typing import TypeVar

from walletsync_server.services.coroutines import GeneratorCoroutine, Place, run_blocking

T = TypeVar("T")


async def run_on_loop(coroutine: GeneratorCoroutine[T], elsewhere: Executor) -> T:
    """Return what `coroutine` returns, or raise what it raises; does not hold up the event loop.

    What must not run here runs in `elsewhere`, and so does all that comes after it.
    """
    try:
        awaited = next(coroutine)
        while not isinstance(awaited, Place):
            with suppress(Exception):  # `coroutine` looks at the future itself
                await asyncio.wrap_future(awaited)
            awaited = next(coroutine)
    except StopIteration as end:
        result: T = end.value
        return result
    except asyncio.CancelledError:
        coroutine.close()
        raise
    return await asyncio.get_running_loop().run_in_executor(elsewhere, run_blocking, coroutine)
