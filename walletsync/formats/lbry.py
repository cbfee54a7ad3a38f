"""The wallet file of the LBRY SDK: `version`, `name`, `preferences` of {value, ts}, and `accounts`.

How it merges: entry by entry, as JSON does, but for what the program itself decides by time.

- A preference is one thing, its value with its `ts`: the later `ts` counts. Equal ones with different values are a
  conflict about the preference.
- Accounts are matched by `public_key`, in whatever order they stand, so nothing that is decided about one touches
  another. Of an account's `name` and `address_generator` (its chains) those of the later `modified_on` count;
  certificates of both are joined; everything else, seeds and keys above all, is a conflict if both sides changed it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from walletsync import exactjson, merge
from walletsync.errors import DocumentError
from walletsync.formats import places
from walletsync.formats.json import JSONFormat, JSONValues
from walletsync.merge import MISSING, Conflict, Item, Merged, Path

_KEYS: Final = {"/accounts": "public_key"}
_OF_LATER: Final = ("name", "address_generator", "modified_on")
_SECRET: Final = frozenset({"seed", "private_key", "certificates"})
_HIDDEN: Final = "(a secret, not shown)"
_PARTS: Final = 2
"""Steps to an account or a preference."""


class LBRYFormat:
    """Documents are dicts as those of `JSONFormat`, whose accounts each have a `public_key` of their own."""

    name = "lbry"
    content = "accounts, preferences and entries"
    absence_is_news = True

    def __init__(self) -> None:
        """There is nothing to set."""
        self._json = JSONFormat(_KEYS)

    def empty(self) -> dict[str, Any]:
        """Return a new {}."""
        return {}

    def encode(self, document: dict[str, Any]) -> bytes:
        """Return the document as compact JSON. Raises DocumentError, naming the place."""
        encoded = self._json.encode(document)
        _checked(document)
        return encoded

    def decode(self, data: bytes) -> dict[str, Any]:
        """Return the document. Raises DocumentError, naming the place, if `data` is not one."""
        return _checked(self._json.decode(data))

    def merge(self, base: dict[str, Any], mine: dict[str, Any], theirs: dict[str, Any]) -> Merged[dict[str, Any]]:
        """Merge by the rules at the top of this module."""
        old, ours, others = map(_closed, (base, mine, theirs))
        for path, fields in _decided_by_time(old, ours, others):
            for field, value in fields.items():
                old = merge.put(old, (*path, field), value)
        merged = merge.merge(old, ours, others, keys=_KEYS)
        conflicts = tuple(
            Conflict(
                each.path, *(merge.value_at(side, each.path) for side in (base, mine, theirs))
            )  # as they are, opened, and with the true base
            for each in merged.conflicts
        )
        return Merged(_opened(merged.document, theirs, mine, base), conflicts)

    def value_at(self, document: dict[str, Any], path: Path) -> Any:
        """Return a copy of what is at `path`, or MISSING."""
        return merge.value_at(document, path)

    def replace(self, document: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
        """Return a copy with `value` at `path`. Raises DocumentError if that does not make a document."""
        return _checked(self._json.replace(document, path, value))

    def opened(self, document: dict[str, Any]) -> JSONValues:
        """Return the document to be asked and changed at many paths."""
        return JSONValues(document, _checked)

    # For files that other programs write: `walletsync.formats.base.FileFormat`.

    def from_file(self, data: bytes, known: dict[str, Any]) -> dict[str, Any]:
        """Return the document, as `decode` does: there is no reading a part of it."""
        return self.decode(data)

    def to_file(self, document: dict[str, Any], over: bytes) -> bytes:
        """Return the document in the layout that the file had, or as the SDK writes it: sorted, indented by four."""
        self.encode(document)
        return self._json.to_file(document, over or json.dumps(document, indent=4, sort_keys=True).encode())

    def unreadable(self, data: bytes) -> Sequence[str]:
        """Return nothing: a file is read as a whole, or not at all."""
        return ()

    def sense(self, path: Path, value: Any) -> Any:
        """Return the value, with one spelling for all numbers of one value, as `JSONFormat` does."""
        return self._json.sense(path, value)

    def differences(self, documents: Sequence[dict[str, Any]]) -> list[dict[Path, Any]]:
        """Return what each has where they differ: accounts, preferences, and entries beside them."""
        found = places.differences([_closed(each) for each in documents], merge.parse_keys(_KEYS))
        return [
            {path: merge.value_at(document, path) if _is_closed(path) else value for path, value in values.items()}
            for document, values in zip(documents, found, strict=True)
        ]

    def with_values(self, document: dict[str, Any], values: Mapping[Path, Any]) -> dict[str, Any]:
        """Return a copy with other values at some places."""
        return _checked(self._json.with_values(document, values))

    def is_derived(self, path: Path) -> bool:
        """Return False: the program derives its addresses, and keeps none of them in the file."""
        return False

    def is_telling(self, path: Path, value: Any) -> bool:
        """Tell whether it is more than true, false or null."""
        return self._json.is_telling(path, value)

    def record_at(self, path: Path) -> Path:
        """Return the place of the account or the preference, or the place itself."""
        return path[:_PARTS]

    def title(self, path: Path, record: Any) -> str:
        """Return the names on the way there."""
        return places.title(path)

    def both(self, path: Path, mine: Any, theirs: Any) -> Any:
        """Return MISSING: what two values would be together, only their program knows."""
        return MISSING

    def contents(self, document: dict[str, Any]) -> set[Path]:
        """Return the places of accounts, of preferences, and of other entries that are not blank."""
        rest = {name: value for name, value in document.items() if name != "accounts"}
        accounts = {("accounts", Item("public_key", each["public_key"])) for each in document.get("accounts", [])}
        return accounts | places.leaves(_closed(rest))

    def shown(self, path: Path, value: Any) -> Any:
        """Return the value without seeds and private keys."""
        if any(step in _SECRET for step in path if type(step) is str):
            return value if value is MISSING else _HIDDEN
        return _without_secrets(value) if path[:1] != ("preferences",) else value


def _checked(document: dict[str, Any]) -> dict[str, Any]:
    accounts, preferences = document.get("accounts", []), document.get("preferences", {})
    if type(accounts) is not list or type(preferences) is not dict:
        raise DocumentError("In an LBRY wallet, /accounts is a list and /preferences an object.")
    keys: set[str] = set()
    for number, account in enumerate(accounts):
        key = account.get("public_key") if type(account) is dict else None
        if type(key) is not str or key in keys:
            raise DocumentError(f"The account /accounts/{number} has no public_key of its own: each has one, as text.")
        keys.add(key)
    return document


def _decided_by_time(base: Any, mine: Any, theirs: Any) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the places that the later side decides, with what the earlier has there: as the base, it is no edit."""
    ours, others = mine.get("preferences", {}), theirs.get("preferences", {})
    for name in ours.keys() & others.keys():
        if earlier := _earlier(_opened_one(ours[name]), _opened_one(others[name]), "ts"):
            was = merge.value_at(base, ("preferences", name))
            if ours[name] != was != others[name]:
                yield ("preferences",), {name: (ours, others)[earlier - 1][name]}
    old, ours, others = (merge.by_key(side.get("accounts", []), "public_key") or {} for side in (base, mine, theirs))
    for key in ours.keys() & others.keys():
        one, other, was = ours[key], others[key], old.get(key, {})
        if earlier := _earlier(one, other, "modified_on"):
            loser = (one, other)[earlier - 1]
            changed = [
                field
                for field in _OF_LATER
                if not any(merge.same(was.get(field, MISSING), side.get(field, MISSING)) for side in (one, other))
            ]
            if changed:
                path: Path = ("accounts", Item("public_key", one["public_key"]))
                yield path, {field: merge.copied(loser.get(field, MISSING)) for field in changed}


