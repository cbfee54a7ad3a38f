"""What keeps a program running in the background for one person: systemd's user manager, or macOS's launchd."""

import getpass
import os
import plistlib
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import override

from walletsync.cli.errors import FAILED, INTEGRITY, REFUSED, Failure
from walletsync.walletfile import write_file

PAUSE_SECONDS = 30
"""How long after its end the program is started again."""
_HOPELESS = REFUSED, INTEGRITY
"""How a program ends that would end in the same way again, and whose guesses at a password would be counted. Not so
where a password is missing: the keyring may be opened, or a disk be mounted, in a while."""


@dataclass(frozen=True)
class Program:
    """What is to run: a name for it, words for people, its command, and the variables that it needs."""

    name: str
    title: str
    command: Sequence[str]
    variables: Mapping[str, str]


class Manager(ABC):
    """Installs programs; each has a file that describes it to the manager."""

    log: str
    """How a person reads what a program has said; `{name}` is the program's."""

    @abstractmethod
    def file(self, name: str) -> Path:
        """Return where the description of a program is, or would be."""

    @abstractmethod
    def described(self, program: Program) -> bytes:
        """Return the description of a program."""

    def install(self, program: Program) -> None:
        """Have it run from now on, and after each start of this machine; anew if it runs already.

        Raises:
            Failure: its folder cannot be made, or the manager cannot be reached; then all is as it was.
            WalletFileError: the file cannot be written.
        """
        file = self.file(program.name)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            before = file.read_bytes() if file.exists() else None
        except OSError as error:
            raise Failure(f"{file} cannot be written: {error.strerror}.", code=FAILED) from None
        write_file(file, self.described(program))
        try:
            self._begin(program.name)
        except Failure:
            if before is None:
                with suppress(Failure):
                    self._end(program.name)
                file.unlink()
            else:
                write_file(file, before)
            raise

    def uninstall(self, name: str) -> bool:
        """Let it run no more; return whether there was one.

        Raises:
            Failure: the manager cannot be reached.
        """
        file = self.file(name)
        if not file.exists():
            return False
        self._end(name)
        file.unlink(missing_ok=True)
        self._forget()
        return True

    @abstractmethod
    def state(self, name: str) -> str:
        """Return what the manager says about a program that is installed, in its own words.

        Raises:
            Failure: the manager cannot be reached.
        """

    @abstractmethod
    def lacks(self) -> str:
        """Return what keeps programs from running before the person logs in, and what to do; nothing if they do."""

    @abstractmethod
    def _begin(self, name: str) -> None:
        """Read the description, and start."""

    @abstractmethod
    def _end(self, name: str) -> None:
        """Stop."""

    @abstractmethod
    def _forget(self) -> None:
        """Notice that the description is gone."""


class Systemd(Manager):
    """The manager of a person's own units; https://www.freedesktop.org/software/systemd/man/systemd.service.html."""

    log = "journalctl --user --unit {name}"

    @override
    def file(self, name: str) -> Path:
        config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return Path(config) / "systemd/user" / f"{name}.service"

    @override
    def described(self, program: Program) -> bytes:
        variables = [f"Environment={_quoted(f'{name}={value}')}" for name, value in program.variables.items()]
        # In the arguments a dollar begins a variable.
        first, *arguments = map(_quoted, program.command)
        command = " ".join([first, *(word.replace("$", "$$") for word in arguments)])
        lines = [
            "[Unit]",
            f"Description={_escaped(_plain(program.title))}",
            "StartLimitIntervalSec=0",
            "",
            "[Service]",
            f"ExecStart={command}",
            *variables,
            "UMask=0077",
            "Restart=on-failure",
            f"RestartSec={PAUSE_SECONDS}",
            f"RestartPreventExitStatus={' '.join(map(str, _HOPELESS))}",
            "",
            "[Install]",
            "WantedBy=default.target",
        ]
        return "\n".join([*lines, ""]).encode()

    @override
    def state(self, name: str) -> str:
        shown = _run("systemctl", "--user", "show", "--property", "ActiveState,SubState", "--value", name)
        return ", ".join(shown.split())

    @override
    def lacks(self) -> str:
        person = getpass.getuser()
        if "yes" in _run("loginctl", "show-user", "--property", "Linger", "--value", person, may_fail=True):
            return ""
        return (
            "It runs while you are logged in. To have it run from the start of this machine on, once as root: "
            f"loginctl enable-linger {person}"
        )

    @override
    def _begin(self, name: str) -> None:
        self._forget()
        _run("systemctl", "--user", "enable", "--quiet", name)
        _run("systemctl", "--user", "restart", name)

    @override
    def _end(self, name: str) -> None:
        _run("systemctl", "--user", "disable", "--quiet", "--now", name)

    @override
    def _forget(self) -> None:
        _run("systemctl", "--user", "daemon-reload")


