"""Which versions of a wallet are kept: all of late, fewer of long ago. Pure: neither a clock nor the database."""

from collections.abc import Sequence
from itertools import islice

from walletsync.protocol import KEPT_VERSIONS
from walletsync_server.storage.interface import StoredVersion

KEPT_HOURS = 24
KEPT_DAYS = 30
MOST_VERSIONS = KEPT_VERSIONS + 2 * (KEPT_HOURS + KEPT_DAYS)
"""More are never kept of one wallet."""
_BEFORE_ALL = -1  # an hour, in a day of its own


def superfluous(versions: Sequence[StoredVersion], most_bytes: int) -> list[int]:
    """Return the sequences of the versions that need not be kept.

    Kept are the last ten; of each of the latest 24 hours and 30 days in which there was a version, by UTC, the first
    and the last one, so that what came before a loss outlasts the versions that follow it; and of all these, beginning
    with the newest, as many as have `most_bytes` together: the oldest go first. The current one is always kept.

    The hours and days are those that have a version, not those before now: so a clock that was wrong for a moment
    costs nothing, and a wallet that seldom changes has a longer past. Whoever drops these after every version has what
    he would have if he had never dropped any before, as long as there is room; without, if there had never been any
    before the oldest one. For that, a first version is told by the one directly before it, the last of another hour or
    day, which is kept as long: so of one hour and one day more than these, the last one is.

    Args:
        versions: what there is of one wallet, the current version first.
        most_bytes: of the encrypted wallets.
    """
    by_hour: dict[int, int] = {}
    by_day: dict[int, int] = {}
    for place, hour in enumerate([*(version.hour for version in versions), _BEFORE_ALL]):
        by_hour.setdefault(hour, place)
        by_day.setdefault(hour // 24, place)
    lasts = {*islice(by_hour.values(), KEPT_HOURS + 1), *islice(by_day.values(), KEPT_DAYS + 1)}
    chosen = {*range(KEPT_VERSIONS), *lasts, *(place - 1 for place in lasts)}
    gone, total = [], 0
    for place, (sequence, _, size) in enumerate(versions):
        if place in chosen:
            total += size
        if place not in chosen or (total > most_bytes and place > 0):
            gone.append(sequence)
    return gone
