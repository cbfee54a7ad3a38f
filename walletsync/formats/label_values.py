"""A label file at the paths of conflicts: what stands there, and other values in their place.

The file is parsed once, however many paths are asked for and changed.
"""

from typing import Any

from walletsync import merge
from walletsync.errors import DocumentError
from walletsync.formats.label_lines import (
    NO_LINES,
    LabelFile,
    checked,
    keyed,
    lines_of,
    listed,
    loaded,
    value_of,
    written,
)
from walletsync.formats.label_sense import Key, by_origin, item_of, key_of
from walletsync.merge import MISSING, Item, Path, place


class LabelValues:
    """An opened label file, `walletsync.formats.base.Opened`. A record that is missing is appended."""

    def __init__(self, document: str) -> None:
        self._open(document)

    def value_at(self, path: Path) -> Any:
        """Return what is at `path`, or MISSING."""
        if not path:
            return self.document()
        key = _key(path)
        return MISSING if key is None else _at(loaded(self._lines(key)), path[2:])

    def replace(self, path: Path, value: Any) -> None:
        """Put `value` at `path`.

        Raises DocumentError if that is not a place in a label file, or the file would not be a valid one.
        """
        if not path:
            self._open(checked(value))
            return
        key = _key(path)
        if key is None:
            raise DocumentError(f"{place(path)} is not a place in a label file: begin with a type and a ref.")
        lines = self._lines(key)
        records = _with(loaded(lines), path, value)
        if path[2:]:
            records = [_named(record, key) for record in records]
        if not all(type(record) is dict and _is_of(record, key) for record in records):
            raise DocumentError(
                f"{place(path[:2])} has to be an object that keeps this type and ref, or a list of such objects."
            )
        self._changed[key] = written(records, lines)

    def document(self) -> str:
        """Return the file, with what was replaced."""
        lines = [line for changed in self._changed.values() for line in changed]
        keys = {line: key for key, changed in self._changed.items() for line in changed}
        return self._file.with_records(self._changed, order=LabelFile(lines, keys))

    def _open(self, document: str) -> None:
        lines = lines_of(document)
        self._file = LabelFile(lines, dict(keyed(lines)))
        self._changed: dict[Key, list[str]] = {}

    def _lines(self, key: Key) -> list[str]:
        return self._changed.get(key, self._file.records.get(key, NO_LINES))


def _key(path: Path) -> Key | None:
    """Return the type and ref with which `path` begins, None if it does not."""
    match path:
        case (str(kind), str(ref), *_):
            return key_of(kind, ref)
    return None


def _at(records: list[Any], rest: Path) -> Any:
    """Return what is in `records` at a path that begins behind type and ref."""
    if rest and isinstance(rest[0], Item):
        return merge.value_at((by_origin(records) or {}).get(item_of(rest[0].value), MISSING), rest[1:])
    return merge.value_at(value_of(records), rest)


def _with(records: list[Any], path: Path, value: Any) -> list[Any]:
    """Return what becomes of `records`, which stand at the first two steps of `path`, with `value` at `path`."""
    start, rest = path[:2], path[2:]
    if not (rest and isinstance(rest[0], Item)):
        kind, ref = map(str, start)
        all_records = {} if not records else {kind: {ref: value_of(records)}}
        return listed(merge.value_at(merge.replace(all_records, path, value), start))
    item, found = item_of(rest[0].value), by_origin(records)
    if found is None:
        raise DocumentError(
            f"{place(start)} is not a list of objects told apart by 'origin', so it has no place for {item}."
        )
    if rest[1:]:
        changed = merge.replace(found.get(item, {"origin": item.value}), rest[1:], value)
    else:
        changed = merge.copied(value)
    if changed is MISSING:
        found.pop(item, None)
    elif by_origin([changed]) == {item: changed}:
        found[item] = changed
    else:
        raise DocumentError(f"{place(path[:3])} has to be an object that keeps {item}.")
    return list(found.values())


def _named(record: Any, key: Key) -> Any:
    """Return a record that `merge.replace` has just made with its type and ref; any other as it is."""
    is_new = type(record) is dict and "type" not in record and "ref" not in record
    return {"type": key.type, "ref": key.ref, **record} if is_new else record


def _is_of(record: dict[str, Any], key: Key) -> bool:
    kind, ref = record.get("type"), record.get("ref")
    return type(kind) is str and type(ref) is str and key_of(kind, ref) == key
