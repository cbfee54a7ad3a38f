"""Large bodies in turns: a piece of one of them, then everybody else, then a piece of the next one."""

import asyncio
from collections import deque

from typing_extensions import override
from uvicorn.protocols.http.flow_control import FlowControl

MUCH = 32 * 1024
"""Bytes that came at once from a connection which then waits for its next turn."""


class PacedFlow(FlowControl):
    """A connection's reading, for uvicorn, which pauses it while a request is worked on, and for the pacer.

    It goes on only where neither keeps it.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._is_waiting = False

    @override
    def resume_reading(self) -> None:
        if self.read_paused:
            self.read_paused = False
            self._go_on()

    def wait(self) -> bool:
        """Read nothing until its turn comes; say whether it did not wait already."""
        was_waiting, self._is_waiting = self._is_waiting, True
        self._transport.pause_reading()
        return not was_waiting

    def take_turn(self) -> None:
        """Read on."""
        self._is_waiting = False
        self._go_on()

    def _go_on(self) -> None:
        if not (self.read_paused or self._is_waiting or self._transport.is_closing()):
            self._transport.resume_reading()


class Pacer:
    """Lets those that send much read one after the other. For one event loop.

    In each of its steps the loop reads from every connection where something has come, up to 256 KiB, and a small
    request takes several steps. So each of these would wait for a piece of every large body that is on its way.
    """

    def __init__(self) -> None:
        self._waiting: deque[PacedFlow] = deque()

    def wait(self, flow: PacedFlow) -> None:
        """Let a connection wait for its turn; called when much has come from it."""
        if flow.wait():
            self._waiting.append(flow)
            if len(self._waiting) == 1:
                self._go_on()

    def _next(self) -> None:
        flow = self._waiting.popleft()
        if self._waiting:
            self._go_on()
        flow.take_turn()

    def _go_on(self) -> None:
        asyncio.get_running_loop().call_soon(self._next)
