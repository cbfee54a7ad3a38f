"""The units of the examples, run by systemd as PID 1 as on an operator's machine."""

import time
from collections.abc import Callable

import pytest

from tests.box.box import Box
from tests.server.proxies import DEPLOY

pytestmark = pytest.mark.security

SERVER = "walletsync-server"
CONFIG = "/etc/walletsync/walletsync.toml"
SETTINGS = (DEPLOY / "walletsync.toml").read_text() + "\nmetrics_port = 9091\n"
BACKUPS = "/var/lib/walletsync-backups"
READY = "curl --silent --show-error --fail --max-time 20 http://127.0.0.1:8090/readyz"


class Service:
    """The service in a box, with the example's settings and metrics, enabled and started."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.configure("")
        box.run("systemctl enable --now walletsync")

    def configure(self, more: str) -> None:
        """Write the configuration, with some lines more than the example has."""
        self.box.write(CONFIG, SETTINGS + more)

    def drop_in(self, text: str) -> None:
        """Change the unit as `systemctl edit` does."""
        self.box.write("/etc/systemd/system/walletsync.service.d/override.conf", text)
        self.box.run("systemctl daemon-reload")

    def show(self, name: str, unit: str = "walletsync") -> str:
        """Return a property of the service as systemd has it."""
        return self.box.run(f"systemctl show --value --property {name} {unit}").stdout.strip()

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds; fail with the service's log if it does not in time."""
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def command(self, words: str) -> str:
        """Run a command of the server with the service's settings; return what it prints."""
        return self.box.run(f"WALLETSYNC_CONFIG={CONFIG} {SERVER} {words}").stdout

    def log(self) -> str:
        """Return what the service has logged."""
        return self.box.run("journalctl --output=cat --unit walletsync").stdout


@pytest.fixture
def service(box: Box) -> Service:
    return Service(box)


def test_service_is_there_when_it_was_started(service: Service) -> None:
    """`systemctl start` returns when clients are answered, and the metrics tell of the process, sandboxed as it is."""
    service.box.run(READY)
    metrics = service.box.run("curl --silent --fail http://127.0.0.1:9091/metrics").stdout
    names = {line.split()[0] for line in metrics.splitlines() if line.startswith("process_")}
    assert names >= {f"process_{name}" for name in ("resident_memory_bytes", "cpu_seconds_total", "open_fds")}
    assert "process_start_time_seconds" in names
    assert service.show("User") == "walletsync"


def test_service_and_data_survive_a_reboot(service: Service) -> None:
    """What was written before the machine went down is served after it, without a hand."""
    service.command("accounts add alice@example.com")
    service.box.reboot()
    service.box.run(READY)
    assert service.show("ActiveState") == "active"
    assert "alice@example.com" in service.command("accounts list")


def test_reload_takes_new_settings(service: Service) -> None:
    """`systemctl reload` changes what the process does; wrong settings change nothing, and the status says so."""
    pid = service.show("MainPID")
    service.configure('allow = ["bob@example.com"]\n')
    service.box.run("systemctl reload walletsync")
    service.wait(lambda: "event=reloaded changed=allow" in service.log())
    service.configure('rate_login = "often"\n')
    service.box.run("systemctl reload walletsync")
    service.wait(lambda: "wrong" in service.show("StatusText"))
    assert "rate_login must be a rate" in service.log()
    service.box.run(READY)
    assert service.show("MainPID") == pid
    assert service.show("ActiveState") == "active"


@pytest.mark.parametrize("number", ["KILL", "STOP"])
def test_server_that_ends_or_stands_still_is_started_again(service: Service, number: str) -> None:
    """After kill -9, and after it has said nothing for as long as the watchdog waits."""
    if number == "STOP":
        service.drop_in("[Service]\nWatchdogSec=3\n")
        service.box.run("systemctl restart walletsync")
    pid = service.show("MainPID")
    service.box.run(f"kill -{number} {pid}")
    service.wait(lambda: service.show("MainPID") not in ("0", pid) and service.show("ActiveState") == "active")
    service.box.run(READY)
    assert service.show("NRestarts") == "1"


