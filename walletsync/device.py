"""What one device holds of an account and what it accepts: the synced version, the pending write. No network in here.

A wallet that the server presents is opened, compared with what this device knows, and only then merged; any error
leaves all as it was.
"""

import itertools
from collections.abc import Iterable
from typing import Any

import msgspec

from walletsync import abandoned, compression, continuity, crypto, restored_server, versions
from walletsync.continuity import Known, Version
from walletsync.errors import ForkDetected, NewPasswordNeeded, NotReady, UsageError, WalletTooLarge
from walletsync.local_document import LocalDocument
from walletsync.merge import Merged
from walletsync.protocol import MAX_SEQUENCE, WalletAnswer
from walletsync.remedies import Remedy
from walletsync.results import Fetched
from walletsync.store import PasswordChange, SealedVersion
from walletsync.versions import UnlockedAccount

_FIRST_EPOCH = 1

_NO_ACCOUNT: dict[str, Any] = {
    **dict.fromkeys(("offered_seed", "seed", "token", "synced", "pending", "password_change")),
    "passed": {},
    "abandoned": (),
    "owed_restores": (),
}
"""What a device does not know of an account that does not exist. Its seeds were: a backup may bring it back."""


class Device(LocalDocument):
    """One device's part of an account: what it accepts of others' versions, and what it makes of its own."""

    @property
    def known(self) -> Known | None:
        """What this device knows of the account's history."""
        synced = self.state.synced
        return None if synced is None else synced.known

    # The account

    def accept_login(self, seed: bytes, token: str) -> None:
        """The server has let this device in with `seed`: it is the account's."""
        state = self.state
        changes: dict[str, Any] = {}
        if state.password_change is not None and seed == state.password_change.seed:
            changes = self._changed_by(state.password_change)
        elif seed == state.offered_seed and state.seed not in (None, seed):
            changes = dict(_NO_ACCOUNT)  # it was gone and is made anew: its first version is yet to come
        elif state.seed not in (None, seed):
            # A change with a wallet may have landed before the one that this seed is of: the next version tells.
            may_have_landed = state.password_change is not None and state.password_change.wallet is not None
            if seed in state.seeds or not may_have_landed:
                changes = {"password_change": None}
        changes |= {"seed": seed, "seeds": restored_server.seeds_with(state, seed)}
        self.save(**changes | {"token": token, "offered_seed": None, "accepts_new_password": False})

    def check_password(self) -> None:
        """Refuse to go on under a password that was changed since, as far as this device knows.

        Raises:
            NewPasswordNeeded: it is one, since the server has it again.
        """
        if restored_server.is_at_earlier_password(self.state):
            raise NewPasswordNeeded(
                "The server has a password again from before a change that this device knows of. Nothing is encrypted "
                "under that one any more, and nothing was sent.",
                remedy=Remedy.SET_NEW_PASSWORD,
            )

    def forget_account(self) -> None:
        """The account is deleted. The document stays."""
        self.save(**_NO_ACCOUNT)

    def rename(self, device_id: str) -> None:
        """Go on under another name, as a device that has read what this one has and has written nothing yet.

        What was sent under the earlier name may have landed, and is found or sent again as what it is.

        Raises:
            UsageError: it is or was the name of a device that has written, be it this one.
            NotReady: a change of the password was begun and not finished; its wallet has the earlier name.
        """
        state = self.state
        known = set() if self.known is None else set(self.known.entries)
        if device_id in known | {state.device_id}:
            raise UsageError(f"{device_id!r} is or was the name of a device of this account; choose another one.")
        if state.password_change is not None:
            raise NotReady(
                "A change of the password was interrupted, and has to end before this device gets another name.",
                remedy=Remedy.ASK_ABOUT_PASSWORD_CHANGE,
            )
        self.save(device_id=device_id, token=None)

    def begin_password_change(self, unlocked: UnlockedAccount, limit: int) -> PasswordChange:
        """Seal the wallet, if there is one, under the new keys, and keep the change before it leaves."""
        wallet = None
        if self.state.synced is not None:
            about = self._next_version()
            wallet = self._sealed(unlocked, limit, msgspec.structs.replace(about, epoch=about.epoch + 1))
        change = PasswordChange(seed=unlocked.binding.seed, wallet=wallet)
        self.save(password_change=change)
        return change

    def finish_password_change(self, change: PasswordChange) -> None:
        """The server has `change`: the new seed is the account's, and no token is valid any more."""
        self.save(**self._changed_by(change))

    def abandon_password_change(self) -> None:
        """The server has surely not taken the change, and never will: the old seed stays the account's."""
        self.save(password_change=None)

    def _changed_by(self, change: PasswordChange) -> dict[str, Any]:
        # What was pending under the old seed cannot have landed: the change took its place.
        return {
            **self._settled_as(change.wallet),
            "seed": change.seed,
            "seeds": restored_server.seeds_with(self.state, change.seed),
            "token": None,
            "pending": None,
            "password_change": None,
        }

    # Versions

    @property
    def is_behind_password_change(self) -> bool:
        """Whether what this device has or sent last is sealed under an earlier seed than the account's present one."""
        versions_here = (self.state.synced, self.state.pending)
        return any(version is not None and version.seed != self.state.seed for version in versions_here)

    def is_opened_by(self, unlocked: UnlockedAccount) -> bool | None:
        """Tell whether these are the account's keys under their seed; None if no wallet on this device is under it."""
        change = self.state.password_change
        for version in (self.state.synced, self.state.pending, None if change is None else change.wallet):
            if version is not None and version.seed == unlocked.binding.seed:
                return versions.is_opened_by(unlocked, version)
        return None

    def seal_next(self, unlocked: UnlockedAccount, limit: int) -> SealedVersion:
        """Make the next version of the document, of at most `limit` bytes, and keep it before it leaves.

        Raises what `check_password` raises.
        """
        self.check_password()
        pending = self._sealed(unlocked, limit, self._next_version())
        self.save(pending=pending)
        return pending

    def acknowledge(self, pending: SealedVersion) -> None:
        """The server has `pending`: it is the synced version now."""
        self.save(**self._settled_as(pending), pending=None)

    def abandon(self, pending: SealedVersion) -> None:
        """The server will never have `pending`; its edits are in the document."""
        if self.state.pending == pending:
            self.save(pending=None)

    def accept(self, wallet: WalletAnswer, unlocked: UnlockedAccount) -> Fetched:
        """Accept what the server presents, if it continues what this device knows, and merge local edits onto it."""
        version, document = versions.unseal(unlocked, wallet, self.format)
        synced, pending = self._settled(version)
        known = None if synced is None else synced.known
        rekeyed = synced is not None and synced.seed != unlocked.binding.seed
        device_id, own = self.state.device_id, {*self.state.abandoned, *self.state.passed}
        if not continuity.is_newer(known, version, device_id, rekeyed=rekeyed, own=own):
            self.save(**self._settled_as(synced), pending=pending)
            return Fetched(version.sequence, newer=False)
        base = self.format.empty() if synced is None else self.format.decode(synced.document)
        theirs = self.format.decode(document)
        return self._move_to(wallet, unlocked, version, theirs, self._with_local_edits(base, theirs))

    def open_earlier(self, wallet: WalletAnswer, between: Iterable[WalletAnswer], unlocked: UnlockedAccount) -> Any:
        """Return the document of an earlier version that the server presents; nothing on this device changes.

        `between` are those after it and before the synced one, the newest first, as far as they are kept.

        Raises:
            ForkDetected: it is authentic, but did not come before what this device knows.
        """
        version, document = versions.unseal(unlocked, wallet, self.format)
        newest, older = self.state.synced, itertools.chain(between, [wallet])
        is_newest = newest is not None and newest.known.digest == version.digest
        if not (is_newest or versions.are_linked(unlocked, newest, older, self.format)):
            raise ForkDetected(
                f"The server presented a version {version.sequence} of the wallet that is not in the history that this "
                "device knows. Nothing of it was used; ask whoever runs the server if it happens again after a sync.",
                remedy=Remedy.SYNC,
            )
        return self.format.decode(document)

    def continue_from(
        self,
        wallet: WalletAnswer | None,
        older: Iterable[WalletAnswer],
        unlocked: UnlockedAccount,
        *,
        is_latest_password: bool,
    ) -> None:
        """Leave the line that this device knows for `wallet`, the current one of a restored server, if any.

        The document stays, with what others have written there on top; the next version tells the other devices.
        `older` are the versions before `wallet`, the newest first: the first one that this device's line went through
        as well is what both sides' changes are measured against. Without one, what either side has is there, deletions
        come back, and what differs is a conflict. Without `is_latest_password`, an epoch that is lower than the one
        that this device has seen shows that the password is an earlier one.
        """
        owed = self.state.owed_restores + restored_server.restores_of(self.state)
        changes: dict[str, Any] = {"password_change": None, "owed_restores": owed}
        opened = None if wallet is None else versions.unseal(unlocked, wallet, self.format)
        epoch = _FIRST_EPOCH if opened is None else opened[0].epoch
        if not is_latest_password and self.known is not None and epoch < self.known.epoch:
            changes["seeds"] = restored_server.seeds_before(self.state, unlocked.binding.seed)
        if wallet is None or opened is None:
            self.save(synced=None, pending=None, **changes)
            return
        version, document = opened
        theirs = self.format.decode(document)
        earlier = (versions.unseal(unlocked, each, self.format) for each in older)
        base = restored_server.common_ancestor(self.format, self.state, version, document, earlier)
        merged = self._with_line(base, theirs)
        self._move_to(wallet, unlocked, version, theirs, merged, **changes)

    def _with_line(self, base: Any, theirs: Any) -> Merged[Any]:
        """Merge what this device's line changed since `base` onto `theirs`, and then the local edits onto that.

        At once, a local edit that takes back a change of the line would look like no edit.
        """
        synced = self.state.synced
        if synced is None:
            return self._with_local_edits(base, theirs)
        document = self.format.decode(synced.document)
        line = self.format.merge(base, document, theirs)
        local = self._with_local_edits(document, line.document)
        return Merged(local.document, line.conflicts + local.conflicts)

    def _with_local_edits(self, base: Any, theirs: Any) -> Merged[Any]:
        if self.state.document is None:
            return Merged(theirs, ())
        return self.format.merge(base, self.document(), theirs)

    def _move_to(
        self,
        wallet: WalletAnswer,
        unlocked: UnlockedAccount,
        version: Version,
        theirs: Any,
        merged: Merged[Any],
        **changes: Any,
    ) -> Fetched:
        """Make `version`, which carries `theirs`, the synced one, and the document what was `merged`."""
        # Another program may write the same document in other bytes: what we compare with is in ours.
        in_our_bytes, edited = self.format.encode(theirs), self.format.encode(merged.document)
        synced = SealedVersion(
            seed=unlocked.binding.seed,
            encrypted_wallet=wallet.encrypted_wallet,
            hmac=wallet.hmac,
            known=continuity.known_after(version),
            document=in_our_bytes,
        )
        # A pending write that is not on this version's line took the same sequence and never lands any more; what it
        # carried is in `mine`.
        changes = {"pending": None} | self._settled_as(synced) | changes
        conflicts = self._named(merged.conflicts)
        self.save(**changes, document=edited, **self._with_conflicts(conflicts))
        return Fetched(
            version.sequence,
            newer=True,
            merged=self.state.document is not None and edited != in_our_bytes,
            conflicts=conflicts,
        )

    def _settled(self, seen: Version) -> tuple[SealedVersion | None, SealedVersion | None]:
        """Find out from an authentic version whether the pending write, or a change of the password, has landed.

        The server's word does not count.
        """
        pending, change = self.state.pending, self.state.password_change
        for write in (pending, None if change is None else change.wallet):
            # Its author may be this device under an earlier name.
            if write is not None and continuity.has_landed(write.known.entries[write.author], write.author, seen):
                return write, None
        return self.state.synced, pending

    def _settled_as(self, synced: SealedVersion | None) -> dict[str, Any]:
        """Return what changes when `synced` is the synced version: it also shows what came to nothing, or is done."""
        change, owed = self.state.password_change, self.state.owed_restores
        if synced is not None:
            if change is not None and (change.wallet is None or change.wallet.sequence <= synced.sequence):
                change = None  # its sequence was used up by this version, which is under the old seed
            announced = {restore.name for restore in synced.known.restores}
            owed = tuple(restore for restore in owed if restore.name not in announced)
        return {**self._synced_as(synced), "password_change": change, "owed_restores": owed}

    def _synced_as(self, synced: SealedVersion | None) -> dict[str, Any]:
        """Return what changes when `synced` is the synced version: it is one more that this device went through."""
        passed = self.state.passed if synced is None else continuity.passed(self.state.passed, synced.known)
        return {"synced": synced, "passed": passed}

    def _sealed(self, unlocked: UnlockedAccount, limit: int, about: Version) -> SealedVersion:
        document = self._encoded(self.state)
        if len(document) > compression.MAX_DOCUMENT_BYTES:
            raise WalletTooLarge(
                f"The document has {len(document):,} bytes; no device takes more than "
                f"{compression.MAX_DOCUMENT_BYTES:,}. Nothing was sent and nothing is lost; make the document smaller."
            )
        sealed = versions.seal(unlocked, about, self.format, document)
        size = len(sealed.encrypted_wallet)
        if size > limit:
            raise WalletTooLarge(
                f"The encrypted wallet has {size:,} bytes; the server takes at most {limit:,}. Nothing was sent and "
                "nothing is lost; make the document smaller."
            )
        return sealed

    def _next_version(self) -> Version:
        """Return what this device's next version says of itself, but for its digest."""
        known = self.known
        if known is None:
            known = Known(sequence=0, digest=crypto.NO_PREVIOUS.hex(), epoch=_FIRST_EPOCH, entries={})
        sequence = known.sequence + 1
        if sequence > MAX_SEQUENCE:
            raise UsageError("The wallet has used up its version numbers; make a new account for it.")
        owed = tuple(msgspec.structs.replace(restore, sequence=sequence) for restore in self.state.owed_restores)
        return Version(
            sequence=sequence,
            digest="",
            previous=known.digest,
            epoch=max([known.epoch, *(restore.epoch for restore in owed)]),
            device=self.state.device_id,
            entries=known.entries,
            restores=known.restores + owed,
            abandoned=abandoned.to_name(self.state),
        )
