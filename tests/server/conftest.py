"""Servers for the tests of this folder: one in this process, one that is a real process, both for all tests."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import flask
import pytest

from tests.cheap_server import CheapServer
from tests.conftest import ON_POSTGRESQL
from tests.postgres import Postgres
from tests.server import described, raw
from tests.server.front import Front, served
from tests.server.helpers import (
    PASSWORD,
    Account,
    FakeClock,
    FlaskWire,
    HttpWire,
    Wire,
    cheap_passwords,
    new_account,
)
from tests.server.waiting import Waiting, waiting_world
from tests.server.world import EMAIL, LIMIT, Interrupted, World
from walletsync_server.app import close_app, create_app
from walletsync_server.live.hub import Hub
from walletsync_server.services import build_services
from walletsync_server.settings import Settings
from walletsync_server.storage.sqlite.opening import open_sqlite
from walletsync_server.testing import UNLIMITED, RunningServer


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[flask.Flask]:
    """The application in this process, with cheap passwords."""
    file = tmp_path_factory.mktemp("app") / "walletsync.db"
    app = create_app(Settings(database=f"sqlite:///{file}", accounts="open", **UNLIMITED), passwords=cheap_passwords())
    yield app
    close_app(app)


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[flask.Flask]:
    """An application of the test's own that stores wallets of up to `raw.LIMIT` bytes."""
    settings = Settings(database=f"sqlite:///{tmp_path}/walletsync.db", accounts="open", max_wallet_bytes=raw.LIMIT)
    app = create_app(settings, passwords=cheap_passwords(), hub=Hub())
    yield app
    close_app(app)


@pytest.fixture
def front(narrow: flask.Flask) -> Iterator[Front]:
    """The front door before it."""
    with served(narrow) as front:
        yield front


@pytest.fixture
def busy(front: Front, tmp_path: Path) -> Iterator[apsw.Connection]:
    """Somebody else who writes to its database, so that a write waits until `ROLLBACK`."""
    with closing(apsw.Connection(str(tmp_path / "walletsync.db"))) as other:
        yield other


@pytest.fixture(scope="session")
def server_on_postgresql(postgres: Postgres) -> Iterator[RunningServer]:
    """Another process such as `running_server`, whose database is PostgreSQL. Not to be stopped."""
    with CheapServer(accounts="open", settings={"database": postgres.new_storage()}) as server:
        yield server


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for a `wire` over both ways to a server; over PostgreSQL only what the database decides.

    Most of HTTP is settled before the database is asked: over PostgreSQL, that runs with `make test-postgresql`.
    """
    if "wire" in metafunc.fixturenames:
        ways = ["process"] if ON_POSTGRESQL else ["flask", "process"]
        if not ON_POSTGRESQL and metafunc.definition.get_closest_marker("every_database"):
            ways.append("postgresql")
        metafunc.parametrize("wire", ways, indirect=True)


@pytest.fixture
def wire(request: pytest.FixtureRequest) -> Wire:
    """A way to a server, see above; every answer has to be as the OpenAPI document says."""
    servers = {"process": "running_server", "postgresql": "server_on_postgresql"}
    wire: Wire = (
        FlaskWire(request.getfixturevalue("app"))
        if request.param == "flask"
        else HttpWire(request.getfixturevalue(servers[request.param]).url)
    )
    wire.watch = described.check
    return wire


@pytest.fixture
def account(wire: Wire) -> Account:
    """A new account with a device that is logged in."""
    return new_account(wire)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Services over an inline storage, where alice has an account and bob may make one."""
    storage, clock, hub = Interrupted(open_sqlite(tmp_path / "w.db", inline=True)), FakeClock(), Hub()
    services = build_services(
        storage,
        may_sign_up=lambda email: email in (EMAIL, "bob@example.com"),
        max_wallet_bytes=LIMIT,
        clock=clock,
        seconds=clock.seconds,
        passwords=cheap_passwords(),
        hub=hub,
    )
    services.accounts.sign_up(EMAIL, PASSWORD, bytes(32))
    yield World(services, storage, clock, hub)
    storage.close()


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Waiting]:
    """Services over an inline storage, where addresses have to be confirmed."""
    with waiting_world(tmp_path) as world:
        yield world
