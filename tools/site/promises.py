"""The page where each promise stands with the tests that hold it, and the links between it and the pages.

On the pages, the id behind a sentence leads to its place here; here it leads back to the sentence, and each test to its
source.
"""

import html
import posixpath
import re
from itertools import groupby
from pathlib import Path

from tools.promises.holders import Holder, holders
from tools.promises.pages import LABEL, PAGES, Promise, sections

NAME = "promises.md"
_INTRODUCTION = """# Promises and their tests

What the pages on protocol, cryptography and security promise, and which tests hold it. `make lint` fails for a promise
without a test, and for a test of a promise that nobody gave.

What begins with P, T or S is held by our own tests. Of the others there is a rule as well that
`walletsync conformance URL` tries at any server.
"""


def linked(page: str, text: str) -> str:
    """Return the text of a page whose ids lead to the page of promises, and are anchors to come back to."""
    if page not in PAGES:
        return text
    target = posixpath.relpath(_shown(NAME), posixpath.dirname(page) or ".")
    # A space that does not break: an id stays with the last word of its sentence where a line ends, and is none of it.
    return re.sub(rf"\s*{LABEL.pattern}", lambda label: f"&nbsp;{_anchor('promise', label[1], target)}", text)


def page_of_promises(root: Path, source: str) -> str:
    """Return the page, in Markdown. `source` is the URL below which the repository's files are shown."""
    held: dict[str, list[Holder]] = {}
    for holder in holders(root):
        held.setdefault(holder.id, []).append(holder)
    pieces = [_INTRODUCTION]
    for page, parts in groupby(sections(root), key=lambda section: section.page):
        pieces.append(f"## [{page}]({page})")
        for section in parts:
            entries = [_entry(each, held.get(each.id, []), source) for each in section.promises()]
            pieces += [f"### {section.heading}", *entries] if entries else []
    return "\n\n".join(pieces) + "\n"


def _entry(promise: Promise, held: list[Holder], source: str) -> str:
    anchor = _anchor("held", promise.id, _shown(promise.page))
    return "\n".join((f"{anchor} {_plain(promise.sentence)}\n", *(_test(each, source) for each in held)))


def _test(holder: Holder, source: str) -> str:
    url = f"{source}/blob/main/{holder.path}#L{holder.line}"
    return f'- {html.escape(holder.sentence, quote=False)} <a class="test" href="{url}">{holder.path}</a>'


def _anchor(kind: str, id: str, target: str) -> str:
    return f'<a class="{kind}" id="{id}" href="{target}#{id}">{id}</a>'


def _shown(page: str) -> str:
    return page.removesuffix(".md") + ".html"


def _plain(sentence: str) -> str:
    """Return a sentence without the ids and links in it; the cells of a table's row one behind the other."""
    without = re.sub(rf"\s*{LABEL.pattern}", "", sentence)
    unlinked = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", without)
    return " – ".join(cell.strip() for cell in unlinked.split(" | ") if cell.strip())
