"""What the operator does about accounts, while the server may be running: every request asks the database."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from walletsync_server.services.account_export import export_account
from walletsync_server.services.store import Store
from walletsync_server.storage.interface import Account, ReadTransaction, Token, WriteTransaction
from walletsync_server.storage.interface import AddressSummary as AddressSummary  # what `AccountAdmin` returns

_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class Removed:
    """What there was of an address, and is no more."""

    account: bool
    permission: bool


@dataclass(frozen=True, kw_only=True)
class LoggedIn:
    """A device that is logged in: since when, and until when without another log-in."""

    device_id: str
    logged_in_at: datetime
    expires_at: datetime


def _logged_in(token: Token) -> LoggedIn:
    return LoggedIn(device_id=token.device_id, logged_in_at=token.created_at, expires_at=token.expires_at)


def _locked(transaction: WriteTransaction, email: str) -> Account | None:
    account = transaction.find_account(email)
    return transaction.lock_account(account.account_id) if account else None


def _tell_void(transaction: WriteTransaction) -> None:
    """Let a server that runs see at once that some tokens are void now."""
    transaction.mark_void(secrets.token_bytes(16))


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
        return self._store.read(lambda transaction: transaction.address_summary(email, now))

    def devices(self, email: str) -> list[LoggedIn]:
        """Return the account's devices that are logged in, in the order of their names; none without an account."""
        return self._store.read(lambda transaction: [_logged_in(token) for token in self._alive(transaction, email)])

    def log_out(self, email: str, device_id: str | None) -> int:
        """Log out one device of an account, or all; return how many. They need the password again."""

        def work(transaction: WriteTransaction) -> int:
            account = _locked(transaction, email)
            if account is None:
                return 0
            chosen = [each for each in self._alive(transaction, email) if device_id in (None, each.device_id)]
            for token in chosen:
                transaction.delete_token(token)
            _tell_void(transaction)
            return len(chosen)

        return self._store.write(work)

    def disable(self, email: str) -> bool | None:
        """Let nobody into an account, and log out all its devices; what is stored stays.

        Returns:
            False if it was disabled already, None if there is no such account.
        """
        now = self._clock()

        def work(transaction: WriteTransaction) -> bool | None:
            account = _locked(transaction, email)
            if account is None:
                return None
            if account.disabled_at is None:
                transaction.set_disabled(account.account_id, now)
                transaction.delete_tokens(account.account_id)
                _tell_void(transaction)
            return account.disabled_at is None

        return self._store.write(work)

    def enable(self, email: str) -> bool | None:
        """Take that back; devices have to log in again.

        Returns:
            False if it was not disabled, None if there is no such account.
        """

        def work(transaction: WriteTransaction) -> bool | None:
            account = _locked(transaction, email)
            if account is None:
                return None
            transaction.set_disabled(account.account_id, None)
            return account.disabled_at is not None

        return self._store.write(work)

    def set_quota(self, email: str, quota: int | None) -> bool:
        """Set how many bytes the kept versions of an account's wallet may have, None for no such limit.

        It holds from the next version on. False if there is no such account.
        """

        def work(transaction: WriteTransaction) -> bool:
            account = _locked(transaction, email)
            if account is not None:
                transaction.set_quota(account.account_id, quota)
            return account is not None

        return self._store.write(work)

    def export(self, email: str) -> Mapping[str, Any] | None:
        """Return all that is kept of an account, see `export_account`; None if there is no such account."""
        now = self._clock()
        return self._store.read(lambda transaction: export_account(transaction, email, now))

    def _alive(self, transaction: ReadTransaction, email: str) -> list[Token]:
        account, now = transaction.find_account(email), self._clock()
        tokens = transaction.tokens_of(account.account_id) if account else []
        return [token for token in tokens if token.expires_at > now]

    def allow(self, email: str) -> bool:
        """Let an address sign up; False if it was allowed already."""
        now = self._clock()
        return self._store.write(lambda transaction: transaction.allow(email, now))

    def remove(self, email: str, *, account: bool) -> Removed:
        """Take the permission back and, if wanted, delete the account with all that belongs to it."""
        now = self._clock()

        def work(transaction: WriteTransaction) -> Removed:
            permission = transaction.disallow(email)
            found = _locked(transaction, email) if account else None
            if found is not None:
                transaction.delete_account(found.account_id, now)
                _tell_void(transaction)
            return Removed(account=found is not None, permission=permission)

        return self._store.write(work)
