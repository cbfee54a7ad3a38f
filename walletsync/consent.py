"""A person's consent to go on from what the server has, though this device has seen later versions.

Where the server has an earlier password again, whoever knows that one could read all that is sealed under it. So
consent and a new password are one step then: the first thing that leaves the device is the change of the password, with
everything that the device has. Repeated after an interruption, it goes on where that was.
"""

from collections.abc import Iterator

from walletsync import passwords
from walletsync.api import Api
from walletsync.device import Device
from walletsync.errors import (
    ForkDetected,
    NoWallet,
    PasswordUnchanged,
    RollbackDetected,
    SyncGaveUp,
    WrongCredentials,
    WrongPassword,
)
from walletsync.protocol import WalletAnswer
from walletsync.results import Synced
from walletsync.session import Session
from walletsync.syncing import MAX_TRIES, Syncing

_MAX_OLDER = 100


class Consent:
    """The verb `Client.accept_restored_server`, whose promise is written there."""

    def __init__(self, api: Api, device: Device, session: Session, syncing: Syncing) -> None:
        self._api = api
        self._device = device
        self._session = session
        self._syncing = syncing

    def accept_restored_server(self, new_password: str | None) -> Synced:
        """Go on from what the server has; `Client.accept_restored_server` says more."""
        waiting = self._device.state.conflicts
        if new_password is None:
            self._session.log_in(accept_earlier_seed=True)
            self._device.check_password()
            self._take_current()
        else:
            self._take_current_and_change_password(new_password)
        return Synced(self._syncing.sync(None).sequence, self._device.conflicts(but=waiting))

    def _take_current_and_change_password(self, new: str) -> None:
        for _ in range(MAX_TRIES):
            try:
                self._session.log_in(accept_earlier_seed=True)
                self._take_current()
            except (WrongPassword, WrongCredentials):
                if not self._may_have_changed():
                    raise
            try:
                passwords.change_password(self._api, self._device, self._session, new, None, with_edits=True)
            except PasswordUnchanged:
                continue  # another device was faster
            return
        raise SyncGaveUp(
            f"The server had a later version each of {MAX_TRIES} times, so the password is unchanged. The edits are "
            "kept; try again in a while."
        )

    def _may_have_changed(self) -> bool:
        """Tell whether the server may refuse the password because it was changed, by this very step."""
        state = self._device.state
        change = state.password_change
        return self._session.fetch_seed() in (state.seed, None if change is None else change.seed)

    def _take_current(self) -> None:
        """Accept what the server has; leave the line that this device knows, if it does not follow from that."""
        token, unlocked = self._session.credentials()
        try:
            current = self._api.get_wallet(token)
        except NoWallet:
            if self._device.known is not None:
                self._leave_for(None, token)
            return
        try:
            self._device.accept(current, unlocked)
        except (RollbackDetected, ForkDetected):
            self._leave_for(current, token)

    def _leave_for(self, current: WalletAnswer | None, token: str) -> None:
        _, unlocked = self._session.credentials()
        is_latest = self._session.is_latest_password()
        older = () if current is None else self._older(token, current.sequence)
        self._device.continue_from(current, older, unlocked, is_latest_password=is_latest)

    def _older(self, token: str, sequence: int) -> Iterator[WalletAnswer]:
        """Yield the versions before `sequence` that the server keeps, the newest first."""
        if not self._api.keeps_history:
            return
        kept = sorted((version.sequence for version in self._api.history(token).versions), reverse=True)
        for earlier in [number for number in kept if number < sequence][:_MAX_OLDER]:
            yield self._api.version(token, earlier)
