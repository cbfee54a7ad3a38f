"""The format of most wallets: a JSON object, merged entry by entry.

Python's json module reads more than JSON and writes what it cannot read back. Here a document is
exact: what `encode` takes comes back from `decode` the same to the last type, and either refuses
the rest. Neither puts text of the document into an error, except the names on the way to a place.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, Final

from walletsync import exactjson, merge
from walletsync.errors import DocumentError
from walletsync.formats import json_layout, places
from walletsync.formats.base import Opened
from walletsync.merge import MISSING, Merged, Path, place

MAX_DEPTH: Final = 100
"""How many objects and lists may be inside one another, the document itself included."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_DOUBLED: Final = object()
"""Stands, until `_check` finds out where, for an object that has a name twice."""


class JSONFormat:
    """Documents are dicts with str keys, of dict, list, str, int, float, bool and None.

    Exactly these types, no subclasses: a tuple or an IntEnum would come back as something else. Only a
    number that Python would write otherwise than its program did is an `exactjson.Number`, which is a float. A float is
    finite, a str can be encoded as UTF-8, and an int has as many digits as Python converts
    (`sys.get_int_max_str_digits`, 4300 unless changed). The order of entries is kept.
    """

    name = "json"
    content = "entries"
    absence_is_news = True

    def __init__(self, keys: Mapping[str, str] | None = None) -> None:
        """Take the lists of objects to be merged item by item.

        `keys` gives each one's place and the field that tells its items apart, `walletsync.merge`
        says how: {"/accounts": "id", "/accounts/*/labels": "name"}. All devices of a wallet should
        have the same. Raises UsageError for what is not a place.
        """
        self._keys = dict(keys or {})
        self._parsed_keys = merge.parse_keys(self._keys)

    def empty(self) -> dict[str, Any]:
        """Return a new {}."""
        return {}

    def encode(self, document: dict[str, Any]) -> bytes:
        """Return the document as compact JSON in UTF-8. Raises DocumentError, naming the place."""
        _checked(document)
        return exactjson.dumps(document).encode()

    def decode(self, data: bytes) -> dict[str, Any]:
        """Return the document. Raises DocumentError, naming the place, if `data` is not one."""
        return _checked(_parsed(data))

    def merge(self, base: dict[str, Any], mine: dict[str, Any], theirs: dict[str, Any]) -> Merged[dict[str, Any]]:
        """Merge entry by entry, by the rules of `walletsync.merge`; to spell a number anew meets no edit of it."""
        if merge.same(base, theirs) or merge.same(mine, theirs):
            return merge.merge(base, mine, theirs)
        as_theirs = places.respelled(base, theirs)
        as_base = places.respelled(places.respelled(mine, theirs), as_theirs)
        merged = merge.merge(as_theirs, as_base, theirs, keys=self._keys)
        conflicts = (
            merge.Conflict(each.path, *(merge.value_at(side, each.path) for side in (base, mine, theirs)))
            for each in merged.conflicts
        )
        return Merged(merged.document, tuple(conflicts))

    def value_at(self, document: dict[str, Any], path: Path) -> Any:
        """Return a copy of what is at `path`, or MISSING."""
        return merge.value_at(document, path)

    def replace(self, document: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
        """Return a copy with `value` at `path`. Raises DocumentError if that does not make a document."""
        if value is not merge.MISSING:
            _check(value, path)
        return _checked(merge.replace(document, path, value))

    def opened(self, document: dict[str, Any]) -> Opened[dict[str, Any]]:
        """Return the document to be asked and changed at many paths: it is copied and checked once."""
        return JSONValues(document)

    # For files that other programs write: `walletsync.formats.base.FileFormat`.

    def from_file(self, data: bytes, known: dict[str, Any]) -> dict[str, Any]:
        """Return the document, as `decode` does: there is no reading a part of it."""
        return self.decode(data)

    def to_file(self, document: dict[str, Any], over: bytes) -> bytes:
        """Return the document in the layout that the file had, its entries in the order that they have there."""
        encoded = self.encode(document)
        return json_layout.rewritten(over.decode(), document, self._parsed_keys).encode() if over else encoded

    def unreadable(self, data: bytes) -> Sequence[str]:
        """Return nothing: a file is read as a whole, or not at all."""
        return ()

    def differences(self, documents: Sequence[dict[str, Any]]) -> list[dict[Path, Any]]:
        """Return what each has where they differ: values, items of keyed lists, and objects by themselves."""
        return places.differences(documents, self._parsed_keys)

    def with_values(self, document: dict[str, Any], values: Mapping[Path, Any]) -> dict[str, Any]:
        """Return a copy with other values at some places."""
        return _checked(places.with_values(document, values))

    def sense(self, path: Path, value: Any) -> Any:
        """Return the value, with one spelling for all decimal numbers of one value; 1 is not 1.0."""
        return places.sense(value)

    def is_derived(self, path: Path) -> bool:
        """Return False: nothing is known of who makes an entry."""
        return False

    def is_telling(self, path: Path, value: Any) -> bool:
        """Tell whether it is text, a number or a list, and not blank: true, false and null are anybody's."""
        return type(value) is not bool and not places.is_blank(value)

    def record_at(self, path: Path) -> Path:
        """Return the place itself: each entry is a record."""
        return path

    def shown(self, path: Path, value: Any) -> Any:
        """Return the value: nothing is known to be a secret."""
        return value

    def title(self, path: Path, record: Any) -> str:
        """Return the names on the way there."""
        return places.title(path)

    def both(self, path: Path, mine: Any, theirs: Any) -> Any:
        """Return MISSING: what two values would be together, only their program knows."""
        return MISSING

    def contents(self, document: dict[str, Any]) -> set[Path]:
        """Return the places of all entries that are not blank."""
        return places.leaves(document)


def _valid(document: dict[str, Any]) -> dict[str, Any]:
    return document


class JSONValues:
    """An opened object, `walletsync.formats.base.Opened`. Of what is put into it only that is checked.

    `check` returns a whole document, or raises DocumentError, for a format that wants more of one than JSON does.
    """

    def __init__(self, document: dict[str, Any], check: Callable[[dict[str, Any]], dict[str, Any]] = _valid) -> None:
        self._document: dict[str, Any] = merge.copied(document)
        self._check = check

    def value_at(self, path: Path) -> Any:
        """Return a copy of what is at `path`, or MISSING."""
        return merge.value_at(self._document, path)

    def replace(self, path: Path, value: Any) -> None:
        """Put `value` at `path`. Raises DocumentError as `JSONFormat.replace` does."""
        JSONFormat().replace({}, path, value)
        self._document = self._check(merge.put(self._document, path, merge.copied(value)))

    def document(self) -> dict[str, Any]:
        """Return the object, with what was replaced."""
        return self._document


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data.decode(), object_pairs_hook=_object, parse_float=exactjson.parse_float, parse_int=_int)
    except UnicodeDecodeError as error:
        problem = f"it is not UTF-8 at byte {error.start}"
    except json.JSONDecodeError as error:
        problem = f"it is not JSON at line {error.lineno}, column {error.colno}"
    except RecursionError:
        problem = f"more than {MAX_DEPTH} objects and lists are inside one another"
    except ValueError:  # The only one that is left: int() limits the digits it converts.
        problem = "a whole number has too many digits"
    # Out here, because the errors above hold the document, and one raised there would hold them.
    raise DocumentError(f"This is not a document: {problem}.")


