"""Work that waits on its way: the same in a thread and on an event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Timer
from typing import Any

import pytest

from walletsync_server.asgi.event_loop import run_on_loop
from walletsync_server.services.coroutines import GeneratorCoroutine, run_blocking

RUNNERS: dict[str, Callable[[GeneratorCoroutine[int]], int]] = {
    "thread": run_blocking,
    "loop": lambda coroutine: asyncio.run(run_on_loop(coroutine)),
}


@pytest.fixture(params=RUNNERS)
def run(request: pytest.FixtureRequest) -> Callable[[GeneratorCoroutine[int]], int]:
    return RUNNERS[request.param]


def add(*futures: "Future[int]") -> GeneratorCoroutine[int]:
    total = 0
    for future in futures:
        yield future
        total += future.result()
    return total


def later(action: Callable[..., Any], *arguments: Any) -> None:
    Timer(0.01, action, arguments).start()


def test_goes_on_when_the_future_is_done(run: Callable[[GeneratorCoroutine[int]], int]) -> None:
    """It gets what another thread puts into the futures, one after the other, and what it returns comes back."""
    first, second = Future[int](), Future[int]()
    later(first.set_result, 1)
    later(second.set_result, 2)
    assert run(add(first, second)) == 3
    assert run(add()) == 0


def test_failure_is_raised_inside_and_outside(run: Callable[[GeneratorCoroutine[int]], int]) -> None:
    """The exception of a future is raised where it was waited for, which may handle it."""

    def handled() -> GeneratorCoroutine[int]:
        try:
            return (yield from add(failing))
        except KeyError:
            return 5

    failing = Future[int]()
    later(failing.set_exception, KeyError("no"))
    assert run(handled()) == 5
    with pytest.raises(KeyError):
        run(add(failing))
