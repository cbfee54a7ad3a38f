"""The salt seed that a client needs before it can derive its login password, and so before it can log in."""

import hashlib
import hmac

from walletsync.protocol import length_prefixed
from walletsync_server.services.store import Store
from walletsync_server.services.throttle import Throttle


class Seeds:
    """Tells everybody's seed to anybody, without telling who has an account."""

    def __init__(self, store: Store, secret: bytes, throttle: Throttle) -> None:
        self._store = store
        self._secret = secret
        self._throttle = throttle

    def seed_of(self, email: str, client: str = "") -> str:
        """Return 64 hex characters: the account's seed, or a fake that is the same every time for this address.

        The fake is made in either case, and the database chooses, so both take the same time.

        Args:
            email: canonical.
            client: the address that asks, as `Throttle` wants it.

        Raises:
            RateLimited: if it asked too often.
        """
        self._throttle.ask_for_seed(client)
        message = b"walletsync/1/fake-seed" + length_prefixed(email.encode())
        fake = hmac.digest(self._secret, message, hashlib.sha256)
        return self._store.read(lambda transaction: transaction.salt_seed(email, fake)).hex()
