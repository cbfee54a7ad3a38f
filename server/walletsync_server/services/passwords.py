"""Argon2id over the login password. Slow on purpose, so it never runs inside a transaction."""

import math
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerifyMismatchError

from walletsync_server.services.errors import Busy

# The second choice of OWASP's Password Storage Cheat Sheet; what comes in is the output of a far costlier derivation.
PASSWORD_HASHER = PasswordHasher(
    time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
)
QUEUE = 8
"""How many may wait for their turn, by default: a tenth of a second of work, and few of a server's threads."""
_SECONDS = 0.05
"""What one takes on a slow machine, to tell clients when to come back."""


class Passwords:
    """Hashes and checks passwords, at most `at_once` at a time: more would only make all of them slower.

    `running` and `waiting` say how many do so now. All of its methods raise `Busy` if `queue` wait already.
    """

    def __init__(self, at_once: int, hasher: PasswordHasher = PASSWORD_HASHER, *, queue: int = QUEUE) -> None:
        self._hasher = hasher
        self._at_once = at_once
        self._queue = queue
        self._turn = threading.Condition()
        self.running = self.waiting = 0
        self._nobodys = hasher.hash(secrets.token_hex(32))

    @property
    def places(self) -> int:
        """How many may hash or wait at once; each holds a thread meanwhile."""
        return self._at_once + self._queue

    def hash(self, password: str, salt: bytes | None = None) -> str:
        """Return what to store: algorithm, parameters, salt (a fresh one by default) and the hash in one string."""
        with self._in_turn():
            return self._hasher.hash(password, salt=salt)

    def verify(self, stored: str | None, password: str) -> bool:
        """Say whether `stored` was made from `password`; for None do the same work and say no."""
        with self._in_turn():
            try:
                matches = self._hasher.verify(stored or self._nobodys, password)
            except VerifyMismatchError:
                return False
        return matches and stored is not None

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        with self._turn:
            if self.running == self._at_once:
                self._wait()
            self.running += 1
        try:
            yield
        finally:
            with self._turn:
                self.running -= 1
                self._turn.notify()

    def _wait(self) -> None:
        if self.waiting >= self._queue:
            raise Busy(max(1, math.ceil(self._queue * _SECONDS / self._at_once)))
        self.waiting += 1
        try:
            self._turn.wait_for(lambda: self.running < self._at_once)
        finally:
            self.waiting -= 1
