"""The tour on a server that keeps its data in PostgreSQL, and what its clients notice when that is put back."""

import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import run

import pytest

from tests.cheap_server import CheapServer
from tests.conftest import ON_POSTGRESQL, PASSWORD
from tests.postgres import Postgres
from tests.server.helpers import until
from walletsync import Client
from walletsync.errors import RollbackDetected
from walletsync_server.testing import RunningServer

ROOT = Path(__file__).parents[2]
OF_THE_LONG_RUN = pytest.mark.untraced if ON_POSTGRESQL else pytest.mark.security


@OF_THE_LONG_RUN
def test_tour_shows_the_same_on_postgresql(postgres: Postgres) -> None:
    """Every notebook runs, each of its checks holds, and the outputs are those of the committed pages."""
    with RunningServer(accounts="open", settings={"database": postgres.new_storage()}) as server:
        words = [sys.executable, "-m", "tools.docs", "check", "--server-url", server.url]
        ended = run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_restored_dump_is_noticed(postgres: Postgres, address: Callable[[], str]) -> None:
    """A device that has seen more than the database has now says so, and keeps what it has."""
    url = postgres.new_storage()
    name = url.partition("///")[2].partition("?")[0]
    with (
        CheapServer(accounts="open", settings={"database": url}) as server,
        Client(server.url, device_id="laptop") as laptop,
    ):
        laptop.set_account(address(), PASSWORD)
        laptop.register()
        laptop.get_auth_token()
        laptop.set_document({"label": "before the dump"})
        laptop.sync()
        server.kill()
        nobody_is_in(postgres, name)
        postgres.execute(f"CREATE DATABASE dump TEMPLATE {name}")
        server.start()
        laptop.set_document({"label": "after the dump"})
        laptop.sync()
        server.kill()
        postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")
        postgres.execute(f"ALTER DATABASE dump RENAME TO {name}")
        server.start()
        with pytest.raises(RollbackDetected):
            laptop.sync()
        assert laptop.get_document() == {"label": "after the dump"}


def nobody_is_in(postgres: Postgres, name: str) -> None:
    """Wait until PostgreSQL knows that a server was killed."""
    until(lambda: not postgres.execute(f"SELECT 1 FROM pg_stat_activity WHERE datname = '{name}'"))  # noqa: S608 - no input
