"""The places of a label file: fields of records, told apart as they are where label files merge.

Where several records of a type and ref have no telling origins, all of them together are one place.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from walletsync import exactjson
from walletsync.errors import DocumentError
from walletsync.formats.label_lines import (
    NO_LINES,
    LabelFile,
    keyed,
    lines_of,
    listed,
    loaded,
    value_of,
    written,
)
from walletsync.formats.label_sense import DERIVED, Key, by_origin, field_sense, identity, item_of, key_of, record_sense
from walletsync.formats.label_sense import sense as value_sense
from walletsync.formats.places import is_blank
from walletsync.merge import MISSING, Item, Path, place, same

_KEY_STEPS: Final = 2
SAYS_NOTHING: Final = DERIVED | {"type", "ref", "origin"}
"""Fields that nobody would miss: of a record that has no others, nothing is left."""


def differences(documents: Sequence[str]) -> list[dict[Path, Any]]:
    """Return for each document what it has at the places where they are not all the same."""
    found: list[dict[Path, Any]] = [{} for _ in documents]
    line_lists = [lines_of(document) for document in documents]
    keys = dict(keyed({line for lines in line_lists for line in lines}))
    files = [LabelFile(lines, keys).records for lines in line_lists]
    load = cache(exactjson.loads)
    for key in dict.fromkeys(key for records in files for key in records):
        sides = [records.get(key, NO_LINES) for records in files]
        if any(side != sides[0] for side in sides):
            _compare(found, key, [[load(line) for line in side] for side in sides])
    return found


def _compare(found: list[dict[Path, Any]], key: Key, sides: list[list[Any]]) -> None:
    if all(len(records) <= 1 for records in sides):
        _compare_fields(found, (key.type, key.ref), [records[0] if records else {} for records in sides], but={"ref"})
        return
    all_by_origin = [by_origin(records) for records in sides]
    told_apart = [records for records in all_by_origin if records is not None]
    if len(told_apart) < len(sides):
        _note(found, (key.type, key.ref), [value_of(records) for records in sides])
        return
    for item in dict.fromkeys(item for records in told_apart for item in records):
        of_all = [records.get(item, {}) for records in told_apart]
        _compare_fields(found, (key.type, key.ref, item), of_all, but={"ref", "origin"})


def _compare_fields(
    found: list[dict[Path, Any]], path: Path, records: Sequence[dict[str, Any]], *, but: set[str]
) -> None:
    for name in dict.fromkeys(name for record in records for name in record if name not in but):
        _note(found, (*path, name), [record.get(name, MISSING) for record in records])


def _note(found: list[dict[Path, Any]], path: Path, values: Sequence[Any]) -> None:
    first, *others = (sense(path, value) for value in values)
    if all(same(first, other) for other in others):
        return
    for each, value in zip(found, values, strict=True):
        if value is not MISSING:
            each[path] = value


def with_values(document: str, values: Mapping[Path, Any]) -> str:
    """Return the file with other values at some places; a record of which nothing is left but what is derived goes.

    Raises DocumentError if the records that are there now cannot be told apart as the places do it.
    """
    wanted: dict[Key, dict[Path, Any]] = {}
    for path, value in values.items():
        wanted.setdefault(key_of(str(path[0]), str(path[1])), {})[path[2:]] = value
    lines = lines_of(document)
    file = LabelFile(lines, {line: key for line, key in keyed(lines) if key in wanted})
    changed = {}
    for key, changes in wanted.items():
        before = file.records.get(key, NO_LINES)
        changed[key] = written(_changed(key, loaded(before), changes), before)
    order = [line for records in changed.values() for line in records]
    return file.with_records(changed, order=LabelFile(order, dict(keyed(order))))


def _changed(key: Key, records: list[Any], changes: dict[Path, Any]) -> list[dict[str, Any]]:
    if () in changes:
        return listed(changes[()])
    is_told_apart = any(isinstance(path[0], Item) for path in changes)
    if (len(records) > 1 and not is_told_apart) or (is_told_apart and by_origin(records) is None):
        raise DocumentError(
            f"{place((key.type, key.ref))} has other records now, of which nobody can tell which one is meant."
        )
    found: dict[Item | None, dict[str, Any]] = {}
    for record in records:
        found[item_of(record["origin"]) if is_told_apart else None] = record
    for path, value in changes.items():
        item = path[0] if isinstance(path[0], Item) else None
        start = {} if item is None else {"origin": item.value}
        record = found.setdefault(item, {"type": key.type, "ref": key.ref, **start})
        record[str(path[-1])] = value
    return list(_left(key, found.values()))


def _left(key: Key, records: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for record in records:
        is_gone = record["type"] is MISSING
        left = {name: value for name, value in record.items() if value is not MISSING}
        if not is_gone:
            yield left
        elif not left.keys() <= SAYS_NOTHING:
            yield {"type": key.type, **left}


def sense(path: Path, value: Any) -> Any:
    """Return what a value at a place says; at (), what a document does."""
    if value is MISSING:
        return MISSING
    if not path:
        return [record_sense(exactjson.loads(line)) for line in lines_of(value) if not line.isspace()]
    if len(path) == _KEY_STEPS:
        return sorted(map(identity, listed(value)))
    return field_sense(path[-1], value) if type(path[-1]) is str else value_sense(value)


def is_derived(path: Path) -> bool:
    """Tell whether a place is a field that each program works out."""
    return path[-1] in DERIVED


def is_telling(path: Path, value: Any) -> bool:
    """Tell whether a value is a label, or records with one: only those are somebody's own words."""
    if len(path) == _KEY_STEPS:
        return any(not is_blank(record.get("label")) for record in listed(value))
    return path[-1] == "label" and not is_blank(value)


def contents(document: str) -> set[Path]:
    """Return the places of labels, of frozen coins, and of fields that only one program knows, whatever the origin."""
    found: set[Path] = set()
    for line in lines_of(document):
        if not line.isspace():
            record = exactjson.loads(line)
            kept = {name for name, value in record.items() if not (is_blank(value) or value is True)}
            key = key_of(record["type"], record["ref"])
            found |= {(key.type, key.ref, name) for name in kept - SAYS_NOTHING}
    return found
