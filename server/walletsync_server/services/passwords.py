"""Argon2id over the login password. Slow on purpose, so it never runs inside a transaction."""

import secrets
from collections.abc import Sequence

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerifyMismatchError

from walletsync_server.services.turns import ANYBODY, Asker, Turns

# The second choice of OWASP's Password Storage Cheat Sheet; what comes in is the output of a far costlier derivation.
PASSWORD_HASHER = PasswordHasher(
    time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
)
EARLIER_HASHERS: Sequence[PasswordHasher] = ()
"""What earlier versions hashed with, if that was something else: some accounts have such a hash until they log in."""
QUEUE = 8
"""How many strangers may wait for their turn, by default, and how many who are known: a tenth of a second of work, and
few of a server's threads."""
_SECONDS = 0.05
"""What one takes on a slow machine, to tell clients when to come back."""


class Passwords:
    """Hashes and checks passwords, at most `at_once` at a time: more would only make all of them slower.

    `running` and `waiting` say how many do so now. `hash` and `verify` raise `Busy` if too many wait, see `Turns`.

    Args:
        at_once: see above.
        hasher: how passwords are hashed now.
        earlier: how those were hashed that are not renewed yet. Each makes every check longer, for all alike: else the
            time that a wrong password takes would tell an address with an old account from one without.
        queue: how many more may wait.
    """

    def __init__(
        self,
        at_once: int,
        hasher: PasswordHasher = PASSWORD_HASHER,
        *,
        earlier: Sequence[PasswordHasher] = EARLIER_HASHERS,
        queue: int = QUEUE,
    ) -> None:
        self._hasher = hasher
        self._turns = Turns(at_once, queue, _SECONDS)
        self._nobodys = [(each, each.hash(secrets.token_hex(32))) for each in (hasher, *earlier)]

    @property
    def running(self) -> int:
        """How many are being hashed now."""
        return self._turns.running

    @property
    def waiting(self) -> int:
        """How many wait to be."""
        return self._turns.waiting

    @property
    def places(self) -> int:
        """How many may hash or wait at once; each holds a thread meanwhile."""
        return self._turns.places

    def hash(self, password: str, salt: bytes | None = None, *, asker: Asker = ANYBODY) -> str:
        """Return what to store: algorithm, parameters, salt (a fresh one by default) and the hash in one string."""
        with self._turns.take(asker):
            return self._hasher.hash(password, salt=salt)

    def verify(self, stored: str | None, password: str, *, asker: Asker = ANYBODY) -> bool:
        """Say whether `stored` was made from `password`; for None do the same work and say no."""
        with self._turns.take(asker):
            maker = self._maker_of(stored or self._nobodys[0][1])
            found = [
                _matches(each, stored or nobodys if each is maker else nobodys, password)
                for each, nobodys in self._nobodys
            ]
        return any(found) and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Say whether a password would be hashed otherwise today."""
        return self._hasher.check_needs_rehash(stored)

    def _maker_of(self, stored: str) -> PasswordHasher:
        """Return what made a hash; the one of today if nobody knows, which can check it as well."""
        return next((each for each, _ in self._nobodys if not each.check_needs_rehash(stored)), self._hasher)


def _matches(hasher: PasswordHasher, stored: str, password: str) -> bool:
    try:
        return hasher.verify(stored, password)
    except VerifyMismatchError:
        return False
