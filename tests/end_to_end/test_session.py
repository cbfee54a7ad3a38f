"""docs/session.md is a run: its commands, given again, say what the page says."""

import difflib
import os
import re
import sys
from datetime import datetime
from pathlib import Path

import psutil
import pytest
import requests

from tests.labels import sparrow
from tests.server.helpers import free_port, until
from tools.docs.project import ROOT, TRANSCRIPT, TRANSCRIPT_MEND, WIDTH, plain_environment
from tools.docs.terminal import Hangs
from tools.docs.transcript import Step, Unfit, parsed, rerun

TEXT = TRANSCRIPT.read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


class Witness:
    """Looks on while the page runs: how does an edit get to the desktop, which watches?"""

    def __init__(self, home: Path, server_port: int, metrics_port: int) -> None:
        self._folder = home / "session"
        self._ports = server_port, metrics_port
        self._is_watching = False
        self._before: set[int] = set()
        self.milliseconds: float | None = None

    def __call__(self, step: Step) -> None:
        """See the WebSocket before the laptop sends its edit, and the same one once the edit is in the desktop's file.

        Who listens is told of news by a message of the server, or when the connection ends; of itself it would ask
        in a day. So what came while the connection held was the server's message.
        """
        if self._is_watching and (step.terminal, step.command) == ("laptop", "walletsync sync"):
            until(lambda: self._open_websockets() == 1)
            self._before = self._connections()
            assert self._before
        if self._is_watching and step.stops:
            assert self._before <= self._connections()
            self.milliseconds = (self._arrived() - self._landed()) * 1000
        self._is_watching = not step.stops and (
            self._is_watching or (step.command or "").startswith("walletsync watch")
        )

    def _open_websockets(self) -> float:
        text = requests.get(f"http://127.0.0.1:{self._ports[1]}/metrics", timeout=30).text
        (value,) = re.findall(r"^walletsync_websockets_open (\S+)$", text, re.MULTILINE)
        return float(value)

    def _connections(self) -> set[int]:
        """Return all connections of the watching process to the server, by the ports on its own side."""
        (watch,) = (
            process
            for process in psutil.process_iter(["cwd", "cmdline"])
            if process.info["cwd"] == str(self._folder / "desktop") and "watch" in process.info["cmdline"]
        )
        return {
            each.laddr.port
            for each in watch.net_connections()
            if each.status == psutil.CONN_ESTABLISHED and each.raddr.port == self._ports[0]
        }

    def _landed(self) -> float:
        """Return when the server took the last wallet."""
        log = (self._folder / "server/server.log").read_text()
        *_, last = re.findall(r"^timestamp=(\S+) .* method=POST route=/api/3/wallet status=200 ", log, re.MULTILINE)
        return datetime.fromisoformat(last).timestamp()

    def _arrived(self) -> float:
        return (self._folder / "desktop/labels.jsonl").stat().st_mtime


def made_cheap(folder: Path) -> Path:
    """Return a folder with a `walletsync` that derives keys cheaply."""
    folder.mkdir()
    command = folder / "walletsync"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m tests.cheap_walletsync "$@"\n')
    command.chmod(0o700)
    return folder


@pytest.mark.parametrize(
    "keys", ["cheap", pytest.param("real", marks=[pytest.mark.security, pytest.mark.timeout(900)])]
)
def test_the_session_goes_as_the_page_says(keys: str, tmp_path: Path) -> None:
    """Every command, on real processes, says what stands under it; and an edit is pushed to the laptop that watches.

    `make security` runs it with the installed command, which derives a key of 256 MiB each time.
    """
    home = tmp_path / "home"
    home.mkdir()
    path = [str(BIN), os.environ["PATH"]]
    if keys == "cheap":
        path.insert(0, str(made_cheap(tmp_path / "bin")))
    port, metrics_port = free_port(), free_port()
    witness = Witness(home, port, metrics_port)
    environment = plain_environment() | {"PATH": os.pathsep.join(path), "WALLETSYNC_METRICS_PORT": str(metrics_port)}
    fresh = rerun(TEXT, home=home, environment=environment, port=port, before=witness)
    difference = difflib.unified_diff(TEXT.splitlines(), fresh.splitlines(), "docs/session.md", "this run", lineterm="")
    assert fresh == TEXT, "\n".join(["", *difference, f"docs/session.md is stale. Mend it with: {TRANSCRIPT_MEND}"])

    assert witness.milliseconds is not None
    print(f"from the server to the file of the laptop that watches: {witness.milliseconds:.0f} ms")
    before = sparrow(seed=1, lines=5000)
    assert 1_000_000 < len(before.encode()) < 1_500_000
    edited = {3: "Rent, October", 7: "Boat", 11: "Insurance", 13: "Found again", 15: "Kiosk", 4007: "Salary, May"}
    lines = before.splitlines()
    for number, label in edited.items():
        lines[number - 1] = re.sub('"label":"[^"]*"', f'"label":"{label}"', lines[number - 1])
    assert len(set(lines) - set(before.splitlines())) == len(edited)
    for device in ("laptop", "desktop"):
        assert (home / "session" / device / "labels.jsonl").read_text().splitlines() == lines


