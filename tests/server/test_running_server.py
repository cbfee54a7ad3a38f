"""`RunningServer`: a real server for tests that cannot outlive them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.helpers import HttpWire, sign_up, until
from walletsync_server.testing import RunningServer, ServerDidNotStart, Value

PARENT = """
import sys, time
from walletsync_server.testing import RunningServer
server = RunningServer().start()
print(server.url, flush=True)
time.sleep(600)
"""


def answers(url: str) -> bool:
    try:
        return HttpWire(url)("GET", "/healthz").status == 200
    except OSError:
        return False


def test_server_runs_inside_the_with_block() -> None:
    """It answers inside, it is gone afterwards with its database, and its repr is its address."""
    with RunningServer(allow=["alice@example.com"]) as server:
        assert repr(server) == f"RunningServer('{server.url}')"
        assert answers(server.url)
        assert sign_up(HttpWire(server.url), "alice@example.com").status == 201
        assert sign_up(HttpWire(server.url), "bob@example.com").status == 403
        assert server.database.exists()
    assert not answers(server.url)
    assert not server.database.exists()


def test_restart_keeps_the_address() -> None:
    """After a stop or a kill, `start` serves the same database at the same address; `log` covers all starts."""
    with RunningServer(accounts="open") as server:
        url = server.url
        sign_up(HttpWire(url), "alice@example.com")
        assert server.stop() == 0
        assert not answers(url)
        server.start()
        assert server.kill() == -signal.SIGKILL
        server.start()
        assert server.url == url
        taken = sign_up(HttpWire(url), "alice@example.com", password="another one")
        assert taken.code == "account_exists"
        assert server.log().count("route=/api/3/signup") == 2


def test_given_database_stays(tmp_path: Path) -> None:
    """A database that was given is not removed."""
    database = tmp_path / "walletsync.db"
    with RunningServer(database=database):
        pass
    assert database.exists()


def test_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The error has what the process wrote, and nothing is left running."""
    server = RunningServer(database=tmp_path / "missing" / "w.db")
    with pytest.raises(ServerDidNotStart, match="cannot be opened"):
        server.start()
    assert server.stop() == 0
    server.close()


def test_server_that_is_too_slow_to_start_is_told_as_that() -> None:
    """Nobody looks for a fault of the server where the machine only is busy; nothing is left running."""
    server = RunningServer(patience=0)
    with pytest.raises(ServerDidNotStart, match="not ready after 0 s"):
        server.start()
    assert server.stop() == 0
    server.close()


def test_any_setting_can_be_given() -> None:
    """Settings by name reach the process: numbers, texts and lists."""
    given: dict[str, Value] = {
        "max_wallet_bytes": 5,
        "public_url": "https://sync.example.com",
        "trusted_proxies": ["::1", "10.0.0.0/8"],
    }
    with RunningServer(accounts="open", settings=given) as server:
        about = HttpWire(server.url)("GET", "/.well-known/walletsync").json
    assert about["limits"]["encryptedWalletBytes"] == 5


def test_misuse_is_refused() -> None:
    """There is no address before the first start, and no second start beside the first; closing twice is fine."""
    server = RunningServer()
    assert repr(server) == "RunningServer(not started)"
    with pytest.raises(RuntimeError):
        _ = server.url
    server.start()
    with pytest.raises(RuntimeError):
        server.start()
    server.close()
    server.close()


def test_settings_of_the_environment_do_not_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test does not depend on who runs it."""
    monkeypatch.setenv("WALLETSYNC_ACCOUNTS", "nonsense")
    monkeypatch.setenv("WALLETSYNC_ALLOW", "alice@example.com")
    with RunningServer() as server:
        assert sign_up(HttpWire(server.url), "alice@example.com").status == 403


def test_server_that_does_not_stop_is_killed() -> None:
    """A stop takes no longer than the patience of whoever asked for it."""
    with RunningServer() as server:
        server.patience = 0
        assert server.stop() == -signal.SIGKILL


def test_server_does_not_outlive_its_parent() -> None:
    """Even a parent that is killed takes its server along."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        assert answers(url)
        os.kill(parent.pid, signal.SIGKILL)
    until(lambda: not answers(url))
