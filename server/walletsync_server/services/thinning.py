"""Which versions of a wallet are kept: all of late, fewer of long ago. Pure: neither a clock nor the database."""

from collections.abc import Sequence
from itertools import islice

from walletsync.protocol import KEPT_VERSIONS
from walletsync_server.storage.interface import StoredVersion

KEPT_HOURS = 24
KEPT_DAYS = 30


def superfluous(versions: Sequence[StoredVersion], most_bytes: int) -> list[int]:
    """Return the sequences of the versions that need not be kept.

    Kept are the last ten; of each of the latest 24 hours and 30 days in which there was a version, by UTC, the last
    one; and of all these, beginning with the newest, as many as have `most_bytes` together. The current one is always
    kept.

    The hours and days are those that have a version, not those before now: so a clock that was wrong for a moment
    costs nothing, and a wallet that seldom changes has a longer past. Whoever drops these after every version has what
    he would have if he had never dropped any before, as long as there is room.

    Args:
        versions: what there is of one wallet, the current version first.
        most_bytes: of the encrypted wallets.
    """
    by_hour: dict[int, int] = {}
    by_day: dict[int, int] = {}
    for sequence, hour, _ in versions:
        by_hour.setdefault(hour, sequence)
        by_day.setdefault(hour // 24, sequence)
    chosen = {version.sequence for version in versions[:KEPT_VERSIONS]}
    chosen.update(islice(by_hour.values(), KEPT_HOURS), islice(by_day.values(), KEPT_DAYS))
    gone, total = [], 0
    for sequence, _, size in versions:
        if sequence in chosen:
            total += size
        if sequence not in chosen or (total > most_bytes and sequence != versions[0].sequence):
            gone.append(sequence)
    return gone
