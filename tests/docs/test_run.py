"""Real kernels run real notebooks: what comes out, where they run, and that nothing outlives them."""

import os
import stat
import sys
from pathlib import Path

import psutil
import pytest

from tests.docs.trees import ASK, LAST, Oracle, Tree, alive, code, markdown
from tools.docs.build import RunFailed, write
from tools.docs.kernels import open_room
from tools.docs.notebooks import Refused, parse
from tools.docs.processes import new_mark
from tools.docs.project import TAKEN_IN_TURNS


def children() -> set[int]:
    """Every process below this one."""
    return {process.pid for process in psutil.Process().children(recursive=True)}


def test_outputs_come_from_a_real_server_and_are_normal(tree: Tree, oracle: Oracle) -> None:
    """The server's address reaches the cells, and what it answered is masked and written back."""
    tree.add(
        "01-setup",
        markdown("title", "# A"),
        ASK,
        code("proof", "# It is the first.\nassert answer['sequence'] == 1", "check"),
        LAST,
    )
    files = tree.produce(oracle.url)
    assert sorted(write(tree.root, files)) == sorted(
        ["README.md", "notebooks/01-setup.ipynb", "notebooks/records/01-setup.json"]
    )
    done, problems = parse("01-setup", files["notebooks/01-setup.ipynb"])
    assert problems == []
    printed, answer = done.cells[2].outputs
    assert printed.text == "http://127.0.0.1:<port 1>\n"
    assert answer.data["text/plain"].split("\n") == [
        "{'sequence': 1,",
        " 'encryptedWallet': '<encrypted wallet 1>',",
        " 'hmac': '<hmac 1>',",
        " 'time': '<time>'}",
    ]
    assert write(tree.root, files) == []


