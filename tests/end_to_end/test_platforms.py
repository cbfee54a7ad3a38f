"""What we install exists as wheels for every machine that we name: nobody needs a compiler or an old SQLite."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLATFORMS = (
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",  # Raspberry Pi, ARM servers, containers on Macs
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-musl",
    "aarch64-apple-darwin",
    "x86_64-apple-darwin",
)


@pytest.mark.parametrize("version", ["3.11", "3.14"])
def test_the_whole_lock_has_wheels(version: str, tmp_path: Path) -> None:
    """Every locked version of both distributions' dependencies, and of what contributors need, is to be had as a
    wheel for each of them, with the oldest and with the newest Python.

    All are asked for at once: it is the index that takes its time.
    """
    with ThreadPoolExecutor(len(PLATFORMS)) as pool:
        list(pool.map(partial(resolve, tmp_path, version), PLATFORMS))


def resolve(folder: Path, version: str, platform: str) -> None:
    uv = (sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-deps", "--only-binary", ":all:")
    where = ("--python-platform", platform, "--python-version", version)
    found = folder / f"{platform}.txt"
    command = [*uv, *where, "requirements.lock", "--output-file", str(found)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{platform}: {done.stderr}"
    assert "\nwalletsync" not in found.read_text()
    assert "\napsw==" in found.read_text()
