"""Writes that this device sent and gave up: its next version names them, so that no device can be shown one as history.

A server that refuses a write has it all the same. To whoever is shown it as the next version it looks like any other,
and once its author has written again, that one's later write would cover it.
"""

from collections.abc import Iterable, Iterator

from walletsync.payload import Entry
from walletsync.store import DeviceState

MAX_ABANDONED = 32
"""How many a version names, the latest ones. A write is abandoned only where another device was faster, each time by a
genuine version of its own, so a server that wants one forgotten has to wait for 32 such races of the same device."""


def after(before: DeviceState, now: DeviceState) -> tuple[str, ...]:
    """Return what is abandoned once the state is `now`: what was before, and what was sent then and never landed.

    Found by comparison, so that nothing that lets go of a write can forget to say so.
    """
    kept = set(_sent(now))
    gone = [digest for digest in _sent(before) if digest not in kept]
    if not gone:
        return now.abandoned
    landed = {entry.digest for entry in _entries(now)}
    return latest((*now.abandoned, *(digest for digest in gone if digest not in landed)))


def to_name(state: DeviceState) -> tuple[str, ...]:
    """Return what this device's next version names: also what its last one did, if the store is a new one since."""
    last = None if state.synced is None else state.synced.known.entries.get(state.device_id)
    return latest((*(() if last is None else last.abandoned), *state.abandoned))


def latest(digests: Iterable[str]) -> tuple[str, ...]:
    """Return the last of `digests`, each once."""
    return tuple(dict.fromkeys(digests))[-MAX_ABANDONED:]


def _sent(state: DeviceState) -> Iterator[str]:
    """Yield the writes whose outcome is not known."""
    change = state.password_change
    for write in (state.pending, None if change is None else change.wallet):
        if write is not None:
            yield write.known.digest


def _entries(state: DeviceState) -> Iterator[Entry]:
    """Yield the writes on the line that a device knows, and on those that were left and brought along."""
    restores = state.owed_restores
    if state.synced is not None:
        yield from state.synced.known.entries.values()
        restores += state.synced.known.restores
    for restore in restores:
        yield from restore.entries.values()
