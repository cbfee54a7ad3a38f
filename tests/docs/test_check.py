"""What differs is told by place, in full, with what it means: stale, wrong or flaky."""

from pathlib import Path
from typing import Any

import pytest

from tests.docs.trees import Tree, code, markdown, notebook, stream
from tools.docs.build import Results, keep, write
from tools.docs.check import Difference, Verdict, behind, compare, flaky
from tools.docs.normalise import normalise
from tools.docs.records import record
from tools.docs.relay import Call
from tools.docs.runs import Failure, Run

PATH = "notebooks/01-setup.ipynb"
CELLS = (markdown("title", "# A"), code("say", "print(1)", "loud", outputs=[stream("1\n")]), code("more", "2"))


def call(number: int, place: str, status: int, answer: str, target: str = "/wallet") -> Call:
    return Call(number, place, "GET", target, b"", status, answer.encode())


def results(root: Path, *cells: dict[str, Any], calls: tuple[Call, ...] = ()) -> Results:
    done = normalise("01-setup", notebook(*(cells or CELLS)), private=[])
    return Results({"01-setup": done}, {"01-setup": record(root, done, calls)})


@pytest.fixture
def committed(tree: Tree) -> Tree:
    """A tree in which all is as a run left it."""
    tree.add("01-setup", *CELLS)
    fresh = results(tree.root, calls=(call(1, "say", 200, "one"), call(2, "more", 200, "two")))
    write(tree.root, fresh.files(tree.root))
    return tree


def edit(tree: Tree, old: str, new: str, path: str = PATH) -> None:
    text = (tree.root / path).read_text()
    assert old in text
    (tree.root / path).write_text(text.replace(old, new))


def told(differences: list[Difference]) -> list[tuple[str, str]]:
    return [(each.verdict.name, each.place) for each in differences]


def test_equal_files_are_fresh(committed: Tree) -> None:
    """Nothing to tell; and calls alone, which may be once more or less, are no difference."""
    assert compare(committed.root, results(committed.root)) == []


@pytest.mark.parametrize(
    ("old", "new", "place", "shown"),
    [
        ('"loud"', '"loud",\n     "louder"', "01-setup::say", "-tags: ['loud', 'louder']\n    +tags: ['loud']"),
        ('  "kernelspec"', '   "kernelspec"', PATH, "is written in another form, though its content is the same"),
    ],
)
def test_what_an_editor_left_is_stale(committed: Tree, old: str, new: str, place: str, shown: str) -> None:
    """Metadata, or only the form, as after saving from an editor."""
    edit(committed, old, new)
    (difference,) = compare(committed.root, results(committed.root))
    assert (difference.verdict, difference.place) == (Verdict.STALE, place)
    assert shown in str(difference)


def test_a_left_over_cell_is_named(committed: Tree) -> None:
    """Papermill's cell with the parameters of some run is not the author's."""
    left = results(committed.root, code("injected", "seed = 2"), *CELLS).files(committed.root)[PATH]
    (committed.root / PATH).write_text(left)
    first = compare(committed.root, results(committed.root))[0]
    assert str(first) == "STALE 01-setup::injected\nis not the author's; a run left it there"


def test_outputs_after_an_edited_cell_are_stale_and_those_before_it_are_wrong(committed: Tree) -> None:
    """What follows from an edit is mended by running; what was there before it changed by itself."""
    edit(committed, '"2"', '"3"')
    edited = results(committed.root, *CELLS[:2], code("more", "3", outputs=[stream("3\n")]))
    found = compare(committed.root, edited)
    assert told(found) == [("STALE", "01-setup::more"), ("STALE", "README.md")]
    says = code("say", "print(1)", "loud", outputs=[stream("0\n")])
    both = results(committed.root, CELLS[0], says, code("more", "3", outputs=[stream("3\n")]))
    assert told(compare(committed.root, both))[:2] == [("WRONG", "01-setup::say"), ("STALE", "01-setup::more")]


def test_an_edited_module_makes_outputs_stale(committed: Tree) -> None:
    """What stands beside the notebooks is their source as well."""
    (committed.root / "notebooks/tour.py").write_text("x = 1\n")
    now = results(committed.root, CELLS[0], code("say", "print(1)", "loud", outputs=[stream("2\n")]), CELLS[2])
    assert told(compare(committed.root, now)) == [("STALE", "01-setup::say")]


