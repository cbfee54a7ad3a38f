"""The machine serves any project: what it knows of one stands in one file, and a second project uses it here.

The second one, in `second/`, has a server that counts. What a newcomer is told when something is wrong is tried on it.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tools.docs import project

MACHINE = Path(project.__file__).parent
SECOND = Path(__file__).with_name("second")
OURS = r"^\s*(from|import) (walletsync|walletsync_server|tests|bench|append_log|tour|wire|pictures)\b"
CHAPTER = "tour/01-count.ipynb"


def test_one_file_knows_the_project() -> None:
    """No other names it, or a thing of it, and none imports its packages."""
    others = sorted(set(MACHINE.rglob("*")) - {MACHINE / "project.py"})
    sources = [file for file in others if file.is_file() and "__pycache__" not in file.parts]
    assert len(sources) > 10
    for file in sources:
        assert file.suffix == ".py" or file.name == "README.md"
        assert not re.search("wallet|hmac|WSY1|salt|argon2", file.read_text(), re.IGNORECASE), file
        assert not re.search(OURS, file.read_text(), re.MULTILINE), file


def test_the_listing_names_every_file() -> None:
    """A reader of the package's docstring sees all of it."""
    listed = re.findall(r"^    ([a-z_]+\.py)  +\S", (MACHINE / "__init__.py").read_text(), re.MULTILINE)
    assert sorted([*listed, "__init__.py", "__main__.py"]) == sorted(file.name for file in MACHINE.glob("*.py"))


