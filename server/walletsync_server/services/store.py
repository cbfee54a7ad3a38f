"""The storage as the other services see it: what it cannot do becomes an answer."""

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


class Store:
    """`Storage.read`, `write` and `submit`, raising `Unavailable` where those raise `StorageError`."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def read(self, work: Callable[[ReadTransaction], T]) -> T:
        """See `Storage.read`."""
        with _unavailable():
            return self._storage.read(work)

    def write(self, work: Callable[[WriteTransaction], T]) -> T:
        """See `Storage.write`."""
        with _unavailable():
            return self._storage.write(work)

    def writing(self, work: Callable[[WriteTransaction], T]) -> GeneratorCoroutine[T]:
        """Do what `write` does without holding the thread meanwhile."""
        with _unavailable():
            written = self._storage.submit(work)
            yield written
            return written.result()


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        raise Unavailable from error
