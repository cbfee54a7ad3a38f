"""What one device shows and lets its person change: the document, edits and conflicts that wait, durable in its store.

Every change is one `save` of a new state, so a crash leaves the state before or the state after.
"""

import os
import uuid
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any, Literal

import msgspec

from walletsync import abandoned
from walletsync.conflicts import OnConflict, OpenConflicts, named
from walletsync.errors import NotReady, StoreUnusable
from walletsync.formats.base import Format
from walletsync.merge import Conflict, Merged
from walletsync.remedies import Remedy
from walletsync.results import WalletState
from walletsync.store import DeviceState, Store


class LocalDocument:
    """The part of a device that needs no account: `state` is durable in `store` before any method returns.

    What only looks at `state` looks once, so it may run in one thread while another one changes it.
    """

    def __init__(self, format: Format[Any], store: str | os.PathLike[str] | None, device_id: str | None) -> None:
        self.format = format
        self._store = Store(store)
        with ExitStack() as on_failure:
            on_failure.callback(self._store.close)
            self._new = DeviceState(device_id=device_id or uuid.uuid4().hex, format=format.name)
            self._begin(device_id)
            on_failure.pop_all()

    @property
    def state(self) -> DeviceState:
        """All that the device knows; kept by the store only, which knows whether memory still has what the file has."""
        state = self._store.load()
        return self._new if state is None else state

    def close(self) -> None:
        """Let go of the store's file."""
        self._store.close()

    def lend(self) -> None:
        """Let others open the store's file, until `take_back`; nothing can be saved meanwhile."""
        self._store.lend()

    def take_back(self) -> None:
        """Go on with what others have left in the store's file."""
        self._store.take_back()

    def save(self, **changes: Any) -> None:
        """Make `changes` to the state, all or none."""
        before = self.state
        state = msgspec.structs.replace(before, **changes)
        if "abandoned" not in changes:
            state = msgspec.structs.replace(state, abandoned=abandoned.after(before, state))
        self._store.save(state)

    def begin_document(self) -> WalletState:
        """Begin with an empty document; `Client.new_wallet_state` says more."""
        if self.state.document is not None:
            raise NotReady("This device already has a wallet.", remedy=Remedy.CHANGE_DOCUMENT)
        self.save(document=self.format.encode(self.format.empty()))
        return WalletState(0, "")

    def wallet_state(self) -> WalletState | None:
        """Return the last version got or POSTed; sequence 0 for one never POSTed."""
        state = self.state
        if state.synced is not None:
            return WalletState(state.synced.known.sequence, state.synced.encrypted_wallet)
        return None if state.document is None else WalletState(0, "")

    def document(self) -> Any:
        """Return a copy of the document, local edits included."""
        return self._decoded(self.state)

    def set_document(self, document: Any) -> None:
        """Replace the document; `Client.set_document` says more."""
        self.save(document=self.format.encode(document))

    def add_document(self, edited: Any, based_on: Any) -> None:
        """Merge what was changed between two documents into this device's; `Client.add_document` says more."""
        encoded, base = self.format.encode(edited), self.format.encode(based_on)
        if self.state.document in (None, base):
            self.save(document=encoded)
        else:
            self.merge_document(lambda theirs: self.format.merge(based_on, edited, theirs))

    def merge_document(self, merge: Callable[[Any], Merged[Any]]) -> None:
        """Put what `merge` makes of the document in its place; `Client.merge_document` says more."""
        merged = merge(None if self.state.document is None else self.document())
        # The same again, after an interruption, is not a second conflict.
        waiting = self.state.conflicts
        news = self._named(conflict for conflict in merged.conflicts if conflict not in waiting)
        self.save(document=self.format.encode(merged.document), **self._with_conflicts(news))

    def merge_base(self) -> Any:
        """Return the document of the last synced version, None if there is none."""
        synced = self.state.synced
        return None if synced is None else self.format.decode(synced.document)

    def has_local_changes(self) -> bool:
        """Tell whether there is anything that the server is not known to have."""
        state = self.state
        is_edited = state.document != (None if state.synced is None else state.synced.document)
        return is_edited or state.pending is not None or bool(state.owed_restores)

    def conflicts(self, *, but: tuple[Conflict, ...] = ()) -> tuple[Conflict, ...]:
        """Return what waits for a decision, but not `but` of an earlier state; `theirs` is what the document has there
        now."""
        state = self.state
        names = {conflict.name for conflict in but}
        waiting = [conflict for conflict in state.conflicts if conflict.name not in names]
        if not waiting:
            return ()
        return OpenConflicts(self.format, self._decoded(state), tuple(waiting)).shown()

    def resolve(self, conflict: Conflict, keep: Literal["mine", "theirs"]) -> Any:
        """Decide a conflict and return the document; `Client.resolve` says more."""
        left = OpenConflicts(self.format, self.document(), self.state.conflicts).resolved(conflict, keep)
        self.save(document=self.format.encode(left.document), conflicts=left.conflicts)
        return left.document

    def resolve_all(self, keep: OnConflict) -> Any:
        """Decide all conflicts and return the document; `Client.resolve_all` says more."""
        left = OpenConflicts(self.format, self.document(), self.state.conflicts).all_resolved(keep)
        self.save(document=self.format.encode(left.document), conflicts=left.conflicts)
        return left.document

    def decide(self, on_conflict: OnConflict, already_asked: set[Conflict]) -> None:
        """Decide every conflict that waits and is not in `already_asked`, and put those into it; all at once, or none.

        A conflict whose value has no place in the document goes on waiting.
        """
        state = self.state
        if not state.conflicts:
            return
        left = OpenConflicts(self.format, self._decoded(state), state.conflicts).decided(on_conflict, already_asked)
        if len(left.conflicts) < len(state.conflicts):
            self.save(document=self.format.encode(left.document), conflicts=left.conflicts)

    def _named(self, conflicts: Iterable[Conflict]) -> tuple[Conflict, ...]:
        return named(conflicts, self.state.conflicts_named)

    def _with_conflicts(self, news: tuple[Conflict, ...]) -> dict[str, Any]:
        """Return what changes when `news` wait as well."""
        state = self.state
        return {"conflicts": state.conflicts + news, "conflicts_named": state.conflicts_named + len(news)}

    def _decoded(self, state: DeviceState) -> Any:
        """Return a copy of the document that is in `state`."""
        return self.format.decode(self._encoded(state))

    @staticmethod
    def _encoded(state: DeviceState) -> bytes:
        if state.document is None:
            raise NotReady("There is no wallet on this device yet.", remedy=Remedy.GET_OR_MAKE_WALLET)
        return state.document

    def _begin(self, device_id: str | None) -> None:
        """Make a new device durable, or check that the store's is the one that was asked for."""
        if self._store.load() is None:
            self._store.save(self._new)
        state = self.state
        if device_id not in (None, state.device_id) or state.format != self.format.name:
            raise StoreUnusable(
                f"This store belongs to the device {state.device_id!r}, with documents of the format {state.format!r}. "
                "Use a separate store for each device."
            )
