"""Three-way merge of JSON values: the merge base, mine and theirs become one value and conflicts.

At every path, from the top down, the first rule that fits decides:

1. Mine and theirs are the same: that.
2. Mine is the base: theirs, since only they changed it. Theirs is the base: mine.
3. Both are objects: entry by entry, in their order and then mine. A base that is not one counts
   as an empty one.
4. Both are lists of objects and `keys` names the field that tells the items apart: item by item, in
   their order and then mine; the other way round if of what was there before, only I have moved
   something. A base that is not a list counts as an empty one. If an item of any of the three lacks
   the field, or two have the same, the list is one value.
5. Else it is a conflict. The merged document has theirs, so that all devices agree on it; mine is
   in the `Conflict`.

"Nothing there" is the value `MISSING`, so adding and deleting follow the same rules: what one side
deletes and the other left alone is deleted; deleting against editing is a conflict.

Everything here is pure: no argument is changed, and no result shares an object or a list with an
argument. Values are what `json.loads` or `exactjson.loads` makes. The recursion goes as deep as the value, so it is for
the format to bound the nesting.
"""

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, Generic, TypeAlias, TypeVar

from walletsync.errors import DocumentError, UsageError

D = TypeVar("D")

_SCALARS = frozenset({str, int, float, bool, type(None)})
_NO_KEYS: Mapping[str, str] = MappingProxyType({})


class Missing(Enum):
    """There is nothing at this path: the value of an entry that is deleted, or not made yet."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING


def _identity(scalar: Any) -> Hashable:
    """Return for use as a dict key what two scalars have in common exactly if they are `same`."""
    kind = type(scalar)
    return scalar if kind is str or kind is int else (kind, repr(scalar))


@dataclass(frozen=True, eq=False, slots=True)
class Item:
    """A step of a path: in a list, the object whose field `key` has `value`."""

    key: str
    value: str | int | float | bool | None

    def __str__(self) -> str:
        return f"{self.key}={self.value}"

    # Not the generated ones: to them 1, 1.0 and True are one value.
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Item):
            return NotImplemented
        return self.key == other.key and _identity(self.value) == _identity(other.value)

    def __hash__(self) -> int:
        return hash((self.key, _identity(self.value)))


Path: TypeAlias = tuple[str | Item, ...]


def pointer(path: Path) -> str:
    """Return `path` as a JSON pointer (RFC 6901) for people; an item of a list reads `id=7`."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def place(path: Path) -> str:
    """Return `path` as the subject of a sentence about it."""
    return pointer(path) or "The document itself"


@dataclass(frozen=True, eq=False)
class Conflict:
    """Both sides changed what is at `path`, differently; the merged document has `theirs` there.

    `base`, `mine` and `theirs` are values, or MISSING; two conflicts are equal if `same` says so of all three. To
    decide, `replace` what is there. `name` is what a device calls it while it waits there, "" before; it is never given
    again.
    """

    path: Path
    base: Any
    mine: Any
    theirs: Any
    name: str = ""

    @property
    def at(self) -> str:
        """The path as a JSON pointer; "" is the whole document."""
        return pointer(self.path)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Conflict):
            return NotImplemented
        sides = zip((self.base, self.mine, self.theirs), (other.base, other.mine, other.theirs), strict=True)
        return self.path == other.path and all(same(ours, others) for ours, others in sides)

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        sides = f"base={self.base!r}, mine={self.mine!r}, theirs={self.theirs!r}"
        return f"Conflict(at={self.at!r}, {sides})"


@dataclass(frozen=True)
class Merged(Generic[D]):
    """A merged document, and what could not be merged; no conflict lies inside another."""

    document: D
    conflicts: tuple[Conflict, ...]


def same(a: Any, b: Any) -> bool:
    """Tell whether two JSON values are equal, with types told apart: 1 is neither 1.0 nor True.

    The order of an object's entries does not matter, the order of a list does. -0.0 is not 0.0.
    """
    if a is b:
        return True
    kind = type(a)
    if kind is not type(b):
        return False
    if kind is dict:
        return a.keys() == b.keys() and all(map(same, a.values(), map(b.get, a)))
    if kind is list:
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):  # By its text: -0.0 is not 0.0, and NaN would not even be itself.
        return repr(a) == repr(b)
    return bool(a == b)


