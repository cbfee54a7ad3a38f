"""What people install: each distribution alone, in an environment that has nothing else."""

import ast
import re
import shutil
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tools import dist
from tools.dist import ROOT, install, run
from walletsync import __version__
from walletsync_server.testing import RunningServer

PACKAGE_PAGE = (ROOT / "docs" / "package.md").read_text()


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which both distributions are built."""
    folder = tmp_path_factory.mktemp("wheels")
    dist.build(ROOT, folder, epoch="1700000000")
    return folder


def test_the_client_alone_needs_no_server(wheels: Path, tmp_path: Path) -> None:
    """In an environment with only the client's wheel, it imports and works without Flask or SQLAlchemy."""
    python = install(tmp_path / "env", wheels / f"walletsync-{__version__}-py3-none-any.whl")
    program = (
        "import importlib.util, walletsync\n"
        "client = walletsync.Client('https://wallet.example.com')\n"
        "client.set_account('alice@example.com', 'a password')\n"
        "client.set_document({'a': 1})\n"
        "print(client.get_document())\n"
        "print([n for n in ('flask', 'sqlalchemy', 'walletsync_server', 'server') if importlib.util.find_spec(n)])\n"
    )
    assert run(python, "-I", "-c", program) == "{'a': 1}\n[]\n"


def test_both_install_with_their_commands_and_the_schema(wheels: Path, tmp_path: Path) -> None:
    """Both wheels in one environment: the commands are there and start, and the server serves and ends."""
    environment = tmp_path / "env"
    dist.try_out(wheels, environment, __version__)
    assert "resolve" in run(environment / "bin/walletsync", "--help")
    labels = tmp_path / "labels.jsonl"
    account = ("--server", "https://sync.example.com", "--email", "alice@example.com")
    assert run(environment / "bin/walletsync", "init", labels, *account) == f"{labels} is set up, as bip329.\n"
    assert "--database" in run(environment / "bin/walletsync-server", "serve", "--help")
    program = "import importlib.util; print(importlib.util.find_spec('server'))"
    assert run(environment / "bin/python", "-I", "-c", program) == "None\n"


def test_distributions_hold_what_the_sources_say_and_nothing_else(wheels: Path) -> None:
    """No tests, no notebooks, no folder named `server` in site-packages; types, licence and metadata are in."""
    dist.check(ROOT, wheels, __version__)


def test_what_is_generated_is_not_needed_to_install(tmp_path: Path) -> None:
    """README.md is written by what gets installed, so the client can be built in a tree that has none."""
    tree = tmp_path / "tree"
    for name in ("walletsync", "docs"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, tree)
    (wheel,) = tmp_path.glob("walletsync-*.whl")
    with zipfile.ZipFile(wheel) as files:
        (metadata,) = [files.read(name).decode() for name in files.namelist() if name.endswith("/METADATA")]
    assert metadata.endswith(PACKAGE_PAGE)


def test_the_page_of_the_package_shows_what_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The lines that an index of packages shows make an account and a first version."""
    (code,) = re.findall(r"```python\n(.*?)```", PACKAGE_PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    with RunningServer(accounts="open") as server:
        names: dict[str, Any] = {}
        exec(code.replace("https://sync.example.com", server.url), names)  # noqa: S102 - the page's code is the test
    with names["Client"](server.url, store="laptop.wallet") as laptop:
        assert laptop.wallet_state.sequence == 1


@pytest.mark.parametrize(("project", "package"), [(".", "walletsync"), ("server", "server/walletsync_server")])
def test_what_is_imported_is_asked_for(project: str, package: str) -> None:
    """A distribution names each library that it imports: what others bring along today they may drop tomorrow."""
    project_table = tomllib.loads((ROOT / project / "pyproject.toml").read_text())["project"]
    asked = chain(project_table["dependencies"], *project_table["optional-dependencies"].values())
    names = {re.split(r"[^\w-]", each)[0].lower() for each in asked} | {project_table["name"]}
    distributions = packages_distributions()
    imported = {
        distributions.get(name, [name])[0].lower().replace("_", "-"): file
        for file in (ROOT / package).rglob("*.py")
        if file.parent.name != "contract_tests"  # for those who write a storage, and have pytest for it
        for name in _imports(file)
        if name not in sys.stdlib_module_names
    }
    assert {name: file for name, file in imported.items() if name not in names} == {}


def _imports(file: Path) -> Iterator[str]:
    """Yield the top-level names that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name.split(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def test_server_is_a_folder_and_no_package() -> None:
    """There is a distribution in it, and nothing to import."""
    assert not (ROOT / "server" / "__init__.py").exists()


def test_the_lock_file_has_hashes_and_no_addresses() -> None:
    """Every version is pinned with hashes, and nothing in it says where to get it from."""
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    requirements = re.findall(r"^\S+.*?(?=^\S|\Z)", lock, re.MULTILINE | re.DOTALL)
    assert len(requirements) > 50
    for requirement in requirements:
        assert re.match(r"[A-Za-z0-9_.-]+==\S+", requirement)
        assert "--hash=sha256:" in requirement
