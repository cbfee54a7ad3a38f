"""Which room may import which: an architecture is what the imports say."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVER = ROOT / "server" / "walletsync_server"

# A room of the client, and the rooms that it may import directly. formats/ counts as one.
CLIENT_DOORS = {
    "__init__": {"client", "errors", "formats"},
    "client": {"api", "device", "merge", "crypto", "formats", "results", "store", "errors", "protocol"},
    "device": {"store", "merge", "crypto", "continuity", "formats", "payload", "results", "errors", "protocol"},
    "store": {"continuity", "merge", "errors"},
    "api": {"errors", "protocol"},
    "continuity": {"crypto", "payload", "errors"},
    "payload": {"errors", "protocol"},
    "results": {"merge"},
    "formats": {"merge", "errors"},
    "crypto": {"errors", "protocol"},
    "merge": {"errors"},
    "protocol": set(),
    "errors": set(),
}
ONLY_IN = {
    "requests": {"api"},
    "urllib3": {"api"},
    "cryptography": {"crypto"},
    "sqlite3": {"store"},
}


def imports(file: Path) -> Iterator[str]:
    """Yield the full name of everything that a file imports, inside functions as well."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files(package: Path) -> list[Path]:
    found = sorted(package.rglob("*.py"))
    assert found
    return found


def room(file: Path, package: Path) -> str:
    parts = file.relative_to(package).with_suffix("").parts
    return parts[0]


@pytest.mark.parametrize("file", files(ROOT / "walletsync"), ids=lambda file: str(file.relative_to(ROOT)))
def test_the_clients_rooms_keep_their_doors(file: Path) -> None:
    """cli → client → {api, store, merge, crypto} → protocol, and never the server."""
    here = room(file, ROOT / "walletsync")
    own: set[str] = set()
    for name in imports(file):
        top, *rest = name.split(".")
        assert top not in ("walletsync_server", "flask", "sqlalchemy")
        assert here in ONLY_IN.get(top, {here}), f"{top} is only for {ONLY_IN.get(top)}"
        if top == "walletsync":
            modules = {path.stem for path in (ROOT / "walletsync").iterdir()}
            own.add(rest[0] if rest and rest[0] in modules else "__init__")
    assert own - {here} <= CLIENT_DOORS[here]


@pytest.mark.parametrize("file", files(SERVER), ids=lambda file: str(file.relative_to(SERVER)))
def test_the_servers_rooms_keep_their_doors(file: Path) -> None:
    """api → services → storage; Flask only in app, api and cli; SQLAlchemy only in storage; one door to the client."""
    here = room(file, SERVER)
    for name in imports(file):
        top, *rest = name.split(".")
        if top in ("flask", "werkzeug"):
            assert here in ("app", "api", "cli")
        if top in ("sqlalchemy", "alembic", "pysqlite3", "sqlite3"):
            assert here == "storage"
        if top == "walletsync":
            assert name.startswith("walletsync.protocol")
        if top == "walletsync_server" and rest:
            if here == "services":
                assert rest[0] in ("services", "storage", "settings", "__version__")
            if here == "storage":
                assert rest[0] == "storage"


def test_the_wire_contract_needs_nothing_but_msgspec() -> None:
    """protocol.py is what the server takes from the client, so it drags nothing along."""
    outside = {name.split(".")[0] for name in imports(ROOT / "walletsync" / "protocol.py")}
    assert outside - set(sys.stdlib_module_names) == {"msgspec"}


def test_there_is_no_package_named_server() -> None:
    """server/ is a folder with a distribution in it, not something to import."""
    assert not (ROOT / "server" / "__init__.py").exists()
    program = "import sys, walletsync_server.cli; print([n for n in sys.modules if n.split('.')[0] == 'server'])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
