"""The files by which coverage is measured: the own tests of the rooms that `[tool.coverage.run]` lists.

Together they take every branch there. Others pass through these rooms as well, but show nothing more about them, and
a test that is measured takes two to four times as long.
"""

import pkgutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from coverage import Coverage

_CLIENT = (
    "bip329",
    "bridge_driver",
    "bridges",
    "changes",
    "compression",
    "conflict",
    "conflict_names",
    "continuity",
    "crypto",
    "edge",
    "electrum_format",
    "errors",
    "exactjson",
    "format_kit",
    "formats",
    "held",
    "json_layout",
    "label_files",
    "label_sense",
    "lbry_format",
    "merge",
    "policies",
    "store",
    "wallets_format",
)
_SERVER = (
    "account_admin",
    "account_control",
    "alike_accounts",
    "at_once",
    "clocks",
    "coroutines",
    "http_history_devices",
    "http_password",
    "http_wallets",
    "invite",
    "letters",
    "live",
    "mail_queue",
    "password_change",
    "password_queue",
    "passwords",
    "readiness",
    "services",
    "shared_counters",
    "signups",
    "throttle",
)
_COMMANDS = ("bridge", "second_wallet", "wallets")
_HERE = Path(__file__).parent
MEASURED = {
    *(_HERE / f"client/cli/test_{command}.py" for command in _COMMANDS),
    *(_HERE / f"client/test_{room}.py" for room in _CLIENT),
    *(_HERE / f"server/test_{room}.py" for room in _SERVER),
}


def import_rooms() -> None:
    """Import all modules of the rooms, if coverage is measured: what a module does then counts as well."""
    measuring = Coverage.current()
    rooms = measuring.get_option("run:source_pkgs") if measuring else []
    assert isinstance(rooms, list)
    for name in rooms:
        room = import_module(name)
        for module in pkgutil.walk_packages(getattr(room, "__path__", ()), f"{name}."):
            import_module(module.name)


@contextmanager
def untraced() -> Iterator[None]:
    """Take the tracer away meanwhile. pytest-cov's own `no_cover` leaves it where it is in workers of pytest-xdist."""
    tracers = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracers[0])
        threading.settrace(tracers[1])