def merge(
    base: Any, mine: Any, theirs: Any, *, keys: Mapping[str, str] = _NO_KEYS, order_is_layout: bool = False
) -> Merged[Any]:
    """Merge what `mine` and `theirs` made of `base`, by the rules at the top of this module.

    `keys` names, for lists of objects, the field that tells the items apart: {"/accounts": "id"}. A
    list's place is a JSON pointer (RFC 6901, with its escapes ~0 and ~1) in which * stands for any
    key of an object and any item of a list that has a key: "/accounts/*/labels". The first pointer
    that fits counts. `order_is_layout`: to move an item is no edit, so theirs comes first always. Raises UsageError for
    what is not a pointer.
    """
    merging = _Merging(parse_keys(keys), order_is_layout)
    document = merging.at((), base, mine, theirs)
    return Merged(document, tuple(merging.conflicts))


Keys: TypeAlias = tuple[tuple[tuple[str, ...], str], ...]


def parse_keys(keys: Mapping[str, str]) -> Keys:
    """Return the `keys` of `merge`, each pointer as its steps. Raises UsageError for a bad one."""
    parsed = []
    for where, field in keys.items():
        if (where and not where.startswith("/")) or re.search(r"~(?![01])", where):
            raise UsageError(
                f"{where!r} is not the place of a list: write a JSON pointer such as /accounts,"
                " with ~1 for a slash and ~0 for a tilde inside a name."
            )
        steps = where.split("/")[1:]
        parsed.append((tuple(s.replace("~1", "/").replace("~0", "~") for s in steps), field))
    return tuple(parsed)


class _Merging:
    """One run of `merge`: what it was told about lists, and the conflicts found so far."""

    def __init__(self, keys: Keys, order_is_layout: bool) -> None:
        self.conflicts: list[Conflict] = []
        self._order_is_layout = order_is_layout
        self._keys = keys

    def at(self, path: Path, base: Any, mine: Any, theirs: Any) -> Any:
        """Return the merged value for `path`, or MISSING."""
        if same(mine, theirs) or same(base, mine):
            return copied(theirs)
        if same(base, theirs):
            return copied(mine)
        if type(mine) is dict and type(theirs) is dict:
            return self._objects(path, base if type(base) is dict else {}, mine, theirs)
        if type(mine) is list and type(theirs) is list:
            items = self._items(path, base if type(base) is list else [], mine, theirs)
            if items is not None:
                return items
        self.conflicts.append(Conflict(path, copied(base), copied(mine), copied(theirs)))
        return copied(theirs)

    def _objects(
        self, path: Path, base: dict[str, Any], mine: dict[str, Any], theirs: dict[str, Any]
    ) -> dict[str, Any]:
        merged = {}
        for name in theirs | mine:
            value = self.at(
                (*path, name),
                base.get(name, MISSING),
                mine.get(name, MISSING),
                theirs.get(name, MISSING),
            )
            if value is not MISSING:
                merged[name] = value
        return merged

    def _items(self, path: Path, base: list[Any], mine: list[Any], theirs: list[Any]) -> list[Any] | None:
        """Return the merged list, or None if its items cannot be told apart."""
        key = key_at(self._keys, path)
        if key is None:
            return None
        old, ours, others = by_key(base, key), by_key(mine, key), by_key(theirs, key)
        if old is None or ours is None or others is None:
            return None
        merged = []
        only_i_moved = _are_in_order(others, old) and not _are_in_order(ours, old)
        for name, item in (ours | others if only_i_moved and not self._order_is_layout else others | ours).items():
            value = self.at(
                (*path, Item(key, item[key])),
                old.get(name, MISSING),
                ours.get(name, MISSING),
                others.get(name, MISSING),
            )
            if value is not MISSING:
                merged.append(value)
        return merged


