"""The wallets: one current version per account, replaced only by the one that follows it."""

from collections.abc import Callable
from datetime import datetime
from enum import Enum, auto

from walletsync.protocol import wallet_digest
from walletsync_server.live.interface import Publisher
from walletsync_server.services.coroutines import LARGE, GeneratorCoroutine
from walletsync_server.services.errors import Conflict, NoSuchVersion, NothingToFollow, NoWallet, TooLarge
from walletsync_server.services.store import Store
from walletsync_server.services.thinning import superfluous
from walletsync_server.services.tokens import Tokens
from walletsync_server.storage.interface import Account, KeptVersion, ReadTransaction, WriteTransaction
from walletsync_server.storage.interface import Content as Content
from walletsync_server.storage.interface import Wallet as Wallet  # what `Wallets` returns

SMALL = 64 * 1024
"""Bytes of a wallet that is read and answered at once; what is larger would hold up those with a small one."""
KEPT_BYTES = 64 * 1024 * 1024
"""Bytes that all kept versions of a wallet may have together, if nobody says otherwise."""


class Keeper:
    """Adds versions, and keeps of the earlier ones what `superfluous` leaves.

    Args:
        kept_bytes: what all kept versions of one wallet may have together, where the account has no quota.
        clock: returns the time, aware.
    """

    def __init__(self, kept_bytes: int, clock: Callable[[], datetime]) -> None:
        self._kept_bytes = kept_bytes
        self._clock = clock

    def append(self, transaction: WriteTransaction, account: Account, wallet: Content, device_id: str) -> None:
        """Make `wallet` the current version, and drop of the earlier ones what need not be kept.

        The caller holds the lock of `account`, as it is now, and has checked the sequence.

        Args:
            transaction: see there.
            account: see there.
            wallet: the new version.
            device_id: who wrote it; empty if it was no device.

        Raises:
            TooLarge: if the wallet alone has more bytes than the account's quota.
        """
        size = len(wallet.encrypted_wallet.encode())
        if account.quota is not None and size > account.quota:
            raise TooLarge(
                f"The wallet has {size} bytes; this account may have {account.quota} here. Ask the server's operator."
            )
        version = Wallet(**wallet._asdict(), device_id=device_id, stored_at=self._clock())
        transaction.append_wallet(account.account_id, version)
        most_bytes = self._kept_bytes if account.quota is None else account.quota
        stored = transaction.stored_versions(account.account_id)
        transaction.drop_wallets(account.account_id, superfluous(stored, most_bytes))


