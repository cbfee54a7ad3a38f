"""The examples of docs/embedding.md, each as it stands, against a real server."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from tests.conftest import PASSWORD
from walletsync import Client
from walletsync_server.testing import RunningServer

PAGE = (Path(__file__).parents[2] / "docs" / "embedding.md").read_text()
PATIENCE = 30


def example(heading: str) -> dict[str, Any]:
    """Return what the code below a heading defines."""
    (code,) = re.findall(rf"^## {heading}\n.*?```python\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)[:1]
    names: dict[str, Any] = {"__name__": "example"}
    exec(code, names)  # noqa: S102 - the page's code is the test
    return names


@pytest.fixture
def clients(running_server: RunningServer, address: Callable[[], str]) -> Iterator[tuple[Client, Client]]:
    """Two devices of one account that have the same."""
    email = address()
    with Client(running_server.url) as laptop, Client(running_server.url) as phone:
        for client in (laptop, phone):
            client.set_account(email, PASSWORD)
        laptop.register()
        laptop.set_document({"rent": "May"})
        laptop.sync()
        phone.sync()
        yield laptop, phone


class Window:
    """Keeps what it was told, in the order of the toolkit's thread, which is the test's."""

    def __init__(self) -> None:
        self.calls: Queue[Callable[[], None]] = Queue()
        self.shown: list[Any] = []

    def display(self, document: Any) -> None:
        self.shown.append(document)

    def say(self, message: str) -> None:
        self.shown.append(message)

    def run_one(self) -> None:
        self.calls.get(timeout=PATIENCE)()


def test_a_window_shows_what_one_worker_did(clients: tuple[Client, Client], middle: Any) -> None:
    """It edits, syncs, and says what is wrong, without ever waiting."""
    laptop, phone = clients
    window = Window()
    wallet = example("A window")["WalletInAWindow"](phone, window.calls.put, window)
    wallet.rename("tx1", "rent")
    window.run_one()
    window.run_one()
    assert window.shown == [{"rent": "May", "tx1": "rent"}] * 2
    laptop.sync()
    assert laptop.get_document() == {"rent": "May", "tx1": "rent"}
    wallet.close()
    phone_without_account = Client(middle.url)
    wallet = example("A window")["WalletInAWindow"](phone_without_account, window.calls.put, window)
    wallet.sync()
    window.run_one()
    assert "set_account()" in window.shown[-1]
    wallet.close()


def test_asyncio_syncs_at_the_news_until_it_is_cancelled(clients: tuple[Client, Client]) -> None:
    """Edits of both sides get to the other one, and the loop is never held up."""
    laptop, phone = clients
    names = example("asyncio")

    async def both() -> None:
        syncing = asyncio.create_task(names["keep_in_sync"](phone))
        await names["label"](laptop, "tx1", "rent")
        await asyncio.to_thread(laptop.sync)
        async with asyncio.timeout(PATIENCE):
            while "tx1" not in phone.get_document():
                await asyncio.sleep(0.01)
        await names["label"](phone, "tx2", "coffee")
        syncing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await syncing
        await asyncio.to_thread(phone.sync)

    asyncio.run(both())
    laptop.sync()
    assert laptop.get_document() == phone.get_document() == {"rent": "May", "tx1": "rent", "tx2": "coffee"}


def test_a_service_edits_in_many_threads_and_syncs_in_one(clients: tuple[Client, Client]) -> None:
    """Nothing that any of them wrote is lost."""
    laptop, phone = clients
    stop = threading.Event()
    syncing = threading.Thread(target=example("A service")["sync_until"], args=(stop, phone, 0.1))
    syncing.start()

    def label(name: str) -> None:
        for number in range(10):
            phone.update_document(lambda document: document | {f"{name}{number}": 1})  # noqa: B023 - called at once

    threads = [threading.Thread(target=label, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    syncing.join()
    laptop.sync()
    assert laptop.get_document() == {"rent": "May"} | {f"{name}{number}": 1 for name in "abc" for number in range(10)}


def test_every_example_is_run() -> None:
    """There are three, below the headings that the tests name."""
    assert PAGE.count("```python") == 3
