"""The part `size`: reads and writes where there are few accounts, and where there are many, on both engines.

Every request is of another account, chosen at random among all, so that most of a large database is not in memory.
"""

import random
import statistics
from collections import defaultdict
from contextlib import ExitStack

from bench.hot import CONNECTIONS
from bench.load import load
from bench.report import Row
from bench.servers import ours

_WALLET = 1024
_CHOSEN = 40_000
"""Of a million accounts so many are asked for; more would take memory here, not there."""


def rows(few: int, many: int, rounds: int, seconds: float) -> list[Row]:
    """Return rows for both sizes; the ratio says how many times fewer there are in a second than among few."""
    found: dict[tuple[str, str, int], list[tuple[float, float, float]]] = defaultdict(list)
    with ExitStack() as stack:
        for engine in ("sqlite", "postgresql"):
            servers = {count: stack.enter_context(ours(engine, accounts=count, size=_WALLET)) for count in (few, many)}
            chance = random.Random(1)  # noqa: S311 - the same accounts each time
            chosen = {count: chance.sample(range(count), min(count, _CHOSEN)) for count in servers}
            for _ in range(rounds):
                for kind in ("get", "post"):
                    for count, server in servers.items():
                        mine = [chosen[count][begin::CONNECTIONS] for begin in range(CONNECTIONS)]
                        before = server.work()
                        tally = load(server.port, [server.traffic.following(kind, some) for some in mine], seconds)
                        done = len(tally.seconds)
                        work = (server.work() - before) / done * 1e6
                        found[kind, server.name, count].append((done / seconds, work, tally.percentile(99) * 1000))
            for server in servers.values():
                server.traffic.check(server.port)
    return [_row(found, *key, few) for key in found]


def _row(
    found: dict[tuple[str, str, int], list[tuple[float, float, float]]], kind: str, name: str, count: int, few: int
) -> Row:
    rate, work, most = (statistics.median(column) for column in zip(*found[kind, name, count], strict=True))
    pairs = zip(found[kind, name, few], found[kind, name, count], strict=True)
    ratio = statistics.median(beside[0] / of[0] for beside, of in pairs)
    what = f"{kind.upper()} among {count:,} accounts"
    target = "" if count == few else "≤ 1.2 times"
    return Row("size", what, name, rate=rate, work=work, most=most, ratio=ratio, target=target)