class Wallets:
    """Reads and compare-and-swap of wallets that are at most `max_bytes` of UTF-8, and are kept as `keeper` says."""

    def __init__(
        self,
        store: Store,
        *,
        tokens: Tokens,
        keeper: Keeper,
        max_bytes: int,
        publisher: Publisher,
    ) -> None:
        self._store = store
        self._keeper = keeper
        self._publisher = publisher
        self._tokens = tokens
        self._max_bytes = max_bytes

    def read(
        self, token: str | None, known: Callable[[bytes], bool] | None = None
    ) -> GeneratorCoroutine[Content | bytes]:
        """Return the current wallet, or only its digest if the caller knows that one already.

        Args:
            token: whose wallet.
            known: says whether the caller has the wallet with this digest; if so, it is not read. By default none.

        Raises:
            Unauthorized: if the token is not alive.
            NoWallet: if there is none yet.
        """
        shown = self._tokens.shown_by(token, SMALL if known is None else 0)
        if known is not None and shown.digest is not None:
            if known(shown.digest):
                return shown.digest
            shown = self._tokens.shown_by(token, SMALL)
        if shown.wallet is None and shown.digest is not None:
            yield LARGE
            shown = self._tokens.shown_by(token, None)
        if shown.wallet is None:
            raise NoWallet
        return shown.wallet

    def history(self, token: str | None) -> list[KeptVersion]:
        """Return what is known of each version that is kept, the current one first.

        Raises:
            Unauthorized: if the token is not alive.
        """
        return self._store.read(lambda t: t.history(self._tokens.authenticate(t, token).account_id))

    def version(self, token: str | None, sequence: int) -> GeneratorCoroutine[Wallet]:
        """Return one version of the wallet, which may be large.

        Raises:
            Unauthorized: if the token is not alive.
            NoSuchVersion: if that one is not kept.
        """
        yield LARGE
        found = self._store.read(lambda t: t.wallet_at(self._tokens.authenticate(t, token).account_id, sequence))
        if found is None:
            raise NoSuchVersion
        return found

    def write(
        self, token: str | None, *, sequence: int, encrypted_wallet: str, hmac: str
    ) -> GeneratorCoroutine[Content]:
        """Make this the current wallet if it is the next one, or if it is the current one already; return it.

        Raises:
            Unauthorized: if the token is not alive, or died before the write.
            TooLarge: if the encrypted wallet is over the server's limit; or it would be stored, and alone has more than
                the account's quota.
            NothingToFollow: if there is no wallet and the sequence is not 1.
            Conflict: if another wallet is the current one and this is not the next.
        """
        if len(encrypted_wallet) > min(SMALL, self._max_bytes):
            # The token is checked where the wallet is stored; but a stranger's large one is not even hashed.
            self._store.ask(lambda transaction: self._tokens.authenticate(transaction, token))
        posted = self.checked(sequence, encrypted_wallet, hmac)

        def swap(transaction: WriteTransaction) -> tuple[_Outcome, int]:
            account, known = self._tokens.lock(transaction, token)
            if sequence != account.current_sequence + 1:
                return _outcome_without_writing(transaction, account.account_id, posted), account.account_id
            self._keeper.append(transaction, account, posted, known.device_id)
            return _Outcome.STORED, account.account_id

        outcome, account_id = yield from self._store.writing(swap)
        if outcome is _Outcome.STORED:
            self._publisher.publish(account_id, sequence)
        elif outcome is not _Outcome.CURRENT:
            # Read only now: hundreds of large wallets that wait for their turn to be answered would fill the memory.
            current = yield from self.read(token)
            assert isinstance(current, Content)  # noqa: S101 - for the type checker: no digest is known
            raise Conflict(current, applied=_APPLIED[outcome])
        return posted

    def checked(self, sequence: int, encrypted_wallet: str, hmac: str) -> Content:
        """Return a version that came, with its digest.

        Raises:
            TooLarge: if the encrypted wallet is over the limit.
        """
        if len(encrypted_wallet.encode()) > self._max_bytes:
            raise TooLarge(f"encryptedWallet has more than {self._max_bytes} bytes, the most that this server stores.")
        return Content(sequence, hmac, wallet_digest(sequence, encrypted_wallet, hmac), encrypted_wallet)


class _Outcome(Enum):
    """What became of a POST."""

    STORED = auto()
    CURRENT = auto()
    SUPERSEDED = auto()
    NOT_STORED = auto()
    FORGOTTEN = auto()


_APPLIED = {_Outcome.SUPERSEDED: True, _Outcome.NOT_STORED: False, _Outcome.FORGOTTEN: None}


def _outcome_without_writing(transaction: ReadTransaction, account_id: int, posted: Content) -> _Outcome:
    """Say whether `posted` is the current wallet already, or was before it, as far as that is known."""
    digest = transaction.current_digest(account_id)
    if digest is None:
        raise NothingToFollow
    if digest == posted.digest:
        return _Outcome.CURRENT
    if posted.sequence >= transaction.current_sequence(account_id):
        return _Outcome.NOT_STORED
    kept = transaction.digest_at(account_id, posted.sequence)
    if kept is None:
        return _Outcome.FORGOTTEN
    return _Outcome.SUPERSEDED if kept == posted.digest else _Outcome.NOT_STORED
