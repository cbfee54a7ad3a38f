"""What a label file means, whatever its spelling: what is equal for matching records and for deciding between them.

`"false"` is `false` where it says whether a coin may be spent, 11 is 11.00, a letter with its accent in one character
is the same in two, `84h` is `84'` in an origin (BIP-380), and an address in bech32 may be written in capitals.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from unicodedata import normalize

import msgspec

from walletsync import exactjson
from walletsync.merge import MISSING, Item, same

DERIVED: Final = frozenset({"rate", "fmv", "heights", "height", "time", "fee", "value", "keypath"})
"""Fields that each program works out from the chain and from prices (BIP-329, additional fields)."""

_CAPITALS = re.compile("(?:BC|TB|BCRT)1[02-9AC-HJ-NP-Z]+")
_HARDENED = re.compile(r"(?<=[\d*])[hH](?=[/\]),]|$)")
_TRUTH: Final = {"true": True, "false": False}
_SCALARS: Final = (str, int, float, bool, type(None))


class Key(msgspec.Struct, frozen=True):
    """What records are matched by, in one spelling."""

    type: str
    ref: str


def key_of(kind: str, ref: str) -> Key:
    """Return the key of records with this type and ref."""
    if kind == "addr" and _CAPITALS.fullmatch(ref):
        return Key(kind, ref.lower())
    return Key(kind, _text(ref))


def field_sense(name: str, value: Any) -> Any:
    """Return what a field says."""
    if type(value) is str:
        if name == "spendable":
            return _TRUTH.get(value, value)
        if name == "origin":
            return _HARDENED.sub("'", _text(value))
    return sense(value)


def sense(value: Any) -> Any:
    """Return what a value says that no field is known of."""
    kind = type(value)
    if kind is str:
        return _text(value)
    if kind is dict:
        return {name: sense(value[name]) for name in sorted(value)}
    if kind is list:
        return [sense(item) for item in value]
    if isinstance(value, int | float) and kind is not bool:
        return exactjson.Number(exactjson.canonical(value))
    return value


def record_sense(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a record says."""
    said = {name: field_sense(name, record[name]) for name in sorted(record)}
    return said | {"ref": key_of(record["type"], record["ref"]).ref}


def identity(record: Mapping[str, Any]) -> str:
    """Return one text for all records that say the same but for what is derived."""
    return exactjson.dumps({name: value for name, value in record_sense(record).items() if name not in DERIVED})


def item_of(origin: Any) -> Item:
    """Return the step of a path to the record of this origin."""
    return Item("origin", field_sense("origin", origin))


def by_origin(records: Iterable[Any]) -> dict[Item, dict[str, Any]] | None:
    """Return records by their origin in one spelling; None unless each has one and no two the same."""
    found: dict[Item, dict[str, Any]] = {}
    for record in records:
        origin = record.get("origin", MISSING) if type(record) is dict else MISSING
        if not isinstance(origin, _SCALARS):
            return None
        item = item_of(origin)
        if item in found:
            return None
        found[item] = record
    return found


def respelled(record: dict[str, Any], model: Any) -> dict[str, Any]:
    """Return a record that says the same, in the spelling of `model` where that says so, too."""
    if type(model) is not dict:
        return record
    as_record, as_model = record_sense(record), record_sense(model)
    return {
        name: model[name] if same(said, as_model.get(name, MISSING)) else _respelled(record[name], model.get(name))
        for name in record
        for said in (as_record[name],)
    }


def _respelled(value: Any, model: Any) -> Any:
    if same(sense(value), sense(model)):
        return model
    if type(value) is dict and type(model) is dict:
        return {name: _respelled(entry, model.get(name)) for name, entry in value.items()}
    return value


def _text(text: str) -> str:
    return text if text.isascii() else normalize("NFC", text)
