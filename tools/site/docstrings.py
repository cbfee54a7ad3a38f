"""Our docstrings as Sphinx reads them: they are plain text, in which it would take a drawn tree for a paragraph, the
name of a page for words, what is typed into a terminal for verse, and an example for an address to visit."""

import re
from itertools import groupby

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

_PAGE = re.compile(r"\b(docs/\w+)\.md\b")
_TYPED = "|   "
"""How sphinx-click begins a line that click shall leave as it is, if that is indented: a command."""
_DRAWN = re.compile(r"(?P<above>(?:│ {3}| {4})*)(?P<branch>[├└]── )?(?P<name>\w+)(?: +(?P<text>.+))?")


def setup(app: Sphinx) -> None:
    """Mend what autodoc reads."""
    app.connect("autodoc-process-docstring", _mend)
    app.connect("sphinx-click-process-description", _typed)
    app.connect("doctree-read", _dash)
    app.connect("doctree-read", _unlink)


def _mend(_app: Sphinx, _what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Make a list of each paragraph that is a drawn tree of exceptions, and a link of each name of a page."""
    paragraphs = "\n".join(lines).split("\n\n")
    listed = "\n\n".join(map(_listed, paragraphs))
    lines[:] = _PAGE.sub(r":doc:`\1.md </\1>`", listed).split("\n")


def _typed(_app: Sphinx, _context: object, lines: list[str]) -> None:
    """Make a block of code of the commands that stand one below the other."""
    mended: list[str] = []
    for is_typed, block in groupby(lines, key=lambda line: line.startswith(_TYPED)):
        shown = [f"   {line.removeprefix(_TYPED)}" if is_typed else line for line in block]
        mended += ["", ".. code-block:: sh", "", *shown, ""] if is_typed else shown
    lines[:] = mended


def _listed(paragraph: str) -> str:
    """Return a tree as lists in lists, whose lines go on below where the page is narrow, and whose names are links."""
    if "├── " not in paragraph:
        return paragraph
    return "\n\n".join(map(_item, paragraph.splitlines()))


def _item(line: str) -> str:
    drawn = _DRAWN.fullmatch(line)
    if drawn is None:
        raise ExtensionError(f"tools/site/docstrings.py does not read this line of a tree: {line}")
    depth = len(drawn["above"]) // 4 + bool(drawn["branch"])
    text = f" – {drawn['text']}" if drawn["text"] else ""
    return f"{'  ' * depth}- :exc:`{drawn['name']}`{text}"


def _dash(_app: Sphinx, document: nodes.document) -> None:
    """Put a dash between an argument and what it is; whoever makes dashes of all hyphens makes one of `--server`."""
    for text in list(document.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(" – "))


def _unlink(_app: Sphinx, document: nodes.document) -> None:
    """Take the link from an address that is an example, and leads nowhere."""
    for link in list(document.findall(nodes.reference)):
        if "example.com" in link.get("refuri", ""):
            link.parent.replace(link, link.children)
