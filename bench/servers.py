"""The servers that are measured: ours over each engine, Kinto beside it, and two floors."""

import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.people import fill
from bench.traffic import Anything, Records, Traffic, Wallets
from tests.postgres import DURABLE, Postgres
from tests.server.helpers import free_port, until
from tests.valkey import Valkey
from walletsync_server.testing import RunningServer

ROOT = Path(__file__).parents[1]

ACCOUNTS, WALLET = 128, 4096
KINTO = ("kinto==26.5.0", "waitress==3.0.2")
"""Its default server, and everything in memory: a Kinto that never waits for a disk."""
_KINTO_SETTINGS = """
[server:main]
use = egg:waitress#main
host = 127.0.0.1
port = {port}
[app:main]
use = egg:kinto
kinto.storage_backend = kinto.core.storage.memory
kinto.cache_backend = kinto.core.cache.memory
kinto.permission_backend = kinto.core.permission.memory
kinto.userid_hmac_secret = bench
multiauth.policies = basicauth
kinto.bucket_create_principals = system.Authenticated
"""
LIMITS: dict[str, str | int] = {"sockets_per_account": 100_000, "log_level": "info"}


@dataclass
class Measured:
    """A server that runs. What its processes and those of its database have had of a processor is told apart."""

    name: str
    port: int
    traffic: Traffic
    process: psutil.Process
    database: psutil.Process | None = None

    def work(self) -> float:
        """Return the seconds that the server has had of a processor."""
        return _work(self.process)

    def database_work(self) -> float:
        """Return the seconds that the database's own processes have had; 0 if it has none."""
        return _work(self.database) if self.database else 0.0

    def memory(self) -> int:
        """Return the bytes that the server and its workers have for themselves."""
        return sum(each.memory_info().rss for each in [self.process, *self.process.children(recursive=True)])


def _work(root: psutil.Process) -> float:
    """Return the time of a process and of its children, those that have ended included."""
    spent = [each.cpu_times() for each in [root, *root.children(recursive=True)]]
    return sum(each.user + each.system for each in spent) + root.cpu_times().children_user


@contextmanager
def database(engine: str) -> Iterator[tuple[str, psutil.Process | None]]:
    """Give the URL of an empty database with all its syncs, and the process of its server."""
    if engine == "sqlite":
        with tempfile.TemporaryDirectory(prefix="walletsync-bench-") as folder:
            yield f"sqlite:///{folder}/walletsync.db", None
    else:
        with Postgres(**DURABLE) as server:
            yield server.new_database(), psutil.Process(server.pid)


@contextmanager
def ours(engine: str, *, accounts: int = ACCOUNTS, size: int = WALLET, workers: int = 1) -> Iterator[Measured]:
    """Run our server with so many accounts."""
    with ExitStack() as undo, database(engine) as (url, process):
        fill(url, accounts, size)
        more: dict[str, str | int] = {}
        if workers > 1:
            more = {"workers": workers, "live": undo.enter_context(Valkey()).url}
        with RunningServer(accounts="open", settings={"database": url, **LIMITS, **more}) as server:
            name = f"ours, {engine}" + (f", {workers} workers" if workers > 1 else "")
            yield Measured(name, _port(server.url), Wallets(size), psutil.Process(server.pid), process)


@contextmanager
def kinto() -> Iterator[Measured]:
    """Run Kinto, from an environment of its own that is made once."""
    place = ROOT / ".venv-kinto"
    stamp = place / " ".join(KINTO)
    if not stamp.exists():
        print(f"Installing {' and '.join(KINTO)} into {place.name}, once …", file=sys.stderr)
        venv.create(place, clear=True, with_pip=True)
        subprocess.run([place / "bin" / "pip", "--quiet", "--quiet", "--quiet", "install", *KINTO], check=True)
        stamp.touch()
    with tempfile.TemporaryDirectory(prefix="kinto-") as folder:
        port, settings = free_port(), Path(folder) / "kinto.ini"
        settings.write_text(_KINTO_SETTINGS.format(port=port))
        with _running([str(place / "bin" / "kinto"), "start", "--ini", str(settings)]) as process:
            until(lambda: _listens(process, port), seconds=60)
            yield Measured("Kinto, memory", port, Records(WALLET), psutil.Process(process.pid))


@contextmanager
def floor(name: str) -> Iterator[Measured]:
    """Run one of `bench/floors.py`."""
    with _running([sys.executable, "-m", "bench.floors", name]) as process:
        assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        label = {"constant": "a constant answer", "uvicorn": "a bare uvicorn"}[name]
        yield Measured(label, int(process.stdout.readline()), Anything(), psutil.Process(process.pid))


CANDIDATES: dict[str, Callable[[], AbstractContextManager[Measured]]] = {
    "sqlite": lambda: ours("sqlite"),
    "postgresql": lambda: ours("postgresql"),
    "workers": lambda: ours("postgresql", workers=2),
    "kinto": kinto,
    "uvicorn": lambda: floor("uvicorn"),
    "constant": lambda: floor("constant"),
}


def running(stack: ExitStack, names: Sequence[str]) -> list[Measured]:
    """Start servers, ready for what is to be sent; they run until the stack's end."""
    servers = [stack.enter_context(CANDIDATES[name]()) for name in names]
    for server in servers:
        server.traffic.prepare(server.port, ACCOUNTS)
    return servers


@contextmanager
def _running(command: list[str]) -> "Iterator[subprocess.Popen[str]]":
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _listens(process: "subprocess.Popen[str]", port: int) -> bool:
    if process.poll() is not None:
        raise RuntimeError("Kinto does not start: remove .venv-kinto, and try again.")
    return any(each.laddr.port == port for each in psutil.Process(process.pid).net_connections())


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])