def key_at(keys: Keys, path: Path) -> str | None:
    """Return the field that tells the items of the list at `path` apart, None if there is none."""
    for steps, field in keys:
        if len(steps) == len(path) and all(want in ("*", step) for want, step in zip(steps, path, strict=True)):
            return field
    return None


def value_at(document: Any, path: Path) -> Any:
    """Return a copy of what `document` holds at `path`, or MISSING."""
    value = document
    for step in path:
        if isinstance(step, Item):
            items = by_key(value, step.key) or {}
            value = items.get(_identity(step.value), MISSING)
        else:
            value = value.get(step, MISSING) if type(value) is dict else MISSING
    return copied(value)


def replace(document: Any, path: Path, value: Any) -> Any:
    """Return a copy of `document` with `value` at `path`; MISSING deletes what is there.

    Parents that are missing are made; a list item that is missing is appended. Raises DocumentError
    if something on the way has become a value that cannot hold the rest of the path, if a list item
    would lose its key, and for deleting the whole document.
    """
    replaced = put(copied(document), path, copied(value))
    if replaced is MISSING:
        raise DocumentError("The whole document cannot be deleted: put an empty one in its place.")
    return replaced


def put(document: Any, path: Path, value: Any) -> Any:
    """Do what `replace` does, but copy only what is on the way; deleting the whole of it returns MISSING."""
    return _put(document, (), path, value)


def _put(current: Any, done: Path, rest: Path, value: Any) -> Any:
    """Return what `current`, which stands at `done`, becomes once `value` is at `rest` below it."""
    if not rest or (current is MISSING and value is MISSING):
        return value
    step, rest = rest[0], rest[1:]
    if isinstance(step, Item):
        return _put_into_list(current, done, step, rest, value)
    entries = {} if current is MISSING else current
    if type(entries) is not dict:
        raise DocumentError(f"{place(done)} is not an object, so it has no place for {step!r}.")
    entries = entries.copy()
    entry = _put(entries.get(step, MISSING), (*done, step), rest, value)
    if entry is MISSING:
        entries.pop(step, None)
    else:
        entries[step] = entry
    return entries


def _put_into_list(current: Any, done: Path, step: Item, rest: Path, value: Any) -> list[Any]:
    items = by_key([] if current is MISSING else current, step.key)
    if items is None:
        raise DocumentError(
            f"{place(done)} is not a list of objects told apart by {step.key!r}, so it has no place for {step}."
        )
    name = _identity(step.value)
    start: Any = items.get(name, MISSING)
    if start is MISSING and rest and value is not MISSING:
        start = {step.key: step.value}
    item = _put(start, (*done, step), rest, value)
    if item is MISSING:
        items.pop(name, None)
    elif type(item) is dict and same(item.get(step.key, MISSING), step.value):
        items[name] = item
    else:
        raise DocumentError(f"{place((*done, step))} has to be an object that keeps {step}.")
    return list(items.values())


def by_key(value: Any, key: str) -> dict[Hashable, dict[str, Any]] | None:
    """Return the items of a list by their key; None unless each has one and no two the same."""
    if type(value) is not list:
        return None
    found = {}
    for item in value:
        name = item.get(key, MISSING) if type(item) is dict else MISSING
        if type(name) not in _SCALARS:
            return None
        found[_identity(name)] = item
    return found if len(found) == len(value) else None


def _are_in_order(items: Mapping[Hashable, Any], before: Mapping[Hashable, Any]) -> bool:
    """Tell whether those of `items` that were there `before` still stand in the same order."""
    return [name for name in items if name in before] == [name for name in before if name in items]


def copied(value: Any) -> Any:
    """Return a copy that shares no object and no list with `value`."""
    copy = value
    if type(value) is dict:
        copy = value.copy()
        for name, entry in value.items():
            if type(entry) not in _SCALARS:
                copy[name] = copied(entry)
    elif type(value) is list:
        copy = [item if type(item) in _SCALARS else copied(item) for item in value]
    return copy
