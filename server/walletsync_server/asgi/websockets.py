"""The WebSockets: each tells its client of new wallets until one of the two has had enough."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from walletsync_server.live.hub import Listener

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

GOING_AWAY = 1001, "the server stops"
TOKEN_IS_VOID = 1008, "the token is void"
PATIENCE_SECONDS = 0.5
"""How long a client that is to be hung up may still take to read what was sent to it before."""


class WebSocket:
    """One WebSocket that was accepted. Everything but `wake` belongs to its event loop.

    There is one task, which waits for the client to go; what is told runs in another, only as long as it takes. So an
    idle socket costs little, and one that is stuck holds up nobody.
    """

    __slots__ = ("_closing", "_ending", "_gave_up", "_listener", "_loop", "_send", "_task", "_telling")

    def __init__(self, send: Send) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._send = send
        self._listener: Listener | None = None
        self._telling: asyncio.Task[None] | None = None
        self._ending: tuple[int, str] | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._gave_up = False

    def wake(self) -> None:
        """Look whether there is something to tell. Any thread may call this, until the listener has left."""
        self._loop.call_soon_threadsafe(self._deliver)

    async def run(self, listener: Listener, seconds: float, receive: Receive) -> None:
        """Tell what `listener` hears until the client goes, is hung up, or `seconds` are over."""
        expiry = self._loop.call_later(seconds, self.end, TOKEN_IS_VOID)
        try:
            await self._send({"type": "websocket.accept"})
            self._listener = listener
            self._deliver()
            while (await receive())["type"] != "websocket.disconnect":
                pass  # clients have nothing to say
        except OSError:  # the client is gone (ASGI, `send`)
            pass
        except asyncio.CancelledError:
            if not self._gave_up:
                raise
        finally:
            expiry.cancel()
            self._listener = None
            for rest in (self._telling, self._closing):
                if rest is not None:
                    rest.cancel()

    def end(self, ending: tuple[int, str]) -> None:
        """Close it with this code and reason, and do not wait for a client that reads nothing."""
        if self._ending is None:
            self._ending = ending
            self._closing = self._loop.call_later(PATIENCE_SECONDS, self._give_up)
            self._deliver()

    def _give_up(self) -> None:
        if self._task is not None:
            self._gave_up = self._task.cancel()

    def _deliver(self) -> None:
        if self._listener is None:
            return
        if self._listener.is_over:
            self.end(TOKEN_IS_VOID)
        if self._telling is None:
            self._telling = self._loop.create_task(self._tell(self._listener))

    async def _tell(self, listener: Listener) -> None:
        try:
            while self._ending is None:
                sequence = listener.take()
                if sequence is None:
                    return
                await self._send({"type": "websocket.send", "text": f"wallet-update:{sequence}"})
            code, reason = self._ending
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except OSError:  # the client is gone
            pass
        finally:
            self._telling = None


class WebSockets:
    """All of them, to close them when the server stops."""

    def __init__(self) -> None:
        self._open: dict[WebSocket, asyncio.Task[Any]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[WebSocket]:
        return iter(self._open)

    async def run(self, socket: WebSocket, listener: Listener, seconds: float, receive: Receive) -> None:
        """Run one, and know of it meanwhile."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker: a coroutine runs in one
        self._open[socket] = task
        try:
            await socket.run(listener, seconds, receive)
        finally:
            del self._open[socket]

    async def close_all(self) -> None:
        """Tell every client that the server stops; return when all have been told or given up."""
        tasks = list(self._open.values())
        for socket in list(self._open):
            socket.end(GOING_AWAY)
        if tasks:
            await asyncio.wait(tasks, timeout=2 * PATIENCE_SECONDS)
