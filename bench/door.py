"""Which server under the front door? The same application, database and load under each, one after the other.

Printed are requests a second of the hot routes and the processor's time for each, the slowest of a hundred POSTs,
memory for each idle WebSocket, what becomes of a header that never ends, and how a stop with everything open goes.
Ratios count: a machine's speed drifts, and where others work on it, too, the processor's time says more than how many
there were in a second. Run it as `.venv/bin/python -m bench.door`.
"""

import argparse
import asyncio
import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench.load import Listeners, Tally, load, more_files, reads, request, wallet, writes
from walletsync_server.testing import RunningServer

HERE = Path(__file__).parent
ACCOUNTS, CONNECTIONS, WALLET = 128, 16, 4096
PYTHON = [sys.executable, "-m"]
APP = ["--app-dir", str(HERE), "door_app:app"]
CANDIDATES = {
    "ours": [*PYTHON, "walletsync_server", "serve", "--accounts", "open", "--sockets-per-account", "100000"],
    "uvicorn": [
        *(*PYTHON, "uvicorn", "--http", "httptools", "--loop", "uvloop", "--ws", "wsproto", "--lifespan", "off"),
        *("--ws-per-message-deflate", "false", "--no-access-log", "--log-level", "error", *APP),
    ],
    "granian": [
        *(*PYTHON, "granian", "--interface", "asginl", "--loop", "uvloop", "--workers", "1", "--log-level", "error"),
        *("--working-dir", str(HERE), "door_app:app"),
    ],
    "hypercorn": [*PYTHON, "hypercorn", "--worker-class", "uvloop", "--log-level", "error", f"{HERE}/door_app.py:app"],
}


@dataclass
class Figures:
    """What was measured of one server, a value for each round."""

    gets: list[float] = field(default_factory=list)
    posts: list[float] = field(default_factory=list)
    slowest: list[float] = field(default_factory=list)
    get_work: list[float] = field(default_factory=list)
    post_work: list[float] = field(default_factory=list)
    kilobytes: list[float] = field(default_factory=list)
    header: str = ""
    stop: str = ""


def accounts(database: Path) -> list[str]:
    """Make the database and return a token of each account, which has a wallet."""
    with RunningServer(database=database, accounts="open") as server:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=60)

        def post(path: str, body: dict[str, object]) -> bytes:
            connection.request("POST", path, json.dumps(body))
            return connection.getresponse().read()

        tokens = []
        for number in range(ACCOUNTS):
            person: dict[str, object] = {"email": f"user{number}@example.com", "password": "derived password"}
            post("/signup", person)
            token = json.loads(post("/auth/full", person | {"deviceId": "bench"}))["token"]
            connection.request("POST", "/wallet", wallet(1, WALLET), {"Authorization": f"Bearer {token}"})
            connection.getresponse().read()
            tokens.append(token)
        connection.close()
    return tokens


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], database: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server until the end of the block, at the latest."""
    url = f"sqlite:///{database}"
    own = command[2] == "walletsync_server"
    where = ["--port", str(port), "--database", url] if own else _where(command, port)
    environment = {**os.environ, "BENCH_DATABASE": url}
    with subprocess.Popen(
        command + where, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionError:
                    if process.poll() is not None:
                        raise SystemExit(f"{command[2]} does not start.") from None
                    time.sleep(0.05)
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def _where(command: list[str], port: int) -> list[str]:
    return ["--bind", f"127.0.0.1:{port}"] if command[2] == "hypercorn" else ["--port", str(port)]


def memory(process: "subprocess.Popen[bytes]") -> int:
    """Return the bytes of memory that a server and its workers have for themselves."""
    root = psutil.Process(process.pid)
    return sum(each.memory_info().rss for each in [root, *root.children(recursive=True)])


def work(process: "subprocess.Popen[bytes]") -> float:
    """Return the microseconds that a server and its workers have had of a processor."""
    root = psutil.Process(process.pid)
    spent = [each.cpu_times() for each in [root, *root.children(recursive=True)]]
    return sum(each.user + each.system for each in spent) * 1e6


def measure(process: "subprocess.Popen[bytes]", port: int, tokens: list[str], seconds: float, figures: Figures) -> None:
    """Measure the hot routes once."""
    each = ACCOUNTS // CONNECTIONS
    mine = [tokens[number * each : (number + 1) * each] for number in range(CONNECTIONS)]
    load(port, [reads(some) for some in mine], 0.5)
    begin = work(process)
    tally = load(port, [reads(some) for some in mine], seconds)
    figures.gets.append(_rate(tally, seconds))
    between = work(process)
    figures.get_work.append((between - begin) / len(tally.seconds))
    sequences = dict.fromkeys(tokens, 1)
    tally = load(port, [writes(some, sequences, WALLET) for some in mine], seconds)
    figures.posts.append(_rate(tally, seconds))
    figures.post_work.append((work(process) - between) / len(tally.seconds))
    figures.slowest.append(tally.percentile(99) * 1000)


def _rate(tally: Tally, seconds: float) -> float:
    if tally.others:
        print(f"{tally.others} answers were not 200", file=sys.stderr)
    return len(tally.seconds) / seconds


async def hold(process: "subprocess.Popen[bytes]", port: int, tokens: list[str], count: int, figures: Figures) -> None:
    """Hold WebSockets and a connection that is kept alive, then stop the server."""
    listeners = Listeners(port)
    await listeners.open(tokens, 100)  # what the first ones need is not for each of them
    before = memory(process)
    await listeners.open(tokens, count)
    figures.kilobytes.append((memory(process) - before) / count / 1000)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("GET", tokens[0]))
    await reader.readuntil(b"\r\n\r\n")
    began = time.perf_counter()
    process.send_signal(signal.SIGTERM)
    goodbyes = await asyncio.gather(*(_goodbye(stream) for stream, _ in listeners.streams[:20]))
    writer.close()
    listeners.close()
    status = await asyncio.to_thread(process.wait, 60)
    told = ", ".join(sorted({str(code) for code in goodbyes}))
    figures.stop = f"status {status}, {time.perf_counter() - began:.1f} s, goodbye {told}"


async def _goodbye(reader: asyncio.StreamReader) -> str:
    try:
        rest = await asyncio.wait_for(reader.read(-1), 40)
    except (TimeoutError, ConnectionError):
        return "none"
    at = rest.rfind(b"\x88")
    return str(int.from_bytes(rest[at + 2 : at + 4], "big")) if at >= 0 else "none"


def endless_header(port: int) -> str:
    """Send a header without an end, up to 64 MiB, and say what came of it."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ")
        for number in range(1024):
            try:
                client.sendall(b"x" * 65536)
            except OSError:
                return f"cut before {(number + 1) * 64} KiB"
        return "64 MiB taken"


