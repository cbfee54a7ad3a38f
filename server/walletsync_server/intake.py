"""The bodies of requests and of their answers: within the limit, and within the memory that there is for them."""

from collections import Counter
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeAlias

from walletsync_server.services.errors import Overloaded, TooLarge

Receive = Callable[[], Awaitable[Any]]

SMALL = 64 * 1024
"""Bytes of a body that needs no room of its own, as long as it comes in one piece."""
STRANGERS = 64 * 1024 * 1024
SIGNED_IN = 256 * 1024 * 1024
SHARES = 4
"""How many of those who hold most there is room for: one alone cannot take it from the others."""

Holder: TypeAlias = int | str
"""Who holds: the number of the account that is signed in, else the network that the client comes from."""


class ClientIsGone(Exception):
    """The connection ended before the request did."""


class Room:
    """So many bytes for the bodies that are held at one time, and so many of them for one holder."""

    def __init__(self, size: int, share: int) -> None:
        self._free = size
        self._share = share
        self._held: Counter[Holder] = Counter()

    def take(self, size: int, holder: Holder) -> None:
        """Take some.

        Raises:
            Overloaded: if there is not as much left, at all or for this one.
        """
        if size > self._free or self._held[holder] + size > self._share:
            raise Overloaded
        self._free -= size
        self._held[holder] += size

    def give_back(self, size: int, holder: Holder) -> None:
        """Return what was taken."""
        self._free += size
        self._held[holder] -= size
        if not self._held[holder]:
            del self._held[holder]


class Intake:
    """Holds bodies of requests of at most `limit` bytes, and of answers.

    Who has a token in the `Authorization` header has a room apart, so strangers cannot keep those who have an account
    from sending and getting large wallets.

    Args:
        limit: bytes of one body.
        strangers: bytes of all bodies together of those who are not signed in.
        signed_in: bytes of all bodies together of those who are.
    """

    def __init__(self, limit: int, *, strangers: int = STRANGERS, signed_in: int = SIGNED_IN) -> None:
        self.limit = limit
        self._strangers, self._signed_in = (
            Room(max(size, limit), max(size // SHARES, limit)) for size in (strangers, signed_in)
        )

    def room_of(self, holder: Holder) -> Room:
        """Return the room where its bodies are held."""
        return self._signed_in if isinstance(holder, int) else self._strangers


class Bodies:
    """One request's body and its answer's: held inside of a `with` block, at whose end their room is free again.

    Args:
        intake: with the limits.
        announced: length of the request's as the header has it, None if only its end will tell.
        holder: asked once, and only for bodies that are not small.
    """

    def __init__(self, intake: Intake, announced: int | None, holder: Callable[[], Holder]) -> None:
        self._intake = intake
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
            self._intake.room_of(self._holder).give_back(self._held, self._holder)

    async def read(self, receive: Receive) -> bytes:
        """Return the request's.

        Raises:
            ClientIsGone: if it does not come.
            TooLarge: if it is longer than the limit, or will be.
            Overloaded: if there is no room for it now.
        """
        if self._announced is not None and self._announced > self._intake.limit:
            raise TooLarge
        read = bytearray()  # a list of pieces could take many times what is in them
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientIsGone
            piece: bytes = message.get("body", b"")
            more: bool = message.get("more_body", False)
            if not read and not more and len(piece) <= SMALL:
                return piece
            if len(read) + len(piece) > self._intake.limit:
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
        self._intake.room_of(self._holder).take(size, self._holder)
        self._held += size
