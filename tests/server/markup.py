"""Reads the pages of the server strictly."""

from html.parser import HTMLParser

VOID = {"meta", "br", "img", "link", "input", "hr"}
Attributes = dict[str, str]


class Reader(HTMLParser):
    """Reads a page strictly: every element has to be closed where it was opened."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, Attributes]] = []
        self.rows: list[list[str]] = []
        self.texts: dict[str, str] = {}
        self._open: list[str] = []
        self._cells: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self._cells = []
        if tag in ("td", "th"):
            self._cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag == "tr":
            self.rows.append([" ".join(cell.split()) for cell in self._cells])

    def handle_data(self, data: str) -> None:
        inner = self._open[-1] if self._open else ""
        self.texts[inner] = self.texts.get(inner, "") + data
        if self._cells and ("td" in self._open or "th" in self._open):
            self._cells[-1] += data

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]

    def tags(self, *names: str) -> list[str]:
        return [tag for tag, _ in self.elements if tag in names]
