"""Failed log-ins in the log of a real process, as fail2ban itself reads them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.apt import require
from tests.cheap_server import CheapServer
from tests.server.helpers import API, PASSWORD, HttpWire, new_account
from walletsync_server.testing import RunningServer

DEPLOY = Path(__file__).parents[2] / "deploy" / "fail2ban"
FILTER = DEPLOY / "walletsync.conf"
WRONG = "a wrong password"
CLIENTS = ["192.0.2.7", "2001:db8::7", "198.51.100.7"]


@pytest.fixture(scope="module", autouse=True)
def fail2ban() -> None:
    """Install fail2ban where it is missing and may be; fail where it cannot be had."""
    require("fail2ban-regex", "fail2ban", "--no-install-recommends")


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def guess(server: RunningServer) -> str:
    """Prove a wrong password in each of three ways, each from another address; return the account's address."""
    wire = HttpWire(server.url)
    account = new_account(wire)
    change = {"oldPassword": WRONG, "newPassword": f"{WRONG}!", "clientSaltSeed": "ed" * 32}
    for client, path, body in zip(
        CLIENTS,
        ("/auth/full", "/password", "/account/delete"),
        ({"password": WRONG, "deviceId": "x"}, change, {"password": WRONG}),
        strict=True,
    ):
        answer = wire("POST", f"{API}{path}", {"email": account.email, **body}, headers={"X-Forwarded-For": client})
        assert answer.code == "wrong_credentials"
    forged = {"X-Forwarded-For": f"198.51.100.9 event=login_failed client={CLIENTS[0]}"}
    assert wire("GET", f"{API}/wallet?client={CLIENTS[0]}", headers=forged).status == 401
    return account.email


@pytest.mark.parametrize("log_format", ["logfmt", "json"])
def test_filter_finds_who_failed(tmp_path: Path, log_format: str) -> None:
    """Each wrong password by the client's address and its time, and no other line; account and password are in none."""
    settings = {"log_format": log_format, "log_failed_logins": "on", "trusted_proxies": ["127.0.0.1"]}
    with CheapServer(accounts="open", settings=settings) as server:
        email = guess(server)
        server.stop()
        text = server.log()
    log = tmp_path / "server.log"
    log.write_text(text)
    found = run("fail2ban-regex", "--out", "<ip>", str(log), str(FILTER)).split()
    assert found == CLIENTS
    said = run("fail2ban-regex", str(log), str(FILTER))
    assert re.search(rf"Lines: {len(text.splitlines())} lines, 0 ignored, 3 matched", said)
    assert re.search(rf"\[{len(text.splitlines())}\] .*Year-Month-Day", said), said  # each line has its time
    assert not any(word in text for word in (email, WRONG, PASSWORD))


def test_nothing_is_logged_of_clients_unless_asked_for(tmp_path: Path) -> None:
    """By default no line has the address of whoever failed, and the filter finds none."""
    with CheapServer(accounts="open", settings={"trusted_proxies": ["127.0.0.1"]}) as server:
        guess(server)
        server.stop()
        text = server.log()
    log = tmp_path / "server.log"
    log.write_text(text)
    assert "code=wrong_credentials" in text
    assert run("fail2ban-regex", "--out", "<ip>", str(log), str(FILTER)) == ""
    assert not any(client in text for client in CLIENTS)


def test_jail_is_taken(tmp_path: Path) -> None:
    """fail2ban understands the jail of the examples, and the filter that it names."""
    folder = tmp_path / "fail2ban"
    shutil.copytree("/etc/fail2ban", folder)
    (folder / "jail.d" / "defaults-debian.conf").unlink(missing_ok=True)  # a jail for SSH, whose log may not be here
    shutil.copy(FILTER, folder / "filter.d")
    shutil.copy(DEPLOY / "walletsync.local", folder / "jail.d")
    assert "configuration test is successful" in run("fail2ban-client", "-c", str(folder), "--test")
    shown = run("fail2ban-client", "-c", str(folder), "-d")
    assert "['set', 'walletsync', 'addjournalmatch', '_SYSTEMD_UNIT=walletsync.service']" in shown
