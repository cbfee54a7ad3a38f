"""Our docstrings as Sphinx reads them: they are plain text, in which it would take a drawn tree for a paragraph."""

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

_DRAWN = re.compile(r"(?P<above>(?:│ {3}| {4})*)(?P<branch>[├└]── )?(?P<name>\w+)(?: +(?P<text>.+))?")


def setup(app: Sphinx) -> None:
    """Mend what autodoc reads."""
    app.connect("autodoc-process-docstring", _mend)
    app.connect("doctree-read", _dash)


def _mend(_app: Sphinx, _what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Make a list of each paragraph that is a drawn tree of exceptions."""
    paragraphs = "\n".join(lines).split("\n\n")
    lines[:] = "\n\n".join(map(_listed, paragraphs)).split("\n")


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