_UNLESS_HOPELESS = f'"$@"; case $? in 0|{"|".join(map(str, _HOPELESS))}) exit 0;; *) exit 1;; esac'


class Launchd(Manager):
    """The agents of a person on macOS, as `launchd.plist(5)` and `launchctl(1)` have them."""

    log = "tail ~/Library/Logs/{name}.log"

    @override
    def file(self, name: str) -> Path:
        return Path.home() / "Library/LaunchAgents" / f"{name}.plist"

    @override
    def described(self, program: Program) -> bytes:
        log = str(Path.home() / "Library/Logs" / f"{program.name}.log")
        return plistlib.dumps(
            {
                "Label": program.name,
                # It knows only two ways of ending, so the hopeless ones are made the good one.
                "ProgramArguments": ["/bin/sh", "-c", _UNLESS_HOPELESS, program.name, *program.command],
                "EnvironmentVariables": dict(program.variables),
                "RunAtLoad": True,
                "KeepAlive": {"SuccessfulExit": False},
                "ThrottleInterval": PAUSE_SECONDS,
                "Umask": 0o077,
                "StandardOutPath": log,
                "StandardErrorPath": log,
            }
        )

    @override
    def state(self, name: str) -> str:
        said = _run("launchctl", "print", f"{self._domain}/{name}", may_fail=True)
        states = [line.partition("=")[2].strip() for line in said.splitlines() if line.strip().startswith("state =")]
        return states[0] if states else "not loaded"

    @override
    def lacks(self) -> str:
        return "It runs while you are logged in."

    @override
    def _begin(self, name: str) -> None:
        self._end(name)
        _run("launchctl", "bootstrap", self._domain, str(self.file(name)))

    @override
    def _end(self, name: str) -> None:
        _run("launchctl", "bootout", f"{self._domain}/{name}", may_fail=True)  # it may not be loaded

    @override
    def _forget(self) -> None:
        return

    @property
    def _domain(self) -> str:
        return f"gui/{os.getuid()}"


def manager() -> Manager:
    """Return the one of this system."""
    return Launchd() if sys.platform == "darwin" else Systemd()


def _run(*words: str, may_fail: bool = False) -> str:
    """Return what a program of the system says."""
    hint = "walletsync watch, in a terminal of its own"
    try:
        ran = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Failure(f"This system has no {words[0]}.", code=FAILED, hint=hint) from None
    if ran.returncode and not may_fail:
        said = ran.stderr.strip().rstrip(".") or f"it ended with {ran.returncode}"
        raise Failure(f"{words[0]} could not do it: {said}.", code=FAILED, hint=hint)
    return ran.stdout


def _escaped(text: str) -> str:
    """Return a text as a unit has it, where a percent sign begins a specifier."""
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """Return one word of a unit, whatever is in it."""
    plain = word.replace("\\", r"\\").replace('"', r"\"")
    return f'"{_escaped("".join(map(_shown, plain)))}"'


def _plain(text: str) -> str:
    """Return a text that is only to be read, on one line."""
    return "".join(each if each.isprintable() and each != "\\" else "?" for each in text)


def _shown(character: str) -> str:
    """Return a character as a unit can have it; the bytes of one that is no text, or that steers, as numbers."""
    return character if character.isprintable() else "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))
