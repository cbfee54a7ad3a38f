"""`Client` is one device of one person: the verbs of the tour, and `sync()`, the loop that uses them."""

import base64
import os
import re
from collections.abc import Callable
from typing import Any, Literal, Self

from walletsync import crypto, merge
from walletsync.api import Api, Conflict
from walletsync.device import Device, OnConflict, Unlocked
from walletsync.errors import (
    InvalidAddress,
    NotReady,
    NoWallet,
    ProtocolError,
    RollbackDetected,
    SeedChanged,
    ServerError,
    StoreUnusable,
    SyncGaveUp,
    Unauthorized,
    UsageError,
    WrongPassword,
)
from walletsync.formats.base import Format
from walletsync.formats.json import JSONFormat
from walletsync.protocol import (
    LoginRequest,
    SignupRequest,
    WalletAnswer,
    WalletRequest,
    canonical_email,
)
from walletsync.realm import is_text, normalised_realm
from walletsync.results import (
    Account,
    AuthToken,
    Fetched,
    OutOfDate,
    Posted,
    Registered,
    Synced,
    WalletState,
)
from walletsync.store import PendingWrite

_MAX_TRIES = 8
_REFUSED_FOR_GOOD = (400, 413)
"""Answers to a POST that say surely that this very request is not stored, and never will be."""
_MAX_DEVICE_ID = 128
_TOKEN = re.compile(r"[0-9A-Za-z._~+/=-]{1,512}")
_SEED = re.compile(r"[0-9a-fA-F]{64}")


