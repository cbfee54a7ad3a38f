"""Mermaid's diagrams as SVG: as much of its language as the notebooks write.

GitHub draws Mermaid by a program of three megabytes from another host. A reader of the site needs neither.
"""

import math
import re
from collections import Counter
from html import escape, unescape

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

_LETTER = 7.2
"""Pixels that a letter is wide, about: a little more than it takes."""
_READABLE = 480
"""On a phone it shrinks to that and scrolls, since smaller letters are none."""
_LINE = 19
_ROW = 38
_MARGIN = 24
_MESSAGE = re.compile(r"(\w+)(-?)->>(\w+): (.+)")
_BOX = re.compile(r'(\w+)\["(.+)"\]')
_EDGE = re.compile(r"(\w+) (-->|-\.->) (\w+)")


def setup(app: Sphinx) -> None:
    """Draw every block of the language `mermaid`."""
    app.connect("doctree-read", _draw_all)


def svg(source: str) -> str:
    """Return a diagram as SVG.

    Raises:
        ValueError: it is of a kind, or has a line, that this does not draw.
    """
    kind, *lines = [line.strip() for line in source.strip().splitlines()]
    if kind == "sequenceDiagram":
        return _sequence(lines)
    if kind == "flowchart TB":
        return _flowchart(lines)
    raise ValueError(f"tools/site/diagrams.py draws no `{kind}`: teach it, or draw something else")


def _draw_all(_app: Sphinx, document: nodes.document) -> None:
    for block in list(document.findall(nodes.literal_block)):
        if block.get("language") == "mermaid":
            try:
                block.replace_self(nodes.raw("", svg(block.astext()), format="html"))
            except ValueError as error:
                raise ExtensionError(str(error)) from None


def _sequence(lines: list[str]) -> str:
    names = [line.removeprefix("participant ") for line in lines if line.startswith("participant ")]
    messages = [_parsed(_MESSAGE, line) for line in lines if not line.startswith("participant ")]
    column = {name: number for number, name in enumerate(names)}
    # Each is as far from the one before as its name and what is said between them need.
    places = [_MARGIN + _width(names[0]) / 2]
    for number, name in enumerate(names[1:], start=1):
        needs = [places[-1] + (_width(names[number - 1]) + _width(name)) / 2 + _MARGIN]
        for sender, _, receiver, text in messages:
            left, right = sorted((column[sender], column[receiver]))
            if right == number:
                needs.append(places[left] + _width(text) + _MARGIN)
        places.append(max(needs))
    height = 2 * _ROW + len(messages) * _ROW
    parts = []
    for name, x in zip(names, places, strict=True):
        parts += [_line(x, _ROW, x, height - _MARGIN, "life"), _box(x, _ROW / 2 + 4, [name])]
    for number, (sender, dashed, receiver, text) in enumerate(messages):
        y = 2 * _ROW + number * _ROW
        start, end = places[column[sender]], places[column[receiver]]
        parts += [_arrow(start, y, end, y, dashed=bool(dashed)), _text((start + end) / 2, y - 7, text)]
    return _image("sequence of messages", places[-1] + _width(names[-1]) / 2 + _MARGIN, height, parts)


def _flowchart(lines: list[str]) -> str:
    boxes = {
        name: text.split("<br/>") for name, text in (match.groups() for match in map(_BOX.fullmatch, lines) if match)
    }
    edges = [_parsed(_EDGE, line) for line in lines if not _BOX.fullmatch(line)]
    row = dict.fromkeys(boxes, 0)
    for _ in boxes:  # a path has no more edges than there are boxes
        for start, _, end in edges:
            row[end] = max(row[end], row[start] + 1)
    wide = max(_width(_plain(line)) for text in boxes.values() for line in text) + _MARGIN
    high = max(map(len, boxes.values())) * _LINE + _MARGIN
    taken: Counter[int] = Counter()
    places = {}
    for name in boxes:
        places[name] = (_MARGIN + wide / 2 + taken[row[name]] * (wide + _MARGIN), high / 2 + row[name] * (high + _ROW))
        taken[row[name]] += 1
    parts = []
    for start, kind, end in edges:
        (x1, y1), (x2, y2) = places[start], places[end]
        parts.append(_arrow(x1, y1 + _half(boxes[start]), x2, y2 - _half(boxes[end]), dashed=kind != "-->"))
    parts += [_box(*places[name], text, wide - _MARGIN) for name, text in boxes.items()]
    width = _MARGIN + max(taken.values()) * (wide + _MARGIN)
    return _image("graph of versions", width, (max(row.values()) + 1) * (high + _ROW) - _ROW, parts)


def _parsed(pattern: re.Pattern[str], line: str) -> tuple[str, ...]:
    match = pattern.fullmatch(line)
    if match is None:
        raise ValueError(f"tools/site/diagrams.py does not draw this line: {line}")
    return match.groups()


def _plain(text: str) -> str:
    return unescape(re.sub("<[^>]*>", "", text.replace("#quot;", '"')))


def _width(text: str) -> float:
    return len(text) * _LETTER + _MARGIN


def _half(text: list[str]) -> float:
    return (len(text) * _LINE + 10) / 2


def _box(x: float, y: float, text: list[str], width: float = 0) -> str:
    wide, half = max(width, *(_width(_plain(line)) for line in text)), _half(text)
    frame = f'<rect x="{x - wide / 2:.0f}" y="{y - half:.0f}" width="{wide:.0f}" height="{2 * half:.0f}" rx="5"/>'
    first = y - half + _LINE
    return frame + "".join(_text(x, first + number * _LINE, line) for number, line in enumerate(text))


def _text(x: float, y: float, text: str) -> str:
    style = ' class="role"' if text.startswith("<i>") else ""
    return f'<text x="{x:.0f}" y="{y:.0f}"{style}>{escape(_plain(text))}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" class="{kind}"/>'


def _arrow(x1: float, y1: float, x2: float, y2: float, *, dashed: bool) -> str:
    turn = math.atan2(y2 - y1, x2 - x1)
    corners = [(x2, y2), *((x2 - 9 * math.cos(turn + side), y2 - 9 * math.sin(turn + side)) for side in (0.45, -0.45))]
    head = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    return _line(x1, y1, x2, y2, "answer" if dashed else "asked") + f'<polygon points="{head}"/>'


def _image(what: str, width: float, height: float, parts: list[str]) -> str:
    """Return the image in a frame that scrolls where it is wider than the page; what it says stands below as a list."""
    return (
        f'<div class="diagram" tabindex="0" role="group" aria-label="Diagram: {what}">'
        f'<svg role="img" aria-label="A {what}; the same as a list is below" width="{width:.0f}" height="{height:.0f}" '
        f'style="min-width: {min(width, _READABLE):.0f}px" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">{"".join(parts)}</svg></div>'
    )
