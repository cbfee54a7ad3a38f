"""What every test has: a cheap KDF, and for those that ask, a real server and someone in the middle."""

import itertools
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.cheap_server import CheapServer
from tests.compiling import compile_tests
from tests.measured import MEASURED, import_rooms, untraced
from tests.middle import Middle
from tests.postgres import Postgres
from tests.valkey import Valkey
from walletsync import Client, crypto
from walletsync.store import Store
from walletsync_server.testing import RunningServer

PASSWORD = "correct horse battery staple"
HERE = Path(__file__).parent
ON_POSTGRESQL = os.environ.get("DATABASE") == "postgresql"
"""Whether the server that most tests share keeps its data there, and only tests run that have to do with that."""

pytest.register_assert_rewrite(
    "walletsync_server.storage.contract_tests"
)  # what no `test_*.py` has is else not told of


def pytest_xdist_auto_num_workers() -> int:
    """Have three workers for each core: much of the time, tests wait for processes, sockets and the disk."""
    return 3 * (os.cpu_count() or 1)


def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    if config.args == config.getini("testpaths"):  # all of them, and not a few by name
        compile_tests(HERE)


def pytest_configure(config: pytest.Config) -> None:
    # Who runs the tests in the background ignores Ctrl-C, and so would every program that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    forget_settings(os.environ)
    config.addinivalue_line("markers", "real_kdf: derive keys at the full cost of the suite, 256 MiB")
    config.addinivalue_line("markers", "untraced: measure no coverage by this test")
    config.addinivalue_line("markers", "every_database: run this over a wire to PostgreSQL in every run, too")
    config.addinivalue_line("markers", "promise(*ids): hold what the pages promise under these ids (tools/promises)")
    config.addinivalue_line("markers", "security: takes minutes; `make security` runs it, `make test` does not")


def forget_settings(environment: MutableMapping[str, str]) -> None:
    """Take out what the person who runs the tests exported for a server of their own; one of a test would refuse it."""
    for name in [name for name in environment if name.startswith("WALLETSYNC_")]:
        del environment[name]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Measure coverage by the rooms' own tests only: it makes all that a test does two to four times as dear."""
    if ON_POSTGRESQL:
        chosen = [item for item in items if _can_be_on_postgresql(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen
    for item in items:
        if item.path not in MEASURED:
            item.add_marker(pytest.mark.untraced)


def _can_be_on_postgresql(item: pytest.Item) -> bool:
    """Say whether a test has to do with PostgreSQL, or the shared server, and does not roll back the file of that."""
    if not isinstance(item, pytest.Function) or hasattr(item.module, "take_backup"):
        return False
    return bool({"running_server", "postgres", "wire"} & set(item.fixturenames))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Measure no coverage while tests are collected, but for what the rooms do as they are imported."""
    import_rooms()
    with untraced():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Measure no coverage while a test runs that is `untraced`; its fixtures, and their threads, may serve others."""
    with untraced() if item.get_closest_marker("untraced") else nullcontext():
        return (yield)


@pytest.fixture(autouse=True)
def cheap_kdf(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the KDF cheap; the only way to do so is from in here."""
    if request.node.get_closest_marker("real_kdf") is None:
        make_kdf_cheap(monkeypatch)


def make_kdf_cheap(patch: pytest.MonkeyPatch) -> None:
    """Let deriving keys cost next to nothing until the patch ends."""
    patch.setattr(crypto, "_ARGON2_KIB", 32)
    patch.setattr(crypto, "_ARGON2_PASSES", 1)
    patch.setattr(crypto, "_ARGON2_LANES", 1)  # each would be a thread


@pytest.fixture
def process_that_ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the stores that a test leaves open, as the end of a process does: some only play that it has ended."""
    opened: list[sqlite3.Connection] = []
    connect = Store._connect

    def connected(store: Store, file: Path | None) -> sqlite3.Connection:
        opened.append(connect(store, file))
        return opened[-1]

    monkeypatch.setattr(Store, "_connect", connected)
    yield
    for database in opened:
        database.close()


@pytest.fixture(scope="session")
def running_server(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    """A real process where everybody may sign up, with cheap password hashes. Not to be stopped."""
    settings = {"database": request.getfixturevalue("postgres").new_storage()} if ON_POSTGRESQL else {}
    with CheapServer(accounts="open", settings=settings) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL. Not to be stopped."""
    with Postgres() as server:
        yield server


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """A real Valkey, which the test may stop; it starts in milliseconds."""
    with Valkey() as server:
        yield server


@pytest.fixture
def middle(running_server: RunningServer) -> Iterator[Middle]:
    """Someone between the clients of a test and the server."""
    with Middle(running_server.url) as middle:
        yield middle


@pytest.fixture(scope="session")
def address() -> Callable[[], str]:
    """Return addresses that no other test has."""
    numbers = itertools.count(1)
    return lambda: f"user{next(numbers)}@example.com"


@pytest.fixture
def device(middle: Middle, address: Callable[[], str]) -> Iterator[Callable[..., Client]]:
    """Make logged-in devices of one new account, through the middle; all are closed at the end."""
    email = address()
    clients: list[Client] = []

    def make(device_id: str, **options: Any) -> Client:
        client = Client(middle.url, device_id=device_id, **options)
        clients.append(client)
        client.set_account(email, PASSWORD)
        if len(clients) == 1:
            client.register()
        client.get_auth_token()
        return client

    yield make
    for client in clients:
        client.close()
