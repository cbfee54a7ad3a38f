"""Work that has to wait for the disk on its way, written once for threads and for an event loop.

It is a generator-based coroutine: a generator that yields the futures that it waits for, and goes on when they are
done. A thread runs it with `run_blocking`, an event loop with `run_on_loop` of `asgi`: neither has an implementation of
its own, and no thread is held. It yields `ELSEWHERE` before it does what would hold up an event loop.
"""

from collections.abc import Generator
from concurrent.futures import Future
from enum import Enum, auto
from typing import Any, Literal, TypeAlias, TypeVar

T = TypeVar("T")


class Place(Enum):
    """Where the rest of a coroutine is to run."""

    ELSEWHERE = auto()


ELSEWHERE: Literal[Place.ELSEWHERE] = Place.ELSEWHERE
"""In a thread that nobody else waits for: what comes keeps a processor busy for milliseconds."""
GeneratorCoroutine: TypeAlias = Generator[Future[Any] | Place, None, T]


def going_on(awaited: Future[Any] | Place, coroutine: GeneratorCoroutine[T]) -> GeneratorCoroutine[T]:
    """Return what goes on with a coroutine that has begun, and waits for `awaited`."""
    yield awaited
    return (yield from coroutine)


def ended(value: T) -> GeneratorCoroutine[T]:
    """Return a coroutine that returns `value`."""
    yield from ()
    return value


def run_blocking(coroutine: GeneratorCoroutine[T]) -> T:
    """Return what `coroutine` returns, or raise what it raises; waits in this thread."""
    try:
        while True:
            awaited = next(coroutine)
            if not isinstance(awaited, Place):
                awaited.exception()
    except StopIteration as end:
        result: T = end.value
        return result
