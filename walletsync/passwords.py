"""Changing the password: one request that either happens or does not, however often it is interrupted.

A new seed, and the wallet sealed again under the keys that it and the new password make, one epoch and one version
further. All of that is kept on the device before it leaves; the passwords are not, so a repetition needs both of them
typed again. Until the outcome is known the device goes on under the old seed: whatever version lands there uses up the
change's sequence, and then the change can never land. The server's answer counts only as far as that:

200                              it has landed
409, 400, 413                    this copy has not; an earlier one is ruled out by the version that took its sequence
401                              the old password holds no longer; the seed shows whether because of this change
no answer                        send the same again
"""

from contextlib import ExitStack, suppress

from msgspec.structs import replace

from walletsync import crypto, refusals, versions
from walletsync.api import Api
from walletsync.device import Device
from walletsync.errors import (
    NotReady,
    ServerError,
    ServerUnreachable,
    UsageError,
    WrongCredentials,
    WrongPassword,
)
from walletsync.history import check_is_synced
from walletsync.protocol import PasswordRequest
from walletsync.remedies import Remedy
from walletsync.results import PasswordChanged
from walletsync.session import Session, check_password, is_same_password, not_logged_in
from walletsync.store import PasswordChange
from walletsync.versions import UnlockedAccount


def change_password(
    api: Api, device: Device, session: Session, new: str, old: str | None, *, with_edits: bool = False
) -> PasswordChanged:
    """Change the account's password; `Client.change_password` says more.

    `with_edits`: what the server does not have yet goes out with the change, and not before it.
    """
    email, password = session.account()
    old = password if old is None else old
    check_password(new)
    if is_same_password(old, new):
        raise UsageError("The new password is the same as the old one. Nothing was sent.")
    session.discover()
    seed = device.state.seed
    if seed is None:
        raise not_logged_in()
    with_old = session.unlock(seed) if old == password else session.derive(old, seed)
    change = device.state.password_change
    if device.is_opened_by(with_old) is False:
        if change is None and device.is_opened_by(with_new := session.derive(new, seed)):
            return _log_in_again(
                device, session, new, with_new
            )  # the repetition of one whose outcome got known meanwhile
        raise WrongPassword("The old password is not that of the wallet on this device. Nothing was sent.")
    is_repetition = change is not None
    with_new = session.derive(new, crypto.new_seed() if change is None else change.seed)
    if change is None:
        if not with_edits:
            _check_is_synced(device)
        change = device.begin_password_change(with_new, api.max_wallet_bytes)
    elif change.wallet is not None and not versions.is_opened_by(with_new, change.wallet):
        raise WrongPassword(
            "A password change whose outcome is not known was begun with another new password.",
            remedy=Remedy.FINISH_OR_CANCEL_PASSWORD_CHANGE,
        )
    try:
        _send(api, device, session, _request(email, with_old, with_new, change), change, again=is_repetition)
    except WrongCredentials:
        if device.known is None and _logs_in_with(session, new):
            return PasswordChanged(None)  # the same repetition, where there is no wallet to tell by
        if device.state.password_change is not None and session.fetch_seed() == change.seed:
            raise WrongPassword(
                "The password change that was begun on this device took effect, with a different new password than "
                "this one. Nothing is lost.",
                remedy=Remedy.USE_FIRST_NEW_PASSWORD,
            ) from None
        raise
    device.finish_password_change(change)
    return _log_in_again(device, session, new, with_new)


def _check_is_synced(device: Device) -> None:
    """Refuse where a change would leave edits behind, or take the place of versions that this device has not seen."""
    if device.is_behind_password_change:
        device.check_password()
        raise NotReady(
            "This device has not synced since the password was changed. Nothing was sent.", remedy=Remedy.SYNC
        )
    check_is_synced(device)


def _request(
    email: str, with_old: UnlockedAccount, with_new: UnlockedAccount, change: PasswordChange
) -> PasswordRequest:
    """Return the one request of this change: a repetition is the same to the byte."""
    request = PasswordRequest(
        email=email,
        old_password=with_old.keys.login,
        new_password=with_new.keys.login,
        client_salt_seed=change.seed.hex(),
    )
    if change.wallet is None:
        return request
    return replace(
        request,
        encrypted_wallet=change.wallet.encrypted_wallet,
        sequence=change.wallet.sequence,
        hmac=change.wallet.hmac,
    )


def _send(
    api: Api, device: Device, session: Session, request: PasswordRequest, change: PasswordChange, *, again: bool
) -> None:
    """Return once the change has landed."""
    try:
        api.change_password(device.state.token, request)
    except WrongCredentials:
        # The old password holds no longer. Was it this very change, in an earlier copy?
        has_landed = session.fetch_seed() == change.seed
        if has_landed and change.wallet is not None:
            return  # a wallet tells that it was with this new password
        if not has_landed and not again:
            device.abandon_password_change()
        raise
    except ServerError as error:
        if error.status in refusals.CHANGED_NOTHING and not again:
            device.abandon_password_change()
        raise


def _log_in_again(device: Device, session: Session, password: str, unlocked: UnlockedAccount) -> PasswordChanged:
    """Go on with the new password. Every token is void now, so this device logs in again."""
    session.take_new_password(password, unlocked)
    with suppress(ServerUnreachable, ServerError):  # the password is changed all the same; the next sync logs in
        session.log_in()
    known = device.known
    return PasswordChanged(None if known is None else known.sequence)


def _logs_in_with(session: Session, password: str) -> bool:
    """Tell whether `password` is the account's already; if so, this device is logged in with it."""
    _, before = session.account()
    with ExitStack() as on_failure:
        on_failure.callback(session.use_password, before)
        session.use_password(password)
        try:
            session.log_in()
        except WrongCredentials:
            return False
        on_failure.pop_all()
    return True
