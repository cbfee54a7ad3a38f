"""Servers with a fault that loses what they acknowledged: whoever judges a server by what clients see has to find it.

The fault is put into the real server's process before that runs. Each also makes the moment last in which it shows.
"""

import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from tests.cheap_server import CheapServer
from tests.forks import Fork
from tests.server.helpers import until
from walletsync.protocol import KEPT_VERSIONS
from walletsync_server.services.coroutines import GeneratorCoroutine
from walletsync_server.services.store import Store
from walletsync_server.storage.interface import Wallet, WriteTransaction
from walletsync_server.storage.postgres import transaction as on_postgres
from walletsync_server.storage.postgres.transaction import PostgresWriteTransaction

T = TypeVar("T")
_UNCOMMITTED_SECONDS = 1.0


class BrokenServer(CheapServer):
    """`CheapServer`, of which each process begins with `fault`, a function of this module."""

    def __init__(self, fault: Callable[[], None], **options: Any) -> None:
        super().__init__(**options)
        self._fault = fault

    def _spawn(self) -> "subprocess.Popen[str]":
        fork = Fork(self._words(), self._log_file, self._environment(), self._fault)
        return cast("subprocess.Popen[str]", fork)


def acknowledge_before_the_commit() -> None:
    """Answer a POST once its statements have run, and commit a second later: who is killed meanwhile has lost it."""
    writers = ThreadPoolExecutor()

    def writing(store: Store, work: Callable[[WriteTransaction], T]) -> GeneratorCoroutine[T]:
        answered: Future[T] = Future()

        def run(transaction: WriteTransaction) -> T:
            value = work(transaction)
            answered.set_result(value)
            time.sleep(_UNCOMMITTED_SECONDS)
            return value

        def fail(written: Future[T]) -> None:
            if not answered.done():
                answered.set_exception(written.exception())

        writers.submit(store.write, run).add_done_callback(fail)
        yield answered
        return answered.result()

    Store.writing = writing  # type: ignore[assignment, method-assign]  # which names its first argument otherwise


def take_no_lock() -> None:
    """Lock no account whose wallet is replaced; and the first time, replace it only long after it was looked at.

    Without that, the key of the wallets would refuse the second one of a sequence. It does so as long as the first one
    is kept: so this waits until there are so many versions that it is not.
    """
    is_first = threading.Semaphore()
    honest = PostgresWriteTransaction.append_wallet

    def append_wallet(self: PostgresWriteTransaction, account_id: int, wallet: Wallet) -> None:
        newest = wallet.sequence + KEPT_VERSIONS
        if wallet.sequence > 1 and is_first.acquire(blocking=False):  # the very first one is kept for longer
            until(lambda: self.current_sequence(account_id) > newest)
        honest(self, account_id, wallet)

    on_postgres._LOCK_ROW_OF_TOKEN = cast(Any, SimpleNamespace(run=lambda *_, **__: None))
    PostgresWriteTransaction.append_wallet = append_wallet  # type: ignore[assignment, method-assign]  # which is to be broken, and names its first argument otherwise
