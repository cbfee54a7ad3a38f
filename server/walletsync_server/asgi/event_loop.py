"""Running the generator-based coroutines of the services on an event loop."""

import asyncio
from contextlib import suppress
from typing import TypeVar

from walletsync_server.services.coroutines import GeneratorCoroutine

T = TypeVar("T")


async def run_on_loop(coroutine: GeneratorCoroutine[T]) -> T:
    """Return what `coroutine` returns, or raise what it raises; does not hold up the event loop."""
    try:
        while True:
            waiting = asyncio.wrap_future(next(coroutine))
            with suppress(Exception):  # `coroutine` looks at the future itself
                await waiting
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        coroutine.close()  # if this was cancelled
