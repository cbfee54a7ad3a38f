"""The notebooks' PostgreSQL, which tests also kill, let hang, and have at a port of this machine."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

import postgresql
from tests.server.helpers import free_port, until
from walletsync_server.storage import open_storage

DURABLE = {"fsync": "on", "autovacuum": "on", "shared_buffers": "1GB"}
"""As an operator runs it: what a bench compares."""


class Postgres(postgresql.Postgres):
    """One server, from `with` to its end, in a folder and on a port of its own that it keeps over restarts."""

    def __init__(self, **settings: str) -> None:
        super().__init__(free_port(), listen_addresses="localhost", max_connections="200", **settings)

    @property
    def pid(self) -> int:
        """The number of the process that all others of it belong to."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def kill(self) -> None:
        """End it the hard way, with every process that serves a connection."""
        postmaster = psutil.Process(self.pid)
        postmaster.suspend()  # or it could start one more, which would keep the next server from starting
        until(lambda: postmaster.status() == psutil.STATUS_STOPPED)
        processes = self._processes()
        for each in processes:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        self.stop()
        until(lambda: not any(map(_lives, processes)))  # the next server starts only where none has its memory

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

    def new_storage(self) -> str:
        """Make a database that has today's schema, which takes a fraction of migrating one; return its URL."""
        if not self.execute("SELECT 1 FROM pg_database WHERE datname = 'migrated'"):
            self.execute("CREATE DATABASE migrated")
            open_storage(self.url("migrated")).close()
            until(lambda: not self.execute("SELECT 1 FROM pg_stat_activity WHERE datname = 'migrated'"))
        return self.new_database("TEMPLATE migrated")

    def _processes(self) -> list[psutil.Process]:
        """Return the one that starts the others, and then these."""
        postmaster = psutil.Process(self.pid)
        return [postmaster, *postmaster.children()]


def _lives(process: psutil.Process) -> bool:
    """Say whether a process has not ended, be it that nobody has asked yet how it did."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
