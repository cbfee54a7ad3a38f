"""`make docs` knows without a run that nothing changed, and never by mistake."""

from pathlib import Path

import pytest

from tests.docs.trees import Tree, code
from tools.docs.unchanged import after, is_unchanged, remember, snapshot


@pytest.fixture
def root(tree: Tree) -> Path:
    tree.add("01-setup", code("say", "1"))
    for path in ("walletsync/client.py", "requirements.lock", "README.md", "server/pyproject.toml"):
        (tree.root / path).parent.mkdir(exist_ok=True)
        (tree.root / path).write_text("as it was")
    remember(tree.root, snapshot(tree.root))
    return tree.root


def test_what_nobody_touched_is_unchanged(root: Path) -> None:
    """Nor do caches of Python and Jupyter count, nor what a run does not read."""
    for path in ("walletsync/__pycache__/client.pyc", "notebooks/.ipynb_checkpoints/a.ipynb", "tests/test_a.py"):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text("new")
    assert is_unchanged(root)


@pytest.mark.parametrize(
    "path",
    [
        "walletsync/client.py",
        "walletsync/new.py",
        "requirements.lock",
        "server/pyproject.toml",
        "README.md",
        "notebooks/01-setup.ipynb",
        "notebooks/tour.py",
        "docs/templates/README.md.j2",
        "notebooks/records/01-setup.json",
        ".docs/unchanged.json",
    ],
)
def test_an_edit_is_seen(root: Path, path: str) -> None:
    """Of the code, the lock, a template, a notebook, an output or what was noted; and so is a new file."""
    (root / path).parent.mkdir(exist_ok=True)
    (root / path).write_text("edited")
    assert not is_unchanged(root)


def test_a_removed_file_is_seen(root: Path) -> None:
    """An output that is gone is made anew."""
    (root / "README.md").unlink()
    assert not is_unchanged(root)


def test_an_edit_during_a_run_is_seen_after_it(root: Path) -> None:
    """Noted is what the run began with, and what it wrote; not what somebody saved meanwhile."""
    before = snapshot(root)
    (root / "README.md").write_text("made by the run")
    remember(root, after(before, {"README.md": "made by the run"}))
    assert is_unchanged(root)
    (root / "walletsync/client.py").write_text("edited meanwhile")
    remember(root, after(before, {"README.md": "made by the run"}))
    assert not is_unchanged(root)


def test_before_the_first_run_nothing_is_unchanged(tree: Tree) -> None:
    """A fresh clone runs."""
    assert not is_unchanged(tree.root)
