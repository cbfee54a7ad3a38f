"""The honest server of the simulator: the real handlers, services and queries, without a process."""

import base64
from datetime import timedelta
from typing import Self

from tests.server.helpers import FakeClock, cheap_passwords
from tests.simulator.database import Backup, DatabaseInMemory
from walletsync_server.api.dispatch import Api
from walletsync_server.api.http import Request, Response
from walletsync_server.services import build_services

_PREVIOUS = slice(17, 49)  # in the header of an encrypted wallet: magic 4, suite 1, epoch 4, sequence 8


class Server:
    """Answers requests in the calling thread. One server serves many histories, one after the other."""

    def __init__(self) -> None:
        self._clock = FakeClock()
        self._database = DatabaseInMemory()
        services = build_services(
            self._database,
            may_sign_up=lambda email: True,
            max_wallet_bytes=1024 * 1024,
            clock=self._clock,
            seconds=self._clock.seconds,
            passwords=cheap_passwords(),
        )
        self._api = Api(services)
        self._empty = self._database.back_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._empty.close()
        self._database.close()

    def begin_anew(self, first: Backup | None = None) -> None:
        """Know nobody, as on the first day; or what a copy knows."""
        self._database.put_back(first or self._empty)

    def answer(self, request: Request) -> Response:
        """Answer one request."""
        return self._api.answer(request)

    def pass_days(self, days: float) -> None:
        """Let time go by."""
        self._clock.move(timedelta(days=days))

    def back_up(self) -> Backup:
        """Copy the database."""
        return self._database.back_up()

    def restore(self, backup: Backup) -> None:
        """Put a backup in place of the database, as an operator does."""
        self._database.restore(backup)

    def account(self, email: str) -> int | None:
        """Return what tells this address's account from one that it had before; None if it has none."""
        account = self._database.read(lambda transaction: transaction.find_account(email))
        return None if account is None else account.account_id

    def versions(self, account_id: int) -> dict[int, str]:
        """Return the digests of the versions that are kept of an account, by sequence."""
        return self._database.digests(account_id)

    def previous(self, account_id: int, sequence: int) -> str:
        """Return the digest of the version that the author of this one wrote it after."""
        wallet = self._database.read(lambda transaction: transaction.wallet_at(account_id, sequence))
        assert wallet is not None
        return previous_of(wallet.encrypted_wallet)


def previous_of(encrypted_wallet: str) -> str:
    """Return the digest of the version that the author of this one wrote it after."""
    return base64.b64decode(encrypted_wallet)[_PREVIOUS].hex()
