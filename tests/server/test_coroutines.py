"""Work that waits on its way: the same in a thread and on an event loop, which it never holds up."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Timer
from typing import Any, TypeVar

import msgspec
import pytest

from tests.server.helpers import API, PASSWORD, cheap_passwords, wallet_body
from walletsync_server.api.dispatch import Api
from walletsync_server.api.http import Request, Response
from walletsync_server.asgi.event_loop import run_on_loop
from walletsync_server.services import build_services
from walletsync_server.services.coroutines import LARGE, WAITING, GeneratorCoroutine, run_blocking
from walletsync_server.services.wallets import SMALL
from walletsync_server.storage.sqlite.opening import open_sqlite

T = TypeVar("T")


def on_a_loop(coroutine: GeneratorCoroutine[T]) -> T:
    with ThreadPoolExecutor(1, "waiting") as waiting, ThreadPoolExecutor(1, "large") as large:
        return asyncio.run(run_on_loop(coroutine, {WAITING: waiting, LARGE: large}))


RUNNERS: dict[str, Callable[[GeneratorCoroutine[int]], int]] = {"thread": run_blocking, "loop": on_a_loop}


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


def test_goes_on_elsewhere_from_there_on(run: Callable[[GeneratorCoroutine[int]], int]) -> None:
    """What a coroutine does after `LARGE`, waiting and failing included, ends as it would have without."""

    def hard(future: "Future[int]") -> GeneratorCoroutine[int]:
        before = yield from add(ready)
        yield LARGE
        return before + (yield from add(ready, future))

    ready, second, failing = Future[int](), Future[int](), Future[int]()
    ready.set_result(1)
    later(second.set_result, 2)
    later(failing.set_exception, KeyError("no"))
    assert run(hard(second)) == 4
    with pytest.raises(KeyError):
        run(hard(failing))


def test_loop_is_not_where_hard_work_is_done() -> None:
    """An event loop runs what comes before a place is named; what comes after it runs there, up to the next one."""

    def hard() -> GeneratorCoroutine[list[str]]:
        ran_in = [threading.current_thread().name]
        for where in (WAITING, WAITING, LARGE, WAITING):
            yield where
            ran_in.append(threading.current_thread().name.partition("_")[0])
        return ran_in

    assert on_a_loop(hard()) == ["MainThread", "waiting", "waiting", "large", "waiting"]


def test_cancelled_coroutine_is_closed() -> None:
    """Whoever gives up waiting leaves nothing behind that waits on."""
    closed = []

    def waiting() -> GeneratorCoroutine[int]:
        try:
            return (yield from add(Future[int]()))
        finally:
            closed.append(True)

    async def give_up() -> None:
        with ThreadPoolExecutor(1) as elsewhere:
            task = asyncio.create_task(run_on_loop(waiting(), {LARGE: elsewhere}))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(give_up())
    assert closed == [True]


@pytest.mark.parametrize(("size", "is_large"), [(SMALL, False), (SMALL + 1, True)])
def test_large_wallet_is_answered_elsewhere(tmp_path: Path, size: int, is_large: bool) -> None:
    """A GET and a POST that came too late, of a few bytes both, are answered off the loop where the wallet is large."""
    storage = open_sqlite(tmp_path / "w.db")
    options: dict[str, Any] = {"max_wallet_bytes": 2 * SMALL, "passwords": cheap_passwords()}
    services = build_services(storage, may_sign_up=lambda email: True, **options)
    services.accounts.sign_up("alice@example.com", PASSWORD, None)
    headers = {"authorization": f"Bearer {services.accounts.log_in('alice@example.com', PASSWORD, 'd').token}"}
    answered_in: list[int] = []
    api = Api(services, on_answer=lambda **_: answered_in.append(threading.get_ident()))

    def ask(method: str, body: bytes = b"") -> Response:
        request = Request(method=method, path=f"{API}/wallet", headers=headers, body=body)
        return on_a_loop(api.answering(request))

    text = "x" * size
    assert (
        api.answer(
            Request(
                method="POST", path=f"{API}/wallet", headers=headers, body=msgspec.json.encode(wallet_body(1, text))
            )
        ).status
        == 200
    )
    del answered_in[:]
    for status, answer in ((200, ask("GET")), (409, ask("POST", msgspec.json.encode(wallet_body(9))))):
        assert (answer.status, msgspec.json.decode(answer.body)["encryptedWallet"]) == (status, text)
    assert [each != threading.get_ident() for each in answered_in] == [is_large] * 2
    storage.close()
