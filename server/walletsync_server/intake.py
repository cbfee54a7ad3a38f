"""Reading the bodies of requests: within the limit, and within the memory that there is for them."""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from walletsync_server.services.errors import Overloaded, TooLarge

Receive = Callable[[], Awaitable[Any]]

SMALL = 64 * 1024
"""Bytes of a body that needs no room of its own, as long as it comes in one piece."""
STRANGERS = 64 * 1024 * 1024
SIGNED_IN = 256 * 1024 * 1024


class ClientIsGone(Exception):
    """The connection ended before the request did."""


class Room:
    """So many bytes for the bodies that are held at one time."""

    def __init__(self, size: int) -> None:
        self._free = size

    def take(self, size: int) -> None:
        """Take some.

        Raises:
            Overloaded: if there is not as much left.
        """
        if size > self._free:
            raise Overloaded
        self._free -= size

    def give_back(self, size: int) -> None:
        """Return what was taken."""
        self._free += size


class Intake:
    """Reads bodies of at most `limit` bytes.

    Who has a token in the `Authorization` header has a room apart, so strangers cannot keep those who have an account
    from sending large wallets.

    Args:
        limit: bytes of one body.
        strangers: bytes of all bodies together of those who are not signed in.
        signed_in: bytes of all bodies together of those who are.
    """

    def __init__(self, limit: int, *, strangers: int = STRANGERS, signed_in: int = SIGNED_IN) -> None:
        self.limit = limit
        self._strangers = Room(max(strangers, limit))
        self._signed_in = Room(max(signed_in, limit))

    def room_for(self, *, signed_in: bool) -> Room:
        """Return the room where such a client's bodies are held."""
        return self._signed_in if signed_in else self._strangers


class Body:
    """One body: read inside of a `with` block, at whose end its room is free again.

    Args:
        intake: with the limits.
        announced: its length as the header has it, None if only its end will tell.
        is_signed_in: asked once, and only for a body that is not small.
    """

    def __init__(self, intake: Intake, announced: int | None, is_signed_in: Callable[[], bool]) -> None:
        self._intake = intake
        self._announced = announced
        self._is_signed_in = is_signed_in
        self._room: Room | None = None
        self._held = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._room is not None:
            self._room.give_back(self._held)

    async def read(self, receive: Receive) -> bytes:
        """Return it.

        Raises:
            ClientIsGone: if it does not come.
            TooLarge: if it is longer than the limit, or will be.
            Overloaded: if there is no room for it now.
        """
        if self._announced is not None and self._announced > self._intake.limit:
            raise TooLarge
        pieces: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientIsGone
            piece: bytes = message.get("body", b"")
            more: bool = message.get("more_body", False)
            if not pieces and not more and len(piece) <= SMALL:
                return piece
            pieces.append(piece)
            self._hold(len(piece))
            if not more:
                return b"".join(pieces)

    def _hold(self, size: int) -> None:
        if self._held + size > self._intake.limit:
            raise TooLarge
        if self._room is None:
            self._room = self._intake.room_for(signed_in=self._is_signed_in())
        self._room.take(size)
        self._held += size
