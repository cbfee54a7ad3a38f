"""The bodies of requests and of their answers: within their limits, and within the memory that there is for them."""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from walletsync_server.api.dispatch import BodyLimit, Holder
from walletsync_server.api.escapes import DecodedSize
from walletsync_server.asgi.rooms import Room
from walletsync_server.services.errors import Overloaded, TooLarge

Receive = Callable[[], Awaitable[Any]]

FREE = 8 * 1024
"""Bytes of a body that need no room: more than most have, so that nobody who logs in is asked for room."""
ROOMLESS = 2 * FREE
"""Bytes of an answer that needs no room, where its request has no body."""
SMALL = 64 * 1024
"""Bytes of a body that may be decoded on the event loop."""
STRANGERS = 4
"""What part of the memory strangers share, as a divisor."""
SHARES = 4
"""What part of a room is one network's share, as a divisor."""


CUT = "walletsync.cut"
"""The extension of ASGI's scope that ends the connection at once."""


class ClientDisconnected(Exception):
    """The connection ended before the request did."""


class BodyBudgets:
    """How many bytes all bodies of requests and answers may take together.

    Whoever shows a token in the `Authorization` header draws on a room apart, so strangers cannot keep those who have
    an account from sending and getting large wallets.

    Args:
        memory: bytes of all together; more only as far as one of the largest would not fit otherwise.
        largest: bytes of the largest body.
    """

    def __init__(self, memory: int, largest: int) -> None:
        strangers = memory // STRANGERS
        self._strangers, self._logged_in = (
            Room(max(size, largest), max(size // SHARES, largest)) for size in (strangers, memory - strangers)
        )

    def room_of(self, holder: Holder) -> Room:
        """Return the room for its bodies."""
        return self._strangers if holder.account is None else self._logged_in


_NOBODY = Holder("")


class HeldBodies:
    """One request's body, what is made of it, and its answer's: held inside of a `with` block.

    At its end their bytes are free again.

    While either is on its way it can be asked to give way: the request is refused then, the answer cut.

    Args:
        budgets: what they draw on.
        holder: asked once, and only if there is something to reserve.
        cut: ends the connection at once.
    """

    __slots__ = (
        "_ask_for_holder",
        "_budgets",
        "_cut",
        "_gave_way",
        "_held",
        "_holder",
        "_is_answering",
        "_read",
        "_room",
    )

    def __init__(self, budgets: BodyBudgets, holder: Callable[[], Holder], cut: Callable[[], object]) -> None:
        self._budgets = budgets
        self._ask_for_holder = holder
        self._cut = cut
        self._room: Room | None = None
        self._holder = _NOBODY
        self._held = 0
        self._read = bytearray()  # a list of pieces could take many times what is in them
        self._gave_way = False
        self._is_answering = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    async def read(self, receive: Receive, limit: BodyLimit, announced: int | None) -> bytes:
        """Return the request's.

        Args:
            receive: as ASGI has it.
            limit: see there.
            announced: its length as the header has it, None if only its end will tell.

        Raises:
            ClientDisconnected: if it does not come.
            TooLarge: if it is longer than the limit, or will be.
            Overloaded: if there is no room for it now, or no more.
        """
        if announced is not None and announced > limit.raw:
            raise TooLarge
        decoded = None
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientDisconnected
            if self._gave_way:
                raise Overloaded
            piece: bytes = message.get("body", b"")
            more: bool = message.get("more_body", False)
            if decoded is None:
                if not more and len(piece) <= FREE:
                    return self.with_what_is_made_of(piece)  # as nearly all of them
                decoded = DecodedSize()
            size = len(self._read) + len(piece)
            if size > limit.raw or decoded.add(piece) > limit.decoded:
                raise TooLarge
            self._hold(size - FREE - self._held)
            self._read += piece
            if not more:
                return self.with_what_is_made_of(self._take())

    def hold_answer(self, size: int) -> None:
        """Hold an answer of so many bytes, too.

        One that is no larger than its request, but for what is free, needs no room beside it: so whatever was stored
        is answered.

        Raises:
            Overloaded: if there is no room for it now.
        """
        self._is_answering = True
        self._hold(size - self._held - ROOMLESS)
        if self._room is not None:
            self._room.enter(self, self._holder)

    def give_way(self) -> None:
        """Release all that is held, since others need it more."""
        self._gave_way = True
        self._read = bytearray()
        self.release()
        if self._is_answering:
            self._cut()

    def _hold(self, size: int) -> None:
        if size <= 0:
            return
        if self._room is None:
            self._holder = self._ask_for_holder()
            self._room = self._budgets.room_of(self._holder)
            self._room.enter(self, self._holder)
        self._room.reserve(size, self._holder)
        self._held += size

    def with_what_is_made_of(self, body: bytes) -> bytes:
        """Return `body`, and hold room for its decoded texts: both are there while the request waits for the disk.

        Of those that are not small only a few are decoded at a time.
        """
        if len(body) <= SMALL:
            # A single character beyond the basic plane makes Python take four bytes for each of a text.
            is_plain = body.isascii() and rb"\u" not in body
            self._hold((2 if is_plain else 5) * len(body) - ROOMLESS - self._held)
            self._be_left_alone()
        return body

    def _take(self) -> bytes:
        """Return what was read."""
        self._be_left_alone()
        read, self._read = bytes(self._read), bytearray()
        return read

    def _be_left_alone(self) -> None:
        """Do not give way: now it is the server that is at work, which is not interrupted."""
        if self._room is not None:
            self._room.leave(self, self._holder)

    def release(self) -> None:
        """Hold nothing any more. Twice is fine."""
        self._be_left_alone()
        if self._room is not None:
            self._room.release(self._held, self._holder)
            self._held = 0
