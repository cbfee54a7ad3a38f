"""Which room of the server may use what: a walk over the imports."""

from pathlib import Path

import pytest

import walletsync_server
from tests.imports import imports_of

PACKAGE = Path(walletsync_server.__file__).parent
SQL = {"sqlalchemy", "alembic", "apsw"}
SQLITE = {"apsw", "sqlite3", "pysqlite3", "sqlalchemy.dialects"}
FILES = {str(file.relative_to(PACKAGE)): imports_of(file) for file in PACKAGE.rglob("*.py")}


def users_of(*modules: str) -> set[str]:
    """Return the files that import one of the modules or something inside of it."""
    return {
        name
        for name, imports in FILES.items()
        if any(each == module or each.startswith(f"{module}.") for each in imports for module in modules)
    }


def test_flask_stays_at_the_front() -> None:
    """Flask is known to `app.py` and its adapter only."""
    users = users_of("flask", "werkzeug")
    assert users
    assert users == {"app.py", "api/flask_adapter.py"}


def test_sql_stays_in_the_storage() -> None:
    """SQLAlchemy, Alembic and the driver are known to `storage/` only."""
    users = users_of(*SQL)
    assert users
    assert all(name.startswith("storage/") for name in users)


def test_engine_stays_in_its_folder() -> None:
    """What is SQLite's is known to `storage/sqlite/` alone; other rooms of the storage ask for it by `open_storage`."""
    users = users_of(*SQLITE)
    assert users
    assert all(name.startswith("storage/sqlite/") for name in users)
    assert not users_of("sqlite3", "pysqlite3")  # a machine's own SQLite may be one that corrupts the file
    openers = {name for name in users_of("walletsync_server.storage.sqlite") if name.startswith("storage/")}
    assert {name for name in openers if not name.startswith("storage/sqlite/")} == {"storage/__init__.py"}


def test_contract_is_for_tests_only() -> None:
    """No server imports pytest."""
    users = users_of("pytest", "walletsync_server.storage.contract_tests")
    assert users
    assert all(name.startswith("storage/contract_tests/") for name in users)


def test_http_server_stays_in_its_room() -> None:
    """The server under the front door can be replaced in one place."""
    users = users_of("uvicorn", "httptools", "wsproto")
    assert users
    assert all(name.startswith("asgi/") for name in users)


@pytest.mark.parametrize(
    ("room", "closed"),
    [
        ("services/", ["api", "app", "asgi", "cli", "mail", "observe", "settings"]),
        ("live/", ["api", "app", "asgi", "cli", "mail", "observe", "services", "settings", "storage"]),
        ("asgi/", ["app", "cli", "mail", "settings", "storage"]),
        ("storage/", ["api", "app", "asgi", "cli", "mail", "observe", "services", "settings"]),
        ("api/", ["app", "asgi", "cli", "mail", "observe.metrics", "settings", "storage"]),
        ("observe/", ["api", "app", "asgi", "cli"]),
        ("mail/", ["api", "app", "asgi", "cli", "storage"]),
    ],
)
def test_rooms_look_one_way(room: str, closed: list[str]) -> None:
    """`api` uses `services`, `services` uses `storage`, and nothing looks back."""
    users = users_of(*(f"walletsync_server.{name}" for name in closed))
    assert not {name for name in users if name.startswith(room)}


def test_server_knows_only_the_wire_contract_of_the_client() -> None:
    """Of the client library the server imports `walletsync.protocol` and nothing else."""
    assert users_of("walletsync") == users_of("walletsync.protocol")
    foreign = {
        each
        for imports in FILES.values()
        for each in imports
        if each.split(".")[0] == "walletsync" and not each.startswith("walletsync.protocol.")
    }
    assert not foreign
