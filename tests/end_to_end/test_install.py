"""The installation takes what the lock says, on any day: with an index of our own that has something newer of all."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import pythons

ROOT = Path(__file__).parents[2]
PIPS = dict(
    re.findall(r"^(pip==.*) (--hash=\S+)$", (Path(__file__).parent / "data/pips.txt").read_text(), re.MULTILINE)
)
REQUIRED = [Requirement(text) for text in PIPS]
VERSIONS = [str(each.specifier).strip("=") for each in REQUIRED if each.marker is None or each.marker.evaluate()]
# What each distribution asks for. `plug` is the fault's kind: it wants `covers` with an extra, which no lock names.
REQUIRES = {"plug": 'Requires-Dist: covers[toml]>=0.5\nProvides-Extra: more\nRequires-Dist: shoes; extra == "more"\n'}
REQUIRES["covers"] = 'Provides-Extra: toml\nRequires-Dist: shoes; extra == "toml"\n'


def build_wheel(folder: Path, name: str, version: str, requires: str = "") -> Path:
    """Write a wheel that holds nothing but a module with its version."""
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}.py", f"version = {version!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: ours\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return wheel


@dataclass
class Index:
    """A folder of wheels that pip takes for all there is, and a lock of the older half of them."""

    wheels: Path
    lock: Path

    def write_lock(self, *names: str) -> None:
        """Pin the first version of each name, with its hash."""
        self.lock.write_text("".join(f"{name}==1.0 \\\n    --hash=sha256:{self._hash(name)}\n" for name in names))

    def _hash(self, name: str) -> str:
        return hashlib.sha256((self.wheels / f"{name}-1.0-py3-none-any.whl").read_bytes()).hexdigest()

    @property
    def environment(self) -> dict[str, str]:
        # Neither the caller's settings of pip count, nor those of the make that runs these tests.
        other = re.compile("PIP_|MAKE|MFLAGS|(VENV|LOCK|PYTHON)$")
        kept = {name: value for name, value in os.environ.items() if not other.match(name)}
        return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}


@pytest.fixture
def index(tmp_path: Path) -> Index:
    """Version 1.0 of everything, as on the day of the lock, and the newer one of another day."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name in ("plug", "covers", "shoes"):
        for version in ("1.0", "1.1"):
            build_wheel(wheels, name, version, REQUIRES.get(name, ""))
    made = Index(wheels, tmp_path / "requirements.lock")
    made.write_lock("plug", "covers", "shoes")
    return made


