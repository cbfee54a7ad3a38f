"""Places in JSON values: where several documents differ, and a document with other values there.

A place is the smallest thing that is given, changed or taken away by itself: a value that is no object, an item of a
list that has a key, or an object without what is in it. A list without a key is one value.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from walletsync import exactjson
from walletsync.merge import MISSING, Item, Keys, Path, by_key, copied, key_at, put, same


def is_blank(value: Any) -> bool:
    """Tell whether nobody would miss a value: there is none, or it is null, empty, or blank text."""
    if type(value) is str:
        return not value.strip()
    return value is MISSING or value is None or value == [] or value == {}


def sense(value: Any) -> Any:
    """Return a value with one spelling for all numbers with a point that say the same: 1.10 is 1.1, and 1 is not."""
    kind = type(value)
    if kind is dict:
        return {name: sense(entry) for name, entry in value.items()}
    if kind is list:
        return [sense(item) for item in value]
    if kind is exactjson.Number:
        text = exactjson.canonical(value)
        is_whole = value.text.lstrip("-").isdecimal()
        plain = float(value)
        return plain if not is_whole and exactjson.canonical(plain) == text else exactjson.Number(text)
    return value


def respelled(value: Any, model: Any) -> Any:
    """Return a value that says the same, with the numbers of objects as `model` writes them where that says so, too."""
    if same(sense(value), sense(model)):
        return model
    if type(value) is dict and type(model) is dict:
        return {name: respelled(entry, model.get(name, MISSING)) for name, entry in value.items()}
    return value


def differences(documents: Sequence[Any], keys: Keys) -> list[dict[Path, Any]]:
    """Return for each document what it has at the places where they are not all the same."""
    found: list[dict[Path, Any]] = [{} for _ in documents]
    _compare(found, (), documents, keys)
    return found


def with_values(document: Any, values: Mapping[Path, Any]) -> Any:
    """Return a copy of `document` with `values`, of places that `differences` named; MISSING takes away."""
    changed = copied(document)
    gone = [path for path, value in values.items() if value is MISSING]
    for path in sorted(gone, key=len, reverse=True):  # what is in an object, then the object
        changed = put(changed, path, MISSING)
    for path in sorted(values.keys() - set(gone), key=len):
        changed = put(changed, path, copied(values[path]))
    return changed


def leaves(value: Any, path: Path = ()) -> set[Path]:
    """Return the places of all values that somebody would miss; what is in a list belongs to the list."""
    if type(value) is dict:
        return {leaf for name, entry in value.items() for leaf in leaves(entry, (*path, name))}
    return set() if is_blank(value) else {path}


def title(path: Path) -> str:
    """Return the names on the way to a place, of an item of a list what tells it apart."""
    return " › ".join(str(step) for step in path) or "the whole file"


def _compare(found: list[dict[Path, Any]], path: Path, values: Sequence[Any], keys: Keys) -> None:
    first, *others = map(sense, values)
    if all(same(first, other) for other in others):
        return
    there = [value for value in values if value is not MISSING]
    if all(type(value) is dict for value in there):
        if len(there) < len(values):
            _note(found, path, [{} if type(value) is dict else MISSING for value in values])
        for name in dict.fromkeys(name for value in there for name in value):
            inside = [value.get(name, MISSING) if type(value) is dict else MISSING for value in values]
            _compare(found, (*path, name), inside, keys)
        return
    key = key_at(keys, path)
    lists = [by_key([] if value is MISSING else value, key or "") for value in values]
    items = [each for each in lists if each is not None]
    if key is None or len(items) < len(values):
        _note(found, path, values)
        return
    if len(there) < len(values):
        _note(found, path, [MISSING if value is MISSING else [] for value in values])
    for name in dict.fromkeys(name for each in items for name in each):
        of_all = [each.get(name, MISSING) for each in items]
        if not all(same(of_all[0], item) for item in of_all):
            value = next(item[key] for item in of_all if item is not MISSING)
            _note(found, (*path, Item(key, value)), of_all)


def _note(found: list[dict[Path, Any]], path: Path, values: Sequence[Any]) -> None:
    for each, value in zip(found, values, strict=True):
        if value is not MISSING:
            each[path] = copied(value)
