"""Links lead somewhere, in every page and notebook, whatever they are written in."""

import json
from pathlib import Path

import pytest

from tests.docs.trees import Tree, code, markdown, notebook
from tools.docs.links import broken
from tools.docs.notebooks import to_text
from tools.docs.project import ROOT

PAGE = """# One page

## What `it` does, & why

## Twice

## Twice

<a id="by-hand"></a>

A [reference][r] to code: `[no](link.md)`.

```sh
[nor](this.md)
```

[r]: docs/other.md
"""


@pytest.fixture
def pages(tree: Tree) -> Path:
    (tree.root / "docs/other.md").write_text("# Other\n")
    (tree.root / "page.md").write_text(PAGE)
    tree.add("01-setup", markdown("title", "# Setup\n\n## A server"), code("say", "1"))
    return tree.root


def told(root: Path, link: str, page: str = "page.md") -> list[str]:
    path = root / page
    path.write_text(path.read_text() + f"\n{link}\n")
    return [str(each) for each in broken(root, {})]


@pytest.mark.parametrize(
    "link",
    [
        "[a](docs/other.md)",
        "[a](docs)",
        "[a](docs/other.md#other)",
        "[a](#what-it-does--why)",
        "[a](#twice-1)",
        "[a](#by-hand)",
        "[a](notebooks/01-setup.ipynb#a-server)",
        "[a](https://example.com/nowhere)",
        '<a href="docs/other.md">a</a>',
        "[a](docs/%6fther.md)",
    ],
)
def test_a_link_that_leads_somewhere_is_fine(pages: Path, link: str) -> None:
    """Files, folders, anchors of headings as a forge makes them, or written in HTML, and of notebooks."""
    assert told(pages, link) == []


@pytest.mark.parametrize(
    ("link", "missing"),
    [
        ("[a](docs/gone.md)", "docs/gone.md leads nowhere: there is no docs/gone.md"),
        ("![a](gone.png)", "gone.png leads nowhere: there is no gone.png"),
        ('<img src="gone.png">', "gone.png leads nowhere: there is no gone.png"),
        ('before <a href="#gone">a</a>', "#gone leads nowhere: no heading of page.md makes the anchor #gone"),
        ("[a](#twice-2)", "#twice-2 leads nowhere: no heading of page.md makes the anchor #twice-2"),
        ("[a][b]\n\n[b]: docs/other.md#gone", "no heading of docs/other.md makes the anchor #gone"),
        ("[a](notebooks/02-gone.ipynb)", "there is no notebooks/02-gone.ipynb"),
        ("[a](notebooks/01-setup.ipynb#gone)", "no heading of notebooks/01-setup.ipynb makes the anchor #gone"),
    ],
)
def test_a_broken_link_is_told_with_its_page_and_what_is_missing(pages: Path, link: str, missing: str) -> None:
    """So that nobody has to click."""
    (report,) = told(pages, link)
    assert report.startswith("page.md: the link to ")
    assert report.endswith(missing)


def test_a_link_from_a_cell_is_told_with_the_cell(pages: Path) -> None:
    """A chapter that others link to and that was renamed or removed, for instance."""
    path = pages / "notebooks/02-syncing.ipynb"
    path.write_text(json.dumps(notebook(markdown("next", "[back](01-before.ipynb)"))))
    (report,) = broken(pages, {})
    assert str(report).startswith("notebooks/02-syncing.ipynb, cell `next`: the link to 01-before.ipynb leads nowhere")


def test_what_is_about_to_be_written_counts(pages: Path) -> None:
    """README.md is checked as it will be, and notebooks that it links to are there by then."""
    fresh = {
        "README.md": "[a](notebooks/09-new.ipynb#b)",
        "notebooks/09-new.ipynb": to_text(notebook(markdown("t", "# B"))),
    }
    assert broken(pages, fresh) == []
    assert [each.place for each in broken(pages, {"README.md": "[a](#gone)"})] == ["README.md"]


def test_this_repository_has_no_broken_link() -> None:
    """Its pages are held without a run, too."""
    assert broken(ROOT, {}) == []
