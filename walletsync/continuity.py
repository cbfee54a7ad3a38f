"""Does a wallet that the server presents continue what this device knows? Pure: no clock, no network, no store.

Every version is authentic (crypto) before it comes here. What is left for a lying server is to choose which authentic
version it shows to whom: an old one (rollback), or one of two lines that it keeps apart (fork). Each version names the
digest of the one before it and, per device, the last write that its author had seen. So every later version of the same
line covers all that this device knows; a version that does not is from another line.
"""

from collections.abc import Mapping

from msgspec import Struct

from walletsync.crypto import NO_PREVIOUS
from walletsync.errors import BadWallet, ForkDetected, RollbackDetected
from walletsync.payload import Entry


class Version(Struct, frozen=True, kw_only=True):
    """An authentic version: its place in the line, who wrote it and what they had seen."""

    sequence: int
    digest: str
    previous: str
    epoch: int
    device: str
    entries: Mapping[str, Entry]

    @property
    def entry(self) -> Entry:
        """This version as the last write of its author."""
        return Entry(self.sequence, self.digest)


class Known(Struct, frozen=True, kw_only=True):
    """What a device knows of its account's line: the last version it saw, and the last write of every device."""

    sequence: int
    digest: str
    epoch: int
    entries: dict[str, Entry]


def after(version: Version) -> Known:
    """Return what a device knows once it has accepted `version`."""
    return Known(
        sequence=version.sequence,
        digest=version.digest,
        epoch=version.epoch,
        entries={**version.entries, version.device: version.entry},
    )


def has_landed(write: Version, seen: Version) -> bool:
    """Tell whether this device's `write`, whose answer got lost, is `seen` itself or came before it on its line."""
    return seen.entry == write.entry or seen.entries.get(write.device) == write.entry


def is_news(known: Known | None, version: Version, device: str) -> bool:
    """Return True if `version` continues `known`, False if it is the very same version.

    `device` is this device's own id. A device that knows nothing yet (None) has to take what it is shown.

    Raises:
        RollbackDetected: it is older than what this device has seen.
        ForkDetected: it does not descend from what this device has seen.
        BadWallet: it contradicts itself.
    """
    _check_itself(version)
    if known is None:
        return True
    if version.sequence < known.sequence or version.epoch < known.epoch:
        raise RollbackDetected(
            f"The server presented version {version.sequence} of the wallet, older than version {known.sequence} that "
            "this device has already seen. Nothing was changed here. The server may have been restored from a backup; "
            "ask whoever runs it before you go on."
        )
    if version.sequence == known.sequence and version.digest == known.digest:
        return False
    if not _descends(known, version, device):
        raise ForkDetected(
            f"The server presented a version {version.sequence} of the wallet that does not descend from version "
            f"{known.sequence} that this device has seen: it shows different histories to your devices. Nothing was "
            "changed here. Keep both devices as they are and ask whoever runs the server."
        )
    return True


def _check_itself(version: Version) -> None:
    """The version before is the last write of exactly one device, and the others' are older."""
    before = version.sequence - 1
    latest = [entry for entry in version.entries.values() if entry.sequence >= before]
    if version.sequence == 1:
        consistent = version.previous == NO_PREVIOUS.hex() and not version.entries
    else:
        consistent = latest == [Entry(before, version.previous)]
    if not consistent:
        raise BadWallet(
            f"Version {version.sequence} of the wallet is authentic, but contradicts itself about the versions before "
            "it. Nothing of it was used; update the program that wrote it."
        )


def _descends(known: Known, version: Version, device: str) -> bool:
    if version.sequence == known.sequence or version.epoch != known.epoch:
        return False
    # A device knows its own writes: one too few or one too many is another line.
    if version.device == device or version.entries.get(device) != known.entries.get(device):
        return False
    # Covering the last version's own entry is what makes `previous` match where `version` follows directly, since
    # `previous` is the entry of the version before.
    return all(_covers(version.entries.get(other), entry) for other, entry in known.entries.items())


def _covers(seen: Entry | None, entry: Entry) -> bool:
    return seen is not None and (seen.sequence > entry.sequence or seen == entry)
