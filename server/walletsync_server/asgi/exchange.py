"""Requests that are answered without a task: begun where they were parsed, gone on with where their wait ends."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from typing import Protocol

from walletsync_server.api.http import Request, Response
from walletsync_server.asgi.body_budget import FREE, HeldBodies
from walletsync_server.asgi.holders import HolderOf
from walletsync_server.asgi.rooms import Place
from walletsync_server.services.coroutines import GeneratorCoroutine, Where, run_at
from walletsync_server.services.errors import Overloaded


class Begun:
    """A request whose answer has to wait for something, or is large, and what is held for it meanwhile.

    Args:
        answering: what makes the answer.
        bodies: what is held of memory, until the client has read nearly all of the answer.
        place: what the request has among those in work, until its answer is made.
        holder: who answers for the memory.
        threads: where runs what would hold up the event loop.
        refusal: returns what is answered where there is no room for the answer.
    """

    __slots__ = ("_bodies", "_holder", "_place", "_refusal", "_threads", "answering")

    def __init__(
        self,
        answering: GeneratorCoroutine[Response],
        bodies: HeldBodies,
        place: Place,
        holder: HolderOf,
        threads: Mapping[Where, Executor],
        refusal: Callable[[], Response],
    ) -> None:
        self.answering = answering
        self._bodies = bodies
        self._place = place
        self._holder = holder
        self._threads = threads
        self._refusal = refusal

    def enter(self, body: bytes, network: str) -> None:
        """Take what a small body needs of memory, and a place.

        Raises:
            Overloaded: if there is not as much for this network.
        """
        self._bodies.with_what_is_made_of(body)
        self._place.take(network)

    def leave_loop(self, where: Where) -> Future[None]:
        """Make the answer there, as far as it can be made there; then, find out as well who holds it."""
        return self._threads[where].submit(self._make, where)

    def _make(self, here: Where) -> None:
        self.answering = run_at(here, self._with_its_holder(self.answering))

    def _with_its_holder(self, answering: GeneratorCoroutine[Response]) -> GeneratorCoroutine[Response]:
        response = yield from answering
        self._holder.find_out_here(len(response.body) - FREE)
        return response

    def counted(self, response: Response) -> Response:
        """Return the answer, whose bytes count from now on; another one if there is no room for it."""
        self._place.leave()
        try:
            self._bodies.hold_answer(len(response.body))
        except Overloaded:
            return self._refusal()
        return response

    def end(self) -> None:
        """Hold nothing any more. Twice is fine."""
        self._bodies.release()
        self._place.leave()


class Connection(Protocol):
    """What an exchange asks of its connection."""

    loop: asyncio.AbstractEventLoop

    def begin(self, request: Request) -> Begun:
        """Begin to work on a request that is whole."""

    def respond(self, response: Response, *, closes: bool) -> bool:
        """Write an answer; say whether the client has read nearly all of it."""

    def end(self) -> None:
        """Close, in such a way that the client gets to see what was written."""

    def on_response_complete(self) -> None:
        """Go on with what the client asks next."""


class Exchange:
    """One request and its answer. To uvicorn it is the cycle of its request, which has no task to be woken.

    Args:
        connection: where it came from.
        request: its body may still be on the way.
    """

    __slots__ = (
        *("_begun", "_connection", "_request"),
        *("body", "disconnected", "keep_alive", "more_body", "response_complete", "response_started"),
    )
    message_event = asyncio.Event()

    def __init__(self, connection: Connection, request: Request) -> None:
        self._connection = connection
        self._request = request
        self._begun: Begun | None = None
        self.body = bytearray()
        self.more_body = True
        self.keep_alive = True
        self.disconnected = self.response_started = self.response_complete = False

    def begin(self) -> None:
        """Work on it, now that it is whole, unless that has begun."""
        if self._begun is None:
            self._request.body, self.body = bytes(self.body), bytearray()
            self.go_on(self._connection.begin(self._request))

    def drained(self) -> None:
        """Go on, since the client has read nearly all that was written."""
        if self.response_started and not self.response_complete:
            self._complete()

    def lost(self) -> None:
        """Hold nothing for an answer that nobody reads any more; what is in work goes on to its end."""
        self.disconnected = True
        if self.response_started and self._begun is not None:
            self._begun.end()

    def go_on(self, begun: Begun) -> None:
        """Make the answer, or go on with that, as far as nothing has to wait."""
        self._begun = begun
        try:
            awaited = next(begun.answering)
        except StopIteration as end:
            self._answer(begun, end.value)
        else:
            waited = awaited if isinstance(awaited, Future) else begun.leave_loop(awaited)
            waited.add_done_callback(lambda _: self._wake(begun))

    def _wake(self, begun: Begun) -> None:
        loop = self._connection.loop
        if not loop.is_closed():  # otherwise the server has stopped, and waits for this no longer
            loop.call_soon_threadsafe(self.go_on, begun)

    def _answer(self, begun: Begun, response: Response) -> None:
        if self.disconnected:
            begun.end()
            return
        self.response_started = True
        if self._connection.respond(begun.counted(response), closes=not self.keep_alive):
            self._complete()

    def _complete(self) -> None:
        if self._begun is not None:
            self._begun.end()
        self._request.body = b""  # the connection, which may idle, still knows this exchange
        self.response_complete = True
        if not self.keep_alive:
            self._connection.end()
        self._connection.on_response_complete()
