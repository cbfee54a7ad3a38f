"""The rules that authors of notebooks keep are checked before anything runs."""

import json
from typing import Any

import pytest

from tests.docs.trees import PARAMETERS, Tree, code, markdown, notebook
from tools.docs.notebooks import Refused, parse, read_all


def problems(raw: Any) -> list[str]:
    return [str(problem) for problem in parse("01-setup", json.dumps(raw))[1]]


def test_a_notebook_that_keeps_the_rules_is_read() -> None:
    """Sources are text, however the file splits them."""
    raw = notebook(markdown("title", "# A"))
    raw.cells[1].source = ["# A\n", "B"]
    read, wrong = parse("01-setup", json.dumps(raw))
    assert wrong == []
    assert read.cells[1].source == "# A\nB"


@pytest.mark.parametrize("cell_id", ["1f2e3d4c", "7f1c2b34-9a52-4a52-8a52-0123456789ab", "With Space", "x_"])
def test_ids_are_written_by_hand(cell_id: str) -> None:
    """An id names the cell in reports, so a random one is refused."""
    (problem,) = problems(notebook(markdown(cell_id, "text")))
    assert problem.startswith(f"notebooks/01-setup.ipynb, cell `{cell_id}`: this id was not written by hand")


def test_ids_are_unique() -> None:
    """A report names one cell."""
    (problem,) = problems(notebook(markdown("twice", "a"), markdown("twice", "b")))
    assert problem == "notebooks/01-setup.ipynb, cell `twice`: another cell has this id"


def test_ids_are_there() -> None:
    """A cell without an id is told by its number."""
    raw = notebook(markdown("text", "a"))
    del raw.cells[1]["id"]
    assert problems(raw) == ["notebooks/01-setup.ipynb: cell number 2 has no id"]


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ([], "has 0 cells tagged `parameters`"),
        ([PARAMETERS, {**PARAMETERS, "id": "again"}], "has 2 cells tagged `parameters`"),
        ([code("p", "seed = 1", "parameters")], "cell `p`: needs `server_url"),
        ([code("p", 'server_url = "http://x"\nseed = 1', "parameters")], "cell `p`: needs `server_url"),
        ([code("p", 'server_url = ""', "parameters")], "cell `p`: needs `seed"),
        ([code("p", "server_url =", "parameters")], "cell `p`: is not Python"),
    ],
)
def test_there_is_one_cell_with_the_parameters(cells: list[Any], problem: str) -> None:
    """Every notebook takes a server and a seed, and works without being given any."""
    raw = notebook()
    raw.cells = cells
    (found,) = problems(raw)
    assert problem in found


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ([], "is not a notebook of format 4.5"),
        ({**notebook(), "nbformat_minor": 4}, "is not a notebook of format 4.5"),
        ({**notebook(), "cells": [{**PARAMETERS, "cell_type": "poem"}]}, "is not valid"),
    ],
)
def test_the_file_is_a_notebook(raw: Any, problem: str) -> None:
    """What Jupyter could not open is refused with a reason."""
    (found,) = problems(raw)
    assert problem in found


def test_all_problems_are_told_at_once(tree: Tree) -> None:
    """An author needn't run the machine once per mistake."""
    tree.add("01-setup", markdown("1f2e3d4c", "a"))
    (tree.root / "notebooks/02-syncing.ipynb").write_text("{")
    with pytest.raises(Refused) as caught:
        read_all(tree.root)
    assert [problem.notebook for problem in caught.value.problems] == ["01-setup", "02-syncing"]


def test_a_tree_without_notebooks_is_refused(tree: Tree) -> None:
    """An empty tour is a mistake, not a success."""
    with pytest.raises(Refused, match="no notebook"):
        read_all(tree.root)


@pytest.mark.parametrize("source", ["assert 1", "# short\nassert 1", "# No end\nassert 1", "# The whole of it."])
def test_a_check_says_first_what_it_proves(source: str) -> None:
    """Whoever unfolds it, or reads where nothing folds, is told what it is for."""
    (problem,) = problems(notebook(code("proof", source, "check"), markdown("next", "a")))
    assert "cell `proof`: a reader who opens this check is not told what it is for" in problem


def test_no_chapter_ends_on_a_check() -> None:
    """A reader's last words are for them."""
    (problem,) = problems(notebook(code("proof", "# It is so.\nassert 1", "check")))
    assert problem.endswith("cell `proof`: ends the chapter on a check; put it before the last words")
