"""The part `http`: the hot routes of each server, one after the other, and again."""

import statistics
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass

from bench.load import load
from bench.report import Row
from bench.servers import ACCOUNTS, CANDIDATES, Measured, running
from bench.traffic import shares

CONNECTIONS = 16
KINDS = {
    "get": "GET",
    "etag": "GET with a matching ETag",
    "post": "POST, durable",
    "conflict": "POST that comes too late",
    "day": "a day: 95 % ETag, 2 % GET, 2.5 % POST, 0.5 % late",
}
TARGETS = {
    ("get", "ours, sqlite"): "≤ 30 µs",
    ("etag", "ours, sqlite"): "≤ 20 µs",
    ("post", "ours, sqlite"): "≤ 100 µs, p99 ≤ 20 ms",
    ("get", "ours, postgresql"): "≥ 2,500 a second",
    ("post", "ours, postgresql"): "≥ 1,500 a second",
    ("get", "Kinto, memory"): "ours ≥ 20 times as many",
}


@dataclass(frozen=True)
class Figures:
    """What one round found."""

    rate: float
    work: float
    database: float
    half: float
    most: float


def measure(server: Measured, kind: str, seconds: float) -> Figures:
    """Send one kind of request for so long, over `CONNECTIONS` at once."""
    made = [server.traffic.following(kind, mine) for mine in shares(ACCOUNTS, CONNECTIONS)]
    before, database = server.work(), server.database_work()
    tally = load(server.port, made, seconds)
    count = len(tally.seconds)
    return Figures(
        rate=count / seconds,
        work=(server.work() - before) / count * 1e6,
        database=(server.database_work() - database) / count * 1e6,
        half=tally.percentile(50) * 1000,
        most=tally.percentile(99) * 1000,
    )


def rows(rounds: int, seconds: float, names: list[str]) -> list[Row]:
    """Return a row for each kind of request and each server: medians, and of the ratios to the first server as well."""
    found: dict[tuple[str, str], list[Figures]] = defaultdict(list)
    with ExitStack() as stack:
        servers = running(stack, names or list(CANDIDATES))
        for server in servers:
            load(server.port, [server.traffic.following("get", range(ACCOUNTS))] * CONNECTIONS, min(seconds, 0.5))
        for _ in range(rounds):
            for kind in KINDS:
                for server in servers:
                    if kind in server.traffic.kinds:
                        found[kind, server.name].append(measure(server, kind, seconds))
        checked = {server.name: server.traffic.check(server.port) for server in servers}
    return [_row(kind, name, found, servers[0].name, checked[name]) for kind, name in found]


def _row(kind: str, name: str, found: dict[tuple[str, str], list[Figures]], first: str, checked: int) -> Row:
    of, beside = found[kind, name], found[kind, first]
    database = statistics.median(each.database for each in of)
    others = [f"{database:,.0f} µs of the database's own" if database else ""]
    others += [f"{checked:,} writes looked up, all there" if kind == "post" else ""]
    return Row(
        part="http",
        what=KINDS[kind],
        of=name,
        rate=statistics.median(each.rate for each in of),
        work=statistics.median(each.work for each in of),
        half=statistics.median(each.half for each in of),
        most=statistics.median(each.most for each in of),
        ratio=statistics.median(one.work / two.work for one, two in zip(of, beside, strict=True)),
        other="; ".join(filter(None, others)),
        target=TARGETS.get((kind, name), ""),
    )
