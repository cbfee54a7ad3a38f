"""Argon2id over the login password. Slow on purpose, so it never runs inside a transaction."""

import secrets
import threading

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerifyMismatchError

# The second choice of OWASP's Password Storage Cheat Sheet; what comes in is the output of a far costlier derivation.
PASSWORD_HASHER = PasswordHasher(
    time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
)


class Passwords:
    """Hashes and checks passwords, at most `at_once` at a time: more would only make all of them slower."""

    def __init__(self, at_once: int, hasher: PasswordHasher = PASSWORD_HASHER) -> None:
        self._hasher = hasher
        self._turn = threading.BoundedSemaphore(at_once)
        self._nobodys = hasher.hash(secrets.token_hex(32))

    def hash(self, password: str) -> str:
        """Return what to store: algorithm, parameters, a fresh salt and the hash in one string."""
        with self._turn:
            return self._hasher.hash(password)

    def verify(self, stored: str | None, password: str) -> bool:
        """Say whether `stored` was made from `password`; for None do the same work and say no."""
        with self._turn:
            try:
                matches = self._hasher.verify(stored or self._nobodys, password)
            except VerifyMismatchError:
                return False
        return matches and stored is not None
