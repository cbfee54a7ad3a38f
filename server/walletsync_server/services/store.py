"""The storage as the other services see it: what it cannot do becomes an answer."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from walletsync_server.services.coroutines import GeneratorCoroutine
from walletsync_server.services.errors import Unavailable
from walletsync_server.storage.interface import (
    ReadTransaction,
    Storage,
    StorageError,
    WriteTransaction,
)

T = TypeVar("T")
PIECE = 100
"""Rows that are removed in one write."""


class Store:
    """Reads and writes as `Storage` does, and raises `Unavailable` where that raises `StorageError`.

    `written_at` is when a write last succeeded, by `seconds`, a clock that nobody sets; if the last one failed, never.
    `may_wait` is as the storage's: nothing here is called by an event loop then.
    """

    def __init__(self, storage: Storage, seconds: Callable[[], float] = time.monotonic) -> None:
        self._storage = storage
        self._seconds = seconds
        self.written_at = -math.inf
        self.may_wait = storage.may_wait

    def check(self) -> None:
        """Ask whether it is there, see `Storage.check`."""
        with _unavailable():
            self._storage.check()

    def read(self, work: Callable[[ReadTransaction], T]) -> T:
        """Return `work(transaction)` on one consistent view."""
        try:  # and no context manager, which would cost as much as a statement
            return self._storage.read(work)
        except StorageError as error:
            raise Unavailable from error

    def ask(self, question: Callable[[ReadTransaction], T]) -> T:
        """Return `question(transaction)`, where `question` asks one thing."""
        try:
            return self._storage.ask(question)
        except StorageError as error:
            raise Unavailable from error

    def write(self, work: Callable[[WriteTransaction], T]) -> T:
        """Return `work(transaction)` once all of it is on the disk."""
        with self._writing():
            return self._storage.write(work)

    def writing(self, work: Callable[[WriteTransaction], T]) -> GeneratorCoroutine[T]:
        """Do what `write` does without holding the thread meanwhile."""
        with self._writing():
            written = self._storage.submit(work)
            yield written
            return written.result()

    def remove(self, piece: Callable[[WriteTransaction, int], int]) -> int:
        """Call `piece` with how much it may remove until nothing is left; return how much it removed in all.

        Each call is a write of its own, so that whoever writes meanwhile waits for no more than a piece.
        """
        removed = 0
        while some := self.write(lambda transaction: piece(transaction, PIECE)):
            removed += some
        return removed

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Remember when a write last succeeded, by `seconds`; after one that failed, that it never did."""
        try:
            with _unavailable():
                yield
        except Unavailable:
            self.written_at = -math.inf
            raise
        self.written_at = self._seconds()


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        raise Unavailable from error