class Client:
    """One device: its document, what it knows of the account, and the server that it syncs with.

    Call `set_account()` first and `register()` once per account; then `sync()` whenever you like, which signs in where
    it has to. Its steps are there as well: `get_auth_token()`, `get_wallet()`, `post_wallet()`. What can be raised is
    drawn in `walletsync.errors`. Not for use by several threads at once.

    Args:
        server_url: origin and path of the server; https, or plain http to this very machine.
        format: what a document is and how it merges; JSON objects by default.
        store: the file that keeps this device's state; None keeps it in memory.
        device_id: 1 to 128 characters, unlike every other device of the account; made at random by default.
        realm: what keys are bound to, by default the server's URL; give the earlier URL if the server has moved.
        proxy: URL of an HTTP proxy. The environment's is ignored.
        ca_file: file of CA certificates to trust instead of the usual ones.
        timeout: seconds to wait for the network before giving up.
        allow_plain_http: send tokens in the clear to a server beyond this machine.

    Raises:
        UsageError (of which InvalidServerURL is one), StoreLocked, StoreUnusable: nothing was sent.
    """

    def __init__(
        self,
        server_url: str,
        *,
        format: Format[Any] | None = None,
        store: str | os.PathLike[str] | None = None,
        device_id: str | None = None,
        realm: str | None = None,
        proxy: str | None = None,
        ca_file: str | None = None,
        timeout: float = 30.0,
        allow_plain_http: bool = False,
    ) -> None:
        if device_id is not None and not (1 <= len(device_id) <= _MAX_DEVICE_ID and is_text(device_id)):
            raise UsageError(f"A device id has 1 to {_MAX_DEVICE_ID} characters of Unicode; choose another one.")
        self._api = Api(
            server_url,
            timeout=timeout,
            proxy=proxy,
            ca_file=ca_file,
            allow_plain_http=allow_plain_http,
        )
        self._realm = self._api.url if realm is None else normalised_realm(realm)
        self._password: str | None = None
        self._unlocked: Unlocked | None = None
        self._proven: Unlocked | None = None
        self._has_discovered = False
        self._device = Device(JSONFormat() if format is None else format, store, device_id)

    def __repr__(self) -> str:
        return f"Client({self._api.url!r}, device_id={self.device_id!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections and the store's file."""
        self._api.close()
        self._device.close()

    # Account

    @property
    def device_id(self) -> str:
        """This device's name among those of the account."""
        return self._device.state.device_id

    def set_account(self, email: str, password: str) -> Account:
        """Say whose wallet this is. Nothing is sent; the password stays in this process, and is the only thing between
        the server and the wallet: how good it is, is not checked.

        Raises:
            InvalidAddress: the address is not in its canonical form.
            UsageError: the password is empty, or no text.
            StoreUnusable: the store belongs to another account or realm.
        """
        try:
            email = canonical_email(email)
        except ValueError as error:
            raise InvalidAddress(f"The account cannot be set: {error}.") from None
        if not password or not is_text(password):
            raise UsageError("The password is empty, or no text. It protects the wallet: choose a long one.")
        state = self._device.state
        is_bound = any((state.seed, state.offered_seed, state.synced))
        if is_bound and (state.email, state.realm) != (email, self._realm):
            raise StoreUnusable(
                f"This store belongs to another account ({state.email} at {state.realm}). Use a store of its own for "
                "each account; if it is the server that moved, pass its earlier URL as `realm=`."
            )
        self._device.save(email=email, realm=self._realm)
        self._password, self._unlocked, self._proven = password, None, None
        return Account(email, self._realm)

    def register(self) -> Registered:
        """Make the account on the server. After a lost answer, call it again.

        Raises:
            AccountExists, NotAllowed: the server will not make it.
        """
        email, _ = self._account()
        self._discover()
        state = self._device.state
        seed = state.seed or state.offered_seed or crypto.new_seed()
        # Kept before it is sent, so that a repeated call offers the same one: to the server that is a lost answer. It
        # counts as the account's once it opened the door: a server may say 201 of an address that is taken.
        self._device.save(offered_seed=seed)
        login = self._unlock(seed).keys.login
        answer = self._api.signup(SignupRequest(email=email, password=login, client_salt_seed=seed.hex()))
        return Registered(email, answer.verified)

    def get_auth_token(self) -> AuthToken:
        """Sign this device in: fetch the account's salt seed, derive the keys, trade the login key for a token.

        Raises:
            WrongCredentials: the server does not know this address with this password.
            SeedChanged: the server tells another seed than this device knows; no login was sent.
            ProtocolError: the seed is no seed; no login was sent.
        """
        email, _ = self._account()
        self._discover()
        told = self._api.seed(base64.b64encode(email.encode()).decode()).client_salt_seed
        seed = self._trusted_seed(told)
        unlocked = self._unlock(seed)
        answer = self._api.login(LoginRequest(email=email, password=unlocked.keys.login, device_id=self.device_id))
        if answer.device_id != self.device_id or not _TOKEN.fullmatch(answer.token):
            raise ProtocolError(
                "The server's answer holds no token for this device, so none was kept. Ask whoever runs the server."
            )
        self._device.save(offered_seed=None, seed=seed, token=answer.token)
        self._proven = unlocked
        return AuthToken(answer.token, answer.device_id, answer.expiration)

    # The document

    def new_wallet_state(self) -> WalletState:
        """Begin a wallet: an empty document, to be changed and POSTed as version 1.

        Raises:
            NotReady: this device has a wallet already.
        """
        return self._device.begin()

    @property
    def wallet_state(self) -> WalletState | None:
        """The last version that this device got or POSTed; sequence 0 for one never POSTed, None without a wallet."""
        return self._device.wallet_state()

    def get_document(self) -> Any:
        """Return a copy of the wallet's document as it is on this device, local edits included.

        Raises:
            NotReady: there is no wallet on this device yet.
        """
        return self._device.document()

    def set_document(self, document: Any) -> None:
        """Replace the document on this device, durably; `sync()` brings it to the others.

        What is replaced counts as seen: get the document, change it and set it without a sync in between.

        Raises:
            DocumentError: it is not one of this client's format; the old one stays.
        """
        self._device.save(document=self._device.format.encode(document))

    @property
    def merge_base(self) -> Any:
        """The document of the last version that this device got or POSTed, None if there was none."""
        return self._device.merge_base()

    @property
    def has_local_changes(self) -> bool:
        """Whether the document differs from the last synced one, or a POST's outcome is not known."""
        return self._device.has_local_changes()

    @property
    def conflicts(self) -> tuple[merge.Conflict, ...]:
        """The conflicts that wait for a decision. Meanwhile the document has theirs, and syncing goes on.

        `theirs` is what the document has in that place now, so it moves along with later changes.
        """
        return self._device.conflicts()

    def resolve(self, conflict: merge.Conflict, keep: Literal["mine", "theirs"]) -> Any:
        """Decide a conflict: "mine" goes into the document in the place of theirs. Returns the document.

        Raises:
            UsageError: it is decided already, or the document has changed there since it was looked at.
            DocumentError: the document has changed so that mine has no place in it any more; the conflict stays.
        """
        return self._device.resolve(conflict, keep)

    # Syncing

    def get_wallet(self) -> Fetched:
        """Get the current wallet; local edits since the merge base are put on top of what came.

        Raises:
            NoWallet: there is none on the server, and this device has seen none.
            RollbackDetected, ForkDetected, BadWallet: nothing was changed.
        """
        token, unlocked = self._signed_in()
        return self._device.take(self._fetch(token), unlocked)

    def post_wallet(self) -> Posted | OutOfDate:
        """POST the document as the next version, with or without edits.

        If the server has a later version, nothing is overwritten: that version is merged with the local edits, and
        `OutOfDate` says that a second call is due. A POST whose answer got lost is settled first.

        Raises:
            NotReady, WrongPassword, WalletTooLarge: nothing was sent.
            RollbackDetected, ForkDetected, BadWallet: in a conflict, as `get_wallet`.
        """
        token, unlocked = self._signed_in()
        pending = self._device.state.pending
        if pending is not None:
            settled = self._repeat(pending, token, unlocked)
            if isinstance(settled, OutOfDate) or not self.has_local_changes:
                return settled
        pending = self._device.seal_next(unlocked, self._api.max_wallet_bytes)
        try:
            return self._send(pending, token, unlocked)
        except ServerError as error:
            if error.status in _REFUSED_FOR_GOOD:
                self._device.give_up(pending)
            raise

    def _repeat(self, pending: PendingWrite, token: str, unlocked: Unlocked) -> Posted | OutOfDate:
        """Send a write again whose outcome is not known."""
        try:
            return self._send(pending, token, unlocked)
        except ServerError as error:
            if error.status in _REFUSED_FOR_GOOD:
                # It may have landed earlier all the same, and then the current wallet shows it.
                self._device.take(self._fetch(token), unlocked)
                self._device.give_up(pending)
            raise

    def sync(self, on_conflict: OnConflict | None = None) -> Synced:
        """Get, merge and POST until this device and the server have the same. Signs in where it has to.

        Conflicts wait in `conflicts` unless `on_conflict` decides them: "mine", "theirs", or a function that takes a
        conflict and returns the value to keep (MISSING deletes), or the conflict itself to leave it for later. It
        decides every conflict that waits, those of earlier syncs as well, and what it decides is POSTed with the rest.
        A value that has no place in the document leaves its conflict waiting.

        Raises what its steps raise, what `on_conflict` raises, and:
            SyncGaveUp: the server answered every try with a conflict; the edits are kept.
        """
        if not (on_conflict in (None, "mine", "theirs") or callable(on_conflict)):
            raise UsageError('`on_conflict` is "mine", "theirs", or a function that takes a conflict.')
        waiting = self._device.state.conflicts
        asked: set[merge.Conflict] = set()

        def decide() -> None:
            if on_conflict is not None:
                self._device.decide(on_conflict, asked)

        if self._must_sign_in():
            self.get_auth_token()
            sequence = self._sync(decide)
        else:
            try:
                sequence = self._sync(decide)
            except Unauthorized:  # tokens expire
                self.get_auth_token()
                sequence = self._sync(decide)
        return Synced(sequence, self._device.conflicts(but=waiting))

    def _sync(self, decide: Callable[[], None]) -> int:
        """Return the sequence that device and server have in the end."""
        for _ in range(_MAX_TRIES):
            self._get_if_any()
            decide()
            if self._device.known is None or self.has_local_changes:
                self.post_wallet()
                decide()  # the answer may have been a later version
            if self._device.known is not None and not self.has_local_changes:
                return self._device.known.sequence
        raise SyncGaveUp(
            f"The server had a later version each of {_MAX_TRIES} times. The edits are kept; try again in a while."
        )

    def _get_if_any(self) -> None:
        try:
            self.get_wallet()
        except NoWallet:
            if self._device.state.document is None:
                raise
            # The one of this device will be the first.

    def _fetch(self, token: str) -> WalletAnswer:
        try:
            return self._api.get_wallet(token)
        except NoWallet:
            if self._device.known is None:
                raise
            raise RollbackDetected(
                f"The server says that there is no wallet, but this device has seen version "
                f"{self._device.known.sequence}. Nothing was changed here. The account may have been deleted, or the "
                "server restored from a backup; ask whoever runs it before you go on."
            ) from None

    def _send(self, pending: PendingWrite, token: str, unlocked: Unlocked) -> Posted | OutOfDate:
        request = WalletRequest(encrypted_wallet=pending.encrypted_wallet, sequence=pending.sequence, hmac=pending.hmac)
        answer = self._api.post_wallet(token, request)
        if isinstance(answer, Conflict):
            return self._out_of_date(pending, answer.latest or self._fetch(token), unlocked)
        if not _is(answer, pending) and (answer is not None or self._api.tells_current):
            raise ProtocolError(
                "The server accepted the wallet, but does not present it as the current one. The edits are kept: sync "
                "again, and ask whoever runs the server if it goes on."
            )
        self._device.acknowledge(pending)
        return Posted(pending.sequence)

    def _out_of_date(self, pending: PendingWrite, latest: WalletAnswer, unlocked: Unlocked) -> Posted | OutOfDate:
        fetched = self._device.take(latest, unlocked)
        if _is(latest, pending):
            return Posted(pending.sequence)  # a lost answer: it had landed
        if self._device.state.pending is not None:
            raise ProtocolError(
                f"The server refuses version {pending.sequence} as out of date, but has no later one than this device. "
                "The edits are kept; ask whoever runs the server."
            )
        return OutOfDate(fetched.sequence, fetched.conflicts)

    # What the verbs need

    def _account(self) -> tuple[str, str]:
        """Return address and password."""
        if self._password is None or self._device.state.email is None:
            raise NotReady("Whose wallet is it? Call set_account() first.")
        return self._device.state.email, self._password

    def _signed_in(self) -> tuple[str, Unlocked]:
        """Return the token, and keys that are proven: a wallet sealed under a mistyped password is lost to everyone."""
        self._account()
        self._discover()
        token, seed = self._device.state.token, self._device.state.seed
        if token is None or seed is None or self._must_sign_in():
            raise NotReady("This device is not signed in: call get_auth_token() first.")
        unlocked = self._unlock(seed)
        if unlocked is not self._proven:
            if not self._device.is_opened_by(unlocked):
                raise WrongPassword(
                    "The password is not that of the wallet on this device. Nothing was sent. Call set_account() with "
                    "the right one."
                )
            self._proven = unlocked
        return token, unlocked

    def _must_sign_in(self) -> bool:
        """Tell whether there is no token, or nothing but a log-in can prove the password."""
        state = self._device.state
        return state.token is None or (self._proven is None and state.synced is None and state.pending is None)

    def _discover(self) -> None:
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

    def _trusted_seed(self, told: str) -> bytes:
        if not _SEED.fullmatch(told) or not int(told, 16):
            raise ProtocolError(
                "What the server tells as the account's salt seed is none. No login was sent; ask whoever runs it."
            )
        seed = bytes.fromhex(told)
        if self._device.state.seed not in (None, seed):
            raise SeedChanged(
                "The server tells another salt seed for this account than this device knows. No login was sent. If the "
                "password was changed on another device, begin anew on this one, with a store of its own."
            )
        return seed

    def _unlock(self, seed: bytes) -> Unlocked:
        """Return the keys; derived anew only for another account, password or seed."""
        email, password = self._account()
        binding = crypto.Binding(self._realm, email, seed)
        if self._unlocked is None or self._unlocked.binding != binding:
            self._unlocked = Unlocked(binding, crypto.derive(password, binding))
        return self._unlocked


def _is(answer: WalletAnswer | None, pending: PendingWrite) -> bool:
    return answer is not None and (answer.sequence, answer.encrypted_wallet, answer.hmac) == (
        pending.sequence,
        pending.encrypted_wallet,
        pending.hmac,
    )
