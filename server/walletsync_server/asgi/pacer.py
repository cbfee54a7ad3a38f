"""Large bodies in turns: a piece of one of them, then everybody else, then a piece of the next one."""

import asyncio
from collections import deque
from typing import Protocol

MUCH = 32 * 1024
"""Bytes that came at once from a connection which then waits for its next turn."""


class Reading(Protocol):
    """A connection that can be kept from reading for a while."""

    def pause_reading(self) -> None:
        """Read nothing until `read_on`."""

    def read_on(self) -> None:
        """Read again, unless something else keeps it from that."""


class Pacer:
    """Lets those that send much read one after the other. For one event loop.

    In each of its steps the loop reads from every connection where something has come, up to 256 KiB, and a small
    request takes several steps. So each of these would wait for a piece of every large body that is on its way.
    """

    def __init__(self) -> None:
        self._waiting: deque[Reading] = deque()

    def wait(self, connection: Reading) -> None:
        """Let `connection` wait for its turn; called when much has come."""
        connection.pause_reading()
        self._waiting.append(connection)
        if len(self._waiting) == 1:
            self._go_on()

    def _next(self) -> None:
        self._waiting.popleft().read_on()
        if self._waiting:
            self._go_on()

    def _go_on(self) -> None:
        asyncio.get_running_loop().call_soon(self._next)
