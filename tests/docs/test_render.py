"""README.md is made of the notebooks and reads as one text."""

import re
from typing import Any

import pytest

from tests.docs.trees import code, markdown, notebook, result, stream
from tools.docs.project import READERS_SERVER, ROOT, WIDTH
from tools.docs.render import chapter, fenced, output, readme

TOUR = {
    "00-first-use": notebook(
        markdown("title", "# First use\n\nOnly seen in the notebook.", "notebook-only"),
        markdown("why", "A device:"),
        code("run", "Client(server_url)", outputs=[result("Client()")]),
        code("draw", "picture()", "picture", outputs=[result("a picture of the first use", "text/markdown")]),
    ),
    "01-setup": notebook(
        markdown("title", "# Setting up\n\nWhy first.\n\n## A server"),
        code("run", "answer = 1\nanswer", outputs=[stream("hello\n"), result("1")]),
        code("proof", "assert secret_check", "check"),
        code("plumbing", "import plumbing", "hidden"),
        code("quiet", "x = 2"),
        markdown("picture-title", "## Drawn", "notebook-only"),
        markdown("picture-why", "What [passed](05-password.ipynb):", "picture"),
        code("draw", "picture()", "picture", outputs=[result("```mermaid\nsequenceDiagram\n```", "text/markdown")]),
    ),
    "05-password": notebook(
        markdown("title", "# The password\n\nA [new one](01-setup.ipynb) logs\neverybody out. And more."),
        code("run", "later", outputs=[result("unseen")]),
    ),
}


def test_the_first_notebooks_are_shown_whole() -> None:
    """Prose, code and outputs, in their order, the code and the outputs in fences that say what they are; an output is
    quoted, so that it does not look like code."""
    text = readme(ROOT, TOUR)
    outputs = "> ```text\n> hello\n> ```\n\n> ```text\n> 1\n> ```\n"
    assert f"\n#### A server\n\n```python\nanswer = 1\nanswer\n```\n\n{outputs}" in text


def test_a_chapter_is_its_opening_and_the_rest_is_folded() -> None:
    """Its title is one of the page's outline, below the tour; who wants to read on opens it."""
    text = readme(ROOT, TOUR)
    assert '<a id="01-setup"></a>\n\n### Setting up\n\nWhy first.\n\n' in text
    assert "\n\n<details>\n<summary>All of it, with code and outputs" in text
    assert "</summary>\n\n#### A server\n" in text
    link = "[notebooks/01-setup.ipynb](notebooks/01-setup.ipynb)"
    assert f"\n```\n\n{link} is this chapter to try things in.\n\n</details>\n" in text


def test_pictures_stand_before_what_they_are_pictures_of() -> None:
    """With the words that go with them, and without their code; those of the first use before all else."""
    text = readme(ROOT, TOUR)
    drawn = "What [passed](notebooks/05-password.ipynb):\n\n```mermaid\nsequenceDiagram\n```"
    assert f"\n\nWhy first.\n\n{drawn}\n\n<details>\n<summary>All of it" in text
    assert text.index("on SQLite.") < text.index("a picture of the first use") < text.index("## First use")
    assert "Drawn" not in text
    assert "picture()" not in text


@pytest.mark.parametrize(
    "cells",
    [
        [code("run", "1", outputs=[result("1")])],
        [markdown("title", "# A"), code("run", "1")],
        [markdown("title", "# A\n\n## B\n\nC")],
        [markdown("title", "# A\n\n- one\n- two"), code("run", "1")],
    ],
)
def test_a_chapter_may_begin_with_anything(cells: list[Any]) -> None:
    """Without a paragraph, there is no opening, and nothing is lost."""
    shown = readme(ROOT, {"01-setup": notebook(*cells)}).partition("## The tour")[2].partition("## Working on it")[0]
    lines = [line for cell in cells for line in cell["source"].splitlines() if line and not line.startswith("#")]
    assert all(shown.count(line) == 1 for line in lines if len(line) > 1)
    assert shown.count("<details>") == shown.count("</details>") == 1
    assert "\n\n\n\n" not in shown


def test_the_first_use_is_at_the_top_with_an_address_that_a_reader_has() -> None:
    """Its code can be typed as it stands; what only the notebook shows is not there."""
    top = readme(ROOT, TOUR).partition("## Why trust it")[0]
    assert f'A device:\n\n```python\nClient("{READERS_SERVER}")\n```\n\n> ```text\n> Client()\n> ```\n' in top
    assert "Only seen" not in readme(ROOT, TOUR)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a" * WIDTH, ["a" * WIDTH]),
        ("  " + "word " * 30 + "end", ["  " + "word " * 16 + "word", "      " + "word " * 13 + "end"]),
        (f"{'a' * 80} at <encrypted wallet 1>", [f"{'a' * 80} at", "    <encrypted wallet 1>"]),
        (f"{'a' * 80} x='rent for May'", ["a" * 80, "    x='rent for May'"]),
        (f"{'a' * 80} it's what it's", [f"{'a' * 80} it's what", "    it's"]),
    ],
)
def test_a_long_line_of_an_output_goes_on_below(text: str, shown: list[str]) -> None:
    """Nothing scrolls in a forge's page; words, masks and quoted texts stay whole, and nothing but spaces is lost."""
    assert all(len(line) <= WIDTH for line in shown)
    assert output(text).split("\n") == ["> ```text", *(f"> {line}" for line in shown), "> ```"]


def test_checks_parameters_and_hidden_cells_are_left_out() -> None:
    """They are for the machine; the reader sees what they prove."""
    text = readme(ROOT, TOUR)
    assert not [cell for cell in ("secret_check", 'server_url = ""\nseed = 1', "import plumbing") if cell in text]


def test_the_others_are_linked_with_their_first_sentence() -> None:
    """A reader learns what they are about, and goes there."""
    text = readme(ROOT, TOUR)
    link = "- [The password](notebooks/05-password.ipynb): A [new one](#01-setup) logs everybody out.\n"
    assert link in text
    assert "unseen" not in text


def test_there_is_one_top_heading_and_it_says_that_it_is_generated() -> None:
    """GitHub shows one title; an editor sees at once that editing is in vain."""
    lines = readme(ROOT, TOUR).splitlines()
    assert lines[0].startswith("<!-- Generated by `make docs`")
    assert [line for line in lines if re.match("# ", line)] == ["# walletsync"]


def test_a_fence_is_longer_than_any_in_it() -> None:
    """Backticks in an output don't end its block."""
    assert fenced("a ```` b\n", "text") == "`````text\na ```` b\n`````"


def test_headings_in_code_blocks_are_code() -> None:
    """Only headings go down, below that of the tour, and none below the lowest there is."""
    source = "# A\n```sh\n# comment\n```\n##### E\n###### F\n#tag"
    assert chapter(source) == "### A\n```sh\n# comment\n```\n###### E\n###### F\n#tag"


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        ("02-syncing.ipynb", "#02-syncing"),
        ("05-password.ipynb", "notebooks/05-password.ipynb"),
        ("../SECURITY.md#scope", "SECURITY.md#scope"),
        ("append_log.py", "notebooks/append_log.py"),
        ("https://example.com/a", "https://example.com/a"),
        ("#here", "#here"),
    ],
)
def test_links_lead_to_the_same_place_from_the_readme(target: str, seen: str) -> None:
    """A notebook's links are seen from its folder, README.md lies above it."""
    assert chapter(f"see [this]({target}).") == f"see [this]({seen})."
