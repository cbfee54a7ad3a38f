"""The container image of deploy/Dockerfile: built from an empty Debian, and run as the compose file does."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from packaging.markers import Marker

from tests.apt import require
from tests.box.box import WHEELS, build_tree
from tests.box.podman import Podman
from tests.server.helpers import until
from tests.server.proxies import DEPLOY

ROOT = DEPLOY.parent
BASE, IMAGE = "docker.io/library/debian:bookworm-slim", "walletsync-server"
SERVICES: dict[str, Any] = msgspec.yaml.decode((DEPLOY / "one-server" / "compose.yml").read_bytes())["services"]
DATA = "/var/lib/walletsync"
EMAIL = "alice@example.com"
DEBIAN_PYTHON = {"python_version": "3.11", "python_full_version": "3.11.2"}
_PIP = f"[global]\nno-index = true\nfind-links = {WHEELS}\ndisable-pip-version-check = true\n"

pytestmark = pytest.mark.security


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """podman, with the image of this tree."""
    folder = tmp_path_factory.mktemp("image")
    podman = Podman(folder / "storage")
    try:
        require("debootstrap")
        build_tree(folder / "tree", ["base-files"])  # which each Debian has
        podman.import_tree(folder / "tree", BASE)
        build(podman, folder)
        yield podman
    finally:
        podman.close()


def build(podman: Podman, folder: Path) -> None:
    """Build the image from what requirements.lock pins, which is fetched here, so that the build needs no index."""
    wheels, settings = folder / "wheels", folder / "pip.conf"
    fetch(wheels)
    settings.write_text(_PIP)
    volumes = f"--volume={wheels}:{WHEELS}:ro", f"--volume={settings}:/etc/pip.conf:ro"
    options = "--pull=never", "--isolation=chroot", "--network=host", "--format=docker", *volumes
    podman("build", *options, f"--file={DEPLOY / 'Dockerfile'}", f"--tag={IMAGE}", str(ROOT))


def fetch(folder: Path, *options: str) -> None:
    """Fetch what the image's lock pins, for this machine or another, byte for byte."""
    words = ["--quiet", "download", "--no-deps", "--only-binary=:all:", "--require-hashes", "--python-version=3.11"]
    lock = folder.with_name(f"{folder.name}.lock")
    pins = (DEPLOY / "image.lock").read_text()
    lock.write_text(re.sub(r"^(\S+==\S+) ; (.*?)( \\\n(?: +--hash.*\n)+)", for_debian, pins, flags=re.MULTILINE))
    words += [*options, f"--dest={folder}", f"--requirement={lock}"]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)


def for_debian(pin: re.Match[str]) -> str:
    """Keep what Debian's Python needs, without its marker: pip would hold that against the Python of these tests."""
    return f"{pin[1]}{pin[3]}" if Marker(pin[2]).evaluate(DEBIAN_PYTHON) else ""


def options(service: str, of: str) -> list[str]:
    """Return how podman is told what the compose file says of a service, with volumes whose names begin with `of`."""
    said = SERVICES[service]
    words = [f"--tmpfs={place}" for place in said["tmpfs"]]
    words += [f"--cap-drop={name}" for name in said["cap_drop"]]
    words += [f"--security-opt={each}" for each in said["security_opt"]]
    words += [f"--volume={of}-{volume}" for volume in said["volumes"]]
    for name, value in said.get("environment", {}).items():
        words.append(f"--env={name}={value.replace('${SYNC_NAME}', 'sync.example.com')}")
    return [*words, "--read-only", "--env=WALLETSYNC_CONNECTIONS=2000"]  # for which the files of a test are enough


@contextmanager
def serving(podman: Podman, of: str) -> Iterator[str]:
    """Run the server of the compose file until the end of the block, which begins when it is healthy."""
    with podman.running(IMAGE, *options("server", of)) as name:
        until(lambda: podman.is_healthy(name))
        yield name


def test_everything_is_there_for_arm(tmp_path: Path) -> None:
    """Each pinned package has a wheel for the image's Debian on ARM, where nothing has to be compiled either."""
    fetch(tmp_path, *(f"--platform=manylinux_2_{version}_aarch64" for version in (17, 24, 28, 34)))
    wheels = {file.name for file in tmp_path.iterdir()}
    assert [name for name in wheels if name.endswith("aarch64.whl")]
    assert not [name for name in wheels if "x86" in name]


def test_image_serves_without_rights(podman: Podman) -> None:
    """It is healthy, as nobody in particular, with a root that it cannot write to, and ends in order."""
    with serving(podman, "one") as name:
        assert podman("exec", name, "id", "--user").strip() == "10001"
        assert "Read-only" in podman("exec", name, "sh", "-c", "touch /new 2>&1 || true")
        assert "https://sync.example.com" in podman("exec", name, "walletsync-server", "config")
        podman("stop", name)
        assert podman("inspect", name, "--format={{.State.ExitCode}}").strip() == "0"


def test_a_server_without_its_database_is_unhealthy(podman: Podman) -> None:
    """The health check asks whether something can be stored, and says no where the file is away."""
    with serving(podman, "away") as name:
        podman("exec", name, "mv", f"{DATA}/walletsync.db", f"{DATA}/moved.db")
        until(lambda: not podman.is_healthy(name))


def test_data_outlives_the_container(podman: Podman) -> None:
    """The next one has the same accounts; the service `backup` makes a backup that is whole, and restores it."""
    with serving(podman, "two") as name:
        podman("exec", name, "walletsync-server", "accounts", "add", EMAIL)
    with serving(podman, "two") as name:
        assert EMAIL in podman("exec", name, "walletsync-server", "accounts", "list")
        (script,) = SERVICES["backup"]["command"]
        shell, flags = SERVICES["backup"]["entrypoint"]
        once = flags, script.replace("$$", "$").replace("sleep 1d", "exit")
        said = podman.run(IMAGE, *options("backup", "two"), f"--entrypoint={shell}", command=once)
        podman("exec", name, "walletsync-server", "accounts", "remove", EMAIL, "--yes")
    (file,) = set(re.findall(r"/var/lib/walletsync-backups/walletsync-20\S+\.db", said))
    podman.run(IMAGE, *options("backup", "two"), "--entrypoint=walletsync-server", command=("restore", file))
    with serving(podman, "two") as name:
        assert EMAIL in podman("exec", name, "walletsync-server", "accounts", "list")