def test_the_session_has_everything_that_a_person_meets() -> None:
    """Two devices, edits offline, a conflict, a push, history, a new password, a lost device, the account's end."""
    steps = [step for block in parsed(TEXT) for step in block]
    commands = [step.command for step in steps if step.command]
    for word in (
        *("init", "register", "login", "status", "sync", "watch", "conflicts", "resolve", "history", "restore"),
        *("devices --revoke", "password", "fingerprint", "delete-account", "logout"),
    ):
        assert any(command.startswith(f"walletsync {word}") for command in commands), word
    assert len({step.terminal for step in steps}) == 3


def test_a_hanging_command_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    """Whoever writes the page sees which one, and no process stays."""
    page = "```console one\none$ echo begun; sleep 4321\n```\n"
    with pytest.raises(Unfit) as caught:
        rerun(page, home=tmp_path, environment=plain_environment(), port=1, before=lambda step: None, seconds=0.5)
    assert str(caught.value).startswith("one$ echo begun; sleep 4321\nIt hangs: 0.5 s were not enough. So far it said:")
    assert isinstance(caught.value.__cause__, Hangs)
    assert not [each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == ["sleep", "4321"]]


def test_a_page_gets_what_its_commands_say(tmp_path: Path) -> None:
    """Stale output goes, prose stays; terminals keep their state, and the home directory and times are not told."""
    page = (
        "# A\n\n```sh\nnot run\n```\n\n"
        "```console one\none$ cd ~; A=1\none$ pwd; false\nold\n? 1\none$ echo $? $A\n```\n"
        "```console two\ntwo$ sh -c 'echo here; exec sleep 4322'\n?\n```\n"
        "between\n```console one\none$ echo 2026-11-23T12:00:00Z >&2\n```\n```console two\n^C\n? 130\n```\n"
    )
    fresh = rerun(page, home=tmp_path, environment=plain_environment(), port=1, before=lambda step: None)
    assert fresh == (
        "# A\n\n```sh\nnot run\n```\n\n"
        "```console one\none$ cd ~; A=1\none$ pwd; false\n~\n? 1\none$ echo $? $A\n1 1\n```\n"
        "```console two\ntwo$ sh -c 'echo here; exec sleep 4322'\nhere\n```\n"
        "between\n```console one\none$ echo 2026-11-23T12:00:00Z >&2\n<time>\n```\n"
        "```console two\n(two, still running)\n^C\n? 130\n```\n"
    )


def test_a_page_shows_no_secret(tmp_path: Path) -> None:
    """What a notebook may not show, a session may not either."""
    page = "```console one\none$ echo token: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n```\n"
    with pytest.raises(Unfit, match="a secret"):
        rerun(page, home=tmp_path, environment=plain_environment(), port=1, before=lambda step: None)


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ("one$ cat nofile\n", "cat: nofile: No such file or directory\n\nThis ended with status 1; the page says 0"),
        ("one$ true\n? 3\n", "This ended with status 0; the page says 3"),
        ("one$ sh -c 'echo a; exec sleep 4323'\na\n^C\n? 3\n", "This ended with status 130; the page says 3"),
        ("one$ echo so; kill $$\n", "The shell ended. So far it said:\nso\n"),
    ],
)
def test_a_command_that_ends_otherwise_than_the_page_says_is_told(block: str, told: str, tmp_path: Path) -> None:
    """With the command and what it said; an error of a command is never published unawares."""
    with pytest.raises(Unfit) as caught:
        again(f"```console one\n{block}```\n", tmp_path)
    assert str(caught.value).startswith(block.partition("\n")[0])
    assert told in str(caught.value)


def test_no_line_is_longer_than_a_page(tmp_path: Path) -> None:
    """An output goes on below; a command is broken by whoever writes it, and is one command all the same."""
    long = "word " * 26 + "end"
    page = f"```console one\none$ echo {long[:70]} \\\n    {long[70:]}; false\n? 1\n```\n"
    shown = parsed(again(page, tmp_path))[0][0]
    assert shown.command == page.partition("$ ")[2].partition("\n? 1")[0]
    first, second = shown.output.splitlines()
    assert first.split() + second.split() == long.split()
    assert second.startswith("    word")
    assert again(again(page, tmp_path), tmp_path) == again(page, tmp_path)
    with pytest.raises(Unfit, match="longer than 90 characters: break it with a backslash"):
        again(f"```console one\none$ echo {long}\n```\n", tmp_path)
    blocks = [line for block in parsed(TEXT) for step in block for line in step.text.splitlines()]
    assert [line for line in blocks if len(line) > WIDTH] == []


def again(page: str, home: Path) -> str:
    return rerun(page, home=home, environment=plain_environment(), port=1, before=lambda step: None)
