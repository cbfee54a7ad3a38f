"""Work that has to wait for the disk on its way, written once for threads and for an event loop.

It is a generator-based coroutine: a generator that yields the futures that it waits for, and goes on when they are
done. A thread runs it with `run_blocking`, an event loop with `run_on_loop` of `asgi`: neither has an implementation of
its own, and no thread is held. It yields `WAITING` or `LARGE` before it does what would hold up an event loop.
"""

from collections.abc import Generator
from concurrent.futures import Future
from enum import Enum, auto
from typing import Any, Literal, TypeAlias, TypeVar

T = TypeVar("T")


class Where(Enum):
    """Where the rest of a coroutine is to run, up to where it says another one."""

    WAITING = auto()
    LARGE = auto()


WAITING: Literal[Where.WAITING] = Where.WAITING
"""In a thread that may wait for the database."""
LARGE: Literal[Where.LARGE] = Where.LARGE
"""Where few run at a time: what comes takes much memory, and keeps a processor busy for milliseconds."""
GeneratorCoroutine: TypeAlias = Generator[Future[Any] | Where, None, T]


def going_on(awaited: Future[Any] | Where, coroutine: GeneratorCoroutine[T]) -> GeneratorCoroutine[T]:
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
            if not isinstance(awaited, Where):
                awaited.exception()
    except StopIteration as end:
        result: T = end.value
        return result


def run_at(here: Where, coroutine: GeneratorCoroutine[T]) -> GeneratorCoroutine[T]:
    """Run `coroutine` as far as it may run `here`, in this thread; return what is left of it.

    Raises what it raises.
    """
    try:
        while True:
            awaited = next(coroutine)
            if isinstance(awaited, Future):
                awaited.exception()
            elif awaited is not here:
                return going_on(awaited, coroutine)
    except StopIteration as end:
        return ended(end.value)
