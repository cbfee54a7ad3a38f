"""From the normalised notebooks to README.md: one that it begins with, the tour's folded, and links to the rest."""

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from nbconvert import MarkdownExporter
from traitlets.config import Config

from tools.docs.normalise import PICTURE
from tools.docs.notebooks import path_of, tags
from tools.docs.project import FIRST_USE, NOTEBOOKS, READERS_SERVER, SHOWN_WHOLE, TEMPLATES
from tools.docs.wrapping import pieces

LEFT_OUT = {"check", "hidden", "notebook-only", "parameters", PICTURE}
"""Tags of cells that only the notebooks show at their place."""
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r"(#{1,6}) +(.+?)(?: +#+)?")
_LINK = re.compile(r"(\]\()([^()\s]+)(?=[)\s])")
_SENTENCE = re.compile(r".*?[.!?](?=\s|$)")
_CHAPTER_LEVELS = 2
"""How far a notebook's headings go down in README.md, where its title stands below that of the tour."""


@dataclass(frozen=True)
class Chapter:
    """A notebook in README.md: its title, its opening paragraph if it begins with one, its pictures, and the rest.

    `text` is None if the notebook is only linked; `summary` is its first sentence.
    """

    name: str
    title: str
    summary: str
    essence: str
    pictures: str
    text: str | None

    @property
    def path(self) -> str:
        """Where the file lies, seen from README.md."""
        return path_of(self.name)


def readme(root: Path, notebooks: Mapping[str, Any]) -> str:
    """Return the text of README.md for notebooks in normal form, in their order, by the templates below `root`."""
    exporter = _exporter(root)
    frame = Environment(
        loader=FileSystemLoader(root / TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - it is Markdown, from our own files
    ).get_template("README.md.j2")
    chapters = [_chapter(exporter, name, notebook) for name, notebook in notebooks.items() if name != FIRST_USE]
    first = notebooks.get(FIRST_USE)
    first_use = _shown(exporter, first).replace("server_url", f'"{READERS_SERVER}"') if first else ""
    text = frame.render(chapters=chapters, first_use=first_use, pictures=_pictures(first) if first else "")
    return text.rstrip("\n") + "\n"


def fenced(text: str, language: str) -> str:
    """Return `text` as a code block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    body = text.rstrip("\n")
    return f"{fence}{language}\n{body}\n{fence}"


def output(text: str) -> str:
    """Return what a cell put out, as a quoted code block: it looks like an answer to the code above it.

    A line that would scroll in a forge's page is broken between words, and goes on below, indented.
    """
    lines = [piece for line in text.rstrip("\n").split("\n") for piece in pieces(line)]
    return "\n".join(f"> {line}".rstrip() for line in fenced("\n".join(lines), "text").split("\n"))


def chapter(source: str) -> str:
    """Return Markdown of a notebook as README.md shows it: its headings below the tour's, its links seen from there."""
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
    return "#" * min(_CHAPTER_LEVELS, 6 - len(match[1])) + line if match else line


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


def _chapter(exporter: MarkdownExporter, name: str, notebook: Any) -> Chapter:
    title, summary = _opening(name, notebook)
    if name not in SHOWN_WHOLE:
        return Chapter(name, title, summary, "", "", None)
    essence, text = _parted(_shown(exporter, notebook))
    return Chapter(name, title, summary, essence, _pictures(notebook), text)


def _pictures(notebook: Any) -> str:
    cells = [cell for cell in notebook.cells if PICTURE in tags(cell)]
    shown = [
        text
        for cell in cells
        for text in ([cell.source] if cell.cell_type == "markdown" else _in_markdown(cell.outputs))
    ]
    return "\n\n".join(chapter(text) for text in shown)


def _in_markdown(outputs: Iterable[Any]) -> Iterator[str]:
    for output in outputs:
        yield output.data["text/markdown"]


def _shown(exporter: MarkdownExporter, notebook: Any) -> str:
    return str(exporter.from_notebook_node(notebook)[0]).strip()


def _parted(text: str) -> tuple[str, str]:
    """Return the paragraph below a chapter's title, and all that comes after; no paragraph if it begins otherwise."""
    first, _, rest = text.partition("\n\n")
    body = rest.lstrip("\n") if _HEADING.fullmatch(first) else text
    paragraph, _, after = body.partition("\n\n")
    return (paragraph, after.lstrip("\n")) if re.match(r"[^#`~>|<\s]", paragraph) else ("", body)


def _exporter(root: Path) -> MarkdownExporter:
    config = Config(
        {
            "TemplateExporter": {
                "extra_template_basedirs": [str(root / TEMPLATES)],
                "template_name": "readme",
                "template_file": "index.md.j2",
                "filters": {"chapter": chapter, "fenced": fenced, "output": output},
            },
            "TagRemovePreprocessor": {"enabled": True, "remove_cell_tags": LEFT_OUT},
            "ExtractOutputPreprocessor": {"enabled": False},
            "HighlightMagicsPreprocessor": {"enabled": False},
        }
    )
    return MarkdownExporter(config=config)  # type: ignore[no-untyped-call]
