"""What we install exists as wheels for every machine that we name: nobody needs a compiler or an old SQLite."""

import subprocess
import sys
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

    One platform after the other, with a new cache: what the index told for the first, the others find there. An old one
    would be compared with the index each time.
    """
    uv = (sys.executable, "-m", "uv", "--cache-dir", tmp_path / "cache")
    resolve = (*uv, "pip", "compile", "--quiet", "--no-deps", "--only-binary", ":all:")
    for platform in PLATFORMS:
        where = ("--python-platform", platform, "--python-version", version)
        found = tmp_path / f"{platform}.txt"
        command = [*resolve, *where, "requirements.lock", "--output-file", found]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{platform}: {done.stderr}"
        assert "\nwalletsync" not in found.read_text()
        assert "\napsw==" in found.read_text()
