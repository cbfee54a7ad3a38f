"""Who has to go when there are as many connections as may be, so that no network has them all."""

from collections import Counter
from collections.abc import Collection
from typing import Protocol, TypeVar

BATCH = 32
"""How many go at once: looking for them takes a while, and where connections run out more will come."""


class Connection(Protocol):
    """What is asked of one. `network` is whose it is; `arrival` is greater than that of those before it."""

    network: str
    arrival: int

    @property
    def is_idle(self) -> bool:
        """Whether the server waits for a request on it, and its client for nothing."""


C = TypeVar("C", bound=Connection)


def who_gives_way(connections: Collection[C], newcomer: str) -> list[C]:
    """Return those that are to be closed for one more of the network `newcomer`; none if it is the new one.

    Idle ones go first, of the network that has most of these the oldest. Where nobody is idle, the oldest of the
    network that has most goes, if that has more than the newcomer's will.
    """
    idle = [connection for connection in connections if connection.is_idle]
    if idle:
        most, count = Counter(connection.network for connection in idle).most_common(1)[0]
        return _oldest(idle, most, min(BATCH, -(-count // 2)))
    counts = Counter(connection.network for connection in connections)
    most, count = counts.most_common(1)[0]
    return _oldest(connections, most, 1) if count > counts[newcomer] + 1 else []


def _oldest(connections: Collection[C], network: str, number: int) -> list[C]:
    mine = [connection for connection in connections if connection.network == network]
    return sorted(mine, key=lambda connection: connection.arrival)[:number]
