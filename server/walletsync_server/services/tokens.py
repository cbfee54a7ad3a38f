"""Tokens: what a device shows instead of a password. The server keeps only their SHA-256."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from walletsync.protocol import MAX_DEVICES, TOKEN_DAYS
from walletsync_server.live.interface import Publisher
from walletsync_server.services.errors import NoSuchDevice, TooManyDevices, Unauthorized
from walletsync_server.services.store import Store
from walletsync_server.storage.interface import Account, ReadTransaction, Shown, Token, WriteTransaction

LIFETIME = timedelta(days=TOKEN_DAYS)
LATELY = timedelta(days=TOKEN_DAYS)
"""How long an expired token is kept, so that its device can still be told from a stranger (see `Throttle`)."""


@dataclass(frozen=True, kw_only=True)
class IssuedToken:
    """A token as its device gets it, the only time that it is seen: 64 hex characters.

    `replaced` is the SHA-256 of the one that it replaced, if the device had one.
    """

    token: str = field(repr=False)
    account_id: int
    device_id: str
    expires_at: datetime
    replaced: bytes | None = field(default=None, repr=False)


class Tokens:
    """Issues, checks and revokes tokens. One token per device, `MAX_DEVICES` live ones per account.

    `purge_clock` says what is old enough to be removed.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], datetime],
        publisher: Publisher,
        *,
        purge_clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._clock = clock
        self._publisher = publisher
        self._purge_clock = purge_clock

    def issue(self, transaction: WriteTransaction, account: Account, device_id: str) -> IssuedToken:
        """Store a new token in place of the device's old one. The caller holds the lock of `account`, as it is now.

        Raises:
            TooManyDevices: if as many other devices have a live one as may.
        """
        now = self._clock()
        account_id = account.account_id
        transaction.delete_expired_tokens(account_id, self._purge_clock() - LATELY)
        if transaction.count_other_tokens(account_id, device_id, now) >= MAX_DEVICES:
            raise TooManyDevices
        token = secrets.token_hex(32)
        replaced = transaction.put_token(
            Token(
                account_id=account_id,
                device_id=device_id,
                epoch=account.epoch,
                token_hash=_hash(token),
                created_at=now,
                expires_at=now + LIFETIME,
            )
        )
        return IssuedToken(
            token=token, account_id=account_id, device_id=device_id, expires_at=now + LIFETIME, replaced=replaced
        )

    def authenticate(self, transaction: ReadTransaction, token: str | None) -> Token:
        """Return what is known of a live token.

        Raises:
            Unauthorized: if there is none, or it is unknown, expired or revoked.
        """
        known = transaction.find_token(_hash(token)) if token else None
        if known is None or self._is_over(known):
            raise Unauthorized
        return known

    def shown_by(self, token: str | None, most: int | None) -> Shown:
        """Return what a live token shows, in one look; see `ReadTransaction.shown_by`.

        Raises:
            Unauthorized: as `authenticate`.
        """
        shown = self._store.ask(lambda transaction: transaction.shown_by(_hash(token), most)) if token else None
        if shown is None or self._is_over(shown):
            raise Unauthorized
        return shown

    def account_of(self, token: str | None) -> int | None:
        """Return the number of the account whose token this is; None if it would not be accepted now."""
        known = self._store.ask(lambda transaction: transaction.find_token(_hash(token))) if token else None
        return known.account_id if known and not self._is_over(known) else None

    def lock(self, transaction: WriteTransaction, token: str | None) -> tuple[Account, Token]:
        """Lock the account whose live token this is; return it, and what is known of the token, as both are now.

        Raises:
            Unauthorized: as `authenticate`.
        """
        found = transaction.lock_account_of(_hash(token)) if token else None
        if found is None or self._is_over(found[1]):
            raise Unauthorized
        return found

    def revoke(self, token: str | None) -> None:
        """Make a token void.

        Raises:
            Unauthorized: if it is not alive.
        """

        def delete(transaction: WriteTransaction) -> Token:
            _, known = self.lock(transaction, token)
            transaction.delete_token(known)
            return known

        gone = self._store.write(delete)
        self._publisher.hang_up(gone.account_id, gone.token_hash)

    def devices(self, token: str | None) -> list[Token]:
        """Return the live tokens of the account, one per device, in the order of their device ids.

        Raises:
            Unauthorized: if the caller's own token is not alive.
        """

        def look(transaction: ReadTransaction) -> list[Token]:
            account_id = self.authenticate(transaction, token).account_id
            return [each for each in transaction.tokens_of(account_id) if not self._is_over(each)]

        return self._store.read(look)

    def revoke_device(self, token: str | None, device_id: str) -> None:
        """Make the token of another device of the account void, or one's own.

        Raises:
            Unauthorized: if the caller's own token is not alive.
            NoSuchDevice: if that device holds no live token.
        """

        def delete(transaction: WriteTransaction) -> Token:
            account, _ = self.lock(transaction, token)
            held = [each for each in transaction.tokens_of(account.account_id) if each.device_id == device_id]
            if not held or self._is_over(held[0]):
                raise NoSuchDevice
            transaction.delete_token(held[0])
            return held[0]

        gone = self._store.write(delete)
        self._publisher.hang_up(gone.account_id, gone.token_hash)

    def purge(self) -> int:
        """Remove the tokens of all accounts that expired some time ago; return how many."""
        moment = self._purge_clock() - LATELY
        return self._store.remove(lambda transaction, most: transaction.purge_tokens(moment, most))

    def _is_over(self, token: Token | Shown) -> bool:
        return token.expires_at <= self._clock()


def _hash(token: str) -> bytes:
    """Return what is stored of a token. It has 256 random bits, so a fast hash cannot be turned around."""
    return hashlib.sha256(token.encode()).digest()
