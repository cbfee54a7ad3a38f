"""The part `door`: which server under the front door? The same application, database and load under each.

Beside the hot routes: what becomes of a header that never ends, and how a stop goes with everything open.
"""

import asyncio
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.hot import Figures, measure
from bench.load import Listeners, more_files, request
from bench.people import fill, token
from bench.report import Row
from bench.servers import ACCOUNTS, WALLET, Measured
from bench.sockets import hold
from bench.traffic import Wallets
from tests.server.helpers import free_port, until

HERE = Path(__file__).parent
PYTHON = [sys.executable, "-m"]
CANDIDATES = {
    "ours": [*PYTHON, "walletsync_server", "serve", "--accounts", "open", "--sockets-per-account", "100000"],
    "uvicorn": [
        *(*PYTHON, "uvicorn", "--http", "httptools", "--loop", "uvloop", "--ws", "wsproto", "--lifespan", "off"),
        *("--ws-per-message-deflate", "false", "--no-access-log", "--log-level", "error"),
        *("--app-dir", str(HERE), "door_app:app"),
    ],
    "granian": [
        *(*PYTHON, "granian", "--interface", "asginl", "--loop", "uvloop", "--workers", "1", "--log-level", "error"),
        *("--working-dir", str(HERE), "door_app:app"),
    ],
    "hypercorn": [*PYTHON, "hypercorn", "--worker-class", "uvloop", "--log-level", "error", f"{HERE}/door_app.py:app"],
}
KINDS = {"get": "GET", "post": "POST, durable"}


@contextmanager
def running(name: str, database: Path) -> Iterator[tuple["subprocess.Popen[bytes]", Measured]]:
    """Run a server until the end of the block, at the latest."""
    port, command, url = free_port(), CANDIDATES[name], f"sqlite:///{database}"
    where = ["--bind", f"127.0.0.1:{port}"] if name == "hypercorn" else ["--port", str(port)]
    if name == "ours":
        where += ["--database", url]
    environment = {**os.environ, "BENCH_DATABASE": url}
    quiet = subprocess.DEVNULL
    with subprocess.Popen([*command, *where], env=environment, stdout=quiet, stderr=quiet) as process:
        try:
            until(lambda: _listens(process, name, port), seconds=60)
            traffic = Wallets(WALLET)
            traffic.prepare(port, ACCOUNTS)
            yield process, Measured(name, port, traffic, psutil.Process(process.pid))
        finally:
            process.kill()


def _listens(process: "subprocess.Popen[bytes]", name: str, port: int) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"{name} does not start.")
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def rows(rounds: int, seconds: float, sockets: int, only: list[str]) -> list[Row]:
    """Return rows of each server: medians, and of the ratios to the first one as well."""
    more_files(sockets)
    found: dict[tuple[str, str], list[Figures]] = defaultdict(list)
    last: list[Row] = []
    names = only or list(CANDIDATES)
    with tempfile.TemporaryDirectory(prefix="walletsync-bench-") as folder:
        original = Path(folder) / "original.db"
        fill(f"sqlite:///{original}", ACCOUNTS, WALLET)
        for number in range(rounds):
            for name in names:
                database = Path(shutil.copy(original, Path(folder) / f"{name}-{number}.db"))
                with running(name, database) as (process, server):
                    for kind in KINDS:
                        found[kind, name].append(measure(server, kind, seconds))
                    if number == rounds - 1:
                        last.append(_last(process, server, sockets))
    return [_row(kind, name, found, names[0]) for kind, name in found] + last


def _row(kind: str, name: str, found: dict[tuple[str, str], list[Figures]], first: str) -> Row:
    of, beside = found[kind, name], found[kind, first]
    return Row(
        part="door",
        what=KINDS[kind],
        of=name,
        rate=statistics.median(each.rate for each in of),
        work=statistics.median(each.work for each in of),
        most=statistics.median(each.most for each in of),
        ratio=statistics.median(one.work / two.work for one, two in zip(of, beside, strict=True)),
    )


def _last(process: "subprocess.Popen[bytes]", server: Measured, sockets: int) -> Row:
    header = endless_header(server.port)
    kilobytes = asyncio.run(hold(server, sockets))
    stop = asyncio.run(stopping(process, server.port))
    said = f"{kilobytes:.1f} kB each; endless header: {header}; stop: {stop}"
    return Row("door", f"{sockets:,} idle WebSockets, and the end", server.name, other=said)


async def stopping(process: "subprocess.Popen[bytes]", port: int) -> str:
    """Stop a server that has WebSockets and a connection that is kept alive, and say how that went."""
    listeners = Listeners(port)
    await listeners.open([token(number) for number in range(ACCOUNTS)], 20)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("GET", token(0)))
    await reader.readuntil(b"\r\n\r\n")
    began = time.perf_counter()
    process.send_signal(signal.SIGTERM)
    goodbyes = await asyncio.gather(*(_goodbye(stream) for stream, _ in listeners.streams))
    writer.close()
    listeners.close()
    status = await asyncio.to_thread(process.wait, 60)
    return f"status {status}, {time.perf_counter() - began:.1f} s, goodbye {', '.join(sorted(set(goodbyes)))}"


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
        client.settimeout(1)
        try:
            return f"{client.recv(12).decode()[9:]}, the rest thrown away"
        except TimeoutError:
            return "64 MiB taken"