class Second:
    """A copy of the second project, with the machine in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(SECOND, root, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(MACHINE, root / "tools/docs", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(project.ROOT / project.TEMPLATES / "readme", root / "templates/readme")
        (root / "tools/__init__.py").touch()
        (root / "project.py").replace(root / "tools/docs/project.py")
        (root / "answer").write_text("1")

    def docs(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Run the machine there; return its exit code and what it says. No temporary file is left."""
        with tempfile.TemporaryDirectory() as temporary:  # pytest's would make the paths of sockets too long
            done = subprocess.run(
                [sys.executable, "-m", "tools.docs", *arguments],
                cwd=self.root,
                env={**project.plain_environment(), "TMPDIR": temporary, **environment},
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
            assert list(Path(temporary).iterdir()) == []
        return done.returncode, done.stderr

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.root / path).read_text()
        assert old in text
        (self.root / path).write_text(text.replace(old, new))

    def made(self) -> dict[str, bytes]:
        paths = [self.root / "README.md", *(self.root / "tour").rglob("*.ipynb"), *(self.root / "tour").rglob("*.json")]
        return {str(path.relative_to(self.root)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Second:
    second = Second(tmp_path_factory.mktemp("built") / "second")
    exit_code, said = second.docs("build")
    assert exit_code == 0, said
    return second


@pytest.fixture
def second(built: Second, tmp_path: Path) -> Second:
    """The second project after a run that wrote everything."""
    copy = object.__new__(Second)
    copy.root = tmp_path / "second"
    shutil.copytree(built.root, copy.root)
    return copy


def test_a_second_project_is_built_and_is_up_to_date(second: Second) -> None:
    """With its own names for things; a run after that has nothing to do, and a check runs all the same."""
    readme = (second.root / "README.md").read_text()
    assert "## Counting\n" not in readme.partition("# A counter")[0]
    assert "\n> ```text\n> 1\n> ```\n" in readme
    before = second.made()
    assert second.docs("build") == (0, "nothing has changed since the last run\n")
    (second.root / ".docs/report.xml").unlink()
    exit_code, said = second.docs("check", TZ="Asia/Tokyo", LC_ALL="C")
    assert exit_code == 0, said
    assert second.made() == before
    report = (second.root / ".docs/report.xml").read_text()
    assert '<testsuite tests="5" failures="0" skipped="0" errors="0" name="01-count" ' in report
    assert re.search(r'<testcase classname="01-count" name="01-count::first" time="[0-9.]+" />', report)


def test_a_changed_answer_of_the_server_is_wrong(second: Second) -> None:
    """It is named as that, with the call; to write it anew is not what is advised."""
    (second.root / "answer").write_text("5")
    second.edit("tour/01-count.ipynb", "assert second == 2", "assert second > 1")
    exit_code, said = second.docs("build")
    assert exit_code == 0, said
    assert "Outputs changed, and not by an edit of the notebooks" in said
    assert said.endswith("look at them before you commit:\n  01-count: first, second\n")
    (second.root / "answer").write_text("7")
    exit_code, said = second.docs("check")
    assert exit_code == 1
    assert "WRONG 01-count::first\n" in said
    assert "    -5\n    +7\n" in said
    assert "The server answers otherwise, in `first`:" in said
    assert "     GET /\n    -  → 200 5\n    +  → 200 7\n" in said
    assert "tools.docs build" not in said


def test_a_false_sentence_in_a_check_is_told_with_what_it_says(second: Second) -> None:
    """Its cell, its sentence, and what to do; in the report of tests, what comes after it was skipped."""
    second.edit(CHAPTER, "assert second == 2", "assert second == 3")
    exit_code, said = second.docs("check")
    assert exit_code == 1
    assert f"{CHAPTER}, cell `second-check`: # The second number is one more than the first.\n" in said
    assert "AssertionError: \n    second: 2\n" in said
    assert "what its first line says is not so" in said
    assert said.count("Traceback (most recent") == 1, "told once, though it ran again to see whether that is chance"
    report = (second.root / ".docs/report.xml").read_text()
    assert '<failure message="AssertionError:">' in report


def test_a_renamed_verb_is_told_where_it_is_used(second: Second) -> None:
    """The cell, and that the code has no such name any more."""
    second.edit("tour/counting.py", "def count(", "def next(")
    exit_code, said = second.docs("check")
    assert exit_code == 1
    assert f"{CHAPTER}, cell `first`: counter.count()\n" in said
    assert "AttributeError: 'Counter' object has no attribute 'count'" in said
    assert "a name may have changed" in said
    assert (second.root / ".docs/report.xml").read_text().count("<skipped ") == 2


@pytest.mark.parametrize("command", ["build", "check"])
def test_a_flaky_cell_is_named(second: Second, command: str) -> None:
    """It differs between two runs; nothing of it is written."""
    second.edit(CHAPTER, '"counter.count()"', '"import os; counter.count(), os.getpid()"')
    before = second.made()
    exit_code, said = second.docs(command)
    assert exit_code == 1
    assert "FLAKY 01-count::first\n" in said
    assert "--- first run\n" in said
    assert "STALE 01-count" not in said
    assert "flaky: two runs of the same source differ." in said
    assert second.made() == before


def test_a_failure_that_goes_away_is_flaky(second: Second) -> None:
    """A check that fails in one run and passes in the next is no reason to look for a wrong sentence."""
    once = f"import pathlib; p = pathlib.Path({str(second.root / 'once')!r}); first = not p.exists(); p.touch()"
    second.edit(CHAPTER, "assert second == 2", f"{once}; assert not first")
    exit_code, said = second.docs("check")
    assert exit_code == 1
    assert "FLAKY 01-count: it passed when it ran again\n" in said
    assert "what its first line says is not so" not in said


def test_a_broken_link_is_told_with_its_place(second: Second) -> None:
    """In a page, in a cell, in a template; a chapter that was renamed leaves such links, too."""
    second.edit("notes.md", "README.md#counting", "README.md#sums")
    second.edit(CHAPTER, "../notes.md#notes", "../gone.md")
    for command in ("build", "check"):
        exit_code, said = second.docs(command)
        assert exit_code == 1
        assert (
            "notes.md: the link to README.md#sums leads nowhere: no heading of README.md makes the anchor #sums" in said
        )
        assert f"{CHAPTER}, cell `next`: the link to ../gone.md leads nowhere: there is no gone.md" in said
    (second.root / CHAPTER).replace(second.root / "tour/01-counting.ipynb")
    _, said = second.docs("build")
    assert "README.md: the link to #01-count leads nowhere" in said


def test_an_edited_cell_is_stale_and_says_how_to_mend_it(second: Second) -> None:
    """And that mends it."""
    second.edit(CHAPTER, '"counter.count()"', '"counter.count() + 0.5"')
    exit_code, said = second.docs("check")
    assert exit_code == 1
    assert "STALE 01-count::first\n" in said
    assert said.endswith("Mend it with: python -m tools.docs build\n")
    assert second.docs("build")[0] == 0
    assert second.docs("check")[0] == 0


@pytest.mark.security  # for half a minute
def test_ten_runs_are_equal_to_the_byte(second: Second) -> None:
    """Made from nothing each time."""
    before = second.made()
    for path in (second.root / "tour/records").iterdir():
        path.unlink()
    for _ in range(10):
        (second.root / ".docs/unchanged.json").unlink(missing_ok=True)
        (second.root / "README.md").unlink()
        exit_code, said = second.docs("build")
        assert exit_code == 0, said
        assert second.made() == before


def test_the_notebooks_of_the_second_project_are_as_its_author_left_them() -> None:
    """Without outputs, which each test makes anew."""
    cells = json.loads((SECOND / CHAPTER).read_text())["cells"]
    assert not [cell for cell in cells if cell.get("outputs")]
