"""What a device notices when the server's PostgreSQL dies amid its sync: nothing but that this took longer."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.cheap_server import CheapServer
from tests.conftest import PASSWORD
from tests.postgres import Postgres
from tests.server.helpers import HttpWire, until
from walletsync import Client
from walletsync_server.services.errors import LEAST_PAUSE, MOST_PAUSE

LABELS = {"label": "written while the database died"}
END_WHO_WAITS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND datname = current_database()
"""


@pytest.fixture
def own() -> Iterator[Postgres]:
    """A PostgreSQL that the test may stop."""
    with Postgres() as server:
        yield server


@pytest.fixture
def url(own: Postgres) -> str:
    return own.new_storage()


@pytest.fixture
def server(url: str) -> Iterator[CheapServer]:
    with CheapServer(accounts="open", settings={"database": url}) as server:
        yield server


@pytest.fixture
def laptop(server: CheapServer, address: Callable[[], str]) -> Iterator[Client]:
    """A device that has synced, and was edited since."""
    with Client(server.url, device_id="laptop") as laptop:
        laptop.set_account(address(), PASSWORD)
        laptop.register()
        laptop.get_auth_token()
        laptop.set_document({})
        laptop.sync()
        laptop.set_document(LABELS)
        yield laptop


def test_sync_outlasts_a_restart(own: Postgres, server: CheapServer, laptop: Client) -> None:
    """The database is gone when the sync begins, and comes back while the device waits as it is asked to."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        own.start()
        until(lambda: HttpWire(server.url)("GET", "/readyz").status == 200)

    laptop._api._sleep = sleep
    own.kill()
    assert laptop.sync().sequence == 2
    assert len(slept) == 1
    assert LEAST_PAUSE <= slept[0] <= MOST_PAUSE
    assert not laptop.has_local_changes


def test_sync_outlasts_a_connection_that_dies_amid_its_write(url: str, laptop: Client) -> None:
    """The write is refused, for nobody knows what became of it; asked again, the server makes it."""
    slept: list[float] = []
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(url) as holding,
        psycopg.connect(url, autocommit=True) as ending,
    ):
        holding.execute("SELECT FROM accounts FOR UPDATE")

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            holding.rollback()

        laptop._api._sleep = sleep
        ended = pool.submit(until, lambda: bool(ending.execute(END_WHO_WAITS).fetchall()))
        assert laptop.sync().sequence == 2
        ended.result()
    assert len(slept) == 1
    assert LEAST_PAUSE <= slept[0] <= MOST_PAUSE
    assert not laptop.has_local_changes
