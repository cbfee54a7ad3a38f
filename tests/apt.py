"""Debian's programs that tests need: apt-get installs them where they are missing and this may be done."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCK = Path(tempfile.gettempdir()) / "walletsync-tests-apt.lock"
_OTHERS_SECONDS = 120
"""How long to wait for others who install something, as a machine does by itself now and then."""


def require(program: str, package: str = "", *options: str) -> str:
    """Return where a program of a Debian package, by default that of its name, is, after installing it if it may be.

    `options` are apt-get's.
    """
    package = package or program
    with in_turn():
        if shutil.which(program) is None and os.geteuid() == 0:
            for command in installing(*options, package):
                subprocess.run(command, check=True, capture_output=True)
    found = shutil.which(program)
    assert found, f"this test runs {program}: install it, on Debian with `apt-get install {package}`"
    return found


@contextmanager
def in_turn() -> Iterator[None]:
    """Let one test process at a time look for a program and install it: apt-get does not wait for each of its locks."""
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def installing(*words: str) -> list[list[str]]:
    """Return the commands that install packages, named after options."""
    apt = ["apt-get", "-o", f"DPkg::Lock::Timeout={_OTHERS_SECONDS}"]
    return [[*apt, "update"], [*apt, "install", "--yes", *words]]
