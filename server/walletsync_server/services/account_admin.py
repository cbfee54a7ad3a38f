"""What the operator does about accounts, while the server may be running: every request asks the database."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from walletsync_server.services.store import Store
from walletsync_server.storage.interface import AddressSummary as AddressSummary  # what `AccountAdmin` returns
from walletsync_server.storage.interface import ReadTransaction, WriteTransaction

_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class Removed:
    """What there was of an address, and is no more."""

    account: bool
    permission: bool


class AccountAdmin:
    """Who may sign up, and who has an account. Addresses are canonical ones."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def all(self) -> Iterator[AddressSummary]:
        """Return everybody in the order of the addresses, a part at a time."""
        part = self._after("")
        while part:
            yield from part
            part = self._after(part[-1].email)

    def _after(self, email: str) -> list[AddressSummary]:
        now = self._clock()
        return self._store.read(lambda transaction: transaction.addresses_after(email, _AT_ONCE, now))

    def find(self, email: str) -> AddressSummary | None:
        """Return one person, None if the address has no account and no permission."""
        now = self._clock()

        def look(transaction: ReadTransaction) -> AddressSummary | None:
            account, allowed = transaction.find_account(email), transaction.is_allowed(email)
            if account is None:
                return AddressSummary(email=email, allowed=True) if allowed else None
            devices = sum(token.expires_at > now for token in transaction.tokens_of(account.account_id))
            return AddressSummary(
                email=email,
                allowed=allowed,
                created_at=account.created_at,
                current_sequence=account.current_sequence,
                devices=devices,
            )

        return self._store.read(look)

    def allow(self, email: str) -> bool:
        """Let an address sign up; False if it was allowed already."""
        now = self._clock()
        return self._store.write(lambda transaction: transaction.allow(email, now))

    def remove(self, email: str, *, account: bool) -> Removed:
        """Take the permission back and, if wanted, delete the account with all that belongs to it."""

        def work(transaction: WriteTransaction) -> Removed:
            permission = transaction.disallow(email)
            found = transaction.find_account(email) if account else None
            if found is not None and transaction.lock_account(found.account_id) is not None:
                transaction.delete_account(found.account_id)
            return Removed(account=found is not None, permission=permission)

        return self._store.write(work)
