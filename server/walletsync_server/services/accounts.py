"""Who has an account: signing up and logging in."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from walletsync_server.live.interface import Publisher
from walletsync_server.services.account_ids import new_account_id
from walletsync_server.services.errors import (
    AccountDisabled,
    AccountExists,
    Busy,
    NotAllowed,
    NotVerified,
    WrongCredentials,
)
from walletsync_server.services.known_clients import KnownClients, asker_of
from walletsync_server.services.passwords import Passwords
from walletsync_server.services.signups import Signups
from walletsync_server.services.store import Store
from walletsync_server.services.throttle import Standing, Throttle, neighbourhood_of
from walletsync_server.services.tokens import IssuedToken, Tokens
from walletsync_server.services.turns import Asker
from walletsync_server.storage.interface import Account, AddressTaken, ReadTransaction, WriteTransaction


class Accounts:
    """Sign-up and login. Who may sign up: for whom `may_sign_up` says so, and whom the operator allowed.

    With `signups`, an address has to be confirmed before it has an account; without, it has one at once.
    """

    def __init__(
        self,
        store: Store,
        *,
        passwords: Passwords,
        throttle: Throttle,
        known: KnownClients,
        tokens: Tokens,
        may_sign_up: Callable[[str], bool],
        clock: Callable[[], datetime],
        publisher: Publisher,
        signups: Signups | None = None,
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._throttle = throttle
        self._known = known
        self._tokens = tokens
        self._may_sign_up = may_sign_up
        self._clock = clock
        self._publisher = publisher
        self._signups = signups

    def sign_up(self, email: str, password: str, salt_seed: bytes | None, client: str = "") -> bool:
        """Make an account and say whether it can be used at once, or let the sign-up wait for its confirmation.

        The same address, password and seed again is taken for a retry and changes nothing.

        Args:
            email: canonical.
            password: the derived login password.
            salt_seed: 32 bytes, if the client knows one.
            client: the address that asks, as `Throttle` wants it.

        Raises:
            RateLimited: if there were too many sign-ups from there, or too many passwords were tried at this account.
            Busy: if too many passwords wait to be hashed.
            NotAllowed: if this address may not sign up here.
            AccountExists: if the address has an account with another password or seed. Never where sign-ups wait.
        """
        with self._throttle.sign_up(client):
            if not self._may_sign_up(email) and not self._store.read(lambda transaction: transaction.is_allowed(email)):
                raise NotAllowed
            asker = Asker(neighbourhood_of(client))
            if self._signups is not None:
                with self._throttle.ask_for_mail(client, email):
                    self._signups.add(email, password, salt_seed, asker)
                return False
            account = Account(
                account_id=new_account_id(),
                email=email,
                password_hash=self._passwords.hash(password, asker=asker),
                salt_seed=salt_seed,
                created_at=self._clock(),
            )
            try:
                self._store.write(lambda transaction: transaction.insert_account(account))
            except AddressTaken:
                if not self._is_retry(email, password, salt_seed, client):
                    raise AccountExists from None
            return True

    def mail_again(self, email: str, client: str = "") -> None:
        """Mail about what waits to be confirmed for this address, if anything does; nobody learns whether.

        Raises:
            RateLimited: if the address `client` asked too often.
        """
        self._throttle.ask_for_mail_again(client)
        if self._signups is not None:
            with self._throttle.ask_for_mail(client, email):
                self._signups.mail_again(email)

    def log_in(self, email: str, password: str, device_id: str, client: str = "") -> IssuedToken:
        """Return a new token for this device; the one that it had is void.

        An unknown address and a wrong password cost the same work and raise the same error.

        Args:
            email: canonical.
            password: the derived login password.
            device_id: what the device calls itself.
            client: the address that asks, as `Throttle` wants it.

        Raises:
            RateLimited: if too many passwords were tried, see `Throttle`.
            Busy: if too many wait to be checked.
            WrongCredentials: if there is no account with this address and password.
            NotVerified: if a sign-up with them waits to be confirmed.
            AccountDisabled: if the operator has disabled it.
            TooManyDevices: if the account has as many other devices as it may.
        """
        seen, _ = self._authenticate(email, password, client, device_id)
        renewed = self._renewed(seen, password)

        def issue(transaction: WriteTransaction) -> IssuedToken:
            account = lock_unchanged(transaction, seen)
            if account is None:
                raise WrongCredentials
            if renewed is not None:
                transaction.renew_password_hash(account.account_id, renewed)
            self._known.remember(transaction, account.account_id, client, device_id)
            return self._tokens.issue(transaction, account, device_id)

        issued = self._store.write(issue)
        if issued.replaced is not None:
            self._publisher.hang_up(issued.account_id, issued.replaced)
        return issued

    def delete(self, email: str, password: str, client: str = "") -> None:
        """Remove the account and all that belongs to it.

        Raises:
            RateLimited: if too many passwords were tried, see `Throttle`.
            Busy: if too many wait to be checked.
            WrongCredentials: if there is no account with this address and password.
            NotVerified: if a sign-up with them waits to be confirmed.
            AccountDisabled: if the operator has disabled it.
        """
        seen, own_signups = self._authenticate(email, password, client)

        def remove(transaction: WriteTransaction) -> None:
            account = lock_unchanged(transaction, seen)
            if account is None:
                raise WrongCredentials
            transaction.delete_account(account.account_id, self._clock())
            # Those of others go on waiting: who made them would see by their end that there was an account.
            if own_signups is not None:
                transaction.delete_signups(email, own_signups)

        self._store.write(remove)
        self._publisher.hang_up_all(seen.account_id, seen.epoch)

    def _authenticate(self, email: str, password: str, client: str, device_id: str = "") -> tuple[Account, str | None]:
        """Return the account whose password this is, and the hash that sign-ups with it have, if there may be any.

        The attempt counts, right or wrong.
        """
        seen, standing = self._look(email, client, device_id)
        asker = asker_of(standing, client, email)
        with self._throttle.guess(client, email, device_id, standing=standing) as guess:
            matches = self._passwords.verify(seen.password_hash if seen else None, password, asker=asker)
            # Looked up in any case, which is the same work.
            of_signups, wait = self._signups_with(email, password, asker)
            guess.judge(right=matches)
        if seen is None or not matches:
            raise NotVerified if wait else WrongCredentials
        return seen, of_signups

    def _renewed(self, account: Account, password: str) -> str | None:
        """Return today's hash of the password that was proven just now, if the account has one of another kind."""
        if not self._passwords.is_outdated(account.password_hash):
            return None
        with suppress(Busy):  # the next login will do
            return self._passwords.hash(password, asker=Asker(account.email, is_known=True))
        return None

    def _signups_with(self, email: str, password: str, asker: Asker) -> tuple[str | None, bool]:
        """Return the hash that sign-ups with this password have, and whether any wait."""
        if self._signups is None:
            return None, False
        password_hash = self._signups.hash_of(email, password, asker)
        return password_hash, self._signups.wait(email, password_hash)

    def _is_retry(self, email: str, password: str, salt_seed: bytes | None, client: str) -> bool:
        existing, standing = self._look(email, client)
        asker = asker_of(standing, client, email)
        with self._throttle.guess(client, email, standing=standing) as guess:
            matches = self._passwords.verify(existing.password_hash if existing else None, password, asker=asker)
            guess.judge(right=matches)
        return existing is not None and matches and existing.salt_seed == salt_seed

    def _look(self, email: str, client: str, device_id: str = "") -> tuple[Account | None, Standing]:
        def look(transaction: ReadTransaction) -> tuple[Account | None, Standing]:
            account = transaction.find_account(email)
            return account, self._known.standing(transaction, account, client, device_id)

        return self._store.read(look)


def lock_unchanged(transaction: WriteTransaction, seen: Account) -> Account | None:
    """Lock an account whose password was checked before, and return it as it is now.

    None if that password holds no more: it was changed while it was being checked, or the account is gone.

    Raises:
        AccountDisabled: if the operator has disabled it.
    """
    account = transaction.lock_account(seen.account_id)
    if account is None or account.epoch != seen.epoch:
        return None
    if account.disabled_at is not None:
        raise AccountDisabled
    return account
