"""The bodies of requests and of their answers: within the limit, and within the memory that there is for them."""

from collections import Counter
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeAlias

from walletsync_server.services.errors import Overloaded, TooLarge

Receive = Callable[[], Awaitable[Any]]

SMALL = 64 * 1024
"""Bytes of a body that needs no room of its own, as long as it comes in one piece."""
STRANGERS_BYTES = 64 * 1024 * 1024
LOGGED_IN_BYTES = 256 * 1024 * 1024
SHARES = 4
"""How many of those who hold most there is room for: one alone cannot take it from the others."""

Holder: TypeAlias = int | str
"""Who holds: the number of the account whose token came, else the network that the client comes from."""


class ClientDisconnected(Exception):
    """The connection ended before the request did."""


class Budget:
    """So many bytes for the bodies that are held at one time, and so many of them for one holder. `free` are left."""

    def __init__(self, size: int, share: int) -> None:
        self.free = size
        self._share = share
        self._held: Counter[Holder] = Counter()

    def reserve(self, size: int, holder: Holder) -> None:
        """Take some of it.

        Raises:
            Overloaded: if there is not as much left, at all or for this one.
        """
        if size > self.free or self._held[holder] + size > self._share:
            raise Overloaded
        self.free -= size
        self._held[holder] += size

    def release(self, size: int, holder: Holder) -> None:
        """Give back what was reserved."""
        self.free += size
        self._held[holder] -= size
        if not self._held[holder]:
            del self._held[holder]


class BodyBudgets:
    """How large a request's body may be, and how many bytes all bodies of requests and answers may take together.

    Whoever shows a token in the `Authorization` header draws on a budget apart, so strangers cannot keep those who have
    an account from sending and getting large wallets.

    Args:
        limit: bytes of one body.
        strangers: bytes of all bodies together of those who show no live token.
        logged_in: bytes of all bodies together of those who do.
    """

    def __init__(self, limit: int, *, strangers: int = STRANGERS_BYTES, logged_in: int = LOGGED_IN_BYTES) -> None:
        self.limit = limit
        self._strangers, self._logged_in = (
            Budget(max(size, limit), max(size // SHARES, limit)) for size in (strangers, logged_in)
        )

    def budget_of(self, holder: Holder) -> Budget:
        """Return the budget that its bodies draw on."""
        return self._logged_in if isinstance(holder, int) else self._strangers


class HeldBodies:
    """One request's body and its answer's: held inside of a `with` block, at whose end their bytes are free again.

    Args:
        budgets: what they draw on.
        announced: length of the request's as the header has it, None if only its end will tell.
        holder: asked once, and only for bodies that are not small.
    """

    def __init__(self, budgets: BodyBudgets, announced: int | None, holder: Callable[[], Holder]) -> None:
        self._budgets = budgets
        self._announced = announced
        self._ask_for_holder = holder
        self._holder: Holder | None = None
        self._held = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._holder is not None:
            self._budgets.budget_of(self._holder).release(self._held, self._holder)

    async def read(self, receive: Receive) -> bytes:
        """Return the request's.

        Raises:
            ClientDisconnected: if it does not come.
            TooLarge: if it is longer than the limit, or will be.
            Overloaded: if there is no room for it now.
        """
        if self._announced is not None and self._announced > self._budgets.limit:
            raise TooLarge
        read = bytearray()  # a list of pieces could take many times what is in them
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientDisconnected
            piece: bytes = message.get("body", b"")
            more: bool = message.get("more_body", False)
            if not read and not more and len(piece) <= SMALL:
                return piece
            if len(read) + len(piece) > self._budgets.limit:
                raise TooLarge
            self._hold(len(piece))
            read += piece
            if not more:
                return bytes(read)

    def hold_answer(self, size: int) -> None:
        """Hold an answer of so many bytes, too.

        One that is no larger than its request, but for what is small, needs no room beside it: so whatever was stored
        is answered.

        Raises:
            Overloaded: if there is no room for it now.
        """
        more = size - self._held - 2 * SMALL
        if more > 0:
            self._hold(more)

    def _hold(self, size: int) -> None:
        if self._holder is None:
            self._holder = self._ask_for_holder()
        self._budgets.budget_of(self._holder).reserve(size, self._holder)
        self._held += size
