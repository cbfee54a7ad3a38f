"""Rooms that all clients share, and what each of them may have of it, so that no network can shut the others out."""

from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self

from walletsync_server.api.dispatch import Holder
from walletsync_server.services.errors import Overloaded


class Guest(Protocol):
    """Something in a room that can give way."""

    def give_way(self) -> None:
        """Release all that it holds, and `leave`."""


class Room:
    """So many bytes, fairly shared among networks, and within one among its accounts. `free` of them are left.

    A network gets no more than its share. Where less is left than somebody wants, whoever holds most gives way, if that
    is more than the other one will hold then (max-min fairness): the guest that has been there longest, of those who
    can. So to shut somebody out takes as many networks as there are bodies of that size in the room.

    Args:
        size: bytes.
        share: bytes that one network may hold.
    """

    def __init__(self, size: int, share: int) -> None:
        self.free = size
        self._share = share
        self._networks: Counter[str] = Counter()
        self._holders: Counter[Holder] = Counter()
        self._guests: dict[Holder, dict[Guest, None]] = {}

    def reserve(self, size: int, holder: Holder) -> None:
        """Take some of it.

        Raises:
            Overloaded: if there is not as much for this one.
        """
        while self._networks[holder.network] + size > self._share:
            self._make_way(size, holder, [one for one in self._guests if one.network == holder.network])
        while size > self.free:
            self._make_way(size, holder, self._guests)
        self._count(size, holder)

    def release(self, size: int, holder: Holder) -> None:
        """Give back what was reserved."""
        self._count(-size, holder)

    def enter(self, guest: Guest, holder: Holder) -> None:
        """Let `guest` be one that may be asked to give way, from now on."""
        self._guests.setdefault(holder, {})[guest] = None

    def leave(self, guest: Guest, holder: Holder) -> None:
        """Ask it no more. Twice is fine."""
        guests = self._guests.get(holder, {})
        guests.pop(guest, None)
        if not guests:
            self._guests.pop(holder, None)

    def _make_way(self, size: int, holder: Holder, others: Iterable[Holder]) -> None:
        def holds(one: Holder) -> tuple[int, int]:
            joint = size if one.network == holder.network else 0  # the newcomer's is held by this network, too
            return self._networks[one.network] + joint, self._holders[one]

        most = max(others, key=holds, default=holder)
        if holds(most) <= (self._networks[holder.network] + size, self._holders[holder] + size):
            raise Overloaded
        next(iter(self._guests[most])).give_way()

    def _count(self, size: int, holder: Holder) -> None:
        self.free -= size
        self._networks[holder.network] += size
        self._holders[holder] += size
        if not self._networks[holder.network]:
            del self._networks[holder.network]
        if not self._holders[holder]:
            del self._holders[holder]


class Places:
    """So many requests may be in work at once, and so many of one network: nobody waits behind all of another's.

    `taken` are in work now.

    Args:
        most: in all.
        share: of one network.
    """

    def __init__(self, most: int, share: int) -> None:
        self._most = most
        self._share = share
        self._taken: Counter[str] = Counter()
        self.taken = 0

    def take(self, network: str) -> None:
        """Take one.

        Raises:
            Overloaded: if there is none for this network.
        """
        if self._taken[network] >= self._share or self.taken >= self._most:
            raise Overloaded
        self._taken[network] += 1
        self.taken += 1

    def leave(self, network: str) -> None:
        """Give one back."""
        self.taken -= 1
        self._taken[network] -= 1
        if not self._taken[network]:
            del self._taken[network]


class Place:
    """A request's place among those in work, if it takes one: left at the end of the `with` block, or before."""

    __slots__ = ("_network", "_places")

    def __init__(self, places: Places) -> None:
        self._places = places
        self._network: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def take(self, network: str) -> None:
        """Take it.

        Raises:
            Overloaded: if there is none for this network.
        """
        self._places.take(network)
        self._network = network

    def leave(self) -> None:
        """Give it back; without one, do nothing."""
        if self._network is not None:
            self._places.leave(self._network)
            self._network = None
