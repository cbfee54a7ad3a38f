"""`Client` is one device of one person: the verbs of the tour, and `sync()`, the loop that uses them."""

import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal, Self

from walletsync import history, merge, passwords
from walletsync.api import Api
from walletsync.conflicts import OnConflict
from walletsync.consent import Consent
from walletsync.device import Device
from walletsync.errors import UsageError
from walletsync.formats.base import Format
from walletsync.formats.json import JSONFormat
from walletsync.realm import is_text, normalised_realm
from walletsync.results import (
    Account,
    AuthToken,
    Fetched,
    Fingerprint,
    KeptVersion,
    LoggedInDevice,
    OutOfDate,
    PasswordChanged,
    Posted,
    Registered,
    Synced,
    WalletState,
)
from walletsync.session import Session
from walletsync.syncing import Syncing
from walletsync.turns import Turns, one_at_a_time

if TYPE_CHECKING:
    from walletsync.live import Listener

_MAX_DEVICE_ID = 128


def _check_device_id(device_id: str) -> None:
    if not (1 <= len(device_id) <= _MAX_DEVICE_ID and is_text(device_id)):
        raise UsageError(f"A device id has 1 to {_MAX_DEVICE_ID} Unicode characters; choose another one.")


class Client:
    """One device: its document, what it knows of the account, and the server that it syncs with.

    Call `set_account()` first and `register()` once per account; then `sync()` whenever you like, which logs in
    where it has to. Its steps are there as well: `get_auth_token()`, `get_wallet()`, `post_wallet()`. What can be
    raised is drawn in `walletsync.errors`.

    Any thread may call: verbs wait for each other, and what only looks (`get_document()`, the properties,
    `fingerprint()`) never waits. Between two calls another thread's may come, so a change of the document that
    begins with looking at it is `update_document()`. docs/embedding.md has more.

    Args:
        server_url: origin and path of the server; https, or plain http to this very machine.
        format: what a document is and how it merges; JSON objects by default.
        store: the file that keeps this device's state; None keeps it in memory.
        device_id: 1 to 128 characters, different from every other device of the account; random by default.
        realm: what keys are bound to, by default the server's URL; give the earlier URL if the server has moved.
        proxy: URL of an HTTP proxy. The environment's is ignored.
        ca_file: file of CA certificates to trust instead of the usual ones.
        timeout: seconds to wait for the network before giving up.
        patience: seconds that a `sync()` waits in all for a server that asks to come back later.
        allow_plain_http: send tokens in the clear to a server beyond this machine.
        while_deriving: makes a context that is entered while keys are derived, to show that it takes its time.

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
        patience: float = 30.0,
        allow_plain_http: bool = False,
        while_deriving: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        if device_id is not None:
            _check_device_id(device_id)
        self._turns = Turns()
        self._api = Api(
            server_url,
            timeout=timeout,
            proxy=proxy,
            ca_file=ca_file,
            allow_plain_http=allow_plain_http,
        )
        self._patience = patience
        bound_to = self._api.url if realm is None else normalised_realm(realm)
        self._device = Device(JSONFormat() if format is None else format, store, device_id)
        self._session = Session(self._api, self._device, bound_to, while_deriving)
        self._syncing = Syncing(self._api, self._device, self._session)
        self._consent = Consent(self._api, self._device, self._session, self._syncing)

    def __repr__(self) -> str:
        return f"Client({self._api.url!r}, device_id={self.device_id!r})"

    def __enter__(self) -> Self:
        self._turns.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections and the store's file, after the verb that another thread may be in.

        A process that was forked has nothing to let go of.
        """
        self._turns.end(self._let_go)

    def _let_go(self) -> None:
        self._api.close()
        self._device.close()

    # Its file

    @one_at_a_time
    def lend_store(self) -> None:
        """Let other processes use the store's file, until `take_back_store()`: between two syncs, when nothing is due.

        Meanwhile everything that looks says what this device knew before, and whatever would change it is refused.
        """
        self._device.lend()

    @one_at_a_time
    def take_back_store(self) -> None:
        """Have the store's file again, with what others have changed there.

        Raises:
            StoreLocked: another process still has it after a few seconds. It stays lent: call this again.
            StoreUnusable: it was damaged or replaced meanwhile.
        """
        self._device.take_back()

    # Account

    @property
    def device_id(self) -> str:
        """This device's name among those of the account."""
        return self._device.state.device_id

    @one_at_a_time
    def rename_device(self, device_id: str) -> None:
        """Give this device a name that none of the account has had; nothing is sent.

        All that it has stays, and it has to log in under that name. Under its earlier one it is one more device of the
        account, whose token `devices()` and `revoke_device()` find.

        Raises:
            UsageError: it is no such name, or that of a device that has written.
            NotReady: a change of the password was begun and not finished.
        """
        _check_device_id(device_id)
        self._device.rename(device_id)

    @one_at_a_time
    def set_account(self, email: str, password: str, *, accept_new_password: bool = False) -> Account:
        """Say whose wallet this is. Nothing is sent; the password stays in this process, and is all that keeps the
        server from reading the wallet. How strong it is, is not checked.

        `accept_new_password` is the consent that a device needs once after the password was changed on another one:
        with it the next login accepts a different salt seed than this device knows. Its edits are kept.

        Raises:
            InvalidAddress: the address is not in its canonical form.
            UsageError: the password is empty, or not valid text.
            StoreUnusable: the store belongs to another account or realm.
        """
        return self._session.set_account(email, password, accept_new_password=accept_new_password)

    @one_at_a_time
    def register(self, *, anew: bool = False) -> Registered:
        """Make the account on the server. After a lost answer, call it again.

        `anew` is the consent to begin again where the account that this device knows was deleted: its wallet starts at
        sequence 1, with the document of this device. Without it a server cannot make this device forget what it knows.

        Raises:
            AccountExists, NotAllowed: the server will not make it.
            SeedChanged: the server has not, or no longer, the account that this device knows; nothing was sent.
        """
        return self._session.register(anew=anew)

    @one_at_a_time
    def get_auth_token(self) -> AuthToken:
        """Log this device in: fetch the account's salt seed, derive the keys, trade the login key for a token.

        Raises:
            WrongCredentials: the server does not know this address with this password.
            WrongPassword: it does not open the wallet on this device; no login was sent.
            SeedChanged: the server presents a different seed than this device knows; no login was sent.
            ProtocolError: what it presents is not a seed; no login was sent.
        """
        return self._session.log_in()

    @one_at_a_time
    def check_password(self) -> None:
        """Look whether the password is the account's: by the wallet on this device, and where that cannot tell, by
        logging in.

        Raises what `get_auth_token()` raises, and:
            WrongPassword: it does not open the wallet on this device; nothing was sent.
        """
        self._session.check_password()

    @one_at_a_time
    def log_out(self) -> None:
        """Give this device's token back. The document and what it knows of the account stay."""
        self._session.log_out()

    @one_at_a_time
    def change_password(self, new: str, *, old: str | None = None) -> PasswordChanged:
        """Change the account's password; `old` is by default the one of `set_account()`.

        The wallet is encrypted again under a new key and every device is logged out; this one logs in again, the
        others ask for the new password. Interrupted at any point, exactly one of the two passwords holds: call this
        again with the same two, and the same request is sent again, until the outcome is known.

        Raises:
            UnsyncedEdits: this device has edits that the server may not have; nothing was sent. sync() first.
            WrongPassword: the old one is not that of the wallet; or a change is under way to a different new one.
            PasswordUnchanged: another device has stored a version meanwhile. sync(), then change it again.
            WrongCredentials: the password was changed elsewhere.
            ServerUnreachable: the outcome is not known yet; call it again.
        """
        return passwords.change_password(self._api, self._device, self._session, new, old)

    @property
    def has_open_password_change(self) -> bool:
        """Whether a password change was begun here whose outcome is not known."""
        return self._device.state.password_change is not None

    @one_at_a_time
    def devices(self) -> tuple[LoggedInDevice, ...]:
        """Return the devices that hold a token, as the server says."""
        token, _ = self._session.credentials()
        return tuple(
            LoggedInDevice(device.device_id, device.since, device.expiration)
            for device in self._api.devices(token).devices
        )

    @one_at_a_time
    def revoke_device(self, device_id: str) -> None:
        """Log a device out: its token is void at once. It keeps what it has, and can log in if it has the password.

        Raises:
            NotKept: no device with this name is logged in.
        """
        token, _ = self._session.credentials()
        self._api.revoke_device(token, device_id)

    @one_at_a_time
    def delete_account(self) -> None:
        """Delete the account: nothing of it is left on the server. The document stays on this device.

        Raises:
            WrongCredentials: the server does not know this address with this password, perhaps since it is deleted.
            WrongPassword: it does not open the wallet on this device; nothing was sent.
        """
        self._session.delete_account()

    # The document

    @one_at_a_time
    def new_wallet_state(self) -> WalletState:
        """Begin a wallet: an empty document, to be changed and POSTed as version 1.

        Raises:
            NotReady: this device has a wallet already.
        """
        return self._device.begin_document()

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

    @one_at_a_time
    def set_document(self, document: Any) -> None:
        """Replace the document on this device, durably; `sync()` brings it to the others.

        What is replaced counts as seen: get the document, change it and set it without a sync in between. Where another
        thread may sync, that is what `update_document()` is for.

        Raises:
            DocumentError: it is not one of this client's format; the old one stays.
        """
        self._device.set_document(document)

    @one_at_a_time
    def update_document(self, change: Callable[[Any], Any]) -> Any:
        """Set the document to what `change` returns for it, durably, with nothing in between. Returns it.

        Raises what `change` raises, which leaves all as it was, and:
            NotReady: there is no wallet on this device yet.
            UsageError: `change` has called this client, and that is what it raised.
            DocumentError: it did not return a document of this client's format; the old one stays.
        """
        self._device.set_document(change(self._device.document()))
        return self._device.document()

    @one_at_a_time
    def add_document(self, document: Any, *, based_on: Any) -> None:
        """Put the changes between two documents into the one of this device, durably.

        For a program that has kept a copy of the document, `based_on`, and changed it, while this device may have
        synced. What both have changed differently becomes a conflict, as it does in `sync()`.

        Raises:
            DocumentError: one of them is not one of this client's format; nothing is changed.
        """
        self._device.add_document(document, based_on)

    @one_at_a_time
    def merge_document(self, merge: Callable[[Any], merge.Merged[Any]]) -> None:
        """Set the document to what `merge` makes of it, None if there is none yet, and let its conflicts wait; durably.

        For a program that merges by a rule of its own, with nothing in between. A conflict that waits already is not
        added again.

        Raises what `merge` raises, which leaves all as it was, and:
            DocumentError: it did not make a document of this client's format; the old one stays.
        """
        self._device.merge_document(merge)

    @property
    def is_logged_in(self) -> bool:
        """Whether this device has a token that, as far as it knows, still holds."""
        return not self._session.must_log_in()

    @property
    def has_token(self) -> bool:
        """Whether this device holds a token; only the server knows whether it still holds."""
        return self._device.state.token is not None

    @property
    def realm(self) -> str:
        """What the account's keys are bound to: the server's URL, or the earlier one that was given."""
        return self._session.realm

    @one_at_a_time
    def listen(self, on_news: Callable[[], None]) -> "Listener":
        """Listen for new versions until the returned listener is closed; `on_news` is called in its thread.

        It may be called for nothing, and a server may say nothing: `sync()` when it is called, and from time to time.

        Raises:
            NotReady: this device is not logged in.
            UsageError: there are no live updates through a proxy.
        """
        self._session.credentials()
        return self._api.listen(lambda: self._device.state.token, on_news)

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

    @one_at_a_time
    def resolve(self, conflict: merge.Conflict, keep: Literal["mine", "theirs"]) -> Any:
        """Decide a conflict: "mine" goes into the document in the place of theirs. Returns the document.

        Raises:
            UsageError: it is decided already, or the document has changed there since it was looked at.
            DocumentError: the document has changed so that mine has no place in it any more; the conflict stays.
        """
        return self._device.resolve(conflict, keep)

    @one_at_a_time
    def resolve_all(self, keep: OnConflict) -> Any:
        """Decide all conflicts that wait, at once. Returns the document.

        `keep` is a side, or a function that returns the value to keep, as for `sync()`. A conflict whose value has no
        place in the document any more stays in `conflicts`.

        Raises what `keep` raises, and then none is decided, and:
            NotReady: there is no wallet on this device yet.
            UsageError: `keep` is neither side, and no function; or it returned nothing.
        """
        return self._device.resolve_all(keep)

    # Syncing

    @one_at_a_time
    def get_wallet(self) -> Fetched:
        """Get the current wallet; local edits since the merge base are put on top of what came.

        Raises:
            NoWallet: there is none on the server, and this device has seen none.
            RollbackDetected, ForkDetected, BadWallet: nothing was changed.
        """
        return self._syncing.get()

    @one_at_a_time
    def post_wallet(self) -> Posted | OutOfDate:
        """POST the document as the next version, with or without edits.

        If the server has a later version, nothing is overwritten: that version is merged with the local edits, and
        `OutOfDate` says that a second call is due. A POST whose answer got lost is settled first.

        Raises:
            NotReady, WrongPassword, WalletTooLarge: nothing was sent.
            RollbackDetected, ForkDetected, BadWallet: in a conflict, as `get_wallet`.
        """
        return self._syncing.post()

    @one_at_a_time
    def sync(self, on_conflict: OnConflict | None = None) -> Synced:
        """Get, merge and POST until this device and the server have the same. Logs in where it has to.

        Conflicts wait in `conflicts` unless `on_conflict` decides them: "mine", "theirs", or a function that takes a
        conflict and returns the value to keep (MISSING deletes), or the conflict itself to leave it for later. It
        decides every conflict that waits, those of earlier syncs as well, and what it decides is POSTed with the rest.
        A value that has no place in the document leaves its conflict waiting.

        Raises what its steps raise, what `on_conflict` raises, and:
            SyncGaveUp: the server answered every try with a conflict; the edits are kept.
            RetryLater: the server asks to come back later than `patience` allows to wait; the edits are kept.
        """
        with self._api.patience(self._patience):
            return self._syncing.sync(on_conflict)

    @one_at_a_time
    def accept_restored_server(self, *, new_password: str | None = None) -> Synced:
        """Consent to what the server has, though this device has seen later versions, and sync.

        For a server that was restored from a backup, or an account that was made anew. Everything that this device has
        is put on top of what the server has and POSTed, with a record that lets the other devices follow. Call it again
        after an interruption.

        If the backup is older than a password change, `set_account()` with the password of that time comes first, and
        `new_password` is due: whoever knows the earlier one shall not read what was written since, so the password
        changes to the new one in the same request that brings the first of it, as in `change_password()`.

        What both sides changed is measured against the newest version that the server keeps and that both went through
        for certain; what was written after that one and then deleted, while this device was away, may come back. Where
        there is none, and on a device that has seen more than the one that consented first, nothing is lost either, but
        what differs is a conflict, and what one side deleted comes back from the other.

        Raises what `sync()` and `change_password()` raise, and:
            NewPasswordNeeded: the password is an earlier one, and there is no `new_password`; nothing was sent.
        """
        with self._api.patience(self._patience):
            return self._consent.accept_restored_server(new_password)

    # History

    @one_at_a_time
    def history(self) -> tuple[KeptVersion, ...]:
        """Return the versions that the server keeps, as it says, the current one first."""
        token, _ = self._session.credentials()
        return history.kept_versions(self._api, token)

    @one_at_a_time
    def version(self, sequence: int) -> Any:
        """Return the document of an earlier version; nothing on this device changes.

        Raises:
            NotKept: the server does not keep it (any more).
            NotReady: this device has not got that far yet; sync() first.
            ForkDetected, BadWallet: what the server presents is not that version of this account's history.
        """
        token, unlocked = self._session.credentials()
        return history.document_at(partial(self._api.version, token), self._device, unlocked, sequence)

    @one_at_a_time
    def versions(self, sequences: Iterable[int]) -> dict[int, Any]:
        """Return the documents of several versions by number; what `version()` fetches for each is fetched once."""
        token, unlocked = self._session.credentials()
        fetch = cache(partial(self._api.version, token))
        return {each: history.document_at(fetch, self._device, unlocked, each) for each in sequences}

    @one_at_a_time
    def restore(self, sequence: int, *, choose: Callable[[Any, Any], Any] | None = None) -> Synced:
        """Make the document of an earlier version the current one again, as a new version, and sync.

        What is new is got first, so that nothing is changed where the server cannot be used. `choose` returns what the
        document is to be instead, given the present one and the earlier one, to restore a part of it.

        Raises what `version()` and `sync()` raise, and:
            UnsyncedEdits: they would be overwritten; sync() first.
        """
        history.check_is_synced(self._device)
        with self._api.patience(self._patience):
            self._syncing.sync(None)
        token, unlocked = self._session.credentials()
        fetch = partial(self._api.version, token)
        document = history.document_at(fetch, self._device, unlocked, sequence)
        self._device.set_document(document if choose is None else choose(self._device.document(), document))
        with self._api.patience(self._patience):
            return self._syncing.sync(None)

    def fingerprint(self) -> Fingerprint:
        """Return what two people compare by eye: the same digits at the same version mean the same history.

        Raises:
            NotReady: nothing is synced yet.
        """
        return history.fingerprint(self._device)
