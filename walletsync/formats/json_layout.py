"""A JSON file with other values in it: what stays keeps its spelling and place, what is new follows what is around it.

The order of an object's entries is layout: those that the file has stay in its order, new ones come behind them.
"""

import json
from collections.abc import Hashable
from typing import Any

from walletsync import exactjson
from walletsync.exactjson import Part, parts
from walletsync.formats.places import sense
from walletsync.merge import Item, Keys, Path, by_key, key_at, same

_BLANKS = " \t\r\n"


def rewritten(text: str, value: Any, keys: Keys) -> str:
    """Return the text of a document with `value` in its place. `keys` tell items of lists apart, else their order."""
    root = text.strip(_BLANKS)
    before, after = text.split(root, 1)
    return before + _Layout(root, keys).of((), root, exactjson.loads(root), value) + after


class _Layout:
    """How a file is written: its outermost object shows it."""

    def __init__(self, root: str, keys: Keys) -> None:
        self._keys = keys
        first = next(iter(parts(root)), Part("", '"":', "", ""))
        self._colon = first.head[len(first.head.rstrip(":" + _BLANKS)) :]
        self._space = "" if self._colon == ":" else " "
        self._newline = "\r\n" if "\r\n" in first.before else "\n"
        self._indent = _indent_of(first.before) or ""

    def of(self, path: Path, text: str, old: Any, value: Any) -> str:
        """Return the text of a value that stands where there was `text`, which is `old`."""
        if same(sense(old), sense(value)):
            return text
        found = parts(text) if type(old) is type(value) and isinstance(old, dict | list) else []
        if not found or not value:
            return self._new(value, None)
        between = found[1].before if len(found) > 1 else found[0].before if "\n" in found[0].before else self._space
        indent = _indent_of(between)
        entries = self._entries if type(old) is dict else self._items
        texts = entries(path, found, old, value, indent)
        starts = [found[0].before] + [between] * (len(texts) - 1)
        body = ",".join(start + entry for start, entry in zip(starts, texts, strict=True))
        return text[0] + body + found[-1].after + text[-1]

    def _entries(
        self, path: Path, found: list[Part], old: dict[str, Any], value: dict[str, Any], indent: str | None
    ) -> list[str]:
        kept = [
            part.head + self.of((*path, name), part.text, old[name], value[name])
            for name, part in zip(old, found, strict=True)
            if name in value
        ]
        return kept + [self._entry(name, entry, indent) for name, entry in value.items() if name not in old]

    def _items(self, path: Path, found: list[Part], old: list[Any], value: list[Any], indent: str | None) -> list[str]:
        key = key_at(self._keys, path)
        names, old_names = (None if key is None else by_key(items, key) for items in (value, old))
        steps: list[Hashable] = list(range(len(value)) if names is None or old_names is None else names)
        old_steps: list[Hashable] = list(range(len(old)) if names is None or old_names is None else old_names)
        numbers = {step: number for number, step in enumerate(old_steps)}
        texts = []
        for step, item in zip(steps, value, strict=True):
            number = numbers.get(step)
            inside = (*path, str(step) if key is None else Item(key, None))
            text = self._new(item, indent) if number is None else self.of(inside, found[number].text, old[number], item)
            texts.append(text)
        return texts

    def _entry(self, name: str, value: Any, indent: str | None) -> str:
        return json.dumps(name, ensure_ascii=False) + self._colon + self._new(value, indent)

    def _new(self, value: Any, indent: str | None) -> str:
        """Return a new value as text, on lines of its own if what is around it is, with that `indent`."""
        if not value or not isinstance(value, dict | list):
            return exactjson.dumps(value)
        inside = None if indent is None else indent + self._indent
        if type(value) is dict:
            opening, closing, texts = "{", "}", [self._entry(name, entry, inside) for name, entry in value.items()]
        else:
            opening, closing, texts = "[", "]", [self._new(item, inside) for item in value]
        if inside is None:
            return opening + f",{self._space}".join(texts) + closing
        start = self._newline + inside
        return opening + start + f",{start}".join(texts) + self._newline + (indent or "") + closing


def _indent_of(space: str) -> str | None:
    """Return what stands before an entry in its own line, None if it is in the line of others."""
    return space.rpartition("\n")[2] if "\n" in space else None
