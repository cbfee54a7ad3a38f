"""A whole Debian in a folder, booted with systemd as PID 1, where walletsync is installed and run as operators do it.

    with Box(tree, wheels) as box:
        box.copy_in(file, "/etc/walletsync/walletsync.toml")
        box.run("systemctl start walletsync")

A box has a disk of its own, which begins as the tree, and a network of its own with nothing in it but localhost. It
needs root, and a folder for temporary files on a disk that an overlay may be made on.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

SUITE = "bookworm"
WHEELS = "/srv/wheels"
"""Where a box has the distributions of this project and all that they need, also to be built; its pip looks nowhere
else."""
PATIENCE = 60.0
"""Seconds that a boot, a stop or a command may take."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENVIRONMENT = {"PATH": _PATH, "HOME": "/root", "LANG": "C.UTF-8"}
_PIP = f"[global]\nno-index = true\nfind-links = {WHEELS}\ndisable-pip-version-check = true\n"
_BOOT = """
    exec unshare --mount sh -euc '
        mount -t overlay -o "$1" overlay "$2"; shift 2; exec setpriv --pdeathsig TERM "$@"' sh "$@"
"""
"""The mount is seen by the box alone and ends with it, and the box ends with the tests, however these do."""
_REBOOT = 133  # what nspawn ends with where somebody else has to boot it again
_LEADER = re.compile(r"^X_NSPAWN_LEADER_PID=(\d+)$", re.MULTILINE)


class BoxFailed(AssertionError):
    """Something in a box did not end well; the message has what was said."""


def build_tree(tree: Path, packages: Iterable[str]) -> None:
    """Make an empty Debian with these packages in the folder `tree`, from where this machine gets its own."""
    words = ["--variant=minbase", f"--include={','.join(packages)}", SUITE, str(tree), _mirror()]
    _checked(["debootstrap", *words], timeout=None)
    (tree / "etc/pip.conf").write_text(_PIP)
    (tree / "etc/hostname").write_text("box\n")


def copy_tree(tree: Path, copy: Path) -> None:
    """Copy a tree with all that only `cp` can copy, such as devices."""
    _checked(["cp", "--archive", "--reflink=auto", str(tree), str(copy)], timeout=None)


def run_in_tree(tree: Path, wheels: Path, command: str) -> str:
    """Run a command of the shell in a tree that is not booted, and keep what it changes there."""
    words = [*_nspawn(tree, wheels), "--pipe", f"--setenv=PATH={_PATH}", "sh", "-euc", command]
    return _checked(words, timeout=None).stdout


class Box:
    """A Debian that runs, from `with` to its end. It begins as `tree`, which stays so; `wheels` are at `WHEELS`."""

    def __init__(self, tree: Path, wheels: Path) -> None:
        self._tree = tree
        self._wheels = wheels
        self._folder = tempfile.TemporaryDirectory(prefix="walletsync-box-")
        self._disk = Path(self._folder.name) / "disk"
        self._changes = Path(self._folder.name) / "changes"
        self._work = Path(self._folder.name) / "work"
        self._console = Path(self._folder.name) / "console.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def __enter__(self) -> Self:
        try:
            for folder in (self._disk, self._changes, self._work):
                folder.mkdir()
            self._boot()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def run(self, command: str, *, check: bool = True, user: str = "root") -> subprocess.CompletedProcess[str]:
        """Run a command of the shell in the box as a login of `user` would; what it wrote is text.

        Raises:
            BoxFailed: with all that it wrote, if it does not end with 0 and `check`; or if it does not end.
        """
        inside = ["nsenter", "--target", str(self._leader), "--all", "--"]
        variables = [f"{name}={value}" for name, value in _ENVIRONMENT.items()]
        shell = ["sh", "-euc", command] if user == "root" else ["runuser", "-u", user, "--", "sh", "-euc", command]
        return _checked([*inside, "env", "-i", "-C", "/root", *variables, *shell], check=check)

    def copy_in(self, source: Path, target: str) -> None:
        """Copy a file, or a folder with all in it, to the path `target` in the box, with the folders above it."""
        place = Path(f"/proc/{self._leader}/root{target}")
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, place, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, place)

    def write(self, target: str, text: str) -> None:
        """Write a file at the path `target` in the box, with the folders above it."""
        place = Path(f"/proc/{self._leader}/root{target}")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def read(self, source: str) -> str:
        """Return the text of a file in the box."""
        return Path(f"/proc/{self._leader}/root{source}").read_text()

    def reboot(self) -> None:
        """Shut the Debian down and boot it again, with the same disk; return when it is up."""
        assert self._process is not None
        self.run("systemctl reboot", check=False)  # it may end with the box before it can say so
        status = self._process.wait(PATIENCE)
        assert status == _REBOOT, f"the box ended with {status} instead of a reboot"
        self._boot()

    def stop(self) -> None:
        """Shut the Debian down and remove its disk. Twice is fine."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE)
            finally:
                process.kill()
                process.wait()
        self._folder.cleanup()

    def _boot(self) -> None:
        layers = f"lowerdir={self._tree},upperdir={self._changes},workdir={self._work}"
        words = [*_nspawn(self._disk, self._wheels), "--boot", "--notify-ready=yes", "--private-network"]
        address = Path(self._folder.name) / "notify"
        # Only until it has booted: later messages, which nobody would read, would hold it up.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear, self._console.open("ab") as console:
            ear.bind(str(address))
            ear.settimeout(1)
            self._process = subprocess.Popen(
                ["sh", "-euc", _BOOT, "sh", layers, str(self._disk), *words],  # noqa: S607 - wherever it is
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env={**os.environ, "NOTIFY_SOCKET": str(address)},
            )
            self._leader = self._wait_until_booted(self._process, ear)
        address.unlink()

    def _wait_until_booted(self, process: "subprocess.Popen[bytes]", ear: socket.socket) -> int:
        """Wait until nspawn hands on systemd's word that all has started that is to start; return systemd's number."""
        deadline, said = time.monotonic() + PATIENCE, ""
        while "\nREADY=1\n" not in said:
            with suppress(TimeoutError):
                said += f"\n{ear.recv(65536).decode()}\n"
            if process.poll() is not None or time.monotonic() > deadline:
                raise BoxFailed(f"The box did not boot. Its console has:\n{self._console.read_text()}")
        (leader,) = _LEADER.findall(said)
        return int(leader)


def _nspawn(tree: Path, wheels: Path) -> list[str]:
    words = [
        "systemd-nspawn",
        "--quiet",
        "--register=no",
        "--keep-unit",
        "--private-users=no",
        "--directory",
        str(tree),
    ]
    return [*words, "--machine=box", "--timezone=off", f"--bind-ro={wheels}:{WHEELS}"]


def _mirror() -> str:
    """Return the mirror that this machine's apt uses for Debian itself."""
    words = ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(CODENAME)|$(SITE)", "Created-By: Packages"]
    for line in _checked(words).stdout.splitlines():
        origin, codename, site = line.split("|")
        if (origin, codename) == ("Debian", SUITE):
            return site
    raise BoxFailed(f"apt knows no mirror of Debian {SUITE}: add one to its sources, and run `apt-get update`.")


def _checked(
    words: list[str], *, check: bool = True, timeout: float | None = PATIENCE
) -> subprocess.CompletedProcess[str]:
    try:
        ended = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=timeout
        )
    except subprocess.TimeoutExpired as error:
        raise BoxFailed(f"{words[-1]!r} did not end within {timeout} s: {error.stdout!r} {error.stderr!r}") from None
    if check and ended.returncode:
        raise BoxFailed(f"{words[-1]!r} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    return ended
