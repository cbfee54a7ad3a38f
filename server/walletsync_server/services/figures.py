"""What an operator sees of the database in figures; NaN where there is none, or the database cannot be asked."""

import math
from collections.abc import Callable
from datetime import datetime

from walletsync_server.services.errors import Unavailable
from walletsync_server.services.store import Store
from walletsync_server.storage.interface import ReadTransaction

MANY = 10_000
"""Accounts of which more are not counted each time: to count a million takes PostgreSQL half a second."""
LATELY_SECONDS = 300.0
"""How old their count may be then."""


class Figures:
    """Each is asked of the database when somebody looks, but for the number of many accounts.

    Args:
        store: the database.
        seconds: returns the seconds since any moment, by a clock that nobody sets.
    """

    def __init__(self, store: Store, seconds: Callable[[], float]) -> None:
        self._store = store
        self._seconds = seconds
        self._accounts, self._counted_at = math.nan, -math.inf

    def accounts(self) -> float:
        """Return how many accounts there are; of more than `MANY`, as of at most `LATELY_SECONDS` ago."""
        now = self._seconds()
        if not (self._accounts > MANY and now - self._counted_at < LATELY_SECONDS):
            self._accounts, self._counted_at = self._ask(lambda transaction: transaction.count_accounts()), now
        return self._accounts

    def mails_waiting(self) -> float:
        """Return how many mails wait to be sent, now or later."""
        return self._ask(lambda transaction: transaction.count_mails_waiting())

    def last_backup(self) -> float:
        """Return when the last backup was complete, in seconds since 1970."""
        return self._ask(lambda transaction: _seconds(transaction.backed_up_at()))

    def _ask(self, question: Callable[[ReadTransaction], float]) -> float:
        try:
            return self._store.ask(question)
        except Unavailable:
            return math.nan  # the other figures are needed most when the database cannot be asked


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else math.nan
