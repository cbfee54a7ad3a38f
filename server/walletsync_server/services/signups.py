"""Sign-up where the address has to be confirmed first, so that nobody learns which addresses have an account.

A sign-up only ever writes two rows: itself and a mail. It never looks whether the address has an account, another
sign-up or a mail that waits, so neither its answer nor its time can tell. What the mail says is decided when it is sent
(see `mail`), and only its recipient reads it.

Sign-ups of one address stand side by side, one for each password and seed: none changes, delays or replaces another.
There is no limit per address, since whichever sign-up a full one would turn away could be the owner's. What bounds them
is the rate of sign-ups that one client may make, and their short life.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from walletsync.protocol import length_prefixed
from walletsync_server.services.account_ids import new_account_id
from walletsync_server.services.passwords import Passwords
from walletsync_server.services.store import Store
from walletsync_server.services.turns import ANYBODY, Asker
from walletsync_server.storage.interface import Account, AddressTaken, Mail, Signup, WriteTransaction

LIFETIME = timedelta(hours=48)
"""How long a sign-up waits, and a link works."""
_MAX_MAIL_ID = 2**63 - 1


class Signups:
    """Sign-ups that wait. `secret` is the server's own; `purge_clock` says what is old enough to be forgotten."""

    def __init__(
        self,
        store: Store,
        *,
        passwords: Passwords,
        secret: bytes,
        clock: Callable[[], datetime],
        purge_clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._secret = secret
        self._clock = clock
        self._purge_clock = purge_clock

    def add(self, email: str, password: str, salt_seed: bytes | None, asker: Asker = ANYBODY) -> None:
        """Let a sign-up wait and mail its link. The same again changes nothing and is mailed again."""
        password_hash = self.hash_of(email, password, asker)
        now = self._clock()
        signup = Signup(
            email=email,
            signup_id=_name(password_hash, salt_seed),
            password_hash=password_hash,
            salt_seed=salt_seed,
            created_at=now,
            expires_at=now + LIFETIME,
        )
        mail = new_mail(email, signup.signup_id, now)

        def store(transaction: WriteTransaction) -> None:
            transaction.put_signup(signup)
            transaction.queue_mail(mail)

        self._store.write(store)

    def mail_again(self, email: str) -> None:
        """Mail about what waits for this address, if anything does. The work is the same if nothing does."""
        mail = new_mail(email, None, self._clock())
        self._store.write(lambda transaction: transaction.queue_mail(mail))

    def wait(self, email: str, password_hash: str) -> bool:
        """Say whether sign-ups with this address and hash wait, also such as can never become an account."""
        return self._store.read(lambda transaction: transaction.has_signup(email, password_hash, self._clock()))

    def confirm(self, token: str) -> bool:
        """Make an account of the sign-up that the link with this token was mailed for; say whether there was one.

        No link to another sign-up of the address works from then on. The sign-ups themselves go on waiting until they
        expire, for who made them would see by their end that the address has an account now.
        """
        now, digest = self._clock(), token_digest(token)
        if self._store.read(lambda transaction: transaction.find_linked_signup(digest)) is None:
            return False  # whoever makes tokens up keeps nobody from writing

        def activate(transaction: WriteTransaction) -> bool:
            signup = transaction.find_linked_signup(digest)
            if signup is None or signup.expires_at <= now:
                return False
            transaction.insert_account(
                Account(
                    account_id=new_account_id(),
                    email=signup.email,
                    password_hash=signup.password_hash,
                    salt_seed=signup.salt_seed,
                    created_at=now,
                )
            )
            transaction.delete_signup(signup)
            transaction.void_links(signup.email)
            return True

        try:
            return self._store.write(activate)
        except AddressTaken:
            return False

    def purge(self) -> int:
        """Forget the sign-ups that have expired and the mails that are as old; return how many sign-ups."""
        now = self._purge_clock()
        self._store.remove(lambda transaction, most: transaction.purge_mails(now - LIFETIME, most))
        return self._store.remove(lambda transaction, most: transaction.purge_signups(now, most))

    def hash_of(self, email: str, password: str, asker: Asker) -> str:
        """Return the hash of a password as sign-ups of this address have it, always the same one.

        All sign-ups of an address have one salt, so that a single hash tells whether a password is that of any of
        them, however many there are.
        """
        message = b"walletsync/1/signup-salt" + length_prefixed(email.encode())
        return self._passwords.hash(password, hmac.digest(self._secret, message, hashlib.sha256)[:16], asker=asker)


def token_digest(token: str) -> bytes:
    """Return what is stored of a link's token. It has 256 random bits, so a fast hash cannot be turned around."""
    return hashlib.sha256(token.encode()).digest()


def new_mail(email: str, signup_id: bytes | None, now: datetime) -> Mail:
    """Return a mail to be sent as soon as possible."""
    return Mail(email=email, mail_id=secrets.randbelow(_MAX_MAIL_ID), signup_id=signup_id, created_at=now, due_at=now)


def _name(password_hash: str, salt_seed: bytes | None) -> bytes:
    """Return what tells a sign-up from the others of its address."""
    return hashlib.sha256(length_prefixed(password_hash.encode()) + length_prefixed(salt_seed or b"")).digest()
