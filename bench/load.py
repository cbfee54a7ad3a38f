"""A load generator: as many requests as some connections carry, and as many WebSockets as are asked for.

It runs in a process of its own beside the server, so it takes a core where there are few: figures of two servers
compare, a figure alone says little.
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
from typing import cast

import uvloop

_HEAD = re.compile(rb"HTTP/1\.1 (\d+).*?\r\ncontent-length: *(\d+)", re.DOTALL | re.IGNORECASE)
Next = Callable[[], bytes]


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
    """Sends one request after the other until the time is over."""

    def __init__(self, following: Next, tally: Tally, until: float) -> None:
        self.ended = asyncio.get_running_loop().create_future()
        self._following, self._tally, self._until = following, tally, until
        self._received = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        found = _HEAD.match(self._received) if end > 0 else None
        if found is None or len(self._received) < end + 4 + int(found[2]):
            return
        self._received = b""
        now = time.perf_counter()
        if found[1] == b"200":
            self._tally.seconds.append(now - self._sent_at)
        else:
            self._tally.others += 1
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._following())


def request(method: str, token: str, body: bytes = b"") -> bytes:
    """Return the bytes of a request to the wallet of who has `token`."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return (
        f"{method} /api/3/wallet HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{length}\r\n".encode() + body
    )


def wallet(sequence: int, size: int) -> bytes:
    """Return the body of a POST with an encrypted wallet of so many characters."""
    text = base64.b64encode(os.urandom(size * 3 // 4)).decode()[:size]
    return json.dumps({"encryptedWallet": text, "sequence": sequence, "hmac": "0" * 64}).encode()


def reads(tokens: list[str]) -> Next:
    """Return what makes GETs, of one account after the other."""
    requests = [request("GET", token) for token in tokens]
    at = 0

    def following() -> bytes:
        nonlocal at
        at += 1
        return requests[at % len(requests)]

    return following


def writes(tokens: list[str], sequences: dict[str, int], size: int) -> Next:
    """Return what makes POSTs that will be accepted, of one account after the other; `sequences` goes on with them."""
    template = wallet(0, size)
    at = 0

    def following() -> bytes:
        nonlocal at
        at += 1
        token = tokens[at % len(tokens)]
        sequences[token] += 1
        return request("POST", token, template.replace(b'"sequence": 0', b'"sequence": %d' % sequences[token]))

    return following


def load(port: int, followings: list[Next], seconds: float) -> Tally:
    """Send what each of `followings` makes over a connection of its own, all at once, for so long."""
    tally = Tally()

    async def run() -> None:
        loop, until = asyncio.get_running_loop(), time.perf_counter() + seconds
        made = [
            await loop.create_connection(lambda each=each: _Connection(each, tally, until), "127.0.0.1", port)  # type: ignore[misc]  # mypy cannot infer a lambda's default
            for each in followings
        ]
        await asyncio.gather(*(connection.ended for _, connection in made))

    uvloop.run(run())
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
