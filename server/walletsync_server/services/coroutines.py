"""Work that has to wait for the disk on its way, written once for threads and for an event loop.

It is a generator-based coroutine: a generator that yields the futures that it waits for, and goes on when they are
done. A thread runs it with `run_blocking`, an event loop with `run_on_loop` of `asgi`: neither has an implementation of
its own, and no thread is held.
"""

from collections.abc import Generator
from concurrent.futures import Future
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
GeneratorCoroutine: TypeAlias = Generator[Future[Any], None, T]


def run_blocking(coroutine: GeneratorCoroutine[T]) -> T:
    """Return what `coroutine` returns, or raise what it raises; waits in this thread."""
    try:
        while True:
            next(coroutine).exception()
    except StopIteration as end:
        result: T = end.value
        return result
