"""Who is listening for new wallets, and telling them; in this process.

What is told is a hint of which only the latest counts: a listener that is slow or stuck keeps one number, not a queue,
and holds nobody up. Any thread may call anything here, and nothing here waits for a listener.
"""

import threading
from collections.abc import Callable

from typing_extensions import override

from walletsync_server.live.interface import Publisher, Reach

MAX_LISTENERS_PER_ACCOUNT = 10
MAX_LISTENERS = 12_000


class AccountIsFull(Exception):
    """The account has as many listeners as it may."""


class HubIsFull(Exception):
    """There are as many listeners as there may be in all."""


class Listener:
    """One who listens for an account's wallets. Made by `Hub.listen`, whose lock guards what is in here."""

    def __init__(
        self, account_id: int, token: bytes, epoch: int, wake: Callable[[], None], lock: threading.Lock
    ) -> None:
        self.account_id = account_id
        self.token = token
        self.epoch = epoch
        self._wake = wake
        self._lock = lock
        self._awake = False
        self._over = False
        self._newest = 0
        self._taken = 0

    @property
    def is_over(self) -> bool:
        """Whether it was hung up: the owner has to close the connection."""
        return self._over

    def take(self) -> int | None:
        """Return the newest sequence, or None if it was taken before."""
        with self._lock:
            self._awake = False
            if self._newest == self._taken:
                return None
            self._taken = self._newest
            return self._taken

    def tell(self, sequence: int) -> None:
        """Note a sequence, unless a newer one is known."""
        with self._lock:
            self.note(sequence)

    def note(self, sequence: int) -> None:
        """Do what `tell` does; the caller holds the lock."""
        if sequence > self._newest:
            self._newest = sequence
            self._rouse()

    def end(self) -> None:
        """Note that it is over; the caller holds the lock."""
        self._over = True
        self._rouse()

    def _rouse(self) -> None:
        if not self._awake:
            self._awake = True
            self._wake()


class Hub(Publisher):
    """All listeners of this process.

    Args:
        per_account: how many one account may have; may be set anew, for those that come.
        in_all: how many there may be.
    """

    def __init__(self, *, per_account: int = MAX_LISTENERS_PER_ACCOUNT, in_all: int = MAX_LISTENERS) -> None:
        self.per_account = per_account
        self._in_all = in_all
        self._listeners: dict[int, set[Listener]] = {}
        self._count = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._count

    def listen(self, account_id: int, token: bytes, epoch: int, wake: Callable[[], None]) -> Listener:
        """Add a listener. Whoever asks for it calls `leave` in the end.

        Args:
            account_id: whose wallets.
            token: the SHA-256 of the token that it listens with; it is hung up with that.
            epoch: of the account when that token was issued.
            wake: called, by whichever thread has the news, when there is something to take or it is over, and then not
                again before `take`. It must neither wait, nor raise, nor call anything of this object.

        Raises:
            AccountIsFull: if the account has as many as it may.
            HubIsFull: if there are as many in all as there may be.
        """
        listener = Listener(account_id, token, epoch, wake, self._lock)
        with self._lock:
            if self._count >= self._in_all:
                raise HubIsFull
            of_account = self._listeners.setdefault(account_id, set())
            if len(of_account) >= self.per_account:
                raise AccountIsFull
            of_account.add(listener)
            self._count += 1
        return listener

    def leave(self, listener: Listener) -> None:
        """Remove a listener. Its `wake` is not called after this has returned. Twice is fine."""
        with self._lock:
            of_account = self._listeners.get(listener.account_id, set())
            if listener in of_account:
                of_account.remove(listener)
                self._count -= 1
            if not of_account:
                self._listeners.pop(listener.account_id, None)

    def tokens(self) -> dict[int, set[bytes]]:
        """Return the tokens that are listened with, each by its SHA-256, by account."""
        with self._lock:
            return {account: {each.token for each in found} for account, found in self._listeners.items()}

    @property
    @override
    def reach(self) -> Reach:
        return "process"

    @override
    def publish(self, account_id: int, sequence: int) -> None:
        with self._lock:
            for listener in self._listeners.get(account_id, ()):
                listener.note(sequence)

    @override
    def hang_up(self, account_id: int, token: bytes) -> None:
        self._end(account_id, lambda listener: listener.token == token)

    @override
    def hang_up_all(self, account_id: int, epoch: int) -> None:
        self._end(account_id, lambda listener: listener.epoch <= epoch)

    def _end(self, account_id: int, which: Callable[[Listener], bool]) -> None:
        with self._lock:
            for listener in self._listeners.get(account_id, ()):
                if which(listener):
                    listener.end()
