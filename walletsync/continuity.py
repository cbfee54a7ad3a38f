"""Rollbacks and forks: does a wallet that the server presents continue what this device knows? Pure: no clock, no IO.

Every version is authentic (crypto) before it comes here. What is left for a lying server is to choose which authentic
version it shows to whom: an old one (rollback), or one of two lines that it keeps apart (fork). Each version names the
digest of the one before it and, per device, the last write that its author had seen. So every later version of the same
line covers all that this device knows; a version that does not is from another line. A later write of a device covers
its earlier ones, but for those that it names as abandoned: a server may refuse a write and show it to somebody all the
same, as part of a line that its author never was on.

Two versions are of one line for certain only where a digest says so. A device therefore keeps the digests of the
versions that it went through (`passed`), and what both sides of a restore changed is measured against a version that is
among them and that the other side descends from (`linked_ancestors`): nothing else is a common ancestor.

A line may be left for another one with a person's consent only: after a server was restored from a backup, the version
that goes on from there carries a `Restore`, and whoever knows no more than that covers follows.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TypeVar

from msgspec import Struct

from walletsync.crypto import NO_PREVIOUS
from walletsync.errors import BadWallet, ForkDetected, NamesakeDetected, RollbackDetected
from walletsync.payload import Entry, Restore
from walletsync.remedies import Remedy

_MAX_PASSED = 1_000

_T = TypeVar("_T")


class Version(Struct, frozen=True, kw_only=True):
    """An authentic version: its place in the line, who wrote it and what they had seen."""

    sequence: int
    digest: str
    previous: str
    epoch: int
    device: str
    entries: Mapping[str, Entry]
    restores: tuple[Restore, ...] = ()
    abandoned: tuple[str, ...] = ()

    @property
    def entry(self) -> Entry:
        """This version as the last write of its author."""
        return Entry(self.sequence, self.digest, self.abandoned)


class Known(Struct, frozen=True, kw_only=True):
    """What a device knows of its account's line: the last version it saw, and the last write of every device."""

    sequence: int
    digest: str
    epoch: int
    entries: dict[str, Entry]
    restores: tuple[Restore, ...] = ()

    @property
    def line(self) -> str:
        """The name of the restore that this line began with, "" for the account's first line."""
        return self.restores[-1].name if self.restores else ""


def known_after(version: Version) -> Known:
    """Return what a device knows once it has accepted `version`."""
    return Known(
        sequence=version.sequence,
        digest=version.digest,
        epoch=version.epoch,
        entries={**version.entries, version.device: version.entry},
        restores=version.restores,
    )


def has_landed(write: Entry, device: str, seen: Version) -> bool:
    """Tell whether `device`'s own `write`, whose answer got lost, is in what `seen` carries.

    It is `seen` itself, or came before it on its line, or was on a line that was brought along after a restore.
    """
    lines = [seen.entries, *(restore.entries for restore in seen.restores)]
    return seen.entry == write or any(entries.get(device) == write for entries in lines)


def is_newer(
    known: Known | None, version: Version, device: str, *, rekeyed: bool = False, own: Collection[str] = ()
) -> bool:
    """Return True if `version` continues `known`, False if it is the very same version.

    `device` is this device's own id, and `own` has at least the digests of its writes that are not in `known`: those
    that it gave up, and those on a line that it left. A device that knows nothing yet (None) has to take what it is
    shown. `rekeyed`: `version` is sealed under another salt seed than what is known, as it is after a password change.

    Raises:
        RollbackDetected: it is older than what this device has seen.
        ForkDetected: it does not descend from what this device has seen.
        NamesakeDetected: nor that, and it has a write under this device's name that is none of its own.
        BadWallet: it contradicts itself.
    """
    _check_itself(version)
    if known is None:
        return True
    if version.sequence == known.sequence and version.digest == known.digest:
        return False
    if _was_brought_along(known, version, device):
        return True
    if version.epoch < known.epoch or (rekeyed and version.epoch == known.epoch):
        raise RollbackDetected(
            "The server presented a wallet from before a password change that this device knows of. Nothing was "
            "changed here; ask whoever runs the server.",
            remedy=Remedy.ACCEPT_RESTORED_SERVER,
        )
    if version.sequence < known.sequence:
        raise RollbackDetected(
            f"The server presented version {version.sequence} of the wallet, older than version {known.sequence} that "
            "this device has already seen. Nothing was changed here; ask whoever runs the server.",
            remedy=Remedy.ACCEPT_RESTORED_SERVER,
        )
    if not _descends(known, version, device, rekeyed):
        if _has_a_namesake(known, version, device, own):
            raise NamesakeDetected(
                f"Version {version.sequence} of the wallet has a write under this device's name, {device!r}, that this "
                "device did not make: another device has the same name, or the folder of this one was copied, or "
                "restored from an older copy. Nothing was changed here.",
                remedy=Remedy.RENAME_DEVICE,
            )
        raise ForkDetected(
            f"The server presented a version {version.sequence} of the wallet that does not descend from version "
            f"{known.sequence} that this device has seen: it shows different histories to your devices. Nothing was "
            "changed here; ask whoever runs the server.",
            remedy=Remedy.COMPARE_OR_ACCEPT_RESTORED_SERVER,
        )
    return True


