"""What uvicorn's WebSocket connections do beyond uvicorn: bounds for clients that read nothing, and less memory."""

from typing import Any

from typing_extensions import override
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from wsproto import events

CLOSE_SECONDS = 2.0
"""How long a WebSocket that was closed waits for the client's goodbye."""
_NEVER = float("inf")


class WebSocketProtocol(WSProtocol):
    """One connection. `due` is when it is cut, by the loop's clock; `network` and `arrival` are as in `crowd`."""

    is_idle = False
    """A client that listens is not idle."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.close_timeout = CLOSE_SECONDS
        self.due = _NEVER
        self.network = ""
        self.arrival = 0

    @override
    def handle_ping(self, event: events.Ping) -> None:
        """Answer, unless the client reads no answers."""
        if self.writable.is_set():
            super().handle_ping(event)
        else:
            self.transport.abort()

    @override
    async def send(self, message: Any) -> None:
        """Send, unless this has been closed meanwhile: then the client counts as gone."""
        await self.writable.wait()
        if self.close_sent:
            raise ClientDisconnected
        await super().send(message)
        if message["type"] == "websocket.accept" and self.handshake_complete:
            # What is left is all that frames need; the handshake's parser is a seventh of what an idle one takes.
            self.conn = self.conn.connection  # type: ignore[assignment]  # it has the same methods

    def overdue(self, now: float) -> bool:
        """Say whether this is to be cut: it was closed, but what was sent before is not read."""
        if self.transport.is_closing() and self.due == _NEVER:
            self.due = now + CLOSE_SECONDS
        return now > self.due
