"""The part `start`: how long a server takes until it answers, and the memory that it has then and after some work."""

import statistics
import time

import psutil

from bench.hot import CONNECTIONS
from bench.load import load
from bench.report import Row
from bench.servers import ACCOUNTS, database, ours
from bench.traffic import shares
from walletsync_server.testing import RunningServer

ENGINES = ("sqlite", "postgresql")


def rows(rounds: int, seconds: float) -> list[Row]:
    """Start each engine's server `rounds` times on a database that is up to date."""
    return [row for engine in ENGINES for row in (_start(engine, rounds), _memory(engine, seconds))]


def _start(engine: str, rounds: int) -> Row:
    taken = []
    with database(engine) as (url, _), RunningServer(settings={"database": url}) as server:
        for _ in range(rounds):
            server.stop()
            began = time.perf_counter()
            server.start()
            taken.append(time.perf_counter() - began)
        megabytes = psutil.Process(server.pid).memory_info().rss / 1e6
    half = statistics.median(taken) * 1000
    return Row("start", "start", f"ours, {engine}", half=half, other=f"{megabytes:.0f} MB of memory")


def _memory(engine: str, seconds: float) -> Row:
    with ours(engine) as server:
        for kind in ("get", "post"):
            made = [server.traffic.following(kind, mine) for mine in shares(ACCOUNTS, CONNECTIONS)]
            load(server.port, made, seconds)
        return Row("start", "after GETs and POSTs", server.name, other=f"{server.memory() / 1e6:.0f} MB of memory")
