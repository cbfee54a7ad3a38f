"""SIGHUP: a server that runs takes new settings, and keeps those it has where they are wrong."""

import hashlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.server.helpers import FlaskWire, HttpWire, cheap_passwords, log_in, new_account, seed_of, sign_up
from tests.server.supervisor import PATIENCE, Supervised, serving
from walletsync_server.app import close_app, create_app, reload_settings
from walletsync_server.cli.reload import TAKEN, WAITING, WRONG
from walletsync_server.live.hub import AccountIsFull, Hub
from walletsync_server.reloading import LIVE, CurrentSettings
from walletsync_server.settings import TABLE, Mistake, Settings, SettingsError


class Reloadable:
    """A server with a configuration file, and what a test does with both."""

    def __init__(self, server: Supervised, file: Path, wire: HttpWire) -> None:
        self.server = server
        self.file = file
        self.wire = wire

    def reload(self, text: str) -> str:
        """Write the file, send SIGHUP, wait until the server is ready again; return what it says of itself then."""
        self.file.write_text(text)
        self.server.process.send_signal(signal.SIGHUP)
        begun, clock = self.server.said()
        assert begun == "RELOADING=1"
        assert int(clock.removeprefix("MONOTONIC_USEC=")) > 0
        ready, status = self.server.said()
        assert ready == "READY=1"
        return status.removeprefix("STATUS=")

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the lines of the log about one kind of event."""
        lines = [json.loads(line) for line in self.server.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]


@pytest.fixture
def reloadable(tmp_path: Path) -> Iterator[Reloadable]:
    file = tmp_path / "walletsync.toml"
    file.write_text('allow = ["alice@example.com"]')
    with serving(tmp_path, "--config", str(file), "--log-format", "json") as server:
        assert server.said() == ["READY=1"]
        assert server.process.stdout is not None
        yield Reloadable(server, file, HttpWire(server.process.stdout.readline().removeprefix("Listening on ").strip()))


def test_new_settings_apply_without_a_restart(reloadable: Reloadable) -> None:
    """Who may sign up, rates, web pages, TLS in front, proxies and the log's level follow the file; logins stay."""
    wire, pid = reloadable.wire, reloadable.server.process.pid
    assert sign_up(wire, "bob@example.com").code == "not_allowed"
    said = reloadable.reload(
        'allow = ["bob@example.com"]\ncors_origins = ["https://page.example.com"]\nrate_seed = "1/hour"\n'
        'public_url = "https://sync.example.com"\ntrusted_proxies = ["127.0.0.1"]\nlog_failed_logins = "on"'
    )
    assert said == TAKEN
    assert sign_up(wire, "bob@example.com").status == 201
    assert sign_up(wire, "alice@example.com").code == "not_allowed"
    answer = wire("GET", "/healthz", headers={"Origin": "https://page.example.com"})
    assert answer.headers["access-control-allow-origin"] == "https://page.example.com"
    assert "strict-transport-security" in answer.headers
    proxied = [{"X-Forwarded-For": f"192.0.2.{number}"} for number in (1, 1, 2)]
    assert [seed_of(wire, "bob@example.com", headers).status for headers in proxied] == [200, 429, 200]
    assert log_in(wire, "nobody@example.com").code == "wrong_credentials"
    assert len(reloadable.events("login_failed")) == 1
    assert reloadable.reload('log_level = "error"\nallow = ["bob@example.com"]')
    before = len(reloadable.events("request"))
    assert seed_of(wire, "bob@example.com").status == 200
    assert len(reloadable.events("request")) == before
    assert reloadable.server.process.pid == pid
    (event,) = reloadable.events("reloaded")  # the second time is below the level
    assert event["changed"] == "allow,public_url,trusted_proxies,cors_origins,rate_seed,log_failed_logins"
    assert "example.com" not in event["changed"]


