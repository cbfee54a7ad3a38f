"""What the hot routes take over one database and over another: give their URLs, each of an empty one.

    .venv/bin/python -m bench.databases sqlite:////tmp/w.db postgresql:///walletsync

Printed are requests a second, the processor's time of the server's process for each, and the slowest of a hundred;
what PostgreSQL takes of the processor is not in it. Rounds of all databases take turns, since a machine's speed drifts.
"""

import argparse
import http.client
import json
import statistics
from collections.abc import Iterator
from contextlib import ExitStack

import psutil

from bench.load import load, reads, wallet, writes
from walletsync_server.settings import without_password
from walletsync_server.testing import RunningServer

ACCOUNTS, CONNECTIONS, WALLET = 128, 16, 4096


def accounts(server: RunningServer) -> list[str]:
    """Return a token of each account, which has a wallet."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=60)

    def post(path: str, body: bytes, token: str = "") -> bytes:
        connection.request("POST", path, body, {"Authorization": f"Bearer {token}"})
        return connection.getresponse().read()

    tokens = []
    for number in range(ACCOUNTS):
        person = {"email": f"user{number}@example.com", "password": "derived password"}
        post("/signup", json.dumps(person).encode())
        tokens.append(json.loads(post("/auth/full", json.dumps(person | {"deviceId": "bench"}).encode()))["token"])
        post("/wallet", wallet(1, WALLET), tokens[-1])
    connection.close()
    return tokens


def measure(
    server: RunningServer, tokens: list[str], sequences: dict[str, int], seconds: float
) -> Iterator[tuple[str, float, float, float]]:
    """Yield for both routes their name, how many there were in a second, µs of a processor, ms of the slowest."""
    each = ACCOUNTS // CONNECTIONS
    mine = [tokens[number * each : (number + 1) * each] for number in range(CONNECTIONS)]
    process, port = psutil.Process(server.pid), int(server.url.rpartition(":")[2])
    for name, made in (
        ("GET", [reads(some) for some in mine]),
        ("POST", [writes(some, sequences, WALLET) for some in mine]),
    ):
        before = process.cpu_times()
        tally = load(port, made, seconds)
        after = process.cpu_times()
        spent = after.user + after.system - before.user - before.system
        count = len(tally.seconds)
        yield name, count / seconds, spent / count * 1e6, tally.percentile(99) * 1000


def main() -> None:
    """Print a table of medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("urls", nargs="+", metavar="URL")
    options = parser.parse_args()
    found: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    with ExitStack() as undo:
        servers = {
            url: undo.enter_context(RunningServer(accounts="open", settings={"database": url})) for url in options.urls
        }
        tokens = {url: accounts(server) for url, server in servers.items()}
        sequences = {url: dict.fromkeys(tokens[url], 1) for url in servers}
        for _ in range(options.rounds):
            for url, server in servers.items():
                for name, *figures in measure(server, tokens[url], sequences[url], options.seconds):
                    found.setdefault((name, url), []).append((figures[0], figures[1], figures[2]))
    print("| | database | a second | µs of a processor | p99, ms |\n| --- | --- | --- | --- | --- |")
    for (name, url), values in sorted(found.items()):
        rate, work, slowest = (statistics.median(value) for value in zip(*values, strict=True))
        print(f"| {name} | {without_password(url)} | {rate:,.0f} | {work:.0f} | {slowest:.1f} |")


if __name__ == "__main__":
    main()
