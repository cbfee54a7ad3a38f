"""What the pages promise: each id with its sentence, and the sentences that promise something without one.

An id in brackets, `[P-1]`, ends a sentence or a table's row, or a part of either. A section without a promise says why
not, `<!-- no promise: it explains -->`, which nobody sees who reads the page as it is meant to be shown.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import takewhile
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

PAGES = {"docs/protocol.md": "", "docs/crypto.md": "Who attacks, and what holds", "SECURITY.md": ""}
"""The pages, and the only section of a page that is looked at, where not all of it is: vectors hold the rest."""
LABEL = re.compile(r"\[([A-Z]-\d+)\]")
"""An id as it stands in a page."""
_EXCUSE = re.compile(r"<!-- no promise: \S.* -->")
_STATUSES = "|".join(str(status.value) for status in HTTPStatus if status >= HTTPStatus.OK)
_PROMISING = re.compile(rf"\b(must|never|always)\b|(?<![\d,.])({_STATUSES})(?![\d,.]*\d)", re.IGNORECASE)
_END = re.compile(r"(?<=[.!?])\s+(?=\S)")
_MARKDOWN = MarkdownIt("gfm-like", {"linkify": False})


@dataclass(frozen=True)
class Promise:
    """One id, and where it stands. `sentence` is Markdown, with the ids in it."""

    id: str
    page: str
    heading: str
    sentence: str


@dataclass
class Section:
    """What stands between two headings: sentences, those of a table being its rows."""

    page: str
    heading: str
    sentences: list[str] = field(default_factory=list)
    bare: list[str] = field(default_factory=list)
    """Those that promise something, and have no id."""
    is_excused: bool = False

    def promises(self) -> Iterator[Promise]:
        """Yield each id with its sentence, in their order."""
        for sentence in self.sentences:
            for id in LABEL.findall(sentence):
                yield Promise(id, self.page, self.heading, sentence)


def sections(root: Path) -> list[Section]:
    """Return the sections of all pages below `root`, in their order."""
    return [
        each
        for page, only in PAGES.items()
        for each in _sections(page, (root / page).read_text())
        if only in ("", each.heading)
    ]


def _sections(page: str, text: str) -> Iterator[Section]:
    section = Section(page, "")
    tokens = iter(_MARKDOWN.parse(text))
    lead = ""
    for token in tokens:
        if token.type == "heading_open":
            yield section
            section, lead = Section(page, next(tokens).content), ""
        elif token.type == "html_block" and _EXCUSE.search(token.content):
            section.is_excused = True
        elif token.type == "table_open":
            rows = list(_rows(takewhile(lambda inside: inside.type != "table_close", tokens)))
            section.sentences += rows
            if not LABEL.search(lead):
                section.bare += [row for row in rows if not LABEL.search(row)]
        elif token.type == "inline":
            lead = " ".join(token.content.split())
            found = _END.split(lead)
            section.sentences += found
            section.bare += [each for each in found if _PROMISING.search(each) and not LABEL.search(each)]
    yield section


def _rows(tokens: Iterator[Token]) -> Iterator[str]:
    """Yield the rows of a table's body."""
    cells: list[str] = []
    is_body = False
    for token in tokens:
        is_body = is_body or token.type == "tbody_open"
        if is_body and token.type == "inline":
            cells.append(token.content)
        elif is_body and token.type == "tr_close":
            yield " | ".join(cells)
            cells = []