@pytest.mark.parametrize(
    ("calls", "shown"),
    [
        ((call(1, "say", 200, "ONE"),), "The server answers otherwise, in `say`:\n"),
        ((call(1, "say", 200, "one", "/other"),), "The server is asked otherwise, in `say`:\n"),
        ((call(1, "say", 200, "one"),), "The server was asked and answered the same up to here"),
    ],
)
def test_an_unchanged_cell_with_other_outputs_is_wrong(committed: Tree, calls: tuple[Call, ...], shown: str) -> None:
    """With both outputs, and the calls that changed; to write it anew is not what is advised."""
    says = code("say", "print(1)", "loud", outputs=[stream("0\n")])
    (difference,) = compare(committed.root, results(committed.root, CELLS[0], says, CELLS[2], calls=calls))
    assert (difference.verdict, difference.place) == (Verdict.WRONG, "01-setup::say")
    assert "    -1\n    +0" in str(difference)
    assert shown in str(difference)
    if "answers" in shown:
        assert "     GET /wallet\n    -  → 200 one\n    +  → 200 ONE" in str(difference)
    assert "make docs" not in Verdict.WRONG
    assert "make docs" in Verdict.STALE


def test_a_damaged_or_missing_record_makes_what_differs_stale(committed: Tree) -> None:
    """Without knowing what the outputs were made from, nobody can say that they are wrong."""
    (committed.root / "notebooks/records/01-setup.json").write_text("{")
    now = results(committed.root, CELLS[0], code("say", "print(1)", "loud", outputs=[stream("0\n")]), CELLS[2])
    assert told(compare(committed.root, now)) == [("STALE", "01-setup::say")]


@pytest.mark.parametrize(
    ("source", "calls", "shown"),
    [
        ("print(1)", (call(1, "say", 500, "ONE"),), "The server answers otherwise, in `say`:\n"),
        ("print(1)", (call(1, "say", 200, "one"),), "The server was asked and answered the same up to here"),
        ("print(1)", (), "The server was asked and answered the same up to here"),
        ("print(2)", (call(1, "say", 500, "ONE"),), ""),
    ],
)
def test_behind_a_failure_may_be_a_changed_answer(
    committed: Tree, source: str, calls: tuple[Call, ...], shown: str
) -> None:
    """It is shown beside what the cell raised, unless the cell is another one than when the calls were recorded."""
    failure = Failure("01-setup", "say", source, "KeyError: 'one'")
    run = Run("01-setup", notebook(CELLS[0], code("say", source), CELLS[2]), print, failure, calls=list(calls))
    assert shown in behind(committed.root, run)
    assert bool(shown) == bool(behind(committed.root, run))
    if "answers" in shown:
        assert "    -  → 200 one\n    +  → 500 ONE" in behind(committed.root, run)


def test_every_difference_is_shown(committed: Tree) -> None:
    """Not the first one alone: of README.md, and of a cell's outputs."""
    many = [str(number) for number in range(40)]
    fresh = results(
        committed.root, CELLS[0], code("say", "print(1)", "loud", outputs=[stream("\n".join(many))]), CELLS[2]
    )
    write(committed.root, fresh.files(committed.root))
    readme = (committed.root / "README.md").read_text()
    (committed.root / "README.md").write_text(readme.replace("> 3\n", "> x\n").replace("> 38\n", "> y\n"))
    (difference,) = compare(committed.root, fresh)
    assert difference.place == "README.md"
    assert all(f"    -> {old}\n    +> {new}\n" in difference.shown for old, new in (("x", "3"), ("y", "38")))
    (committed.root / "README.md").unlink()
    assert str(*compare(committed.root, fresh)) == "STALE README.md\nis missing"


def test_a_cell_that_differs_between_two_runs_is_flaky(committed: Tree) -> None:
    """It is named, with what it put out either time."""
    first = results(committed.root)
    second = results(committed.root, CELLS[0], code("say", "print(1)", "loud", outputs=[stream("7\n")]), CELLS[2])
    (difference,) = flaky(first, second)
    assert (difference.verdict, difference.place) == (Verdict.FLAKY, "01-setup::say")
    assert "--- first run\n    +++ second run\n" in difference.shown
    assert "    -1\n    +7" in difference.shown
    assert flaky(first, first) == []


def test_only_the_last_failed_run_is_kept(tree: Tree) -> None:
    """Nobody looks at the wrong one."""
    keep(tree.root, {"notebooks/a.ipynb": "old"})
    keep(tree.root, {"README.md": "new"})
    kept = [path.name for path in (tree.root / ".docs/failed").rglob("*") if path.is_file()]
    assert kept == ["README.md"]
