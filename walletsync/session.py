"""Registering, logging in and out: the account and its password, the salt seed, the keys, the token."""

import base64
import re
import unicodedata
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from walletsync import crypto, versions
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
from walletsync.remedies import Remedy
from walletsync.results import Account, AuthToken, Registered
from walletsync.versions import UnlockedAccount

_TOKEN = re.compile(r"[0-9A-Za-z._~+/=-]{1,512}")
_SEED = re.compile(r"[0-9a-fA-F]{64}")
_NOT_OF_THE_WALLET = (
    "The password is not that of the wallet on this device, so nothing was sealed with it, and no login was sent."
)


class Session:
    """Holds the password and the keys, in this process only; what has to last is in `device`.

    No key is used to seal anything before it is proven: a wallet sealed under a mistyped password is lost to everyone.
    """

    def __init__(
        self, api: Api, device: Device, realm: str, while_deriving: Callable[[], AbstractContextManager[object]]
    ) -> None:
        self.unlocked: UnlockedAccount | None = None
        self._api = api
        self._device = device
        self.realm = realm
        self._password: str | None = None
        self._proven: UnlockedAccount | None = None
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
                f"This store belongs to another account ({state.email} at {state.realm}). Use a separate store for "
                "each account.",
                remedy=Remedy.USE_EARLIER_URL,
            )
        self._password = None  # an exception must not leave one account's address with another one's password
        self._device.save(email=email, realm=self.realm, accepts_new_password=accept_new_password)
        self.use_password(password)
        return Account(email, self.realm)

    def account(self) -> tuple[str, str]:
        """Return address and password."""
        if self._password is None or self._device.state.email is None:
            raise NotReady("It is not known yet whose wallet this is.", remedy=Remedy.SET_ACCOUNT)
        return self._device.state.email, self._password

    def register(self, *, anew: bool) -> Registered:
        """Make the account on the server; `Client.register` says more."""
        email, _ = self.account()
        self.discover()
        seed = self._signup_seed(anew=anew)
        login = self.unlock(seed).keys.login
        try:
            answer = self._api.signup(SignupRequest(email=email, password=login, client_salt_seed=seed.hex()))
        except (AccountExists, NotAllowed):
            if self._device.state.seed is not None:
                # The account is not made anew, so what was offered for that must not open anything later.
                self._device.save(offered_seed=None)
            raise
        return Registered(email, answer.verified)

    def log_in(self, *, accept_earlier_seed: bool = False) -> AuthToken:
        """Trade the login key for a token; `Client.get_auth_token` says more.

        `accept_earlier_seed`: a person has consented to a server that was restored from a backup.
        """
        email, _ = self.account()
        self.discover()
        seed = self.fetch_seed()
        if not self._is_trusted(seed) and not (accept_earlier_seed and seed in self._device.state.seeds):
            raise self._seed_changed(seed)
        unlocked = self._plausible(seed, server_seed=seed)
        try:
            answer = self._api.login(LoginRequest(email=email, password=unlocked.keys.login, device_id=self.device_id))
        except WrongCredentials as error:
            self._raise_if_unverified(seed)
            open_change = self._open_change(seed)
            if open_change is None:
                raise
            sentence, remedy = open_change
            told = WrongCredentials(f"{error.message} {sentence}", status=error.status, code=error.code, remedy=remedy)
            told.request_id = error.request_id
            raise told from None
        if answer.device_id != self.device_id or not _TOKEN.fullmatch(answer.token):
            raise ProtocolError(
                "The server's answer holds no token for this device, so none was kept. Ask whoever runs the server."
            )
        self._device.accept_login(seed, answer.token)
        self._proven = unlocked
        return AuthToken(answer.token, answer.device_id, answer.expiration)

    def _raise_if_unverified(self, server_seed: bytes) -> None:
        """Raise `NotVerified` if this device's own sign-up is unconfirmed; the server does not tell its seed before."""
        offered = self._device.state.offered_seed
        if offered is not None and offered != server_seed:
            email, _ = self.account()
            login = self.unlock(offered).keys.login
            with suppress(WrongCredentials):
                self._api.login(LoginRequest(email=email, password=login, device_id=self.device_id))

    def check_password(self) -> None:
        """Look whether the password is the account's; `Client.check_password` says more."""
        self.account()
        seed = self._device.state.seed
        if seed is None or self.must_log_in():
            self.log_in()
        else:
            self.proven(seed)

    def log_out(self) -> None:
        """Give the token back; without one, do nothing."""
        token = self._device.state.token
        if token is not None:
            self.discover()
            self._api.log_out(token)
            self._device.save(token=None)

    def delete_account(self) -> None:
        """Delete the account; `Client.delete_account` says more."""
        email, _ = self.account()
        self.discover()
        seed = self._device.state.seed
        if seed is None:
            raise not_logged_in()
        login = self._plausible(seed, server_seed=None).keys.login
        self._api.delete_account(self._device.state.token, DeleteAccountRequest(email=email, password=login))
        self._device.forget_account()

    def is_latest_password(self) -> bool:
        """Tell whether the password is that of the latest wallet on this device, so that nobody had it changed since.

        May take as long as `derive`.
        """
        _, password = self.account()
        synced = self._device.state.synced
        if synced is None or (self.unlocked is not None and self.unlocked.binding.seed == synced.seed):
            return True
        return versions.is_opened_by(self.derive(password, synced.seed), synced)

    def credentials(self) -> tuple[str, UnlockedAccount]:
        """Return the token, and keys that are proven to be the account's.

        Raises:
            NotReady: there is no token, or only a login can prove the password.
            WrongPassword: it does not open the wallet on this device.
        """
        self.account()
        self.discover()
        token, seed = self._device.state.token, self._device.state.seed
        if token is None or seed is None or self.must_log_in():
            raise not_logged_in()
        return token, self.proven(seed)

    def must_log_in(self) -> bool:
        """Tell whether there is no token, or nothing but a login can tell which password is the account's."""
        state = self._device.state
        seeds = [version.seed for version in (state.synced, state.pending) if version is not None]
        can_tell = state.password_change is None and state.seed in seeds
        return state.token is None or state.accepts_new_password or (self._proven is None and not can_tell)

    def _plausible(self, seed: bytes, *, server_seed: bytes | None) -> UnlockedAccount:
        """Return the account's keys under `seed`, unless the wallet disproves the password, whatever the server says.

        `server_seed` is the seed that the server presents, None if it was not asked.
        """
        unlocked = self.unlock(seed)
        if self._device.is_opened_by(unlocked) is False:
            open_change = self._open_change(server_seed)
            if open_change is None:
                raise WrongPassword(_NOT_OF_THE_WALLET, remedy=Remedy.CHECK_PASSWORD)
            sentence, remedy = open_change
            raise WrongPassword(f"{_NOT_OF_THE_WALLET} {sentence}", remedy=remedy)
        return unlocked

    def proven(self, seed: bytes) -> UnlockedAccount:
        """Return the account's keys under `seed`, proven by the wallet on this device or by an earlier login."""
        unlocked = self.unlock(seed)
        if unlocked is not self._proven:
            if not self._device.is_opened_by(unlocked):
                raise WrongPassword(_NOT_OF_THE_WALLET, remedy=Remedy.CHECK_PASSWORD)
            self._proven = unlocked
        return unlocked

    def use_password(self, password: str) -> None:
        """Derive keys from `password` from now on; nothing is proven by them yet."""
        self._password, self.unlocked, self._proven = password, None, None

    def take_new_password(self, password: str, unlocked: UnlockedAccount) -> None:
        """From now on the account has `password`; `unlocked` are its keys, which the server has taken."""
        self._password, self.unlocked, self._proven = password, unlocked, unlocked

    def unlock(self, seed: bytes) -> UnlockedAccount:
        """Return the account's keys under `seed`; derived anew only for another account, password or seed."""
        _, password = self.account()
        if self.unlocked is None or self.unlocked.binding != self._binding(seed):
            self.unlocked = self.derive(password, seed)
        return self.unlocked

    def derive(self, password: str, seed: bytes) -> UnlockedAccount:
        """Derive the keys that `password` and `seed` make. Takes 256 MiB and about a second."""
        binding = self._binding(seed)
        with self._while_deriving():
            return UnlockedAccount(binding, crypto.derive(password, binding))

    def discover(self) -> None:
        """Ask once per process what the server can do."""
        if self._has_discovered:
            return
        has_extras = self._api.discover()
        if self._device.state.has_seen_extras and not has_extras:
            raise ProtocolError(
                "The server no longer says what it can do, though it once did. Check its address; something in "
                "between may be hiding /.well-known/walletsync."
            )
        self._device.save(has_seen_extras=has_extras)
        self._has_discovered = True

    def fetch_seed(self) -> bytes:
        """Return what the server presents as the account's salt seed; whether to trust it is another question.

        Raises:
            ProtocolError: it is not a seed.
        """
        email, _ = self.account()
        answer = self._api.seed(base64.b64encode(email.encode()).decode()).client_salt_seed
        if not _SEED.fullmatch(answer) or not int(answer, 16):
            raise ProtocolError(
                "The server's answer does not hold a valid salt seed for the account. No login was sent; ask whoever "
                "runs the server."
            )
        return bytes.fromhex(answer)

    @property
    def device_id(self) -> str:
        """This device's name among those of the account."""
        return self._device.state.device_id

    def _binding(self, seed: bytes) -> crypto.Binding:
        email, _ = self.account()
        return crypto.Binding(self.realm, email, seed)

    def _signup_seed(self, *, anew: bool) -> bytes:
        """Return the seed for a sign-up, the same at each repetition: to the server that is a lost answer.

        It counts as the account's once a login with it succeeds: a server may say 201 of an address that is taken.
        """
        state = self._device.state
        if state.seed is not None:
            presented = self._presented_seed()
            if presented == state.seed:
                return state.seed
            # The account that this device knows is gone, if the server is honest; or it has another password, in which
            # case the server will refuse. Only a person can say that all that was known of it may be forgotten.
            if not anew and (presented is None or presented != state.offered_seed):
                raise self._seed_changed(presented)
        # A new account gets a new seed: nothing sealed for the old one can be passed off as the new one's.
        seed = state.offered_seed or crypto.new_seed()
        self._device.save(offered_seed=seed, token=None)
        return seed

    def _presented_seed(self) -> bytes | None:
        """Return what the server presents as the account's seed; None if it admits that there is no such account."""
        try:
            return self.fetch_seed()
        except WrongCredentials:
            return None

    def _is_trusted(self, seed: bytes) -> bool:
        state = self._device.state
        change = state.password_change
        return (
            state.seed is None
            or state.accepts_new_password
            or seed in (state.seed, state.offered_seed, *state.seeds[-1:])
            or (change is not None and seed == change.seed)
        )

    def _seed_changed(self, seed: bytes | None) -> SeedChanged:
        if seed in self._device.state.seeds:
            return SeedChanged(
                "The server presents a salt seed from before a password change that this device knows of, so no login "
                "was sent. Ask whoever runs the server whether it was restored from an older backup.",
                remedy=Remedy.ACCEPT_EARLIER_PASSWORD,
            )
        what = "presents a different salt seed for this account than this device knows"
        if seed is None:
            what = "does not have the account that this device knows"
        return SeedChanged(
            f"The server {what}, so no login was sent. The document on this device and its edits are kept.",
            remedy=Remedy.ACCEPT_NEW_PASSWORD,
        )

    def _open_change(self, server_seed: bytes | None) -> tuple[str, Remedy] | None:
        """Say which password holds, where a change of it that began here was interrupted; else None.

        `server_seed` is the seed that the server presents, None if it was not asked.
        """
        change = self._device.state.password_change
        if change is None:
            return None
        if server_seed is None:
            return (
                "It is not known whether the password change that was begun on this device took effect.",
                Remedy.ASK_ABOUT_PASSWORD_CHANGE,
            )
        if server_seed == change.seed:
            return "The password change that was begun on this device took effect.", Remedy.USE_NEW_PASSWORD
        return (
            "The password change that was begun on this device did not take effect: the old password holds.",
            Remedy.REPEAT_PASSWORD_CHANGE,
        )


def not_logged_in() -> NotReady:
    """Return the error for what needs a token."""
    return NotReady("This device is not logged in.", remedy=Remedy.LOG_IN)


def check_password(password: str) -> None:
    """Refuse what cannot be a password; how strong it is, is not checked."""
    if not password or not is_text(password):
        raise UsageError("The password is empty, or not valid text. It protects the wallet: choose a long one.")


def is_same_password(one: str, other: str) -> bool:
    """Tell whether two passwords derive to the same keys: letters composed in either way are the same."""
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
