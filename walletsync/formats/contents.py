"""What is in a document of any kind, for `testing`: its pieces, and those of its parts that can be changed.

A document is looked into as far as it consists of dicts, lists, tuples, sets and objects with attributes. Text is taken
line by line: a line that is a JSON object has what is in that, any other its characters, but for spaces.
"""

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from enum import Enum
from typing import Any, Final, TypeAlias

Piece: TypeAlias = tuple[Any, ...]
"""The way to a value through a document, then the value."""

ITEM: Final = ("item",)
"""The step into a list, a set or a text: which item it is does not count, so that an order is no content."""

_SCALARS: Final = (str, bytes, int, float, complex, type(None), Enum, type)


def pieces(document: Any) -> Counter[Piece]:
    """Return all that is in a document: every value with the way to it, and every object and list by itself."""
    if isinstance(document, str):
        return Counter(piece for line in document.splitlines() for piece in _pieces_of_line(line))
    return Counter(_pieces(document, ()))


def is_apart(one: Any, other: Any) -> bool:
    """Tell whether no part of `one` that can be changed is one of `other`'s."""
    parts = {id(part) for part in _changeable(one)}
    return all(id(part) not in parts for part in _changeable(other))


def _pieces(value: Any, way: Piece) -> Iterator[Piece]:
    inside = _inside(value)
    if inside is None:
        yield (*way, type(value), repr(value))
        return
    yield (*way, type(value))
    for step, each in inside:
        yield from _pieces(each, (*way, step))


def _pieces_of_line(line: str) -> Iterator[Piece]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        record = None
    if type(record) is dict:
        yield from _pieces(record, (ITEM,))
    else:
        yield from ((ITEM, character) for character in line if not character.isspace())


def _changeable(value: Any) -> Iterator[Any]:
    assign: object = type(value).__setattr__  # what is frozen has one of its own
    has_attributes = hasattr(value, "__dict__") and not isinstance(value, _SCALARS)
    if isinstance(value, dict | list | set | bytearray) or (has_attributes and assign is object.__setattr__):
        yield value
    for _, each in _inside(value) or ():
        yield from _changeable(each)


def _inside(value: Any) -> Iterable[tuple[Hashable, Any]] | None:
    """Return what a value consists of, each with the step to it; None if it is in one piece."""
    if isinstance(value, dict):
        return ((_named(name), each) for name, each in value.items())
    if isinstance(value, list | tuple | set | frozenset | bytearray):
        return ((ITEM, each) for each in value)
    if isinstance(value, _SCALARS):
        return None
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    names = [name for name in (*slots, *getattr(value, "__dict__", ())) if hasattr(value, name)]
    return [(name, getattr(value, name)) for name in names] or None


def _named(name: Hashable) -> Hashable:
    return name if type(name) is str else (type(name), name)
