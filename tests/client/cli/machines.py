"""Machines with a wallet each, and people who type at them: what the tests of the command line have in common."""

import json
import os
import pty
import re
import shlex
import sys
import termios
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import keyring
from click.testing import CliRunner, Result
from keyring.backend import KeyringBackend

from tests.conftest import PASSWORD
from tests.server.helpers import until
from walletsync import Client
from walletsync.cli import main
from walletsync.formats.json import JSONFormat
from walletsync.formats.wallets import WalletsFormat

ROOT = Path(__file__).parents[3]
NEW_PASSWORD = "another horse, another battery"
CALL = re.compile(r"\w\(\)|\w=[`A-Z]")
"""A call or an argument of Python."""


class InMemory(KeyringBackend):
    """A keyring."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring has no types there
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError


class Machine:
    """A folder with a wallet's file, and a shell in it that knows the password."""

    def __init__(self, folder: Path, url: str, email: str) -> None:
        folder.mkdir()
        self.folder, self.url, self.email = folder, url, email
        self.file = folder / "wallet.json"
        self._password_file = folder / "password"
        self._new_password_file = folder / "new-password"
        self.types(PASSWORD)

    def types(self, password: str, new: str = NEW_PASSWORD) -> None:
        self._password_file.write_text(password + "\n")
        self._new_password_file.write_text(new + "\n")

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "WALLETSYNC_FILE": str(self.file),
            "WALLETSYNC_PASSWORD_FILE": str(self._password_file),
            "WALLETSYNC_NEW_PASSWORD_FILE": str(self._new_password_file),
        } | more

    def run(self, command: str, **environment: str | None) -> Result:
        return CliRunner().invoke(main, shlex.split(command), env={**self.environment(), **environment})

    def ok(self, command: str, **environment: str | None) -> str:
        result = self.run(command, **environment)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, command: str) -> Any:
        return json.loads(self.ok(f"{command} --json"))

    def fails(self, command: str, code: int, **environment: str | None) -> str:
        """Return what a command says that ends with `code`; nothing is on stdout, and it speaks of commands."""
        result = self.run(command, **environment)
        assert (result.exit_code, result.stdout) == (code, ""), result.output
        assert isinstance(result.exception, SystemExit)
        assert not CALL.search(result.stderr)
        return result.stderr

    def init(self, more: str = "") -> None:
        name = self.folder.name
        self.ok(f"init {self.file} --server {self.url} --email {self.email} --device {name} {more}")

    def client(self) -> Client:
        """Return the client that a command of this process would use."""
        store = Path(f"{self.file}.walletsync") / "store"
        return Client(self.url, store=store, format=WalletsFormat(JSONFormat()))

    def write(self, document: Any) -> None:
        self.file.write_text(json.dumps(document))

    def read(self) -> Any:
        return json.loads(self.file.read_bytes())


Make = Callable[..., Machine]


class Terminal:
    """A process whose terminal a test sits at."""

    def __init__(self, words: list[str], environment: Mapping[str, str]) -> None:
        self.said = ""
        pid, self._terminal = pty.fork()
        if pid == 0:
            os.chdir(ROOT)
            command = [sys.executable, "-m", "tests.cheap_walletsync", *words]
            os.execve(command[0], command, dict(environment))  # noqa: S606 - without a shell is what is wanted
        self.pid = pid

    def wait_for(self, words: str) -> None:
        while words not in self.said:
            self.said += os.read(self._terminal, 4096).decode()

    def wait_for_question(self, words: str) -> None:
        """Wait for a prompt, and until what is typed is neither shown nor, as just before that, thrown away."""
        self.wait_for(words)
        until(lambda: not termios.tcgetattr(self._terminal)[3] & termios.ECHO)

    def types(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def end(self) -> int:
        """Return the exit status; `said` is all that was on the terminal."""
        while True:
            try:
                data = os.read(self._terminal, 4096)
            except OSError:  # so Linux tells the end of a terminal
                break
            if not data:
                break
            self.said += data.decode()
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def bare(laptop: Machine, **more: str) -> dict[str, str]:
    """The environment of a process that has to ask for the password."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WALLETSYNC_", "COV_"))}
    return kept | {"WALLETSYNC_FILE": str(laptop.file), "TERM": "xterm-256color"} | more


def commands() -> dict[str, click.Command]:
    """Return every command by what is typed for it, those of a group each."""
    return {
        " ".join([name, *rest]): command
        for name, top in main.commands.items()
        for rest, command in (
            ([([each], one) for each, one in top.commands.items()]) if isinstance(top, click.Group) else [([], top)]
        )
    }
