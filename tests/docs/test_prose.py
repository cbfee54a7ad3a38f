"""The pages as text: prose is wrapped, so that it can be read, compared and reviewed in any editor."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
WIDTH = 120
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "server/*.md", "tests/*.md", "bench/*.md", "tools/**/*.md")
    for page in ROOT.glob(pattern)
    if page != ROOT / "README.md"  # which is rendered: its wrapping is that of the notebooks
)


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line of a paragraph; tables, code and what others make of the page are none."""
    lines = text.splitlines()
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    for opening in tokens:
        if opening.type == "paragraph_open" and opening.map:
            for number in range(*opening.map):
                yield number + 1, lines[number]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_prose_is_wrapped(page: Path) -> None:
    """No line of prose is longer than 120 characters, but for one that is a single word, such as an address."""
    found = [f"{page.name}:{number}" for number, line in prose(page.read_text()) if len(line) > WIDTH and " " in line]
    assert not found, f"lines of more than {WIDTH} characters: {found}"
