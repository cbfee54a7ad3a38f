"""Boxes: an empty Debian, and one where walletsync is installed."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.apt import require
from tests.box.box import WHEELS, Box, build_tree, copy_tree, run_in_tree
from tests.server.proxies import DEPLOY
from tools.dist import ROOT, build

PACKAGES = (
    "systemd",
    "systemd-sysv",
    "libpam-systemd",
    "dbus",
    "ca-certificates",
    "curl",
    "openssl",
    "nginx-light",
    "python3-venv",
)
"""What an operator installs, and what the smallest Debian lacks of an ordinary one."""
INSTALL = (
    f"python3 -m venv /opt/walletsync && /opt/walletsync/bin/pip --quiet install {WHEELS}/walletsync*.whl && "
    "ln -st /usr/local/bin /opt/walletsync/bin/walletsync-server && "
    "useradd --system --home-dir /var/lib/walletsync --shell /usr/sbin/nologin walletsync"
)
EPOCH = "1700000000"
DEBIAN_PYTHON = "3.11"


def pytest_itemcollected(item: pytest.Item) -> None:
    """Leave each test time to build the Debian or the image that all wait for, on a machine that is busy."""
    item.add_marker(pytest.mark.timeout(1200))


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all processes of this run of the tests have in common."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def wheels(shared: Path) -> Path:
    """A folder with the distributions of this tree, and all that they need to be built and to run."""
    return _once(shared / "wheels", _collect)


@pytest.fixture(scope="session")
def debian(shared: Path) -> Path:
    """The tree of a Debian where nothing of walletsync is."""
    require("debootstrap")
    require("systemd-nspawn", package="systemd-container")
    assert os.geteuid() == 0, "A box needs root: run these tests as root, in a container or a machine of their own."
    return _once(shared / "debian", lambda tree: build_tree(tree, PACKAGES))


@pytest.fixture(scope="session")
def installed(shared: Path, debian: Path, wheels: Path) -> Path:
    """The tree of a Debian where walletsync is installed, with the units of the examples and their user."""

    def install(tree: Path) -> None:
        copy_tree(debian, tree)
        run_in_tree(tree, wheels, INSTALL)
        for unit in DEPLOY.glob("walletsync*.*"):
            if unit.suffix in (".service", ".socket", ".timer"):
                shutil.copy(unit, tree / "etc/systemd/system")

    return _once(shared / "installed", install)


@pytest.fixture
def empty_box(debian: Path, wheels: Path) -> Iterator[Box]:
    """A Debian that runs, with nothing of walletsync but its wheels."""
    with Box(debian, wheels) as box:
        yield box


@pytest.fixture
def box(installed: Path, wheels: Path) -> Iterator[Box]:
    """A Debian that runs, where walletsync is installed and not started, without any configuration."""
    with Box(installed, wheels) as box:
        yield box


def _once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Have `make` fill the folder, unless another process has; it appears under its name when it is complete."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            begun = folder.with_suffix(".begun")
            make(begun)
            begun.rename(folder)
    return folder


def _collect(folder: Path) -> None:
    build(ROOT, folder / "dist", epoch=EPOCH)
    for wheel in (folder / "dist").glob("*.whl"):
        shutil.move(wheel, folder)
    shutil.rmtree(folder / "dist")
    pinned = folder / "constraints.txt"
    lines = re.findall(r"^([\w.-]+==[^\\\n]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    pinned.write_text("\n".join(lines))  # without the hashes, since pip wants all or none, and ours have none
    ours = [str(wheel) for wheel in folder.glob("*.whl")]
    ours += [f"{wheel}[cli]" for wheel in ours if "/walletsync-" in wheel]
    words = ["--only-binary=:all:", f"--python-version={DEBIAN_PYTHON}", f"--constraint={pinned}", f"--dest={folder}"]
    subprocess.run([sys.executable, "-m", "pip", "--quiet", "download", *words, *ours, "hatchling"], check=True)
