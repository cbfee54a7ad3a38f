"""Changing the password: the password, the seed and the wallet under the new key, in one transaction or not at all."""

from walletsync_server.live.interface import Publisher
from walletsync_server.services.accounts import lock_unchanged
from walletsync_server.services.errors import (
    BadRequest,
    NoWalletToChange,
    SequenceUsed,
    WalletRequired,
    WrongCredentials,
)
from walletsync_server.services.known_clients import KnownClients, asker_of
from walletsync_server.services.passwords import Passwords
from walletsync_server.services.store import Store
from walletsync_server.services.throttle import Standing, Throttle
from walletsync_server.services.turns import Asker
from walletsync_server.services.wallets import Keeper
from walletsync_server.storage.interface import Account, Content, ReadTransaction, WriteTransaction

_NO_DEVICE = ""  # the request proves a password, and no device


class PasswordChange:
    """Changes passwords, and knows its own changes when they come again because the answer was lost."""

    def __init__(
        self,
        store: Store,
        *,
        passwords: Passwords,
        throttle: Throttle,
        known: KnownClients,
        keeper: Keeper,
        publisher: Publisher,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._passwords = passwords
        self._throttle = throttle
        self._keeper = keeper
        self._known = known

    def change(
        self, email: str, old: str, new: str, salt_seed: bytes, wallet: Content | None, client: str = ""
    ) -> None:
        """Replace password and seed, and with them every version of the wallet; all devices are logged out.

        A change of which everything is current already is a retry: it changes nothing and succeeds. Whatever is wrong
        with address or password costs the same work.

        Args:
            email: canonical.
            old: the derived login password that holds.
            new: the one that shall hold.
            salt_seed: 32 bytes.
            wallet: the wallet under the new key, with the next sequence; None if the account has none.
            client: the address that asks, as `Throttle` wants it.

        Raises:
            RateLimited: if too many passwords were tried, see `Throttle`.
            Busy: if too many wait to be checked.
            BadRequest: if both passwords are the same.
            WrongCredentials: if there is no account with this address and password.
            AccountDisabled: if the operator has disabled the account.
            TooLarge: if the wallet has more bytes than the account's quota.
            StalePasswordChange: if the wallet is not the next one, or there is one too many or too few.
        """
        if old == new:
            raise BadRequest("oldPassword and newPassword are the same; nothing would change.")
        seen, standing = self._look(email, client)
        asker = asker_of(standing, client, email)
        with self._throttle.guess(client, email, standing=standing) as guess:
            matches = self._passwords.verify(seen.password_hash if seen else None, old, asker=asker)
            if seen is not None and matches and guess.takes_right:
                password_hash = self._passwords.hash(new, asker=asker)
                if self._replace(seen, password_hash, salt_seed, wallet, client):
                    return
            # The answer now depends on the new password, so this is a guess of its own.
            with self._throttle.guess(client, email, standing=standing) as again:
                is_current = self._is_current(email, new, salt_seed, wallet, asker)
                again.judge(right=is_current)
                if not is_current:
                    raise WrongCredentials

    def _look(self, email: str, client: str) -> tuple[Account | None, Standing]:
        def look(transaction: ReadTransaction) -> tuple[Account | None, Standing]:
            account = transaction.find_account(email)
            return account, self._known.standing(transaction, account, client, "")

        return self._store.read(look)

    def _replace(
        self, seen: Account, password_hash: str, salt_seed: bytes, wallet: Content | None, client: str
    ) -> bool:
        """Return whether the password that was checked still holds; if not, perhaps this request came twice."""

        def replace(transaction: WriteTransaction) -> bool:
            account = lock_unchanged(transaction, seen)
            if account is None:
                return False
            _check_fit(account.current_sequence, wallet)
            transaction.replace_password(account.account_id, password_hash, salt_seed)
            transaction.delete_tokens(account.account_id)
            self._known.remember(transaction, account.account_id, client)
            if wallet is not None:
                transaction.discard_wallets(account.account_id)  # they are under the old key
                self._keeper.append(transaction, account, wallet, _NO_DEVICE)
            return True

        replaced = self._store.write(replace)
        if replaced:
            self._publisher.hang_up_all(seen.account_id, seen.epoch)
        return replaced

    def _is_current(self, email: str, new: str, salt_seed: bytes, wallet: Content | None, asker: Asker) -> bool:
        def look(transaction: ReadTransaction) -> tuple[Account | None, bytes | None]:
            account = transaction.find_account(email)
            # Asked in either case, so that an address without an account takes the same time.
            return account, transaction.current_digest(account.account_id if account else 0)

        account, digest = self._store.read(look)
        matches = self._passwords.verify(account.password_hash if account else None, new, asker=asker)
        return (
            account is not None
            and matches
            and account.salt_seed == salt_seed
            and digest == (wallet.digest if wallet else None)
        )


def _check_fit(current_sequence: int, wallet: Content | None) -> None:
    if current_sequence == 0 and wallet is not None:
        raise NoWalletToChange
    if current_sequence > 0 and wallet is None:
        raise WalletRequired
    if wallet is not None and wallet.sequence != current_sequence + 1:
        raise SequenceUsed
