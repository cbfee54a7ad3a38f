"""Who this device is to the server: the account and its password, the salt seed, the keys, the token."""

import base64
import re
import unicodedata
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from walletsync import crypto
from walletsync.api import Api
from walletsync.device import Device
from walletsync.errors import (
    AccountExists,
    InvalidAddress,
    NotAllowed,
    NotReady,
    ProtocolError,
    SeedChanged,
    StoreUnusable,
    UsageError,
    WrongCredentials,
    WrongPassword,
)
from walletsync.protocol import DeleteAccountRequest, LoginRequest, SignupRequest, canonical_email
from walletsync.realm import is_text
from walletsync.results import Account, AuthToken, Registered
from walletsync.versions import Unlocked

_TOKEN = re.compile(r"[0-9A-Za-z._~+/=-]{1,512}")
_SEED = re.compile(r"[0-9a-fA-F]{64}")
_NOT_OF_THE_WALLET = (
    "The password is not that of the wallet on this device, so nothing was sealed with it, and no login was sent."
)
_WITH_THE_RIGHT_ONE = (
    " Call set_account() with the right one; if it was changed on another device, with the new one and "
    "accept_new_password=True."
)


class Session:
    """Holds the password and the keys, in this process only; what has to last is in `device`.

    No key is used to seal anything before it is proven: a wallet sealed under a mistyped password is lost to everyone.
    """

    def __init__(
        self, api: Api, device: Device, realm: str, while_deriving: Callable[[], AbstractContextManager[object]]
    ) -> None:
        self.unlocked: Unlocked | None = None
        self._api = api
        self._device = device
        self.realm = realm
        self._password: str | None = None
        self._accepts_new_password = False
        self._proven: Unlocked | None = None
        self._has_discovered = False
        self._while_deriving = while_deriving

    def set_account(self, email: str, password: str, *, accept_new_password: bool) -> Account:
        """Say whose wallet this is; `Client.set_account` says more."""
        try:
            email = canonical_email(email)
        except ValueError as error:
            raise InvalidAddress(f"The account cannot be set: {error}.") from None
        check_password(password)
        state = self._device.state
        is_bound = any((state.seed, state.offered_seed, state.synced))
        if is_bound and (state.email, state.realm) != (email, self.realm):
            raise StoreUnusable(
                f"This store belongs to another account ({state.email} at {state.realm}). Use a store of its own for "
                "each account; if it is the server that moved, pass its earlier URL as `realm=`."
            )
        self._device.save(email=email, realm=self.realm)
        self.use_password(password)
        self._accepts_new_password = accept_new_password
        return Account(email, self.realm)

    def account(self) -> tuple[str, str]:
        """Return address and password."""
        if self._password is None or self._device.state.email is None:
            raise NotReady("Whose wallet is it? Call set_account() first.")
        return self._device.state.email, self._password

    def register(self) -> Registered:
        """Make the account on the server; `Client.register` says more."""
        email, _ = self.account()
        self.discover()
        seed = self._seed_to_offer()
        login = self.unlock(seed).keys.login
        try:
            answer = self._api.signup(SignupRequest(email=email, password=login, client_salt_seed=seed.hex()))
        except (AccountExists, NotAllowed):
            if self._device.state.seed is not None:
                # The account is not made anew, so what was offered for that must not open anything later.
                self._device.save(offered_seed=None)
            raise
        return Registered(email, answer.verified)

    def sign_in(self, *, accept_previous_seed: bool = False) -> AuthToken:
        """Trade the login key for a token; `Client.get_auth_token` says more.

        `accept_previous_seed`: a person has consented to a server that was restored from a backup.
        """
        email, _ = self.account()
        self.discover()
        seed = self.told_seed()
        if not self._is_trusted(seed) and not (accept_previous_seed and seed == self._device.state.previous_seed):
            raise SeedChanged(self._why_not(seed))
        unlocked = self._not_disproved(seed, told=seed)
        try:
            answer = self._api.login(LoginRequest(email=email, password=unlocked.keys.login, device_id=self.device_id))
        except WrongCredentials as error:
            self._ask_whether_it_waits(seed)
            raise WrongCredentials(f"{error}{self._hint(seed)}", status=error.status, code=error.code) from None
        if answer.device_id != self.device_id or not _TOKEN.fullmatch(answer.token):
            raise ProtocolError(
                "The server's answer holds no token for this device, so none was kept. Ask whoever runs the server."
            )
        self._device.enter(seed, answer.token)
        self._proven, self._accepts_new_password = unlocked, False
        return AuthToken(answer.token, answer.device_id, answer.expiration)

    def _ask_whether_it_waits(self, told: bytes) -> None:
        """Raise `NotVerified` if this device's own sign-up waits; its seed is not told before it is confirmed."""
        offered = self._device.state.offered_seed
        if offered is not None and offered != told:
            email, _ = self.account()
            login = self.unlock(offered).keys.login
            with suppress(WrongCredentials):
                self._api.login(LoginRequest(email=email, password=login, device_id=self.device_id))

    def sign_out(self) -> None:
        """Give the token back; without one, do nothing."""
        token = self._device.state.token
        if token is not None:
            self.discover()
            self._api.sign_out(token)
            self._device.save(token=None)

    def delete_account(self) -> None:
        """Delete the account; `Client.delete_account` says more."""
        email, _ = self.account()
        self.discover()
        seed = self._device.state.seed
        if seed is None:
            raise NotReady("This device is not signed in: call get_auth_token() first.")
        login = self._not_disproved(seed, told=None).keys.login
        self._api.delete_account(DeleteAccountRequest(email=email, password=login))
        self._device.leave()

    def signed_in(self) -> tuple[str, Unlocked]:
        """Return the token, and keys that are proven.

        Raises:
            NotReady: there is no token, or only a log-in can prove the password.
            WrongPassword: it does not open the wallet on this device.
        """
        self.account()
        self.discover()
        token, seed = self._device.state.token, self._device.state.seed
        if token is None or seed is None or self.must_sign_in():
            raise NotReady("This device is not signed in: call get_auth_token() first.")
        return token, self.proven(seed)

    def must_sign_in(self) -> bool:
        """Tell whether there is no token, or nothing but a log-in can tell which password is the account's."""
        state = self._device.state
        versions = [version for version in (state.synced, state.pending) if version is not None]
        can_tell = state.password_change is None and state.seed in [version.seed for version in versions]
        return state.token is None or self._accepts_new_password or (self._proven is None and not can_tell)

    def _not_disproved(self, seed: bytes, *, told: bytes | None) -> Unlocked:
        """Return the account's keys under `seed`. No server's word proves a password that the wallet disproves.

        `told` is the seed that the server tells, None if it was not asked.
        """
        unlocked = self.unlock(seed)
        if self._device.is_opened_by(unlocked) is False:
            raise WrongPassword(f"{_NOT_OF_THE_WALLET}{self._hint(told) or _WITH_THE_RIGHT_ONE}")
        return unlocked

    def proven(self, seed: bytes) -> Unlocked:
        """Return the account's keys under `seed`, proven by the wallet on this device or by an earlier log-in."""
        unlocked = self.unlock(seed)
        if unlocked is not self._proven:
            if not self._device.is_opened_by(unlocked):
                raise WrongPassword(f"{_NOT_OF_THE_WALLET}{_WITH_THE_RIGHT_ONE}")
            self._proven = unlocked
        return unlocked

    def use_password(self, password: str) -> None:
        """Derive keys from `password` from now on; nothing is proven by them yet."""
        self._password, self.unlocked, self._proven = password, None, None

    def take_new_password(self, password: str, unlocked: Unlocked) -> None:
        """From now on the account has `password`; `unlocked` are its keys, which the server has taken."""
        self._password, self.unlocked, self._proven = password, unlocked, unlocked

    def unlock(self, seed: bytes) -> Unlocked:
        """Return the account's keys under `seed`; derived anew only for another account, password or seed."""
        _, password = self.account()
        if self.unlocked is None or self.unlocked.binding != self._binding(seed):
            self.unlocked = self.derive(password, seed)
        return self.unlocked

    def derive(self, password: str, seed: bytes) -> Unlocked:
        """Derive the keys that `password` and `seed` make. Takes 256 MiB and about a second."""
        binding = self._binding(seed)
        with self._while_deriving():
            return Unlocked(binding, crypto.derive(password, binding))

    def discover(self) -> None:
        """Ask once per process what the server can do."""
        if self._has_discovered:
            return
        has_extras = self._api.discover()
        if self._device.state.has_seen_extras and not has_extras:
            raise ProtocolError(
                "The server does not tell any more what it can do, though it once did. Check its address; something in "
                "between may be hiding /.well-known/walletsync."
            )
        self._device.save(has_seen_extras=has_extras)
        self._has_discovered = True

    def told_seed(self) -> bytes:
        """Return what the server tells as the account's salt seed; whether to trust it is another question.

        Raises:
            ProtocolError: it is no seed.
        """
        email, _ = self.account()
        told = self._api.seed(base64.b64encode(email.encode()).decode()).client_salt_seed
        if not _SEED.fullmatch(told) or not int(told, 16):
            raise ProtocolError(
                "What the server tells as the account's salt seed is none. No login was sent; ask whoever runs it."
            )
        return bytes.fromhex(told)

    @property
    def device_id(self) -> str:
        """This device's name among those of the account."""
        return self._device.state.device_id

    def _binding(self, seed: bytes) -> crypto.Binding:
        email, _ = self.account()
        return crypto.Binding(self.realm, email, seed)

    def _seed_to_offer(self) -> bytes:
        """Return the seed for a sign-up, the same at each repetition: to the server that is a lost answer.

        It counts as the account's once it opened the door: a server may say 201 of an address that is taken.
        """
        state = self._device.state
        if state.seed is None:
            seed = state.offered_seed or crypto.new_seed()
            self._device.save(offered_seed=seed)
            return seed
        if self._is_still_there(state.seed):
            return state.seed
        # The account that this device knows is gone, or has another password, which the server will tell. A new one
        # gets a new seed: nothing sealed for the old one can be passed off as the new one's.
        seed = state.offered_seed or crypto.new_seed()
        self._device.save(offered_seed=seed, token=None)
        return seed

    def _is_still_there(self, seed: bytes) -> bool:
        try:
            return self.told_seed() == seed
        except WrongCredentials:  # some servers admit that there is no such account
            return False

    def _is_trusted(self, seed: bytes) -> bool:
        state = self._device.state
        change = state.password_change
        return (
            state.seed is None
            or self._accepts_new_password
            or seed in (state.seed, state.offered_seed)
            or (change is not None and seed == change.seed)
        )

    def _why_not(self, seed: bytes) -> str:
        if seed == self._device.state.previous_seed:
            return (
                "The server tells the salt seed from before the last password change, so no login was sent. Ask "
                "whoever runs it whether it was restored from an older backup. If so: set_account() with the password "
                "of that time, then accept_restored_server(); nothing on this device is lost."
            )
        return (
            "The server tells another salt seed for this account than this device knows, so no login was sent. If the "
            "password was changed on another device: set_account() with the new one and accept_new_password=True, then "
            "sync(). If the account was deleted: register() makes it anew. The document on this device and its edits "
            "are kept either way. If it was neither, ask whoever runs the server."
        )

    def _hint(self, told: bytes | None) -> str:
        """Say which password holds, where a change of it that began here was interrupted; else nothing.

        `told` is the seed that the server tells, None if it was not asked.
        """
        change = self._device.state.password_change
        if change is None:
            return ""
        if told is None:
            return (
                " Whether the password change that was begun on this device has landed is not known: get_auth_token() "
                "asks the server."
            )
        if told == change.seed:
            return " The password change that was begun on this device has landed: set_account() with the new password."
        return (
            " The password change that was begun on this device has not landed: the old password holds. "
            "set_account() with that one, then change_password() again."
        )


def check_password(password: str) -> None:
    """Refuse what is no password at all; how good it is, is not checked."""
    if not password or not is_text(password):
        raise UsageError("The password is empty, or no text. It protects the wallet: choose a long one.")


def is_same_password(one: str, other: str) -> bool:
    """Tell whether two passwords derive to the same keys: letters composed in either way are the same."""
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
