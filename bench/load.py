"""A load generator: as many requests as some connections carry, and as many WebSockets as are asked for.

It runs in a process of its own beside the server, so it takes a core where there are few: figures of two servers
compare, a figure alone says little. `bench/floors.py` has a server that does nothing, which shows what it can do at
most.
"""

import asyncio
import base64
import json
import os
import re
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import uvloop

_STATUS = re.compile(rb"HTTP/1\.1 (\d+)")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LAST = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


class Request(NamedTuple):
    """What is sent, the status that has to come back, and who is told of the answer's head."""

    sent: bytes
    status: int = 200
    told: Callable[[bytes], None] | None = None


Next = Callable[[], Request]
"""Makes the next request of a connection."""


class UnexpectedStatus(RuntimeError):
    """A server answered otherwise than it has to: what was measured would not be what the table says."""


@dataclass
class Tally:
    """What came back: seconds of each request that got the status it should, and how many got another."""

    seconds: list[float] = field(default_factory=list)
    others: int = 0

    def percentile(self, percent: float) -> float:
        """Return how many seconds so many percent took at most."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else float("nan")


class _Connection(asyncio.Protocol):
    """Sends one request after the other until the time is over, over a new connection where the server closes one."""

    def __init__(self, port: int, following: Next, tally: Tally, until: float) -> None:
        self._port, self._following, self._tally, self._until = port, following, tally, until
        self._received = b""
        self._asked = Request(b"")
        self._sent_at = 0.0
        self._ended: asyncio.Future[None]

    async def run(self) -> None:
        """Send until the time is over, and return when the last request is answered."""
        loop = asyncio.get_running_loop()
        while time.perf_counter() < self._until:
            self._ended = loop.create_future()
            await loop.create_connection(lambda: self, "127.0.0.1", self._port)
            await self._ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        status, length = _STATUS.match(self._received), _LENGTH.search(self._received, 0, end)
        if len(self._received) < end + 4 + (int(length[1]) if length else 0):
            return
        now = time.perf_counter()
        if status is not None and int(status[1]) == self._asked.status:
            self._tally.seconds.append(now - self._sent_at)
            if self._asked.told is not None:
                self._asked.told(self._received[:end])
        else:
            self._tally.others += 1
        is_last = now >= self._until or _LAST.search(self._received, 0, end)
        self._received = b""
        if is_last:
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        self._ended.set_result(None)

    def _send(self) -> None:
        self._asked = self._following()
        self._sent_at = time.perf_counter()
        self._transport.write(self._asked.sent)


def request(method: str, token: str, body: bytes = b"", headers: str = "") -> bytes:
    """Return the bytes of a request to the wallet of who has `token`; `headers` are lines with their ends."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    head = f"{method} /api/3/wallet HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{headers}{length}\r\n"
    return head.encode() + body


def wallet(sequence: int, size: int) -> bytes:
    """Return the body of a POST with an encrypted wallet of so many characters."""
    return json.dumps({"encryptedWallet": characters(size), "sequence": sequence, "hmac": "0" * 64}).encode()


def characters(size: int) -> str:
    """Return so many that nothing can compress, as an encrypted wallet has."""
    return base64.b64encode(os.urandom(size * 3 // 4 + 3)).decode()[:size]


def load(port: int, followings: list[Next], seconds: float) -> Tally:
    """Send what each of `followings` makes over a connection of its own, all at once, for so long.

    Raises:
        UnexpectedStatus: if any answer had another status than it has to.
    """
    tally = Tally()

    async def run() -> None:
        until = time.perf_counter() + seconds
        await asyncio.gather(*(_Connection(port, each, tally, until).run() for each in followings))

    uvloop.run(run())
    if tally.others:
        raise UnexpectedStatus(f"{tally.others} of {tally.others + len(tally.seconds)} answers had another status.")
    return tally


class Listeners:
    """WebSockets that are held open. Everything happens in `asyncio.run` of whoever uses it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def open(self, tokens: list[str], count: int) -> None:
        """Open so many, a few at a time, and wait until each knows of the current wallet."""
        more_files(count)
        for begin in range(0, count, 50):
            batch = [self._one(tokens[number % len(tokens)]) for number in range(begin, min(begin + 50, count))]
            self.streams += await asyncio.gather(*batch)

    async def hear(self, sequence: int) -> list[float]:
        """Return when each of them heard of this sequence."""

        async def one(reader: asyncio.StreamReader) -> float:
            await reader.readuntil(b":%d" % sequence)
            return time.perf_counter()

        return list(await asyncio.gather(*(one(reader) for reader, _ in self.streams)))

    def close(self) -> None:
        """Close all of them without goodbye."""
        for _, writer in self.streams:
            writer.close()

    async def _one(self, token: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=4096)
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET /api/3/websocket HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise RuntimeError(f"No WebSocket: {head[:40]!r}")
        _, length = await reader.readexactly(2)
        await reader.readexactly(length)
        return reader, writer


def more_files(count: int) -> None:
    """Let this process, and those that it starts, open as many files as it may, and at least `count`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count + 100:
        raise SystemExit(f"Only {hard} files may be open here; give --sockets {hard - 100} or fewer.")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(count + 1000, hard) if hard > 0 else count + 1000), hard))