def _earlier(one: Any, other: Any, name: str) -> int:
    """Return 1 or 2, the side of which the time is the earlier; 0 if that cannot be told."""
    first, second = _time_of(one, name), _time_of(other, name)
    if first is None or second is None or first == second:
        return 0
    return 1 if first < second else 2


def _time_of(side: Any, name: str) -> float | None:
    time = side.get(name) if type(side) is dict else None
    return time if isinstance(time, int | float) and type(time) is not bool else None


def _closed(document: dict[str, Any]) -> dict[str, Any]:
    """Return a copy in which each preference is text, so that it is one value."""
    closed: dict[str, Any] = merge.copied(document)
    if "preferences" in closed:
        closed["preferences"] = {name: exactjson.dumps(_sorted(value)) for name, value in closed["preferences"].items()}
    return closed


def _opened(document: dict[str, Any], *sides: dict[str, Any]) -> dict[str, Any]:
    """Put each preference back as the first of the sides wrote it that has it."""
    written = [(_closed(side).get("preferences", {}), side) for side in sides]
    for name, text in document.get("preferences", {}).items():
        side = next(side for closed, side in written if closed.get(name) == text)
        document["preferences"][name] = merge.copied(side["preferences"][name])
    return document


def _opened_one(text: str) -> Any:
    return exactjson.loads(text)


def _sorted(value: Any) -> Any:
    if type(value) is list:
        return [_sorted(each) for each in value]
    return {name: _sorted(value[name]) for name in sorted(value)} if type(value) is dict else value


def _is_closed(path: Path) -> bool:
    return len(path) == _PARTS and path[0] == "preferences"


def _without_secrets(value: Any) -> Any:
    if type(value) is list:
        return [_without_secrets(each) for each in value]
    if type(value) is not dict:
        return value
    return {name: _HIDDEN if name in _SECRET else _without_secrets(each) for name, each in value.items()}
