"""docs/install.md: what it names exists. That it works, `tests/box/test_install_page.py` shows in a box."""

import re
import shlex
from pathlib import Path, PurePath

import pytest
from click.testing import CliRunner

from tests.install_page import PAGE, ROOT, blocks
from walletsync.cli import main as client
from walletsync_server.cli import main as server
from walletsync_server.configuration import load
from walletsync_server.services.passwords import PASSWORD_HASHER
from walletsync_server.testing import RunningServer

LINES = [line for block in blocks() for line in block.lines]
PROGRAMS = {"walletsync-server": server, "walletsync": client}
DEPLOY = ROOT / "deploy"
OUTSIDE = {
    *("apt-get", "cd", "certbot", "curl", "export", "install", "ln", "ls", "nginx", "python3", "scp", "systemctl"),
    *("useradd", "/opt/walletsync/bin/pip", "~/walletsync/bin/pip"),
}
"""What is typed beside our own programs."""
INLINE = re.findall(r"`(walletsync(?:-server)? [^`]+)`", PAGE.replace("\n", " "))


def test_every_block_is_somebodys() -> None:
    """No block is without a name of who types it, so none is left out of the run."""
    assert PAGE.count("```") == 2 * len(blocks())
    assert {block.who for block in blocks()} == {"server", "laptop", "phone", "new"}


@pytest.mark.parametrize("line", sorted({*LINES, *INLINE}))
def test_shown_commands_exist(line: str) -> None:
    """Each is one of ours, with all its options, or one that Debian has."""
    name, *words = shlex.split(line)
    if name in PROGRAMS:
        ended = CliRunner().invoke(PROGRAMS[name], words if words == ["--version"] else [*words, "--help"])
        assert ended.exit_code == 0, ended.output
    else:
        assert name in OUTSIDE


def test_named_files_exist() -> None:
    """The examples that are installed are in the repository, and units are enabled under their names."""
    named = set(re.findall(r"deploy/\S+", "\n".join(LINES)))
    assert named == {
        f"deploy/{name}"
        for name in (
            *("nginx.conf", "walletsync.toml", "walletsync.service", "walletsync-backup.service"),
            "walletsync-backup.timer",
        )
    }
    for name in named:
        assert (ROOT / name).is_file(), name
    units = {PurePath(name).name for name in named}
    for line in LINES:
        if line.startswith("systemctl") and "reload nginx" not in line:
            for unit in re.findall(r"walletsync[\w.-]*", line):
                assert {unit, f"{unit}.service"} & units, line


def test_places_are_those_of_the_examples() -> None:
    """Folders, user, address and port are the ones that units, settings and nginx have."""
    settings = load({}, {}, str(DEPLOY / "walletsync.toml")).settings
    service = (DEPLOY / "walletsync.service").read_text()
    assert f"http://127.0.0.1:{settings.port}/readyz" in PAGE
    assert f"curl --silent --show-error --fail --ipv6 {settings.public_url}/readyz" in LINES
    assert f"--home-dir {settings.database_file.parent} " in PAGE
    assert "ExecStart=/opt/walletsync/bin/walletsync-server serve --config /etc/walletsync/walletsync.toml" in service
    assert "\nUser=walletsync\n" in service
    assert "/var/lib/walletsync-backups" in (DEPLOY / "walletsync-backup.service").read_text()
    assert "--webroot-path /var/www/html" in PAGE
    assert "root /var/www/html;" in (DEPLOY / "nginx.conf").read_text()


def test_backups_are_kept_as_long_as_the_page_says() -> None:
    """And made as often."""
    assert "makes one every day" in PAGE
    assert "OnCalendar=daily" in (DEPLOY / "walletsync-backup.timer").read_text()
    assert "keeps those of 30 days" in PAGE
    assert "-mtime +30 -delete" in (DEPLOY / "walletsync-backup.service").read_text()


def test_64_mib_are_too_few(running_server: RunningServer) -> None:
    """What the server has for itself and what one password takes are more."""
    status = Path(f"/proc/{running_server.pid}/status").read_text()
    (itself,) = re.findall(r"^RssAnon:\s*(\d+) kB$", status, re.MULTILINE)
    password = PASSWORD_HASHER.memory_cost
    assert f"each password that is checked {password // 1024} more" in " ".join(PAGE.split())
    assert int(itself) + password > 64 * 1024


def test_an_upgrade_begins_with_a_backup() -> None:
    """While nobody writes any more, and before the schema is changed."""
    (upgrade,) = [block.lines for block in blocks() if block.heading == "Upgrade"]
    steps = [
        "systemctl stop",
        "walletsync-server backup",
        "walletsync-server verify-backup",
        "/opt",
        "walletsync-server migrate",
    ]
    places = [next(at for at, line in enumerate(upgrade) if line.startswith(step)) for step in steps]
    assert places == sorted(places)
