"""A server where addresses have to be confirmed, without HTTP and SMTP: what a test sees of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import select

from tests.server.helpers import PASSWORD, FakeClock, cheap_passwords
from tests.server.world import EMAIL, LIMIT, Interrupted, World
from walletsync_server.live.hub import Hub
from walletsync_server.services import build_services, errors
from walletsync_server.services.mail_queue import Outgoing
from walletsync_server.storage.interface import ReadTransaction, Storage, WriteTransaction
from walletsync_server.storage.sqlite.opening import open_sqlite

T = TypeVar("T")
SECOND = timedelta(seconds=1)
OTHER = "another password"
SEEDS = {PASSWORD: bytes(32), OTHER: None}


class Observed(Storage):
    """A storage that remembers which operations each transaction did."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.operations: list[str] = []

    def read(self, work: Callable[[ReadTransaction], T]) -> T:
        self.operations.append("read")
        return self._storage.read(lambda transaction: work(self._watched(transaction)))

    def submit(self, work: Callable[[WriteTransaction], T]) -> Any:
        self.operations.append("write")
        return self._storage.submit(lambda transaction: work(self._watched(transaction)))

    def close(self) -> None:
        self._storage.close()

    def _watched(self, transaction: Any) -> Any:
        operations = self.operations

        class Watched:
            def __getattr__(self, name: str) -> Any:
                operations.append(name)
                return getattr(transaction, name)

        return Watched()


@dataclass
class Waiting(World):
    """A world where addresses have to be confirmed."""

    observed: Observed

    def sign_up(self, email: str = EMAIL, password: str = PASSWORD) -> bool:
        return self.services.accounts.sign_up(email, password, SEEDS[password])

    def deliver(self) -> list[Outgoing]:
        """Send all mails that are due now; return them in their order."""
        sent = []
        while outgoing := self.services.mail_queue.take():
            self.services.mail_queue.sent(outgoing)
            sent.append(outgoing)
        return sent

    def link(self) -> str:
        """Return the token in the only mail that is due now."""
        (outgoing,) = self.deliver()
        assert outgoing.link
        return outgoing.link.token

    def confirm(self, token: str) -> bool:
        return self.services.signups.confirm(token)

    def login(self, password: str = PASSWORD, email: str = EMAIL) -> str:
        """Return "token" for a login that gives one, else the error's code."""
        try:
            self.services.accounts.log_in(email, password, "laptop")
        except errors.ServiceError as error:
            return str(error.code)
        return "token"

    def rows(self, table: Any) -> list[Any]:
        return self.storage.read(lambda t: t._connection.execute(select(table)).all())  # type: ignore[attr-defined]


@contextmanager
def waiting_world(folder: Path) -> Iterator[Waiting]:
    """Give services over an inline storage, where addresses have to be confirmed."""
    storage, clock, hub = Interrupted(open_sqlite(folder / "w.db", inline=True)), FakeClock(), Hub()
    observed = Observed(storage)
    services = build_services(
        observed,
        may_sign_up=lambda email: True,
        max_wallet_bytes=LIMIT,
        confirm_addresses=True,
        clock=clock,
        seconds=clock.seconds,
        passwords=cheap_passwords(),
        hub=hub,
    )
    yield Waiting(services, storage, clock, hub, observed)
    storage.close()
