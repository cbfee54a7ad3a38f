"""Argon2id over the login password. Slow on purpose, so it never runs inside a transaction."""

import secrets

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerifyMismatchError

from walletsync_server.services.turns import ANYBODY, Asker, Turns

# The second choice of OWASP's Password Storage Cheat Sheet; what comes in is the output of a far costlier derivation.
PASSWORD_HASHER = PasswordHasher(
    time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
)
QUEUE = 8
"""How many strangers may wait for their turn, by default, and how many who are known: a tenth of a second of work, and
few of a server's threads."""
_SECONDS = 0.05
"""What one takes on a slow machine, to tell clients when to come back."""


class Passwords:
    """Hashes and checks passwords, at most `at_once` at a time: more would only make all of them slower.

    `running` and `waiting` say how many do so now. All of its methods raise `Busy` if too many wait, see `Turns`.
    """

    def __init__(self, at_once: int, hasher: PasswordHasher = PASSWORD_HASHER, *, queue: int = QUEUE) -> None:
        self._hasher = hasher
        self._turns = Turns(at_once, queue, _SECONDS)
        self._nobodys = hasher.hash(secrets.token_hex(32))

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
            try:
                matches = self._hasher.verify(stored or self._nobodys, password)
            except VerifyMismatchError:
                return False
        return matches and stored is not None
