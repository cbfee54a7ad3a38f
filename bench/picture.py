"""A small picture, as SVG, of what a read and a write cost on each server: µs of a processor, shorter is better."""

from html import escape

from bench.hot import KINDS
from bench.report import Row

_WIDTH, _LINE, _LEFT, _RIGHT = 720, 24, 190, 90
_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .head { font-weight: 600 }
  .ours { fill: #1f6feb }
  .other { fill: #8c959f }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } }
"""


def draw(rows: list[Row]) -> str:
    """Return the picture of the rows of the part `http` for GET and POST."""
    parts, top = [], 0
    for kind in ("get", "post"):
        shown = [row for row in rows if row.part == "http" and row.what == KINDS[kind] and row.work is not None]
        most = max((row.work or 0 for row in shown), default=1)
        top += _LINE
        parts.append(f'<text class="head" x="0" y="{top}">{escape(KINDS[kind])}: µs of a processor each</text>')
        for row in sorted(shown, key=lambda row: row.work or 0):
            top += _LINE
            parts += _bar(row, top, (row.work or 0) / most)
        top += _LINE // 2
    title = "What a read and a write cost on each server; the table beside this picture has the figures"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top + 8}" role="img" aria-label="{title}">'
    return "\n".join([head, f"<title>{title}</title>", f"<style>{_STYLE}</style>", *parts, "</svg>", ""])


def _bar(row: Row, top: int, part: float) -> list[str]:
    width = max(1, round(part * (_WIDTH - _LEFT - _RIGHT)))
    kind = "ours" if row.of.startswith("ours") else "other"
    return [
        f'<text x="0" y="{top}">{escape(row.of)}</text>',
        f'<rect class="{kind}" x="{_LEFT}" y="{top - 13}" width="{width}" height="16" rx="2"/>',
        f'<text x="{_LEFT + width + 6}" y="{top}">{row.work:,.0f}</text>',
    ]
