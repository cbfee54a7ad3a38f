"""The operator's manual: what it shows exists, and what exists is shown."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from walletsync.protocol import KEPT_VERSIONS
from walletsync_server.asgi.body_budget import SHARES, STRANGERS
from walletsync_server.asgi.front_door import PLACES, PLACES_SHARE
from walletsync_server.asgi.http_protocol import BODY_SECONDS
from walletsync_server.cli import main
from walletsync_server.reloading import LIVE
from walletsync_server.services.thinning import KEPT_DAYS, KEPT_HOURS, MOST_VERSIONS
from walletsync_server.settings import TABLE

FOLDER = Path(__file__).parents[2] / "server"
MANUAL = (FOLDER / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", MANUAL, re.MULTILINE | re.DOTALL)
ROWS = re.findall(r"^\| `(walletsync-server [^`]+)` \|", MANUAL, re.MULTILINE)
LINES = [*ROWS, *(line for block in BLOCKS for line in block.splitlines() if "walletsync-server " in line)]


def commands(group: click.Group = main, *before: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*before, name), command
        if isinstance(command, click.Group):
            yield from commands(command, *before, name)


def test_settings_are_those_of_the_code() -> None:
    """The table has every setting with its default and its meaning."""
    rows = [
        f"| `{setting.name}` | {'' if setting.default in ('', ()) else f'`{setting.default}`'} | {setting.help} |"
        for setting in TABLE.values()
    ]
    shown = [line for line in MANUAL.splitlines() if re.fullmatch(r"\| `[a-z_]+` \|[^|]*\|[^|]*\|", line)]
    assert shown == rows, "replace the table in server/README.md by:\n" + "\n".join(rows)


def test_bounds_are_those_of_the_code() -> None:
    """What is said of the shares of a network and of what is given up is so."""
    said = " ".join(MANUAL.split())
    assert SHARES == 4
    assert "at most a quarter of the memory" in said
    assert STRANGERS == 4
    assert "a quarter of it is for clients without a token" in said
    assert f"{PLACES_SHARE} of the {PLACES:,} requests" in said
    assert f"stops for {BODY_SECONDS:.0f} seconds is given up" in said


def test_kept_versions_are_those_of_the_code() -> None:
    """How many are kept of late and of long ago."""
    said = " ".join(MANUAL.split())
    assert f"keeps the last {KEPT_VERSIONS} versions" in said
    assert f"the first and the last one of each of the latest {KEPT_HOURS} hours and {KEPT_DAYS} days" in said
    assert f"at most {MOST_VERSIONS} versions" in said


def test_settings_that_need_a_restart_are_named() -> None:
    """Those that a reload does not take are listed, and no others."""
    (said,) = re.findall(r"A few need a restart: (.*?)\.", " ".join(MANUAL.split()))
    assert re.findall("`([a-z_]+)`", said) == [name for name in TABLE if name not in LIVE]


def test_events_are_those_of_the_code() -> None:
    """The table of log lines has each event that the server can log, and no other."""
    code = "".join(file.read_text() for file in (FOLDER / "walletsync_server").rglob("*.py"))
    logged = re.findall(r'logs\.event\("(\w+)"|_log_event\(\s*logging\.\w+, "(\w+)"|"event": "(\w+)"', code)
    (table,) = re.findall(r"^\| event \|.*?\n(?=\n)", MANUAL, re.MULTILINE | re.DOTALL)
    told = [name for row in table.splitlines()[2:] for name in re.findall(r"`([a-z_]+)`", row.split("|")[1])]
    assert sorted(told) == sorted({"".join(names) for names in logged})


def test_units_do_what_is_said() -> None:
    """When systemd starts a server again, when it gives up, and how long backups are kept, the units say as well."""
    said = " ".join(MANUAL.split())
    unit, backup = [(FOLDER.parent / f"deploy/walletsync{name}.service").read_text() for name in ("", "-backup")]
    assert "stood still for a minute" in said
    assert "WatchdogSec=60\n" in unit
    assert "after ten starts within five minutes" in said
    assert "StartLimitIntervalSec=5min\nStartLimitBurst=10\n" in unit
    assert "older than 30 days" in said
    assert " -mtime +30 -delete" in backup


@pytest.mark.parametrize("line", LINES)
def test_shown_commands_exist(line: str) -> None:
    """Every command in the manual is taken with all its options."""
    words = shlex.split(line[line.index("walletsync-server ") :], comments=True)[1:]
    ended = CliRunner().invoke(main, [*words, "--help"])
    assert ended.exit_code == 0, ended.output


def test_every_command_is_shown() -> None:
    """Nothing that the program can do is left out of the manual."""
    for words, _ in commands():
        assert re.search(rf"walletsync-server {words[0]}\b", MANUAL)
        assert re.search(rf"\b{words[-1]}\b", MANUAL)


@pytest.mark.parametrize(("words", "command"), list(commands()))
def test_every_help_has_an_example_that_works(words: tuple[str, ...], command: click.Command) -> None:
    """The example in a command's help is that command, with options that it has."""
    text = " ".join(CliRunner().invoke(main, [*words, "--help"]).stdout.split())
    (example,) = re.findall(r"Example: (walletsync-server .*?) (?:Options|Commands):", text)
    said = shlex.split(example.partition(" > ")[0])[1:]
    assert tuple(said[: len(words)]) == words
    assert CliRunner().invoke(main, [*said, "--help"]).exit_code == 0


def test_links_lead_somewhere() -> None:
    """Every file that the manual names is there, and every heading."""
    for link in re.findall(r"\]\(([^)]+)\)", MANUAL):
        name, _, anchor = link.partition("#")
        text = (FOLDER / name).read_text()
        headings = [re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in text.splitlines()]
        assert not anchor or f"-{anchor}" in headings


def test_exit_status_is_told_by_help_as_well() -> None:
    """The three kinds of ends are in the manual and in the program."""
    assert "0 it worked, 1 it did not, 2 it was called or set up wrongly" in CliRunner().invoke(main, ["--help"]).stdout
    assert re.findall(r"^\| ([0-9]) \|", MANUAL, re.MULTILINE) == ["0", "1", "2"]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_shell_completion(shell: str) -> None:
    """The line in the manual gives the shell a script, and that script gets the commands."""
    assert f'eval "$(_WALLETSYNC_SERVER_COMPLETE={shell}_source walletsync-server)"' in MANUAL
    assert "walletsync-server" in completing(f"{shell}_source")
    typed = {"COMP_WORDS": "walletsync-server ver", "COMP_CWORD": "1"}
    assert "verify-backup" in completing(f"{shell}_complete", **typed)


def completing(what: str, **typed: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "walletsync_server"],
        env={**os.environ, "_WALLETSYNC_SERVER_COMPLETE": what, **typed},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
