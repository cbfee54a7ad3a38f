"""`make dist` refuses what must not be published, and makes the same bytes of the same sources."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.dist import ROOT, Refused, build, check, demand_release, main, run, version_of
from walletsync import __version__

EPOCH = "1700000000"
RELEASED = "1.2.3"
CHANGED = [  # in a file: what is there, what instead, and what the refusal names
    ("pyproject.toml", '"certifi>=2024.7.4",', "", "Requires-Dist: should not be there: ['certifi>=2024.7.4']"),
    ("pyproject.toml", '"click>=8.4", ', "", "Requires-Dist"),
    ("pyproject.toml", 'requires-python = ">=3.11"', 'requires-python = ">=3.12"', "Requires-Python"),
    ("pyproject.toml", "/walletsync/issues", "/walletsync/bugs", "Project-URL"),
    ("server/pyproject.toml", '"Framework :: Flask",', "", "Classifier"),
    ("server/pyproject.toml", "walletsync-server = ", "walletsync-serve = ", "commands"),
    ("pyproject.toml", ', "/CHANGELOG.md"]', "]", "should not be there: ['CHANGELOG.md']"),
    ("server/LICENSE", "Permission", "No permission", "licence"),
    ("server/README.md", "# Running", "# Using", "description"),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both distributions, built where they lie."""
    folder = tmp_path_factory.mktemp("built")
    build(ROOT, folder, epoch=EPOCH)
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the sources, in a folder of another name."""
    folder = tmp_path / "another copy"
    for package in ("walletsync", "server"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "docs").mkdir()
    for name in ("pyproject.toml", "docs/package.md", "LICENSE", "CHANGELOG.md", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small repository with a release: committed, tagged, in the changelog, with addresses."""
    folder = tmp_path / "repository"
    for source, package in (("", "walletsync"), ("server", "walletsync_server")):
        (folder / source / package).mkdir(parents=True)
        (folder / source / package / "__init__.py").write_text(f'__version__ = "{RELEASED}"\n')
        project = f'[project]\ndependencies = ["walletsync=={RELEASED}"]\n'
        (folder / source / "pyproject.toml").write_text(f'{project}urls.Source = "https://wallet.test/source"\n')
    (folder / "CHANGELOG.md").write_text(f"## Unreleased\n\n## [{RELEASED}] - 2026-12-01\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Alice")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "alice@example.com")
    run("git", "init", "--quiet", folder=folder)
    commit(folder)
    run("git", "tag", f"v{RELEASED}", folder=folder)
    return folder


