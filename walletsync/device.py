"""What one device holds and what it accepts: documents, the synced version, the pending write. No network in here.

Every change is one `save` of a new state, so a crash leaves the state before or the state after. A wallet that the
server presents is opened, compared with what this device knows, and only then merged; any error leaves all as it was.
"""

import os
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import msgspec

from walletsync import continuity, crypto
from walletsync.continuity import Known, Version
from walletsync.errors import BadWallet, DocumentError, NotReady, StoreUnusable, UsageError, WalletTooLarge
from walletsync.formats.base import Format
from walletsync.merge import Conflict, Merged, same
from walletsync.payload import Payload
from walletsync.protocol import MAX_SEQUENCE, WalletAnswer, wallet_digest
from walletsync.results import Fetched, WalletState
from walletsync.store import DeviceState, PendingWrite, Store, SyncedVersion

_FIRST_EPOCH = 1

OnConflict: TypeAlias = Literal["mine", "theirs"] | Callable[[Conflict], Any]
"""Who decides conflicts: one side always, or a function that returns the value to keep (MISSING deletes), or the
conflict itself to leave it for later."""


@dataclass(frozen=True)
class Unlocked:
    """An account's binding and the keys for it."""

    binding: crypto.Binding
    keys: crypto.Keys


class Device:
    """One device's part of an account: `state` is durable in `store` before any method returns."""

    def __init__(self, format: Format[Any], store: str | os.PathLike[str] | None, device_id: str | None) -> None:
        self.format = format
        self._store = Store(store)
        with ExitStack() as on_failure:
            on_failure.callback(self._store.close)
            self.state = self._load(device_id)
            on_failure.pop_all()

    def close(self) -> None:
        """Let go of the store's file."""
        self._store.close()

    def save(self, **changes: Any) -> None:
        """Make `changes` to the state, all or none."""
        state = msgspec.structs.replace(self.state, **changes)
        self._store.save(state)
        self.state = state

    @property
    def known(self) -> Known | None:
        """What this device knows of the account's history."""
        return None if self.state.synced is None else self.state.synced.known

    # The document

    def begin(self) -> WalletState:
        """Begin with an empty document; `Client.new_wallet_state` says more."""
        if self.state.document is not None:
            raise NotReady("This device has a wallet already: change it with set_document().")
        self.save(document=self.format.encode(self.format.empty()))
        return WalletState(0, "")

    def wallet_state(self) -> WalletState | None:
        """Return the last version got or POSTed; sequence 0 for one never POSTed."""
        if self.state.synced is not None:
            return WalletState(self.state.synced.known.sequence, self.state.synced.encrypted_wallet)
        return None if self.state.document is None else WalletState(0, "")

    def document(self) -> Any:
        """Return a copy of the document, local edits included."""
        return self.format.decode(self._encoded_document())

    def merge_base(self) -> Any:
        """Return the document of the last synced version, None if there is none."""
        synced = self.state.synced
        return None if synced is None else self.format.decode(synced.document)

    def has_local_changes(self) -> bool:
        """Tell whether there is anything that the server is not known to have."""
        synced = self.state.synced
        is_edited = self.state.document != (None if synced is None else synced.document)
        return is_edited or self.state.pending is not None

    def conflicts(self, *, but: tuple[Conflict, ...] = ()) -> tuple[Conflict, ...]:
        """Return what waits for a decision, but not `but` of an earlier state; `theirs` is what the document has there
        now."""
        waiting = [conflict for conflict in self.state.conflicts if all(conflict is not other for other in but)]
        if not waiting:
            return ()
        document = self.document()
        return tuple(replace(conflict, theirs=self.format.value_at(document, conflict.path)) for conflict in waiting)

    def resolve(self, conflict: Conflict, keep: Literal["mine", "theirs"]) -> Any:
        """Decide a conflict and return the document; `Client.resolve` says more."""
        if keep not in ("mine", "theirs"):
            raise UsageError('Keep "mine" or "theirs"; for anything else, set_document() and then keep "theirs".')
        shown = self.conflicts()
        if conflict not in shown:
            raise UsageError(
                "This conflict is not among `conflicts`: it is decided already, or the document has changed there "
                "since. Look at `conflicts` again."
            )
        return self._settle(shown.index(conflict), conflict, conflict.mine if keep == "mine" else conflict.theirs)

    def decide(self, on_conflict: OnConflict, asked: set[Conflict]) -> None:
        """Decide every conflict that waits and is not in `asked`, and put those into it.

        A conflict whose value has no place in the document goes on waiting.
        """
        while undecided := [conflict for conflict in self.conflicts() if conflict not in asked]:
            conflict = undecided[0]
            asked.add(conflict)
            value = on_conflict(conflict) if callable(on_conflict) else getattr(conflict, on_conflict)
            waiting = self.conflicts()  # asked for again: the function may have changed the document
            if value is not conflict and conflict in waiting:
                with suppress(DocumentError):
                    self._settle(waiting.index(conflict), conflict, value)

    def _settle(self, index: int, conflict: Conflict, value: Any) -> Any:
        """Put `value` in the place of the conflict, which is the one at `index`; return the document."""
        document = self.document()
        if not same(value, conflict.theirs):
            document = self.format.replace(document, conflict.path, value)
        self.save(
            document=self.format.encode(document),
            conflicts=self.state.conflicts[:index] + self.state.conflicts[index + 1 :],
        )
        return document

    # Versions

    def is_opened_by(self, unlocked: Unlocked) -> bool | None:
        """Tell whether these are the keys of the wallet that this device has; None if it has none to tell by."""
        wallet = self.state.synced or self.state.pending
        if wallet is None:
            return None
        try:
            crypto.unseal(
                unlocked.keys,
                unlocked.binding,
                sequence=wallet.sequence,
                encrypted_wallet=wallet.encrypted_wallet,
                hmac=wallet.hmac,
            )
        except BadWallet:
            return False
        return True

    def seal_next(self, unlocked: Unlocked, limit: int) -> PendingWrite:
        """Make the next version of the document, of at most `limit` bytes, and keep it before it leaves."""
        document = self._encoded_document()
        about = self._next_version()
        payload = Payload(
            format=self.format.name,
            device=self.state.device_id,
            entries=dict(about.entries),
            document=document,
        )
        sealed = crypto.seal(
            unlocked.keys,
            unlocked.binding,
            epoch=about.epoch,
            sequence=about.sequence,
            previous=bytes.fromhex(about.previous),
            plaintext=payload.encode(),
        )
        size = len(sealed.encrypted_wallet)
        if size > limit:
            raise WalletTooLarge(
                f"The encrypted wallet has {size:,} bytes, the server takes {limit:,}. Nothing was sent and nothing "
                "is lost; make the document smaller."
            )
        pending = PendingWrite(
            sequence=about.sequence,
            encrypted_wallet=sealed.encrypted_wallet,
            hmac=sealed.hmac,
            document=document,
        )
        self.save(pending=pending)
        return pending

    def acknowledge(self, pending: PendingWrite) -> None:
        """The server has `pending`: it is the synced version now."""
        self.save(synced=self._synced_by(pending), pending=None)

    def give_up(self, pending: PendingWrite) -> None:
        """The server will never have `pending`; its edits are in the document."""
        if self.state.pending == pending:
            self.save(pending=None)

    def take(self, wallet: WalletAnswer, unlocked: Unlocked) -> Fetched:
        """Accept what the server presents, if it continues what this device knows, and merge local edits onto it."""
        version, payload = self._open(wallet, unlocked)
        synced, pending = self._settled(version)
        known = None if synced is None else synced.known
        if not continuity.is_news(known, version, self.state.device_id):
            self.save(synced=synced, pending=pending)
            return Fetched(version.sequence, newer=False)
        mine = self.state.document
        theirs = self.format.decode(payload.document)
        merged = self._merged(synced, mine, theirs)
        # Another program may write the same document in other bytes: what we compare with is in ours.
        base, document = self.format.encode(theirs), self.format.encode(merged.document)
        # A pending write that is not on this version's line took the same sequence and never lands any more; what it
        # carried is in `mine`.
        self.save(
            document=document,
            synced=SyncedVersion(
                encrypted_wallet=wallet.encrypted_wallet,
                hmac=wallet.hmac,
                known=continuity.after(version),
                document=base,
            ),
            pending=None,
            conflicts=self.state.conflicts + merged.conflicts,
        )
        return Fetched(
            version.sequence,
            newer=True,
            merged=mine is not None and document != base,
            conflicts=merged.conflicts,
        )

    def _merged(self, synced: SyncedVersion | None, mine: bytes | None, theirs: Any) -> Merged[Any]:
        if mine is None:
            return Merged(theirs, ())
        base = self.format.empty() if synced is None else self.format.decode(synced.document)
        return self.format.merge(base, self.format.decode(mine), theirs)

    def _open(self, wallet: WalletAnswer, unlocked: Unlocked) -> tuple[Version, Payload]:
        opened = crypto.unseal(
            unlocked.keys,
            unlocked.binding,
            sequence=wallet.sequence,
            encrypted_wallet=wallet.encrypted_wallet,
            hmac=wallet.hmac,
        )
        payload = Payload.decode(opened.plaintext)
        if payload.format != self.format.name:
            raise DocumentError(
                f"The wallet holds a document of the format {payload.format!r}, and this client was made for "
                f"{self.format.name!r}. Nothing was changed; open it with its own format."
            )
        version = Version(
            sequence=wallet.sequence,
            digest=wallet_digest(wallet.sequence, wallet.encrypted_wallet, wallet.hmac).hex(),
            previous=opened.previous.hex(),
            epoch=opened.epoch,
            device=payload.device,
            entries=payload.entries,
        )
        return version, payload

    def _settled(self, seen: Version) -> tuple[SyncedVersion | None, PendingWrite | None]:
        """Find out from an authentic version whether the pending write landed; the server's word does not count."""
        pending = self.state.pending
        if pending is not None and continuity.has_landed(self._version_of(pending), seen):
            return self._synced_by(pending), None
        return self.state.synced, pending

    def _synced_by(self, pending: PendingWrite) -> SyncedVersion:
        return SyncedVersion(
            encrypted_wallet=pending.encrypted_wallet,
            hmac=pending.hmac,
            known=continuity.after(self._version_of(pending)),
            document=pending.document,
        )

    def _version_of(self, pending: PendingWrite) -> Version:
        digest = wallet_digest(pending.sequence, pending.encrypted_wallet, pending.hmac)
        return msgspec.structs.replace(self._next_version(), digest=digest.hex())

    def _next_version(self) -> Version:
        """Return what this device's next version says of itself, but for its digest."""
        known = self.known
        if known is None:
            sequence, previous, epoch = 1, crypto.NO_PREVIOUS.hex(), _FIRST_EPOCH
        else:
            sequence, previous, epoch = known.sequence + 1, known.digest, known.epoch
        if sequence > MAX_SEQUENCE:
            raise UsageError("The wallet has had its last version; begin a new account for it.")
        return Version(
            sequence=sequence,
            digest="",
            previous=previous,
            epoch=epoch,
            device=self.state.device_id,
            entries={} if known is None else known.entries,
        )

    def _encoded_document(self) -> bytes:
        if self.state.document is None:
            raise NotReady(
                "There is no wallet on this device yet: sync() gets it; set_document(), or new_wallet_state() for an "
                "empty one, makes the first."
            )
        return self.state.document

    def _load(self, device_id: str | None) -> DeviceState:
        state = self._store.load()
        if state is None:
            state = DeviceState(device_id=device_id or uuid.uuid4().hex, format=self.format.name)
            self._store.save(state)
        if device_id not in (None, state.device_id) or state.format != self.format.name:
            raise StoreUnusable(
                f"This store is of the device {state.device_id!r} with documents of the format {state.format!r}. Use "
                "a store of its own for each device."
            )
        return state
