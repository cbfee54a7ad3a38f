"""`watch` as a service: what is installed, and what is said where it cannot be. tests/box has systemd run it."""

import os
import plistlib
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.apt import require
from tests.client.cli.machines import InMemory, Make
from tests.conftest import PASSWORD
from walletsync.cli.service_managers import Launchd, Program, Systemd

NASTY = "my %h $HOME \"wallet\" \\n 'ä' \t.jsonl"
"""A name with all that means something to systemd."""


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a person who has no manager, so that nothing here is installed for whoever runs the tests."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    return home


def program(*command: str) -> Program:
    title = f"walletsync watch {NASTY}\nExecStartPre=/bin/false\udce9\\"
    return Program("walletsync-labels-0a1b2c3d", title, command, {"WALLETSYNC_PASSWORD_FILE": "/a/b c"})


def test_without_a_password_nothing_is_installed(make: Make, nowhere: Path) -> None:
    """A service cannot ask; the error says where to put it, and the second of the ways works as well."""
    laptop = make("laptop")
    told = laptop.fails("service install", 2, WALLETSYNC_PASSWORD_FILE=None)
    assert "WALLETSYNC_PASSWORD_FILE" in told
    assert "walletsync login --keyring" in told
    assert "There is no file /nowhere" in laptop.fails("service install", 2, WALLETSYNC_PASSWORD_FILE="/nowhere")
    assert not list(nowhere.iterdir())


@pytest.mark.parametrize("path", ["", os.environ["PATH"]], ids=["no systemd", "no manager that answers"])
def test_where_it_cannot_be_installed_nothing_is_left(
    path: str, make: Make, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container: what is wrong, what to do instead, and no unit that would start one day."""
    monkeypatch.setenv("PATH", path)
    told = make("laptop").fails("service install", 1)
    assert "systemctl" in told
    assert "hint: walletsync watch, in a terminal of its own" in told
    assert not [each for each in nowhere.rglob("*") if os.path.lexists(each) and not each.is_dir()]


def test_status_and_uninstall_say_that_there_is_none(make: Make) -> None:
    """It is no error, and needs no manager."""
    laptop = make("laptop")
    assert laptop.ok("service status") == "not installed\n"
    assert laptop.json("service status")["state"] is None
    assert "not kept in sync by a service" in laptop.ok("service uninstall")


def test_keyring_is_enough(make: Make, ring: InMemory) -> None:
    """Then the unit names no file; it still fails here, where no manager answers."""
    laptop = make("laptop")
    ring.set_password("walletsync", f"{laptop.email} at {laptop.url}", PASSWORD)
    assert "systemctl" in laptop.fails("service install", 1, WALLETSYNC_PASSWORD_FILE=None)


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """Its own checker finds nothing to say, whatever the file is called."""
    require("systemd-analyze", package="systemd")
    unit = tmp_path / "walletsync-labels.service"
    unit.write_bytes(Systemd().described(program(sys.executable, "-P", "-m", "walletsync", "--file", NASTY, "watch")))
    words = ["systemd-analyze", "--user", "verify", str(unit)]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    verified = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stdout) == (0, ""), verified.stderr
    assert unit.name not in verified.stderr, "a warning about this unit"
    assert "RestartPreventExitStatus=4 5\n" in unit.read_text()


def test_launchd_gets_an_agent(nowhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no macOS here: its `launchctl` only notes how it was called."""
    calls = tmp_path / "calls"
    launchctl = tmp_path / "bin/launchctl"
    launchctl.parent.mkdir()
    launchctl.write_text(f"#!/bin/sh\necho \"$@\" >> {shlex.quote(str(calls))}\necho '\tstate = running'\n")
    launchctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{launchctl.parent}:{os.environ['PATH']}")
    manager, wanted = Launchd(), program("python", "--file", NASTY, "watch")
    manager.install(wanted)
    agent = nowhere / "Library/LaunchAgents/walletsync-labels-0a1b2c3d.plist"
    described = plistlib.loads(agent.read_bytes())
    assert described["ProgramArguments"][-4:] == ["python", "--file", NASTY, "watch"]
    assert described["EnvironmentVariables"] == dict(wanted.variables)
    assert described["RunAtLoad"]
    assert described["KeepAlive"] == {"SuccessfulExit": False}
    assert manager.state(wanted.name) == "running"
    assert "while you are logged in" in manager.lacks()
    assert manager.uninstall(wanted.name)
    assert not agent.exists()
    assert not manager.uninstall(wanted.name)
    domain = f"gui/{os.getuid()}"
    assert calls.read_text().splitlines() == [
        f"bootout {domain}/{wanted.name}",
        f"bootstrap {domain} {agent}",
        f"print {domain}/{wanted.name}",
        f"bootout {domain}/{wanted.name}",
    ]


@pytest.mark.parametrize(("code", "ends_with"), [(0, 0), (4, 0), (5, 0), (3, 1), (2, 1)])
def test_launchd_is_not_told_to_try_what_is_hopeless_again(code: int, ends_with: int) -> None:
    """It starts again whatever does not end with 0; a wrong password would be a guess every half minute."""
    described = plistlib.loads(Launchd().described(program("sh", "-c", f"exit {code}")))
    assert subprocess.run(described["ProgramArguments"], check=False).returncode == ends_with


def test_a_reinstallation_that_fails_leaves_what_was_installed(make: Make, nowhere: Path) -> None:
    """As typed where the manager cannot be reached: the service goes on, and can be found and uninstalled later."""
    laptop = make("laptop")
    laptop.fails("service install", 1)
    unit = Systemd().file(laptop.json("service status")["name"])
    unit.parent.mkdir(parents=True, exist_ok=True)
    unit.write_text("[Service]\n")
    laptop.fails("service install", 1)
    assert unit.read_text() == "[Service]\n"


def test_one_file_has_one_service(make: Make) -> None:
    """However its folder is typed, be it by a link."""
    laptop = make("laptop")
    link = laptop.folder.with_name("link")
    link.symlink_to(laptop.folder)
    typed = [laptop.folder, link, laptop.folder / ".." / "link"]
    names = {laptop.json(f"--file {folder}/wallet.json service status")["name"] for folder in typed}
    assert len(names) == 1


def test_a_password_that_is_there_only_now_is_refused(make: Make, tmp_path: Path) -> None:
    """Such as what a shell passes for `<(pass show wallet)`."""
    read, write = os.pipe()
    os.write(write, PASSWORD.encode())
    os.close(write)
    told = make("laptop").fails("service install", 2, WALLETSYNC_PASSWORD_FILE=f"/dev/fd/{read}")
    os.close(read)
    assert "only now" in told