@pytest.fixture
def private_umask() -> Iterator[None]:
    """New files are for their owner only."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def commit(repository: Path) -> None:
    run("git", "add", ".", folder=repository)
    run("git", "commit", "--quiet", "--message", "Write something", folder=repository)


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.usefixtures("private_umask")
def test_the_same_sources_give_the_same_bytes(built: Path, copy: Path, tmp_path: Path) -> None:
    """Elsewhere, without git, with other times and modes of the files: both wheels and both sdists are the same."""
    for file in copy.rglob("*.py"):
        os.utime(file, (1, 1))
        file.chmod(0o600)
    build(copy, tmp_path / "again", epoch=EPOCH)
    first, second = ({file.name: file.read_bytes() for file in each.iterdir()} for each in (built, tmp_path / "again"))
    assert len(first) == 4
    assert first == second


@pytest.mark.parametrize(("file", "old", "new", "named"), CHANGED)
def test_what_differs_from_the_sources_is_refused(
    built: Path, copy: Path, file: str, old: str, new: str, named: str
) -> None:
    """Metadata, commands, the licence and what an sdist has besides are as the repository says now."""
    replace(copy / file, old, new)
    with pytest.raises(Refused) as refused:
        check(copy, built, __version__)
    assert named in str(refused.value)


def test_a_wheel_with_other_files_than_the_package_is_refused(built: Path, copy: Path) -> None:
    """One too many and one too few: the message names both."""
    (copy / "walletsync" / "merge.py").rename(copy / "walletsync" / "join.py")
    with pytest.raises(Refused, match=r"not be there: \['walletsync/merge.py'\]; missing: \['walletsync/join.py'\]"):
        check(copy, built, __version__)


def test_a_wheel_without_the_mark_of_types_is_refused(copy: Path, tmp_path: Path) -> None:
    """A package without py.typed has no types for anybody."""
    (copy / "walletsync" / "py.typed").unlink()
    build(copy, tmp_path / "built", epoch=EPOCH)
    with pytest.raises(Refused, match=r"no walletsync/py\.typed"):
        check(copy, tmp_path / "built", __version__)


def test_an_sdist_that_builds_to_another_wheel_is_refused(copy: Path, tmp_path: Path) -> None:
    """As one that misses a module does."""
    replace(copy / "pyproject.toml", '"/CHANGELOG.md"]', '"/CHANGELOG.md"]\nexclude = ["/walletsync/merge.py"]')
    build(copy, tmp_path / "built", epoch=EPOCH)
    with pytest.raises(Refused, match="builds to another wheel"):
        check(copy, tmp_path / "built", __version__)


def test_a_release_is_committed_tagged_and_in_the_changelog(repository: Path) -> None:
    """Then nothing is refused."""
    assert version_of(repository) == RELEASED
    demand_release(repository, RELEASED)


@pytest.mark.parametrize(
    "heading", ["## 1.2.3 - 2026-12-01", "## [1.2.3]", "## [1.2.3] - soon", "## [1.2.30] - 2026-12-01"]
)
def test_a_version_without_its_heading_is_refused(repository: Path, heading: str) -> None:
    """In the changelog, with a date."""
    replace(repository / "CHANGELOG.md", f"## [{RELEASED}] - 2026-12-01", heading)
    with pytest.raises(Refused, match=r"CHANGELOG.md has no heading `## \[1\.2\.3\] - \d{4}-\d\d-\d\d`: write it"):
        demand_release(repository, RELEASED)


def test_a_tag_elsewhere_is_refused(repository: Path) -> None:
    """One commit later, it is another program."""
    (repository / "news").write_text("")
    commit(repository)
    with pytest.raises(Refused, match=r"The tag v1\.2\.3 is not at HEAD: `git tag v1\.2\.3`"):
        demand_release(repository, RELEASED)


def test_what_is_not_committed_is_refused(repository: Path) -> None:
    """The tag would not have it. It is named."""
    (repository / "walletsync" / "news.py").write_text("")
    with pytest.raises(Refused, match=r"not committed.*\n\?\? walletsync/news\.py"):
        demand_release(repository, RELEASED)


def test_addresses_of_an_example_are_refused(repository: Path) -> None:
    """Whoever finds the package could not find its source."""
    replace(repository / "server" / "pyproject.toml", "wallet.test", "git.example.com")
    with pytest.raises(Refused, match=r"server/pyproject\.toml has example\.com under \[project\.urls\]: write where"):
        demand_release(repository, RELEASED)


def test_all_mistakes_are_told_at_once(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing is built."""
    (repository / "CHANGELOG.md").write_text("")
    run("git", "tag", "--delete", f"v{RELEASED}", folder=repository)
    assert main(["--release"], repository) == 1
    message = capsys.readouterr().err
    assert message.startswith("1.2.3 cannot be released:\n")
    assert message.count("\n- ") == 3
    assert not (repository / "dist").exists()


@pytest.mark.parametrize("options", [[], ["--release"]])
def test_two_versions_are_refused(repository: Path, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Both distributions have the same one, released or not."""
    replace(repository / "server" / "walletsync_server" / "__init__.py", RELEASED, "1.2.4")
    assert main(options, repository) == 1
    files = "walletsync/__init__.py and server/walletsync_server/__init__.py"
    assert f"write the same __version__ into {files}" in capsys.readouterr().err


def test_a_server_that_requires_another_client_is_refused(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The pin is a third place for the version, and cannot be forgotten."""
    replace(repository / "server/pyproject.toml", f"walletsync=={RELEASED}", "walletsync==1.2.2")
    assert main([], repository) == 1
    assert f"write walletsync=={RELEASED} into the dependencies of server/pyproject.toml" in capsys.readouterr().err
