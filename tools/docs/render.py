"""From the normalised notebooks to README.md: a frame around the first of them, and links to the rest."""

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from nbconvert import MarkdownExporter
from traitlets.config import Config

from tools.docs.project import NOTEBOOKS, SHOWN_WHOLE, TEMPLATES

LEFT_OUT = {"check", "hidden", "parameters"}
"""Tags of cells that only the notebooks show."""
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r"(#{1,6}) +(.+?)(?: +#+)?")
_LINK = re.compile(r"(\]\()([^()\s]+)(?=[)\s])")
_SENTENCE = re.compile(r".*?[.!?](?=\s|$)")


@dataclass(frozen=True)
class Chapter:
    """A notebook in README.md. `text` is None if it is only linked."""

    name: str
    title: str
    summary: str
    text: str | None

    @property
    def path(self) -> str:
        """Where the file lies, seen from README.md."""
        return f"{NOTEBOOKS}/{self.name}.ipynb"


def readme(notebooks: Mapping[str, Any]) -> str:
    """Return the text of README.md for notebooks in normal form, in their order."""
    exporter = _exporter()
    chapters = [
        Chapter(
            name,
            *_opening(name, notebook),
            exporter.from_notebook_node(notebook)[0].strip() if name in SHOWN_WHOLE else None,
        )
        for name, notebook in notebooks.items()
    ]
    frame = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - it is Markdown, from our own files
    ).get_template("README.md.j2")
    return frame.render(chapters=chapters).rstrip("\n") + "\n"


def fenced(text: str, language: str) -> str:
    """Return `text` as a code block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    body = text.rstrip("\n")
    return f"{fence}{language}\n{body}\n{fence}"


def chapter(source: str) -> str:
    """Return Markdown of a notebook as README.md shows it: one level down, its links seen from there."""
    return _outside_fences(source, lambda line: _relinked(_lowered(line))).strip("\n")


def _outside_fences(source: str, change: Callable[[str], str]) -> str:
    """Apply `change` to every line that is not part of a code block."""
    lines = []
    fence = ""
    for line in source.splitlines():
        match = _FENCE.match(line)
        if not fence and match:
            fence = match[1]
        elif fence:
            if match and match[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
        else:
            lines.append(change(line))
            continue
        lines.append(line)
    return "\n".join(lines)


def _lowered(line: str) -> str:
    match = _HEADING.fullmatch(line)
    return f"#{line}" if match and len(match[1]) < 6 else line


def _relinked(line: str) -> str:
    def relink(match: re.Match[str]) -> str:
        target = match[2]
        if target.startswith(("#", "/")) or re.match(r"[a-z][a-z0-9+.-]*:", target):
            return match[0]
        name = target.removesuffix(".ipynb")
        if target.endswith(".ipynb") and name in SHOWN_WHOLE:
            return f"{match[1]}#{name}"
        return match[1] + posixpath.normpath(posixpath.join(NOTEBOOKS, target))

    return _LINK.sub(relink, line)


def _opening(name: str, notebook: Any) -> tuple[str, str]:
    """Return a notebook's first heading and first sentence; its name and nothing if it has none."""
    title, summary = "", ""
    prose = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for paragraph in re.split(r"\n\s*\n", "\n\n".join(prose)):
        heading, _, rest = paragraph.strip().partition("\n")
        match = _HEADING.fullmatch(heading)
        if match and not title:
            title = match[2]
        text = (rest if match else paragraph).strip()
        if text and not summary:
            joined = " ".join(text.split())
            sentence = _SENTENCE.match(joined)
            summary = _relinked(sentence[0] if sentence else joined)
    return title or name, summary


def _exporter() -> MarkdownExporter:
    config = Config(
        {
            "TemplateExporter": {
                "extra_template_basedirs": [str(TEMPLATES)],
                "template_name": "readme",
                "template_file": "index.md.j2",
                "filters": {"chapter": chapter, "fenced": fenced},
            },
            "TagRemovePreprocessor": {"enabled": True, "remove_cell_tags": LEFT_OUT},
            "ExtractOutputPreprocessor": {"enabled": False},
            "HighlightMagicsPreprocessor": {"enabled": False},
        }
    )
    return MarkdownExporter(config=config)  # type: ignore[no-untyped-call]
