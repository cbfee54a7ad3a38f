"""Our docstrings as Sphinx reads them: they are plain text, in which it would take a drawn tree for a paragraph."""

from docutils import nodes
from sphinx.application import Sphinx

_TREE = ("├", "└", "│")


def setup(app: Sphinx) -> None:
    """Mend what autodoc reads."""
    app.connect("autodoc-process-docstring", _mend)
    app.connect("doctree-read", _dash)


def _mend(_app: Sphinx, _what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Make a literal block of each paragraph that is a drawn tree."""
    paragraphs = "\n".join(lines).split("\n\n")
    lines[:] = "\n\n".join(map(_literal, paragraphs)).split("\n")


def _literal(paragraph: str) -> str:
    if not any(line.startswith(_TREE) for line in paragraph.splitlines()):
        return paragraph
    return "::\n\n" + "\n".join(f"    {line}" for line in paragraph.splitlines())


def _dash(_app: Sphinx, document: nodes.document) -> None:
    """Put a dash between an argument and what it is; whoever makes dashes of all hyphens makes one of `--server`."""
    for text in list(document.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(" – "))
