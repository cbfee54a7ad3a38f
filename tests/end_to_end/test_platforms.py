"""What we install exists as wheels for every machine that we name: nobody needs a compiler or an old SQLite."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tools.install import without_musl

ROOT = Path(__file__).parents[2]
LINUX = (
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",  # Raspberry Pi, ARM servers, containers on Macs
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-musl",
)
MACOS = ("aarch64-apple-darwin", "x86_64-apple-darwin")


@pytest.mark.parametrize("version", ["3.11", "3.14"])
@pytest.mark.parametrize("platforms", [LINUX, MACOS], ids=["linux", "macos"])
def test_the_whole_lock_has_wheels(platforms: Sequence[str], version: str, tmp_path: Path) -> None:
    """Every locked version of both distributions' dependencies, and of what contributors need, is to be had as a
    wheel for each of them, with the oldest and with the newest Python.

    What the index tells for the first platform, which takes seconds, it need not tell again: it names all files.
    """
    uv = (sys.executable, "-m", "uv", "--cache-dir", str(tmp_path / "cache"), "pip", "compile", "--quiet")
    for number, platform in enumerate(platforms):
        lock = tmp_path / f"{platform}.lock"
        text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
        lock.write_text(without_musl(text) if platform.endswith("musl") else text, encoding="utf-8")
        what = (str(lock), "--no-deps", "--only-binary", ":all:", *(["--offline"] if number else []))
        found = tmp_path / f"{platform}.txt"
        where = ("--python-platform", platform, "--python-version", version, "--output-file", str(found))
        done = subprocess.run([*uv, *what, *where], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{platform}: {done.stderr}"
        assert "\nwalletsync" not in found.read_text()
        assert "\napsw==" in found.read_text()