def passed(digests: Mapping[str, int], known: Known) -> dict[str, int]:
    """Return the versions that a device has gone through for certain, digest → sequence: the latest 1,000.

    `digests` are those from before it knew `known`. They stay when a line is left, since what a device has is made of
    them all the same.
    """
    named = {entry.digest: entry.sequence for entry in known.entries.values()}
    before = {digest: sequence for digest, sequence in digests.items() if digest not in named}
    return dict(list({**before, **named}.items())[-_MAX_PASSED:])


def linked_ancestors(current: Version, older: Iterable[tuple[Version, _T]]) -> Iterator[tuple[Version, _T]]:
    """Yield of `older`, the newest first, those that `current` descends from for certain, each with what it carries."""
    after_it = current
    for version, carried in older:
        if after_it.previous != version.digest:
            return
        yield version, carried
        after_it = version


def came_before(later: Version, version: Version) -> bool:
    """Tell whether `version` is on the line of `later`, as far as that shows without those in between.

    Whoever knew `version` and nothing else would take `later` for news: it covers every write that `version` has seen,
    and its own one. So all that can pass for an earlier version is a write that its author gave up, where none of the
    author's writes that `later` has seen says so.
    """
    restores = tuple(restore for restore in later.restores if restore.sequence <= version.sequence)
    return (
        version.sequence < later.sequence
        and version.epoch <= later.epoch
        and version.restores == restores
        and _covers_all(known_after(later).entries, known_after(version).entries)
    )


def has_been_left(known: Known, version: Version) -> bool:
    """Tell whether `version` is on a line for which someone consented to leave that of `known`."""
    return any(restore.line == known.line for restore in version.restores)


def _check_itself(version: Version) -> None:
    """The version before is the last write of exactly one device, and the others' and all restores are older."""
    before = version.sequence - 1
    latest = [entry for entry in version.entries.values() if entry.sequence >= before]
    if version.sequence == 1:
        consistent = version.previous == NO_PREVIOUS.hex() and not version.entries
    else:
        consistent = [(entry.sequence, entry.digest) for entry in latest] == [(before, version.previous)]
    restored = [restore.sequence for restore in version.restores]
    if not consistent or restored != sorted(restored) or max(restored, default=1) > version.sequence:
        raise BadWallet(
            f"Version {version.sequence} of the wallet is authentic, but contradicts itself about the versions before "
            "it. Nothing of it was used; update the program that wrote it."
        )


def _was_brought_along(known: Known, version: Version, device: str) -> bool:
    """Tell whether someone consented to leave the line of `known`, having seen all of it."""
    return version.epoch >= known.epoch and any(
        restore.line == known.line
        and restore.entries.get(device) == known.entries.get(device)
        and _covers_all(restore.entries, known.entries)
        for restore in version.restores
    )


def _descends(known: Known, version: Version, device: str, rekeyed: bool) -> bool:
    if version.sequence == known.sequence or version.restores[: len(known.restores)] != known.restores:
        return False
    # The epoch rises with the keys and with nothing else, but that a restore may bring back earlier keys.
    if version.restores == known.restores and (version.epoch == known.epoch) == rekeyed:
        return False
    # A device knows its own writes: one too few or one too many is another line.
    if version.device == device or version.entries.get(device) != known.entries.get(device):
        return False
    # Covering the last version's own entry is what makes `previous` match where `version` follows directly, since
    # `previous` is the entry of the version before.
    return _covers_all(version.entries, known.entries)


def _has_a_namesake(known: Known, version: Version, device: str, own: Collection[str]) -> bool:
    """Tell whether somebody with the account's keys has written as `device` after its own last write.

    Only devices have the keys, so no server can make it up. It can show what this device has written itself.
    """
    theirs = version.entry if version.device == device else version.entries.get(device)
    mine = known.entries.get(device)
    if theirs is None or theirs.digest in own:
        return False
    return mine is None or theirs.sequence > mine.sequence


def _covers_all(seen: Mapping[str, Entry], entries: Mapping[str, Entry]) -> bool:
    return all(_covers(seen.get(device), entry) for device, entry in entries.items())


def _covers(seen: Entry | None, entry: Entry) -> bool:
    if seen is None or seen.sequence <= entry.sequence:
        return seen == entry
    return entry.digest not in seen.abandoned
