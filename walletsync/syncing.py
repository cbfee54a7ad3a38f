"""Get, merge and POST: one device's document and the server's current wallet, brought together."""

from collections.abc import Callable

from walletsync import merge, refusals
from walletsync.api import Api, ConflictAnswer
from walletsync.conflicts import OnConflict
from walletsync.device import Device
from walletsync.errors import (
    NoWallet,
    ProtocolError,
    RollbackDetected,
    ServerError,
    SyncGaveUp,
    Unauthorized,
    UsageError,
)
from walletsync.protocol import WalletAnswer, WalletRequest
from walletsync.remedies import Remedy
from walletsync.results import Fetched, OutOfDate, Posted, Synced
from walletsync.session import Session
from walletsync.store import SealedVersion
from walletsync.versions import UnlockedAccount

MAX_TRIES = 8


class Syncing:
    """The verbs of `Client` that move wallets; their promises are written there."""

    def __init__(self, api: Api, device: Device, session: Session) -> None:
        self._api = api
        self._device = device
        self._session = session

    def get(self) -> Fetched:
        """Take the current wallet; `Client.get_wallet` says more."""
        token, unlocked = self._session.credentials()
        return self._device.accept(self._fetch(token), unlocked)

    def post(self) -> Posted | OutOfDate:
        """POST the document as the next version; `Client.post_wallet` says more."""
        token, unlocked = self._session.credentials()
        if self._device.is_behind_password_change:
            self._catch_up(token, unlocked)
        pending = self._device.state.pending
        if pending is not None:
            settled = self._repeat(pending, token, unlocked)
            if isinstance(settled, OutOfDate) or not self._device.has_local_changes():
                return settled
        pending = self._device.seal_next(unlocked, self._api.max_wallet_bytes)
        try:
            return self._send(pending, token, unlocked)
        except ServerError as error:
            if error.status in refusals.CHANGED_NOTHING:
                self._device.abandon(pending)
            raise

    def sync(self, on_conflict: OnConflict | None) -> Synced:
        """Get, merge and POST until done; `Client.sync` says more."""
        if not (on_conflict in (None, "mine", "theirs") or callable(on_conflict)):
            raise UsageError('Conflicts are decided by "mine", "theirs", or a function that takes a conflict.')
        waiting = self._device.state.conflicts
        already_asked: set[merge.Conflict] = set()

        def decide() -> None:
            if on_conflict is not None:
                self._device.decide(on_conflict, already_asked)

        if self._session.must_log_in():
            self._session.log_in()
            sequence = self._sync(decide)
        else:
            try:
                sequence = self._sync(decide)
            except Unauthorized:  # tokens expire
                self._session.log_in()
                sequence = self._sync(decide)
        return Synced(sequence, self._device.conflicts(but=waiting))

    def _sync(self, decide: Callable[[], None]) -> int:
        """Return the sequence that device and server have in the end."""
        for _ in range(MAX_TRIES):
            self._get_if_any()
            decide()
            if self._device.known is None or self._device.has_local_changes():
                self.post()
                decide()  # the answer may have been a later version
            if self._device.known is not None and not self._device.has_local_changes():
                return self._device.known.sequence
        raise SyncGaveUp(
            f"The server had a later version each of {MAX_TRIES} times. The edits are kept; try again in a while."
        )

    def _get_if_any(self) -> None:
        try:
            self.get()
        except NoWallet:
            if self._device.state.document is None:
                raise
            # The one of this device will be the first.

    def _fetch(self, token: str) -> WalletAnswer:
        """Return what the server presents, be it only by saying that it is the synced version again.

        That is looked at like any other answer, so a server gains nothing by lying so.
        """
        synced = self._device.state.synced
        try:
            return self._api.get_wallet(token, None if synced is None else synced.wallet)
        except NoWallet:
            if self._device.known is None:
                raise
            raise RollbackDetected(
                f"The server says that there is no wallet, but this device has seen version "
                f"{self._device.known.sequence}. Nothing was changed here; ask whoever runs the server.",
                remedy=Remedy.ACCEPT_RESTORED_SERVER,
            ) from None

    def _catch_up(self, token: str, unlocked: UnlockedAccount) -> None:
        """Settle what was begun under the password before: nothing sealed under that may leave any more."""
        try:
            self._device.accept(self._fetch(token), unlocked)
        except NoWallet:
            pending = self._device.state.pending
            if pending is not None:
                self._device.abandon(pending)

    def _repeat(self, pending: SealedVersion, token: str, unlocked: UnlockedAccount) -> Posted | OutOfDate:
        """Send a write again whose outcome is not known."""
        try:
            return self._send(pending, token, unlocked)
        except ServerError as error:
            if error.status in refusals.CHANGED_NOTHING:
                # It may have landed earlier all the same, and then the current wallet shows it.
                self._device.accept(self._fetch(token), unlocked)
                self._device.abandon(pending)
            raise

    def _send(self, pending: SealedVersion, token: str, unlocked: UnlockedAccount) -> Posted | OutOfDate:
        request = WalletRequest(encrypted_wallet=pending.encrypted_wallet, sequence=pending.sequence, hmac=pending.hmac)
        answer = self._api.post_wallet(token, request)
        if isinstance(answer, ConflictAnswer):
            return self._out_of_date(pending, answer.latest or self._fetch(token), unlocked)
        if not _is(answer, pending) and (answer is not None or self._api.tells_current):
            raise ProtocolError(
                "The server accepted the wallet, but does not present it as the current one. The edits are kept: sync "
                "again, and ask whoever runs the server if it goes on."
            )
        self._device.acknowledge(pending)
        return Posted(pending.sequence)

    def _out_of_date(
        self, pending: SealedVersion, latest: WalletAnswer, unlocked: UnlockedAccount
    ) -> Posted | OutOfDate:
        fetched = self._device.accept(latest, unlocked)
        if _is(latest, pending):
            return Posted(pending.sequence)  # a lost answer: it had landed
        if self._device.state.pending is not None:
            raise ProtocolError(
                f"The server refuses version {pending.sequence} as out of date, but has no later version than this "
                "device. The edits are kept; ask whoever runs the server."
            )
        return OutOfDate(fetched.sequence, fetched.conflicts)


def _is(answer: WalletAnswer | None, pending: SealedVersion) -> bool:
    return answer is not None and (answer.sequence, answer.encrypted_wallet, answer.hmac) == (
        pending.sequence,
        pending.encrypted_wallet,
        pending.hmac,
    )