@pytest.fixture(scope="module")
def pips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pips that people of this Python have, by version, as they lie where packages lie."""
    folder = tmp_path_factory.mktemp("pips")
    for required, digest in PIPS.items():
        (folder / "one.txt").write_text(f"{required} {digest}")
        download = ("download", "--no-deps", "--require-hashes", "-d", str(folder), "-r", str(folder / "one.txt"))
        subprocess.run([sys.executable, "-m", "pip", "--quiet", *download], check=True)
    unpacked = {}
    for wheel in folder.glob("*.whl"):
        packages = unpacked[wheel.name.split("-")[1]] = wheel.with_suffix("")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(packages)
        # Compiled once, here, and not in each environment.
        subprocess.run([sys.executable, packages / "pip", "--isolated", "--quiet", "check"], check=False)
    return unpacked


@pytest.fixture(params=VERSIONS)
def python(request: pytest.FixtureRequest, pips: dict[str, Path], tmp_path: Path) -> Path:
    """The Python of a new environment with one of them."""
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    shutil.copytree(pips[request.param], packages, dirs_exist_ok=True)
    return environment / "bin" / "python"


def install(python: Path, index: Index, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run what make runs."""
    return subprocess.run(
        [python, ROOT / "tools/install.py", index.lock, index.lock.with_name("install.log")],
        env={**index.environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def versions(python: Path) -> dict[str, str]:
    """Return what is installed beside pip."""
    program = (
        "from importlib.metadata import distributions\n"
        "for each in distributions(): print(each.metadata['Name'], each.version)"
    )
    shown = subprocess.run([python, "-I", "-c", program], capture_output=True, text=True, check=True).stdout
    return {name: version for name, version in map(str.split, shown.splitlines()) if name not in ("pip", "setuptools")}


@pytest.mark.parametrize("version", pythons.VERSIONS)
def test_each_python_has_an_old_pip_and_a_new_one(version: str) -> None:
    """Each that we run on: an older pip does not run under a newer Python."""
    assert sum(each.marker is None or each.marker.evaluate({"python_version": version}) for each in REQUIRED) == 2


def test_nothing_newer_than_the_lock_is_taken(python: Path, index: Index) -> None:
    """Not for what is wanted with an extra either, whichever pip a person has."""
    done = install(python, index)
    assert done.returncode == 0, done.stderr
    assert versions(python) == {"plug": "1.0", "covers": "1.0", "shoes": "1.0"}
    assert "of 3 packages" in done.stderr or "3 packages are installed." in done.stderr


def test_a_lock_that_lacks_something_is_told_and_not_filled(python: Path, index: Index) -> None:
    """What nothing pins is not fetched; the installation fails, and says what is missing."""
    index.write_lock("plug", "shoes")
    done = install(python, index)
    assert done.returncode == 1
    assert "plug 1.0 requires covers, which is not installed." in done.stderr
    assert "The next `make` begins anew." in done.stderr
    assert set(versions(python)) == {"plug", "shoes"}


def test_what_is_not_as_it_was_locked_is_refused(python: Path, index: Index) -> None:
    """Another file under the same name and version is not taken."""
    build_wheel(index.wheels, "covers", "1.0", "Summary: changed\n")
    done = install(python, index)
    assert done.returncode == 1
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr
    assert not versions(python)


def test_an_index_that_nobody_reaches_is_told(python: Path, index: Index) -> None:
    """Not only that there is no such package, which is what pip makes of it."""
    nowhere = {
        "PIP_NO_INDEX": "0",
        "PIP_FIND_LINKS": "",
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "1",
    }
    done = install(python, index, **nowhere)
    assert done.returncode == 1
    assert "The package index could not be reached: check the network" in done.stderr
    assert not versions(python)


def test_the_locked_environment_lacks_nothing_even_of_extras() -> None:
    """What each installed package requires is there, in a version that suits it; pip's own check leaves extras out."""
    found = {canonicalize_name(each.metadata["Name"]): each for each in distributions()}
    wanted = [(name, "") for name in found]
    seen = set(wanted)
    for name, extra in wanted:  # grows as extras are met
        for requirement in map(Requirement, found[name].requires or ()):
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            key = canonicalize_name(requirement.name)
            assert key in found, f"{name} requires {requirement}"
            assert requirement.specifier.contains(found[key].version, prereleases=True), (
                f"{name} requires {requirement}"
            )
            wanted += [new for each in requirement.extras if (new := (key, each)) not in seen]
            seen.update(wanted)


@contextmanager
def pipe_opened_by_reader(pipe: Path) -> Iterator[None]:
    """Wait until somebody reads the pipe, and keep that one waiting."""
    with pipe.open("wb"):
        yield


@pytest.fixture
def tree(tmp_path: Path, index: Index) -> Path:
    """A checkout of nothing but what installs, with the small lock, and a target that needs it."""
    root = tmp_path / "tree"
    (root / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools/install.py", root / "tools")
    makefile = (ROOT / "Makefile").read_text().replace("$(VENV)/install.log . server", "$(VENV)/install.log")
    (root / "Makefile").write_text(
        f"{makefile}\n\nhello: $(READY)\n\t@$(BIN)/python -c 'import plug; print(plug.version)'\n"
    )
    (root / "server").mkdir()
    for name in ("pyproject.toml", "server/pyproject.toml"):
        (root / name).touch()
    shutil.copy(index.lock, root)
    return root


def make(tree: Path, index: Index, **options: str) -> subprocess.Popen[str]:
    """Start `make hello`."""
    words = [f"{name}={value}" for name, value in options.items()]
    return subprocess.Popen(
        ["make", "hello", f"PYTHON={sys.executable}", *words],  # noqa: S607 - whichever make there is
        cwd=tree,
        env=index.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_after_a_failed_installation_make_begins_anew(tree: Path, index: Index) -> None:
    """What failed leaves no mark that says that all is there; once it is mended, all is installed."""
    moved = index.wheels / "covers-1.0-py3-none-any.whl"
    moved.rename(tree / moved.name)
    failed = make(tree, index)
    _, said = failed.communicate(timeout=120)
    assert failed.returncode != 0
    assert "ERROR: No matching distribution found for covers==1.0" in said
    (tree / moved.name).rename(moved)
    again = make(tree, index)
    assert again.communicate(timeout=120)[0] == "1.0\n"
    assert again.returncode == 0


def test_after_an_interrupted_installation_make_begins_anew(tree: Path, index: Index) -> None:
    """Ctrl-C while pip runs ends make and pip, and says so; the next make installs all of it."""
    os.mkfifo(pipe := index.wheels / "shoes-1.0-py3-none-any.whl.new")
    pipe.replace(index.wheels / "shoes-1.0-py3-none-any.whl")  # pip waits for somebody to write the wheel
    wheel = build_wheel(tree, "shoes", "1.0")
    stopped = make(tree, index)
    with pipe_opened_by_reader(index.wheels / wheel.name):
        os.killpg(stopped.pid, signal.SIGINT)
        _, said = stopped.communicate(timeout=60)
    assert stopped.returncode != 0
    assert "The installation was stopped. The next `make` begins anew." in said
    wheel.replace(index.wheels / wheel.name)
    again = make(tree, index)
    assert again.communicate(timeout=120)[0] == "1.0\n"
