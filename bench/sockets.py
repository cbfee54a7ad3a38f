"""The part `sockets`: what an idle WebSocket costs in memory, and how soon those who listen know of a new version."""

import asyncio
import time

from bench.load import Listeners, Tally, more_files, request, wallet
from bench.people import token
from bench.report import Row
from bench.servers import ACCOUNTS, WALLET, Measured, ours

_FIRST = 100
"""What the first ones need is not for each of them."""
_WRITES = 20


def rows(held: int, listeners: int, engine: str = "sqlite") -> list[Row]:
    """Hold so many WebSockets of all accounts, then let so many of one account hear of 20 writes."""
    more_files(held + listeners)
    with ours(engine, size=WALLET) as server:
        kilobytes = asyncio.run(hold(server, held))
        heard = asyncio.run(_notify(server, listeners))
        return [
            Row(
                part="sockets",
                what=f"hold {held:,} idle WebSockets",
                of=server.name,
                other=f"{kilobytes:.1f} kB each",
                target="≤ 19 kB",
            ),
            Row(
                part="sockets",
                what=f"tell {listeners:,} listeners of a write",
                of=server.name,
                half=heard.percentile(50) * 1000,
                most=heard.percentile(99) * 1000,
                target="p99 ≤ 100 ms",
            ),
        ]


async def hold(server: Measured, count: int) -> float:
    """Return the kB of memory that the server has for each of `count` WebSockets."""
    listeners = Listeners(server.port)
    tokens = [token(number) for number in range(ACCOUNTS)]
    await listeners.open(tokens, _FIRST)
    before = server.memory()
    await listeners.open(tokens, count)
    kilobytes = (server.memory() - before) / count / 1000
    listeners.close()
    return kilobytes


async def _notify(server: Measured, count: int) -> Tally:
    """Return the seconds from sending a write to each listener's hearing of it; all of them are here, on one core."""
    listeners, tally = Listeners(server.port), Tally()
    await listeners.open([token(0)], count)
    for sequence in range(2, 2 + _WRITES):
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        hearing = asyncio.create_task(listeners.hear(sequence))
        await asyncio.sleep(0)
        began = time.perf_counter()
        writer.write(request("POST", token(0), wallet(sequence, WALLET)))
        tally.seconds += [moment - began for moment in await hearing]
        writer.close()
    listeners.close()
    return tally
