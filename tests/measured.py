"""The files by which coverage is measured: the own tests of the rooms that `[tool.coverage.run]` lists.

Together they take every branch there. Others pass through these rooms as well, but show nothing more about them, and
a test that is measured takes two to four times as long.
"""

from pathlib import Path

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
