"""Going on from a server that was restored from a backup: what both sides share, and what the other devices are told.

A backup may be older than a change of the password. Nothing is sealed under such an earlier password, which may have
been changed because somebody knows it: `seeds` tell, which a device keeps in the order in which they held.

A person has consented that this device leaves the line of versions that it knows for the one that the server has now.
Pure: what a device knows comes in, nothing is changed.
"""

import itertools
import uuid
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from walletsync import continuity
from walletsync.continuity import Version
from walletsync.formats.base import Format
from walletsync.payload import Restore
from walletsync.store import DeviceState


def common_ancestor(
    format: Format[Any],
    state: DeviceState,
    version: Version,
    document: bytes,
    older: Iterable[tuple[Version, bytes]],
) -> Any:
    """Return the document of the newest version that both this device and the server's line went through.

    `version` with its `document` is the current one of the server, `older` are those before it, the newest first. The
    document is an empty one where nothing in common is certain, and where somebody has left this device's line already
    without having seen all of it: what they brought along of it, and then undid, would look as if it had never been
    there.
    """
    known = None if state.synced is None else state.synced.known
    if known is not None and not continuity.has_been_left(known, version):
        ancestors = itertools.chain([(version, document)], continuity.linked_ancestors(version, older))
        for ancestor, its_document in ancestors:
            if ancestor.digest in state.passed:
                return format.decode(its_document)
    return format.empty()


def is_at_earlier_password(state: DeviceState) -> bool:
    """Tell whether the account's seed is one from before a change of the password that this device knows of."""
    return state.seed is not None and state.seed != state.seeds[-1]


def seeds_with(state: DeviceState, seed: bytes) -> tuple[bytes, ...]:
    """Return the seeds that held, when a login has succeeded with `seed`: one that is new here is the latest."""
    return state.seeds if seed in state.seeds else (*state.seeds, seed)


def seeds_before(state: DeviceState, seed: bytes) -> tuple[bytes, ...]:
    """Return the seeds that held, when it comes out that `seed` is from before all the others."""
    return (seed, *(other for other in state.seeds if other != seed))


def restores_of(state: DeviceState) -> tuple[Restore, ...]:
    """Return what the other devices need to know when this one leaves its line; nothing if it has seen nothing."""
    if state.synced is None:
        return ()
    known, pending = state.synced.known, state.pending
    left = [known]
    if pending is not None:  # it may have landed, and its edits are in the document
        write = pending.known.entries[pending.author]
        left = [replace(known, entries={**known.entries, pending.author: write})]
        if pending.known.line != known.line:  # it was to tell of a line that was left before
            left.append(pending.known)
    return tuple(
        Restore(name=uuid.uuid4().hex, sequence=0, line=each.line, epoch=each.epoch, entries=dict(each.entries))
        for each in left
    )
