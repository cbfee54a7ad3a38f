"""A stale file is told by place: notebook, cell, and what differs."""

import pytest

from tests.docs.trees import Tree, code, markdown, notebook, stream
from tools.docs.build import keep, write
from tools.docs.check import stale
from tools.docs.normalise import normalise
from tools.docs.notebooks import to_text

PATH = "notebooks/01-setup.ipynb"
CELLS = (markdown("title", "# A"), code("say", "print(1)", "loud", outputs=[stream("1\n")]))
FRESH = to_text(normalise("01-setup", notebook(*CELLS), private=[]))


def committed(tree: Tree, old: str, new: str) -> list[str]:
    """Return what is stale if `old` reads `new` in the committed file."""
    assert old in FRESH
    (tree.root / PATH).write_text(FRESH.replace(old, new))
    return stale(tree.root, {PATH: FRESH})


def test_equal_files_are_fresh(tree: Tree) -> None:
    """Nothing to tell."""
    assert committed(tree, "1", "1") == []


@pytest.mark.parametrize(
    ("old", "new", "report"),
    [
        ('"1\\n"', '"2\\n"', "cell `say`: outputs differ\n    --- committed\n    +++ this run\n    @@ -1,3 +1,3 @@\n"),
        ('"execution_count": 2', '"execution_count": 9', "cell `say`: outputs differ\n"),
        ('"loud"', '"loud",\n     "louder"', "cell `say`: metadata differ\n"),
        ('"display_name": "Python 3"', '"display_name": "Mine"', "metadata of the notebook differ"),
        ('  "kernelspec"', '   "kernelspec"', "is written in another form, though its content is the same"),
    ],
)
def test_a_difference_is_named(tree: Tree, old: str, new: str, report: str) -> None:
    """Outputs, metadata, or only the form, as after saving from an editor."""
    (place,) = committed(tree, old, new)
    assert place.startswith(PATH)
    assert report in place


def test_a_left_over_cell_is_named(tree: Tree) -> None:
    """Papermill's cell with the parameters of some run is not the author's."""
    extra = notebook(code("injected", "seed = 2", "injected-parameters"), *CELLS)
    (tree.root / PATH).write_text(to_text(extra))
    report = "\n".join(stale(tree.root, {PATH: FRESH}))
    assert f"{PATH}, cell `injected`: is not the author's" in report


def test_a_missing_readme_is_stale_and_a_wrong_one_shows_its_first_difference(tree: Tree) -> None:
    """README.md is compared as text, and one hunk of it is enough to see why."""
    lines = [f"line {number}" for number in range(40)]
    fresh = {"README.md": "\n".join(lines)}
    assert stale(tree.root, fresh) == ["README.md: is missing"]
    write(tree.root, {"README.md": "\n".join(["changed", *lines[1:-1], "changed"])})
    (place,) = stale(tree.root, fresh)
    assert "    -changed\n    +line 0\n" in place
    assert "line 39" not in place


def test_only_the_last_failed_run_is_kept(tree: Tree) -> None:
    """Nobody looks at the wrong one."""
    keep(tree.root, {"notebooks/a.ipynb": "old"})
    keep(tree.root, {"README.md": "new"})
    kept = [path.name for path in (tree.root / ".docs/failed").rglob("*") if path.is_file()]
    assert kept == ["README.md"]