def test_server_that_cannot_start_is_given_up(service: Service) -> None:
    """A database that is none ends ten starts, and then systemd tries no more and says why."""
    service.drop_in("[Service]\nRestartSec=100ms\n")
    service.box.run("systemctl stop walletsync")
    service.box.run("echo none of SQLite > /var/lib/walletsync/walletsync.db")
    service.box.run("systemctl start walletsync", check=False)
    service.wait(lambda: service.show("ActiveState") == "failed")
    assert service.show("NRestarts") == "10"
    assert "not a SQLite database" in service.log()


def test_wrong_settings_are_tried_once(service: Service) -> None:
    """With settings that are wrong the service fails at once, and is not started again."""
    service.configure('rate_login = "often"\n')
    assert service.box.run("systemctl restart walletsync", check=False).returncode == 1
    assert service.show("ActiveState") == "failed"
    assert (service.show("ExecMainStatus"), service.show("NRestarts")) == ("2", "0")
    assert "rate_login must be a rate" in service.log()


def test_nobody_is_refused_while_it_restarts(service: Service) -> None:
    """With the socket unit, who connects while the server is restarted waits, and who comes starts a stopped one."""
    service.box.run("systemctl stop walletsync && systemctl enable --now walletsync.socket")
    service.box.run(READY)  # nobody has started it
    pid = service.show("MainPID")
    asking = f"for try in $(seq 200); do {READY} --output /dev/null && echo 0 || echo $?; done > /run/asked"
    service.box.run(f"{asking} & systemctl restart walletsync; wait")
    ended = service.box.read("/run/asked").split()
    assert ended == ["0"] * 200
    assert service.show("MainPID") not in ("0", pid)
    assert "event=stopped" in service.log()
    service.box.reboot()
    service.box.run(READY)


def test_backup_is_made_checked_and_kept_for_a_time(service: Service) -> None:
    """The unit makes a whole backup that restores, and removes those that are older than 30 days, and no other file."""
    service.command("accounts add alice@example.com")
    old, young, other = "walletsync-2026-01-01.db", "walletsync-2026-02-01.db", "notes.txt"
    service.box.run("systemctl start walletsync-backup")
    service.box.run(f"cd {BACKUPS}; touch -d '32 days ago' {old} {other}; touch -d '29 days ago' {young}")
    service.box.run("systemctl start walletsync-backup")
    files = service.box.run(f"cd {BACKUPS}; stat --format '%U %a %n' walletsync-*T*Z.db").stdout.splitlines()
    assert len(files) == 2
    assert all(line.startswith("walletsync 600 ") for line in files)
    kept = service.box.run(f"ls {BACKUPS}").stdout.split()
    assert {young, other} < set(kept)
    assert old not in kept
    newest = files[-1].split()[-1]
    assert "is whole" in service.command(f"verify-backup {BACKUPS}/{newest}")
    service.box.run("systemctl stop walletsync && rm /var/lib/walletsync/walletsync.db")
    service.command(f"restore {BACKUPS}/{newest}")
    service.box.run("systemctl start walletsync")
    assert "alice@example.com" in service.command("accounts list")


def test_backup_that_fails_removes_none(service: Service) -> None:
    """Where no backup can be made, the unit fails, and old ones stay however old they are."""
    service.box.run("systemctl start walletsync-backup")
    old = f"{BACKUPS}/walletsync-2026-01-01.db"
    service.box.run(f"touch -d '99 days ago' {old}; systemctl stop walletsync; rm /var/lib/walletsync/walletsync.db*")
    assert service.box.run("systemctl start walletsync-backup", check=False).returncode == 1
    assert service.show("Result", "walletsync-backup") == "exit-code"
    service.box.run(f"test -e {old}")


def test_timer_makes_backups_by_itself(service: Service) -> None:
    """Enabled, it comes every day, also after a reboot; and what it starts is the unit for backups."""
    service.box.run("systemctl enable --now walletsync-backup.timer")
    service.box.reboot()
    assert service.show("ActiveState", "walletsync-backup.timer") == "active"
    assert service.show("Triggers", "walletsync-backup.timer") == "walletsync-backup.service"
    in_seconds = service.box.run(
        'echo $(( $(date -d "$(systemctl show --value -p NextElapseUSecRealtime walletsync-backup.timer)" +%s)'
        " - $(date +%s) ))"
    )
    assert 0 < int(in_seconds.stdout) <= 25 * 60 * 60
