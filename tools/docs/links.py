"""Every link of the pages and notebooks leads somewhere: to a file, and to an anchor that is in it.

Anchors are those that a forge makes of headings, and those that stand there in HTML. Nothing on the web is asked.
"""

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tools.docs.project import NOTEBOOKS, PAGES

_MARKDOWN = MarkdownIt("gfm-like", {"linkify": False})


@dataclass(frozen=True)
class Broken:
    """A link that leads nowhere: the page or the cell it stands in, its target, and what is missing."""

    place: str
    target: str
    missing: str

    def __str__(self) -> str:
        return f"{self.place}: the link to {self.target} leads nowhere: {self.missing}"


class _HTML(HTMLParser):
    """Collects the anchors and targets of a piece of HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: list[str] = []
        self.targets: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.append(value)
            elif name in ("href", "src") and value:
                self.targets.append(value)


def broken(root: Path, fresh: Mapping[str, str]) -> list[Broken]:
    """Return the broken links below `root`, where `fresh` has the texts of files that are about to be written."""

    def text_of(path: str) -> str | None:
        if path in fresh:
            return fresh[path]
        file = root / path
        return file.read_text(encoding="utf-8") if file.is_file() else None

    @cache
    def anchors_in(path: str) -> set[str]:
        pieces = _pieces(path, text_of(path) or "")
        return set(_anchors(_MARKDOWN.parse("\n\n".join(text for _, text in pieces))))

    def missing(page: str, target: str) -> str | None:
        link = urlsplit(target)
        if link.scheme or link.netloc:
            return None
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(link.path))) if link.path else page
        if path not in fresh and not (root / path).exists():
            return f"there is no {path}"
        if link.fragment and path.endswith((".md", ".ipynb")) and unquote(link.fragment) not in anchors_in(path):
            return f"no heading of {path} makes the anchor #{link.fragment}"
        return None

    found = []
    for page in _pages(root, fresh):
        for place, text in _pieces(page, text_of(page) or ""):
            for target in _targets(_MARKDOWN.parse(text)):
                if what := missing(page, target):
                    found.append(Broken(place, target, what))
    return found


def _pages(root: Path, fresh: Mapping[str, str]) -> list[str]:
    on_disk = {str(path.relative_to(root)) for pattern in PAGES for path in root.glob(pattern)}
    notebooks = {str(path.relative_to(root)) for path in (root / NOTEBOOKS).glob("*.ipynb")}
    return sorted(on_disk | notebooks | {path for path in fresh if path.endswith((".md", ".ipynb"))})


def _pieces(page: str, text: str) -> list[tuple[str, str]]:
    """Return the Markdown of a page, or of each of a notebook's cells, with the name of its place."""
    if not page.endswith(".ipynb"):
        return [(page, text)]
    cells = json.loads(text)["cells"]
    prose = [cell for cell in cells if cell["cell_type"] == "markdown"]
    return [(f"{page}, cell `{cell['id']}`", "".join(cell["source"])) for cell in prose]


def _flat(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _flat(token.children or [])


def _targets(tokens: list[Token]) -> Iterator[str]:
    for token in _flat(tokens):
        if token.type in ("html_block", "html_inline"):
            yield from _HTML(token.content).targets
        elif target := token.attrs.get("href") or token.attrs.get("src"):
            yield str(target)


def _anchors(tokens: list[Token]) -> Iterator[str]:
    taken: dict[str, int] = {}
    for token, inside in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and inside:
            slug = _slug(inside)
            number = taken[slug] = taken.get(slug, -1) + 1
            yield f"{slug}-{number}" if number else slug
    for token in _flat(tokens):
        if token.type in ("html_block", "html_inline"):
            yield from _HTML(token.content).anchors


def _slug(heading: Token) -> str:
    """Return the anchor of a heading as GitHub and its like make it of what is read there."""
    shown = (token.content for token in heading.children or [] if token.type in ("text", "code_inline"))
    return re.sub(r"[^\w\- ]", "", "".join(shown).strip().lower()).replace(" ", "-")