async def notification(port: int, tokens: list[str], count: int) -> str:
    """Say how long a new wallet takes to all who listen, from the request to each of them."""
    listeners, spent = Listeners(port), []
    await listeners.open(tokens[:1], count)
    for sequence in range(2, 22):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        hearing = asyncio.create_task(listeners.hear(sequence))
        await asyncio.sleep(0)
        began = time.perf_counter()
        writer.write(request("POST", tokens[0], wallet(sequence, WALLET)))
        spent += [moment - began for moment in await hearing]
        writer.close()
    listeners.close()
    tally = Tally(spent)
    half, most = tally.percentile(50) * 1000, tally.percentile(99) * 1000
    return f"{count} listeners, 20 writes: p50 {half:.0f} ms, p99 {most:.0f} ms"


def main() -> None:
    """Print a table of medians; the ratios are those of the work, to the first server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--sockets", type=int, default=5000)
    parser.add_argument("--listeners", type=int, default=1000)
    parser.add_argument("servers", nargs="*", choices=[*CANDIDATES, []], help="by default all")
    options = parser.parse_args()
    more_files(options.sockets)
    found = {name: Figures() for name in options.servers or CANDIDATES}
    with tempfile.TemporaryDirectory() as folder:
        original = Path(folder) / "original.db"
        tokens = accounts(original)
        for number in range(options.rounds):
            for name, figures in found.items():
                database = Path(folder) / f"{name}-{number}.db"
                shutil.copy(original, database)
                port = free_port()
                with running(CANDIDATES[name], database, port) as process:
                    measure(process, port, tokens, options.seconds, figures)
                    if number == options.rounds - 1:
                        figures.header = endless_header(port)
                        asyncio.run(hold(process, port, tokens, options.sockets, figures))
        if "ours" in found:
            port = free_port()
            with running(CANDIDATES["ours"], original, port):
                print(asyncio.run(notification(port, tokens, options.listeners)))
    _print(found)


def _print(found: dict[str, Figures]) -> None:
    reference = next(iter(found.values()))
    print("            GET/s  work µs  ratio  POST/s  work µs  ratio  p99 ms  kB/socket  endless header, stop")
    for name, each in found.items():
        gets, posts = statistics.median(each.gets), statistics.median(each.posts)
        get_work, post_work = statistics.median(each.get_work), statistics.median(each.post_work)
        ratios = get_work / statistics.median(reference.get_work), post_work / statistics.median(reference.post_work)
        print(
            f"{name:10} {gets:6.0f} {get_work:8.0f} {ratios[0]:6.2f} {posts:7.0f} {post_work:8.0f} {ratios[1]:6.2f} "
            f"{statistics.median(each.slowest):7.1f} {each.kilobytes[0]:10.1f}  {each.header}; {each.stop}"
        )


if __name__ == "__main__":
    main()
