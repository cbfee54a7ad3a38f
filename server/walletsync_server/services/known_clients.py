"""Who is no stranger to an account: devices and networks that have proven its password lately.

They are kept with the account, so that neither a restart nor a change of the password makes a stranger of its owner,
while others guess (see `Throttle`). What is kept are hashes under the server's secret, which name nobody.
"""

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta

from walletsync.protocol import length_prefixed
from walletsync_server.services.store import Store
from walletsync_server.services.throttle import Standing, neighbourhood_of, network_of
from walletsync_server.services.turns import Asker
from walletsync_server.storage.interface import Account, ReadTransaction, WriteTransaction

KNOWN_FOR = timedelta(days=90)
"""How long after the right password."""
MOST = 200
"""How many an account knows; beyond that the ones that came longest ago are forgotten."""


class KnownClients:
    """Remembers them. `secret` is the server's own; `purge_clock` says what is old enough to be forgotten."""

    def __init__(
        self, store: Store, secret: bytes, clock: Callable[[], datetime], *, purge_clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._secret = secret
        self._clock = clock
        self._purge_clock = purge_clock

    def standing(self, transaction: ReadTransaction, account: Account | None, client: str, device_id: str) -> Standing:
        """Say how an account knows who comes; without an account, the same work, and nobody is known.

        Args:
            transaction: to ask.
            account: the account.
            client: the address that it comes from.
            device_id: the device, empty if it says none.
        """
        account_id = account.account_id if account else 0
        since = self._clock() - KNOWN_FOR
        knows_device = transaction.knows_client(account_id, self._device(account_id, device_id), since)
        has_token = transaction.has_token(account_id, device_id)
        knows_network = transaction.knows_client(account_id, self._network(account_id, client), since)
        if knows_device or has_token:
            return Standing.DEVICE
        return Standing.NETWORK if knows_network else Standing.STRANGER

    def remember(self, transaction: WriteTransaction, account_id: int, client: str, device_id: str = "") -> None:
        """Remember where the right password came from. The caller holds the account's lock."""
        names = [self._network(account_id, client)]
        if device_id:
            names.append(self._device(account_id, device_id))
        for name in names:
            transaction.remember_client(account_id, name, self._clock(), MOST)

    def purge(self) -> int:
        """Forget those who have not come for long; return how many."""
        before = self._purge_clock() - KNOWN_FOR
        return self._store.remove(lambda transaction, most: transaction.forget_clients(before, most))

    def _device(self, account_id: int, device_id: str) -> bytes:
        return self._name(b"device", account_id, device_id)

    def _network(self, account_id: int, client: str) -> bytes:
        return self._name(b"network", account_id, network_of(client))

    def _name(self, kind: bytes, account_id: int, text: str) -> bytes:
        message = b"".join(map(length_prefixed, (b"walletsync/1/known", kind, b"%d" % account_id, text.encode())))
        return hmac.digest(self._secret, message, hashlib.sha256)[:16]


def asker_of(standing: Standing, client: str, email: str) -> Asker:
    """Return for whom a password is checked: a device that is known to this account, or anybody from around there."""
    if standing is Standing.DEVICE:
        return Asker(email, is_known=True)
    return Asker(neighbourhood_of(client))