def test_cells_run_in_this_interpreter_and_nobodys_home(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No kernel, profile, start-up file or variable of the user changes a run."""
    home = tmp_path / "home"
    kernel = home / ".local/share/jupyter/kernels/python3/kernel.json"
    startup = home / ".ipython/profile_default/startup/00.py"
    for path, text in ((kernel, '{"argv": ["false"], "display_name": "x"}'), (startup, "mine = 1")):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    for name, value in (("HOME", str(home)), ("JUPYTER_PATH", str(home)), ("TZ", "Asia/Tokyo"), ("MINE", "1")):
        monkeypatch.setenv(name, value)
    tree.add(
        "01-setup",
        code(
            "place",
            "import os, sys, time\n"
            f"assert sys.executable == {sys.executable!r}\n"
            f"assert os.getcwd() == {str(tree.root / 'notebooks')!r}\n"
            f"assert os.environ['HOME'] != {str(home)!r} and 'MINE' not in os.environ\n"
            "assert not {'mine', '_take_turns', '_show_asserted'} & globals().keys()\n"
            "assert time.tzname == ('UTC', 'UTC') and os.environ['PYTHONHASHSEED'] == '0'\n"
            "import importlib\n"
            f"for place in {TAKEN_IN_TURNS!r}:\n"
            "    module, _, name = place.partition(':')\n"
            "    assert getattr(importlib.import_module(module), name).__wrapped__.__name__ == name\n"
            "seed",
        ),
    )
    assert "\n> ```text\n> 1\n> ```\n" in tree.produce()["README.md"]


def test_a_program_of_another_user_gets_to_its_files() -> None:
    """PostgreSQL, which root may not run, finds its folder also where whatever root makes is private."""
    usual = os.umask(0o077)
    try:
        with open_room(new_mark()) as room:
            folders = (room.folder, Path(room.environment["TMPDIR"]))
            assert [stat.S_IMODE(each.stat().st_mode) for each in folders] == [0o711, 0o711]
    finally:
        os.umask(usual)


def test_a_failing_cell_is_named_and_the_others_run_on(tree: Tree) -> None:
    """The report has notebook, cell, first line and a traceback without colours; nothing is written."""
    tree.add("01-setup", code("divide", "# one too far\n1 / 0"))
    tree.add("02-syncing", code("fine", "1"))
    tree.add("03-merging", code("proof", "# It is so.\nassert False", "check"), LAST)
    before = tree.files()
    with pytest.raises(RunFailed) as caught:
        tree.produce()
    first, second = caught.value.failures
    assert (first.notebook, first.cell, first.first_line) == ("01-setup", "divide", "# one too far")
    assert "ZeroDivisionError: division by zero" in first.reason
    assert "\x1b" not in first.reason
    assert (second.notebook, second.cell) == ("03-merging", "proof")
    assert tree.files() == before
    assert "ZeroDivisionError" in (tree.root / ".docs/failed/notebooks/01-setup.ipynb").read_text()


def test_a_failed_check_says_what_it_compared(tree: Tree) -> None:
    """Both sides with their values, and the check's own words; of a token only as much as tells it from another."""
    checked = (
        "# It is so.\n"
        "kept, token, empty = [3, 2], 'ab' * 32, []\n"
        "assert kept and not empty\n"
        "assert kept == [3, 2] and (kept, token) == ([3, 1], 'cd' * 32), 'both are kept'"
    )
    tree.add("01-setup", code("proof", checked, "check"), LAST)
    tree.add(
        "02-syncing", code("proof", "# It is so.\nassert not [each for each in (1, 2) if each > 1]", "check"), LAST
    )
    with pytest.raises(RunFailed) as caught:
        tree.produce()
    one, other = caught.value.failures
    assert one.reason.endswith(
        "AssertionError: both are kept\n"
        "    (kept, token): ([3, 2], 'ababab…')\n"
        "    ([3, 1], 'cd' * 32): ([3, 1], 'cdcdcd…')"
    )
    assert "----> 4 assert kept == [3, 2] and " in one.reason, "the cell as it is written"
    assert other.reason.endswith("AssertionError: \n    [each for each in (1, 2) if each > 1]: [2]")


def test_of_a_long_traceback_the_cell_and_the_last_call_are_told(tree: Tree) -> None:
    """A newcomer reads what was called and what came of it; the way between is in the run that is kept."""
    tree.add("01-setup", code("parse", "import json\n\njson.loads('{')"))
    with pytest.raises(RunFailed) as caught:
        tree.produce()
    (failure,) = caught.value.failures
    assert "----> 3 json.loads('{')" in failure.reason
    assert "… 2 more, which the kept run has …" in failure.reason
    assert failure.reason.count("\nFile ") == 1
    assert failure.reason.endswith("line 1 column 2 (char 1)")
    assert "json/__init__.py" in (tree.root / ".docs/failed/notebooks/01-setup.ipynb").read_text()


def test_a_leaked_secret_is_refused(tree: Tree) -> None:
    """No token gets into a notebook or README.md, masked or not."""
    tree.add("01-setup", code("leak", "{'token': 'ab' * 32}"))
    with pytest.raises(Refused, match="cell `leak`: a secret in an output"):
        tree.produce()


def test_nothing_is_left_after_success(tree: Tree) -> None:
    """Not even what a cell started and detached from its kernel."""
    tree.add(
        "01-setup",
        code(
            "detach",
            "import subprocess, sys\n"
            "sleeper = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
            "child = subprocess.Popen(sleeper, start_new_session=True)\n"
            "_ = open('pid', 'w').write(str(child.pid))",
        ),
    )
    before = children()
    tree.produce()
    assert children() == before
    assert not alive(int((tree.root / "notebooks/pid").read_text()))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import time; time.sleep(600)", "The cell was still running after 1 s. Either it goes on"),
        ("while True: pass", "The cell was still running after 1 s. Either it goes on"),
        ("import os; os._exit(3)", "The kernel died."),
    ],
)
def test_nothing_is_left_after_a_failure(tree: Tree, source: str, reason: str) -> None:
    """A cell may exit, hang or kill its kernel; it is named, and no process survives."""
    tree.add("01-setup", code("bad", source), code("never", "1"))
    before = children()
    with pytest.raises(RunFailed) as caught:
        tree.produce(cell_seconds=1)
    (failure,) = caught.value.failures
    assert failure.cell == "bad"
    assert reason in failure.reason
    assert children() == before