def _int(text: str) -> int | float:
    return exactjson.Number(text) if text == "-0" else int(text)


def _object(pairs: list[tuple[str, Any]]) -> Any:
    entries = dict(pairs)
    return entries if len(entries) == len(pairs) else _DOUBLED


def _checked(document: Any) -> dict[str, Any]:
    _check(document, ())
    if type(document) is not dict:
        raise DocumentError("A document is a JSON object, in Python a dict.")
    return document


def _check(value: Any, path: Path) -> None:
    """Raise DocumentError for the first thing at or below `path` that would not come back as is."""
    kind = type(value)
    if kind is dict or kind is list:
        if len(path) >= MAX_DEPTH:
            raise DocumentError(
                f"Below {place(path[:3])} more than {MAX_DEPTH} objects and lists are inside one"
                " another: make the document flatter."
            )
        if kind is list:
            for index, item in enumerate(value):
                _check(item, (*path, str(index)))
            return
        for name, entry in value.items():
            if type(name) is not str or _SURROGATE.search(name):
                raise DocumentError(f"{place(path)} has a key that is not a str of valid Unicode: keys are text.")
            _check(entry, (*path, name))
    elif problem := _problem(value):
        raise DocumentError(f"{place(path)} {problem}.")


def _problem(value: Any) -> str:
    """Return what is wrong with a value that is neither a dict nor a list, or an empty str."""
    kind = type(value)
    if kind is str:
        return "holds half of a surrogate pair, which is not valid text" if _SURROGATE.search(value) else ""
    if kind is float or kind is exactjson.Number:
        return "" if isfinite(value) else "is not a finite number"
    if kind is int:
        try:
            str(value)
        except ValueError:
            return "has more digits than Python converts: store it as a str"
        return ""
    if value is None or kind is bool:
        return ""
    if value is _DOUBLED:
        return "is an object that has the same key twice"
    return f"is of type {kind.__name__}: use dict, list, str, int, float, bool or None, and no subclass of them"
