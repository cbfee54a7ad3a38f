"""`python -m tools.docs build` and `check`, as make calls them: exit codes, reports, and the same bytes everywhere."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.docs.trees import ASK, Oracle, Tree, alive, an_oracle, code, markdown
from tools.docs.__main__ import main
from tools.docs.check import Verdict

REPOSITORY = Path(__file__).parents[2]
CELLS = (markdown("title", "# A"), ASK, code("shape", "sorted(answer)[:2]"))


def docs(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Start `python -m tools.docs`."""
    return subprocess.Popen(
        [sys.executable, "-m", "tools.docs", *map(str, arguments)],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end; return exit code and stderr."""
    _, said = process.communicate(timeout=60)
    return process.returncode, said


def made(name: str) -> list[str]:
    return [f"notebooks/{name}.ipynb", f"notebooks/records/{name}.json"]


def test_a_server_that_does_not_start_is_a_sentence(tmp_path: Path) -> None:
    """And what it wrote, no traceback of the machine; nothing is changed, and the command says so."""
    tree = Tree(tmp_path / "tree")
    tree.add("01-setup", *CELLS)
    before = tree.files()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "uvloop.py").write_text("raise ImportError('this machine has none')\n")
    status, said = finish(docs("build", "--root", tree.root, PYTHONPATH=str(broken)))
    assert status == 1
    assert said.startswith("The server did not start. It wrote:\n")
    assert "ImportError" in said
    assert "tools/docs" not in said
    assert tree.files() == before


def test_two_runs_anywhere_are_equal_to_the_byte_and_a_change_of_the_server_is_named(tmp_path: Path) -> None:
    """Other folders, ports, time zones and locales: the same notebooks and README. Another answer: wrong, with
    notebook, cell, old and new output and the call, while the tree stays as it was; no advice to write it anew."""
    trees = [Tree(tmp_path / "a"), Tree(tmp_path / "another place")]
    for tree in trees:
        tree.add("01-setup", *CELLS)
        tree.add("05-password", *CELLS)
    with an_oracle() as one, an_oracle() as other:
        builds = [
            docs("build", "--root", tree.root, "--server-url", oracle.url, TZ=zone, LC_ALL=locale)
            for tree, oracle, zone, locale in zip(
                trees, (one, other), ("Asia/Tokyo", "America/Lima"), ("de_DE.UTF-8", "C"), strict=True
            )
        ]
        assert [finish(build)[0] for build in builds] == [0, 0]
        assert trees[0].files() == trees[1].files()
        assert sorted(trees[0].files()) == sorted(["README.md", *made("01-setup"), *made("05-password")])

        other.sequence = 2
        fresh = docs("check", "--root", trees[0].root, "--server-url", one.url)
        stale = docs("check", "--root", trees[1].root, "--server-url", other.url)
        exit_code, said = finish(fresh)
        assert exit_code == 0, said
        exit_code, said = finish(stale)
    assert exit_code == 1
    assert "WRONG 01-setup::ask\n" in said
    assert "    -{'sequence': 1,\n    +{'sequence': 2,\n" in said
    assert "  The server answers otherwise, in `ask`:\n" in said
    assert '    -  → 200 {"sequence": 1, ' in said
    assert "WRONG 05-password::ask\n" in said
    assert "::shape" not in said
    assert "README.md" not in said
    assert said.rstrip().endswith(Verdict.WRONG)
    assert "make docs" not in said
    assert trees[0].files() == trees[1].files()
    assert "'sequence': 2," in (trees[1].root / ".docs/failed/notebooks/01-setup.ipynb").read_text()


def test_a_failed_build_writes_nothing_and_says_where_to_look(tree: Tree) -> None:
    """Exit code 1, the cell, what another notebook puts out that readers cannot use, and the folder of the run."""
    tree.add("01-setup", code("fine", "1"))
    tree.add("02-syncing", code("divide", "1 / 0"))
    tree.add("03-merging", code("loud", "print('1\\n' * 300)"))
    before = tree.files()
    exit_code, said = finish(docs("build", "--root", tree.root, "--server-url", "http://127.0.0.1:9"))
    assert exit_code == 1
    assert "notebooks/02-syncing.ipynb, cell `divide`: 1 / 0\n" in said
    assert "notebooks/03-merging.ipynb, cell `loud`: it puts out 301 lines with 601 characters" in said
    assert f"The run is kept in {tree.root}/.docs/failed.\nNothing was written.\n" in said
    assert tree.files() == before


def test_a_wrong_call_is_told_apart() -> None:
    """Exit code 2, as everywhere."""
    with pytest.raises(SystemExit) as caught:
        main(["publish"])
    assert caught.value.code == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything(tree: Tree, oracle: Oracle, number: signal.Signals) -> None:
    """Kernels, a real server and the run itself end, with the shell's exit code, and nothing is written. As from a
    terminal, the signal goes to the server as well."""
    for name in ("01-setup", "02-syncing"):
        wait = f"import urllib.request\nurllib.request.urlopen({oracle.url!r} + '/wait')"
        tree.add(name, code("wait", wait))
    before = tree.files()
    process = docs("build", "--root", tree.root)
    assert oracle.asked.wait(60)
    family = [relative.pid for relative in psutil.Process(process.pid).children(recursive=True)]
    assert len(family) >= 2, "a server and a kernel"
    os.killpg(process.pid, number)
    exit_code, said = finish(process)
    assert exit_code == 128 + number
    assert said.endswith("stopped\n")
    assert not [pid for pid in family if alive(pid)]
    assert tree.files() == before
