"""The doors between rooms hold: an import the wrong way fails `make lint`, whichever way it is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLIENT, SERVER = "walletsync", "server/walletsync_server"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Copies of both packages, to plant imports in, with the contracts."""
    for package in (CLIENT, SERVER):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


def lint(tree: Path) -> tuple[bool, str]:
    """Return whether all contracts are kept, and what was said, in one line."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": f"{tree}:{tree / 'server'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0, " ".join((done.stdout + done.stderr).split())


def plant(tree: Path, file: str, line: str) -> None:
    """Write an import where a careless hand would: inside a function, so that no cycle betrays it."""
    path = tree / file
    path.write_text(f"{path.read_text()}\n\ndef _planted() -> None:\n    {line}  # noqa\n")


def test_every_import_goes_through_a_door(tree: Path) -> None:
    """As they are, both packages keep the contracts."""
    kept, said = lint(tree)
    assert kept, said
    assert " 0 broken" in said


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        (
            f"{SERVER}/observe/metrics.py",
            "from walletsync_server.api import dispatch",
            "observe.metrics -> walletsync_server.api",
        ),
        (
            f"{SERVER}/services/accounts.py",
            "from walletsync_server.mail import mailer",
            "services.accounts -> walletsync_server.mail",
        ),
        (f"{SERVER}/services/wallets.py", "import flask", "services.wallets -> flask"),
        (
            f"{SERVER}/services/wallets.py",
            "from walletsync_server.storage.sqlite import opening",
            "services.wallets -> walletsync_server.storage.sqlite",
        ),
        (
            f"{SERVER}/api/wallets.py",
            "from walletsync_server.storage import interface",
            "api.wallets -> walletsync_server.storage",
        ),
        (f"{SERVER}/api/wallets.py", "from walletsync import crypto", "api.wallets -> walletsync.crypto"),
        (f"{SERVER}/storage/sql/schema.py", "import apsw", "storage.sql.schema -> apsw"),
        (
            f"{SERVER}/live/hub.py",
            "from walletsync_server.services import errors",
            "live.hub -> walletsync_server.services",
        ),
        (f"{CLIENT}/session.py", "import walletsync_server", "session -> walletsync_server"),
        (f"{CLIENT}/api.py", "from walletsync import store", "api -> walletsync.store"),
        (f"{CLIENT}/merge.py", "import sqlite3", "merge -> sqlite3"),
        (f"{CLIENT}/crypto.py", "from walletsync import client", "crypto -> walletsync.client"),
    ],
)
def test_an_import_the_wrong_way_is_found(tree: Path, file: str, line: str, broken: str) -> None:
    """It is named, with the line."""
    plant(tree, file, line)
    kept, said = lint(tree)
    assert not kept
    assert broken in said


@pytest.mark.parametrize("package", [CLIENT, SERVER])
def test_a_new_module_needs_a_row(tree: Path, package: str) -> None:
    """Where it belongs is a decision, which somebody writes into the contracts."""
    (tree / package / "novelty.py").write_text('"""Something new."""\n')
    kept, said = lint(tree)
    assert not kept
    assert "novelty" in said