def test_what_needs_a_restart_is_told(reloadable: Reloadable) -> None:
    """Where a setting cannot change while the server runs, nothing does, and the log names it; without it, all does."""
    live = 'allow = ["bob@example.com"]\ndatabase = "sqlite:////tmp/other.db"'  # --database is an option, which wins
    assert reloadable.reload(f"{live}\nmax_wallet_bytes = 5\nmetrics_port = 9090") == WAITING
    assert sign_up(reloadable.wire, "bob@example.com").code == "not_allowed"
    (event,) = reloadable.events("restart_needed")
    assert event["settings"] == "max_wallet_bytes,metrics_port"
    assert event["level"] == "warning"
    assert not reloadable.events("reloaded")
    assert reloadable.reload(live) == TAKEN
    assert sign_up(reloadable.wire, "bob@example.com").status == 201


def test_wrong_settings_change_nothing_and_are_all_told(reloadable: Reloadable) -> None:
    """With a mistake the settings before still apply, and the log has every mistake; once mended, the new ones do."""
    said = reloadable.reload('allow = ["bob@example.com"]\nrate_login = "often"\nhots = "0.0.0.0"')
    assert said == WRONG
    assert sign_up(reloadable.wire, "bob@example.com").code == "not_allowed"
    mistakes = [event["reason"] for event in reloadable.events("not_reloaded")]
    assert len(mistakes) == 2
    assert any("rate_login must be a rate" in mistake for mistake in mistakes)
    assert any("hots is not a setting; did you mean host?" in mistake for mistake in mistakes)
    assert reloadable.reload('allow = ["bob@example.com"]') == TAKEN
    assert sign_up(reloadable.wire, "bob@example.com").status == 201


def test_hangup_during_the_start_is_taken_afterwards(tmp_path: Path) -> None:
    """SIGHUP ends no server, however early: it reloads as soon as it is ready."""
    with serving(tmp_path) as server:
        while b"SIGHUP" not in blocked(server.process.pid):
            assert server.process.poll() is None
        server.process.send_signal(signal.SIGHUP)
        said = [server.said() for _ in range(3)]
        assert ["READY=1"] in said
        assert any(lines[0] == "RELOADING=1" for lines in said)
        server.process.terminate()
        assert server.process.wait(PATIENCE) == 0


def blocked(pid: int) -> bytes:
    """Return `SIGHUP` if the process holds it back."""
    (mask,) = [line.split()[1] for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "SigBlk" in line]
    return b"SIGHUP" if int(mask, 16) & 1 << (signal.SIGHUP - 1) else b""


def test_end_of_the_terminal_ends_the_server(tmp_path: Path) -> None:
    """A server that was started by hand in a terminal stops in order when that is closed."""
    there, here = pty.openpty()
    command = [sys.executable, "-m", "walletsync_server", "serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Listening on ")
        process.send_signal(signal.SIGHUP)
        _, err = process.communicate(timeout=PATIENCE)
    os.close(there)
    os.close(here)
    assert process.returncode == 0
    assert "event=stopped" in err


def test_settings_that_cannot_be_used_change_nothing() -> None:
    """Who refuses new settings does so before anybody has taken them."""
    before, new = Settings(), Settings(log_level="debug")
    current, used = CurrentSettings(before), list[Settings]()
    current.on_change(refuse)
    current.on_change(used.append)
    with pytest.raises(SettingsError):
        current.take(new)
    assert (used, current.now) == ([], before)


def refuse(settings: Settings) -> None:
    raise SettingsError(Mistake("mail_password_file", "cannot be read."))


def test_number_of_sockets_changes_for_those_that_come(tmp_path: Path) -> None:
    """Who listens already stays; the next one of the account finds the new bound."""
    hub, settings = Hub(), Settings(database=f"sqlite:///{tmp_path}/walletsync.db", accounts="open")
    app = create_app(settings, passwords=cheap_passwords(), hub=hub)
    try:
        token = hashlib.sha256(new_account(FlaskWire(app)).token.encode()).digest()  # a void one would be hung up
        listeners = [hub.listen(1, token, 0, lambda: None) for _ in range(2)]
        assert reload_settings(app, replace(settings, sockets_per_account=2)).changed == ("sockets_per_account",)
        assert not any(each.is_over for each in listeners)
        with pytest.raises(AccountIsFull):
            hub.listen(1, token, 0, lambda: None)
    finally:
        close_app(app)


def test_live_settings_are_settings() -> None:
    """No name is misspelt, and not all are live."""
    assert set(LIVE) < set(TABLE)
