"""Live updates: who holds a token may listen for the wallets of its account, as long as the token lives."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from operator import methodcaller

from walletsync_server.live.hub import AccountIsFull, Hub, HubIsFull, Listener
from walletsync_server.live.interface import Publisher
from walletsync_server.services.errors import Overloaded, TooManySockets
from walletsync_server.services.store import Store
from walletsync_server.services.tokens import Tokens
from walletsync_server.storage.interface import ReadTransaction

LOOK_SECONDS = 20.0
"""How often every token is looked at, whatever nobody told: that is how long a clock may have been set."""
AT_ONCE = 500
"""Tokens in one question: one for each account would take a quarter of a core where ten thousand listen."""


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """A place among the listeners, until `leave` is called, and at most for `seconds`: then the token expires."""

    listener: Listener
    leave: Callable[[], None]
    seconds: float


class Updates:
    """Lets devices listen. `publisher` knows whether what happens elsewhere is told here."""

    def __init__(
        self,
        store: Store,
        *,
        tokens: Tokens,
        hub: Hub,
        publisher: Publisher,
        clock: Callable[[], datetime],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._hub = hub
        self._publisher = publisher
        self._clock = clock
        self._seconds = seconds
        self._mark: bytes | None = None
        self._looked_at = -math.inf

    def listen(self, token: str | None, wake: Callable[[], None]) -> Subscription:
        """Return a subscription, which knows the current sequence already if there is a wallet.

        Args:
            token: whose wallets.
            wake: see `Hub.listen`.

        Raises:
            Unauthorized: if the token is not alive.
            TooManySockets: if the account listens as often as it may.
            Overloaded: if as many listen in all as may.
        """
        known = self._store.read(lambda transaction: self._tokens.authenticate(transaction, token))
        try:
            listener = self._hub.listen(known.account_id, known.token_hash, known.epoch, wake)
        except AccountIsFull:
            raise TooManySockets from None
        except HubIsFull:
            raise Overloaded from None

        def current(transaction: ReadTransaction) -> int:
            self._tokens.authenticate(transaction, token)
            return transaction.current_sequence(known.account_id)

        try:
            # Only now: a write or a revocation from here on is told, and one before is seen here.
            sequence = self._store.read(current)
        except Exception:
            self._hub.leave(listener)
            raise
        listener.tell(sequence)
        seconds = (known.expires_at - self._clock()).total_seconds()
        return Subscription(listener=listener, leave=lambda: self._hub.leave(listener), seconds=seconds)

    def hang_up_void(self) -> int:
        """Hang up who listens with a token that is void by now; return how many such tokens there were.

        Another process may have made it void, which says so, or the clock was set. For one thread, often: it looks at
        every token only when there is a new mark, or every `LOOK_SECONDS`, or when other servers are not reached.
        """
        mark, now = self._store.read(lambda transaction: transaction.void_mark()), self._seconds()
        is_told = self._publisher.reach != "cut off"
        if mark == self._mark and now - self._looked_at < LOOK_SECONDS and is_told:
            return 0
        count = self._hang_up_all_void()
        self._mark, self._looked_at = mark, now
        return count

    def tell_all(self) -> int:
        """Tell each listener the current sequence, or that its token is void, as after that may have been lost.

        Returns:
            How many accounts listen.

        Raises:
            Unavailable: if the storage does not answer; then some were not told.
        """
        self._hang_up_all_void()
        accounts = list(self._hub.tokens())
        for account_id in accounts:
            self._hub.publish(account_id, self._store.read(methodcaller("current_sequence", account_id)))
        return len(accounts)

    def _hang_up_all_void(self) -> int:
        listened = [(account_id, token) for account_id, tokens in self._hub.tokens().items() for token in tokens]
        void: list[tuple[int, bytes]] = []
        for begin in range(0, len(listened), AT_ONCE):
            some = listened[begin : begin + AT_ONCE]
            expiries = self._store.ask(methodcaller("expiries", [token for _, token in some]))
            now = self._clock()
            void += [(account_id, token) for account_id, token in some if expiries.get(token, now) <= now]
        for account_id, token in void:
            self._hub.hang_up(account_id, token)
        return len(void)
