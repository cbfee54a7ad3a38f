"""Which room of the client may import which: an architecture is what the imports say."""

import subprocess
import sys
from pathlib import Path

import pytest

import walletsync
from tests.imports import imports_of

PACKAGE = Path(walletsync.__file__).parent

PLAIN = {"results", "errors", "remedies", "protocol"}
ROOMS_OF_A_DEVICE = {
    "api",
    "device",
    "versions",
    "store",
    "conflicts",
    "merge",
    "crypto",
    "formats",
    "realm",
    "refusals",
    *PLAIN,
}
# Each room, and the rooms that it may import. formats/ counts as one.
DOORS = {
    "__init__": {"client", "errors", "formats"},
    "__main__": {"cli"},
    "cli": {"client", "walletfile", "formats", "exactjson", "merge", "results", "errors", "remedies", "__init__"},
    "walletfile": {"client", "formats", "errors"},
    "client": {"live", "session", "syncing", "passwords", "history", *ROOMS_OF_A_DEVICE},
    "passwords": {"session", "history", *ROOMS_OF_A_DEVICE},
    "history": ROOMS_OF_A_DEVICE,
    "syncing": {"session", *ROOMS_OF_A_DEVICE},
    "session": ROOMS_OF_A_DEVICE,
    "device": {
        "versions",
        "store",
        "conflicts",
        "merge",
        "crypto",
        "continuity",
        "restored_server",
        "formats",
        "payload",
        *PLAIN,
    },
    "restored_server": {"store", "continuity", "formats", "payload"},
    "versions": {"store", "crypto", "continuity", "payload", "errors", "protocol"},
    "store": {"continuity", "exactjson", "merge", "payload", "errors", "remedies"},
    "api": {"live", "transport", "refusals", "realm", "errors", "remedies", "protocol"},
    "refusals": {"errors", "remedies", "protocol"},
    "transport": {"errors"},
    "live": set(),
    "realm": {"errors", "remedies"},
    "continuity": {"crypto", "payload", "errors", "remedies"},
    "payload": {"errors", "protocol"},
    "results": {"merge"},
    "conflicts": {"formats", "merge", "errors", "remedies"},
    "formats": {"exactjson", "merge", "errors"},
    "crypto": {"errors", "remedies", "protocol"},
    "merge": {"errors"},
    "exactjson": set(),
    "protocol": set(),
    "errors": {"remedies"},
    "remedies": set(),
}
ONLY_IN = {
    "requests": "transport",
    "urllib3": "transport",
    "cryptography": "crypto",
    "sqlite3": "store",
    "click": "cli",
    "websockets": "live",
}
FILES = sorted(PACKAGE.rglob("*.py"))


def room(file: Path) -> str:
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_rooms_keep_their_doors(file: Path) -> None:
    """cli → client → {api, store, merge, crypto} → protocol, and never the server."""
    used = set()
    for name in imports_of(file):
        top, *rest = name.split(".")
        assert top not in ("walletsync_server", "flask", "sqlalchemy")
        assert ONLY_IN.get(top, room(file)) == room(file)
        if top == "walletsync":
            used.add(rest[0] if rest and rest[0] in DOORS else "__init__")
    assert used - {room(file)} <= DOORS[room(file)]


def test_every_room_has_its_doors_listed() -> None:
    """A new room is a decision: it gets a line above."""
    assert {room(file) for file in FILES} == set(DOORS)


def test_the_wire_contract_needs_nothing_but_msgspec() -> None:
    """protocol.py is what the server takes from the client, so it drags nothing along."""
    outside = {name.split(".")[0] for name in imports_of(PACKAGE / "protocol.py")}
    assert outside - set(sys.stdlib_module_names) == {"msgspec"}


def test_importing_the_library_loads_nothing_but_names() -> None:
    """A wallet that embeds the client starts as fast as without it; the rest comes with what is used first."""
    program = "import sys; before = set(sys.modules); import walletsync; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert [name for name in loaded if name.startswith("walletsync")] == ["walletsync"]
    assert {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names) == {"walletsync"}
