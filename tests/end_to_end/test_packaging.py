"""What people install: each distribution alone, in an environment that has nothing else."""

import re
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str | Path) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, cwd=ROOT.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build both wheels with the pinned build backend."""
    folder = tmp_path_factory.mktemp("wheels")
    for source in (ROOT, ROOT / "server"):
        run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", folder, source)
    return {path.name.split("-")[0]: path for path in folder.iterdir()}


def install(environment: Path, *wheels: Path | str) -> Path:
    """Install wheels with what they need, in the locked versions, into a new environment; return its Python."""
    run(sys.executable, "-m", "venv", environment)
    python = environment / "bin" / "python"
    pins = re.findall(r"^([A-Za-z0-9_.-]+==\S+)( ; [^\\\n]+)?", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    constraints = environment / "constraints.txt"
    constraints.write_text("\n".join("".join(pin) for pin in pins))
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--only-binary", ":all:")
    run(*pip, "--constraint", constraints, *wheels)
    return python


def test_the_client_alone_needs_no_server(wheels: dict[str, Path], tmp_path: Path) -> None:
    """In an environment with only the client's wheel, it imports and works without Flask or SQLAlchemy."""
    python = install(tmp_path / "env", wheels["walletsync"])
    program = (
        "import importlib.util, walletsync\n"
        "client = walletsync.Client('https://wallet.example.com')\n"
        "client.set_account('alice@example.com', 'a password')\n"
        "client.set_document({'a': 1})\n"
        "print(client.get_document())\n"
        "print([n for n in ('flask', 'sqlalchemy', 'walletsync_server', 'server') if importlib.util.find_spec(n)])\n"
    )
    assert run(python, "-I", "-c", program) == "{'a': 1}\n[]\n"


def test_both_install_with_their_commands_and_the_schema(wheels: dict[str, Path], tmp_path: Path) -> None:
    """Both wheels in one environment: the commands are there and start, and the server has its migrations."""
    python = install(tmp_path / "env", f"{wheels['walletsync']}[cli]", wheels["walletsync_server"])
    assert "resolve" in run(python.parent / "walletsync", "--help")
    labels = tmp_path / "labels.jsonl"
    account = ("--server", "https://sync.example.com", "--email", "alice@example.com")
    assert run(python.parent / "walletsync", "init", labels, *account) == f"{labels} is set up, as bip329.\n"
    help_text = run(python.parent / "walletsync-server", "serve", "--help")
    assert "--database" in help_text
    program = (
        "from walletsync_server.testing import RunningServer\n"
        "with RunningServer(accounts='open') as server: print(server.url.startswith('http://127.0.0.1:'))\n"
        "import importlib.util; print(importlib.util.find_spec('server'))\n"
    )
    assert run(python, "-I", "-c", program) == "True\nNone\n"


def test_server_requires_the_client_of_its_own_version(wheels: dict[str, Path]) -> None:
    """Both are released together, and the server takes the wire contract from the client of exactly its version."""
    told = {}
    for name, wheel in wheels.items():
        (file,) = [each for each in zipfile.ZipFile(wheel).namelist() if each.endswith(".dist-info/METADATA")]
        told[name] = message_from_bytes(zipfile.ZipFile(wheel).read(file))
    version = told["walletsync"]["Version"]
    assert told["walletsync_server"]["Version"] == version
    assert f"walletsync=={version}" in told["walletsync_server"].get_all("Requires-Dist", [])


def test_a_wheel_holds_its_package_and_nothing_else(wheels: dict[str, Path]) -> None:
    """No tests, no notebooks, no folder named `server` in site-packages; types and licence are in."""
    for name, wheel in wheels.items():
        names = zipfile.ZipFile(wheel).namelist()
        assert {entry.split("/")[0].split("-")[0] for entry in names} == {name}
        assert f"{name}/py.typed" in names
        assert any(entry.endswith("/LICENSE") for entry in names)


def test_server_is_a_folder_and_no_package() -> None:
    """There is a distribution in it, and nothing to import."""
    assert not (ROOT / "server" / "__init__.py").exists()


def test_both_distributions_have_the_same_version(wheels: dict[str, Path]) -> None:
    """They are released together."""
    assert len({wheel.name.split("-")[1] for wheel in wheels.values()}) == 1


def test_the_lock_file_has_hashes_and_no_addresses() -> None:
    """Every version is pinned with hashes, and nothing in it says where to get it from."""
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    requirements = re.findall(r"^\S+.*?(?=^\S|\Z)", lock, re.MULTILINE | re.DOTALL)
    assert len(requirements) > 50
    for requirement in requirements:
        assert re.match(r"[A-Za-z0-9_.-]+==\S+", requirement)
        assert "--hash=sha256:" in requirement
