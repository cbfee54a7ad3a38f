"""What a notebook draws of its run: in Markdown a picture, and in plain text the same for whoever cannot see it.

picture(wire.exchanges)         a sequence diagram: who asked for what, and what came of it
made_on_phone = draft(phone)    what the phone has made and not sent, and the version that it built on
graph(laptop, made_on_phone)    the versions that the server keeps, who built on which, and that draft beside them
Table(columns, rows)            the same things as several see them, side by side
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from walletsync import Client
from wire import Exchange


@dataclass(frozen=True)
class Picture:
    """A diagram, which Mermaid draws, and the same as a list, whose numbers a repr adds."""

    diagram: tuple[str, ...]
    lines: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join(f"{number}. {line}" for number, line in enumerate(self.lines, start=1))

    def _repr_markdown_(self) -> str:
        folded = ["<details>", "<summary>The same as a list</summary>", "", repr(self), "", "</details>"]
        return "\n".join(["```mermaid", *self.diagram, "```", "", *folded])


def picture(exchanges: Iterable[Exchange], names: Mapping[str, str] | None = None) -> Picture:
    """Draw one exchange or more: who asked for what, with which sequence, and what came of it. No secret gets into it.

    `names` are for devices whose own is a random one.
    """
    called = names or {}
    steps = [(called.get(each.device, each.device), each.asked, each.answered) for each in exchanges]
    first, *others = dict.fromkeys(device for device, _, _ in steps)
    # With the server between them, no arrow of two devices crosses a line.
    diagram = ["sequenceDiagram", *(f"    participant {name}" for name in (first, "server", *others))]
    lines = []
    for device, asked, answered in steps:
        diagram += [f"    {device}->>server: {asked}"] if asked else []
        diagram += [f"    server-->>{device}: {answered}"]
        lines.append(f"{device}: {asked} → {answered}" if asked else f"{device} is told: {answered}")
    return Picture(tuple(diagram), tuple(lines))


@dataclass(frozen=True)
class Draft:
    """What a device has made on top of version `base`, and has not sent."""

    device: str
    base: int
    document: Any


def draft(device: Client) -> Draft:
    """Return what a device has made since the last version that it got or POSTed."""
    state = device.wallet_state
    return Draft(device.device_id, 0 if state is None else state.sequence, device.get_document())


def graph(client: Client, made: Draft, *, show: Callable[[Any], str] = str) -> Picture:
    """Draw the versions that the server keeps, as `client` opens them, and beside them what a device had made.

    A version builds on the one before, which the server sees to. The draft is `mine` in the merge that its device
    POSTed next; `theirs` is the version that this one builds on, and `base` the last one that both sides had. `show`
    makes a short text of a document.
    """
    kept = sorted(client.history(), key=lambda version: version.sequence)
    documents = client.versions(version.sequence for version in kept)
    merged = min(each.sequence for each in kept if each.sequence > made.base and each.device == made.device)
    roles = {made.base: "base", merged - 1: "theirs", merged: "merged"}
    diagram, lines = ["flowchart TB"], []
    for each in kept:
        number, said, role = each.sequence, show(documents[each.sequence]), roles.get(each.sequence, "")
        built = f", built on version {number - 1}" if number - 1 in documents else ""
        if number == merged:
            diagram.append(_box("draft", f"not sent, {made.device}", show(made.document), "mine"))
            diagram += [f"    v{made.base} -.-> draft", f"    draft -.-> v{number}"]
            lines.append(f"not sent, on {made.device}, built on version {made.base}: {show(made.document)} (mine)")
            built += f" and on what {made.device} had not sent"
        diagram.append(_box(f"v{number}", f"version {number}, {each.device}", said, role))
        if number - 1 in documents:
            diagram.append(f"    v{number - 1} --> v{number}")
        lines.append(f"version {number}, by {each.device}{built}: {said}{f' ({role})' if role else ''}")
    return Picture(tuple(diagram), tuple(lines))


def _box(name: str, title: str, text: str, role: str) -> str:
    said = [title, text.replace('"', "#quot;"), *([f"<i>{role}</i>"] if role else [])]
    return f'    {name}["{"<br/>".join(said)}"]'


@dataclass(frozen=True)
class Table:
    """The same things as several see them: a row for each, which begins with what it is; "" where one has nothing."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __repr__(self) -> str:
        lines = []
        for what, *seen in self.rows:
            said = zip(self.columns, seen, strict=True)
            lines += [what, *(f"    {where}: {text or 'nothing'}" for where, text in said)]
        return "\n".join(lines)

    def _repr_markdown_(self) -> str:
        head = ["| | " + " | ".join(self.columns) + " |", "| --- " * (len(self.columns) + 1) + "|"]
        return "\n".join([*head, *("| " + " | ".join([what, *map(_cell, seen)]) + " |" for what, *seen in self.rows)])


def _cell(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`" if text else ""
