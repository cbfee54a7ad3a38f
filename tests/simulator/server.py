"""The honest server of the simulator: the real handlers and services over a real SQLite file, without a process."""

from datetime import timedelta
from pathlib import Path
from typing import Self

from tests.server.helpers import FakeClock, cheap_passwords
from walletsync_server.api.http import Request, Response
from walletsync_server.api.routes import Api
from walletsync_server.services import build_services
from walletsync_server.storage.interface import ReadTransaction
from walletsync_server.storage.sqlite import open_sqlite


class Server:
    """Answers requests in the calling thread. One server serves many histories, each with an account of its own."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self._storage = open_sqlite(folder / "walletsync.db", inline=True)
        services = build_services(
            self._storage,
            may_sign_up=lambda email: True,
            max_wallet_bytes=1024 * 1024,
            clock=self.clock,
            passwords=cheap_passwords(),
        )
        self._api = Api(services)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._storage.close()

    def answer(self, request: Request) -> Response:
        """Answer one request."""
        return self._api.answer(request)

    def pass_days(self, days: float) -> None:
        """Let time go by."""
        self.clock.move(timedelta(days=days))

    def versions(self, email: str) -> dict[int, str]:
        """Return the digests of the versions that are kept, by sequence."""

        def look(transaction: ReadTransaction) -> dict[int, str]:
            account = transaction.find_account(email)
            if account is None:
                return {}
            sequences = [each.sequence for each in transaction.history(account.account_id)]
            digests = {each: transaction.digest_at(account.account_id, each) for each in sequences}
            return {sequence: digest.hex() for sequence, digest in digests.items() if digest}

        return self._storage.read(look)
