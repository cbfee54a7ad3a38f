"""The services over a storage that a test can interrupt, and a clock that it moves."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.server.helpers import PASSWORD, FakeClock
from walletsync_server.live.hub import Hub
from walletsync_server.services import Services
from walletsync_server.services.coroutines import run_blocking
from walletsync_server.services.wallets import Content
from walletsync_server.storage.interface import ReadTransaction, Storage, WriteTransaction

T = TypeVar("T")
EMAIL = "alice@example.com"
LIMIT = 1000
"""Bytes of a wallet."""


class Interrupted(Storage):
    """A storage where a test does something of its own just before the next write, as another device would."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.before_write: Callable[[], object] | None = None
        self.writing = False

    def read(self, work: Callable[[ReadTransaction], T]) -> T:
        return self._storage.read(work)

    def submit(self, work: Callable[[WriteTransaction], T]) -> Future[T]:
        meanwhile, self.before_write = self.before_write, None
        if meanwhile:
            meanwhile()
        self.writing = True
        try:
            return self._storage.submit(work)
        finally:
            self.writing = False

    def close(self) -> None:
        self._storage.close()


@dataclass
class World:
    services: Services
    storage: Interrupted
    clock: FakeClock
    hub: Hub

    def log_in(self, device: str = "laptop", email: str = EMAIL) -> str:
        return self.services.accounts.log_in(email, PASSWORD, device).token

    def write(self, token: str, sequence: int, text: str = "-") -> Content:
        return run_blocking(self.services.wallets.write(token, sequence=sequence, encrypted_wallet=text, hmac="h"))

    def read(self, token: str) -> Content | bytes:
        return run_blocking(self.services.wallets.read(token, lambda digest: False))

    def sql(self, statement: Any) -> None:
        """Change the database behind everybody's back."""
        self.storage.write(lambda t: t._connection.execute(statement))  # type: ignore[attr-defined]
