"""Which versions of a wallet are kept: all of late, fewer of long ago. Pure: neither a clock nor the database."""

from collections.abc import Sequence
from itertools import islice

from walletsync.protocol import KEPT_VERSIONS
from walletsync_server.storage.interface import StoredVersion

KEPT_HOURS = 24
KEPT_DAYS = 30


def superfluous(versions: Sequence[StoredVersion], most_bytes: int) -> list[int]:
    """Return the sequences of the versions that need not be kept.

    Kept are the last ten; of each of the latest 24 hours and 30 days in which there was a version, by UTC, the first
    and the last one, so that what came before a loss outlasts the many versions that may follow it; and of all these,
    beginning with the newest, as many as have `most_bytes` together. The current one is always kept.

    The hours and days are those that have a version, not those before now: so a clock that was wrong for a moment
    costs nothing, and a wallet that seldom changes has a longer past. Whoever drops these after every version has what
    he would have if he had never dropped any before, as long as there is room and the clock goes forward.

    Args:
        versions: what there is of one wallet, the current version first.
        most_bytes: of the encrypted wallets.
    """
    hours: dict[int, list[int]] = {}
    days: dict[int, list[int]] = {}
    for sequence, hour, _ in versions:
        hours.setdefault(hour, []).append(sequence)
        days.setdefault(hour // 24, []).append(sequence)
    chosen = {version.sequence for version in versions[:KEPT_VERSIONS]}
    for of_one in (*islice(hours.values(), KEPT_HOURS), *islice(days.values(), KEPT_DAYS)):
        chosen.update((of_one[0], of_one[-1]))
    gone, total = [], 0
    for sequence, _, size in versions:
        if sequence in chosen:
            total += size
        if sequence not in chosen or (total > most_bytes and sequence != versions[0].sequence):
            gone.append(sequence)
    return gone
