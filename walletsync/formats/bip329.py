"""BIP-329 wallet labels, as Sparrow, Electrum and others export them: one JSON object a line.

The document is the text of the file, so every byte that nobody edited stays as its program wrote it.

How it merges: records are matched by `type` and `ref`, and then field by field by the rules of `walletsync.merge`, so
that a label given here and a coin frozen there meet in one record. Types and fields of any name are kept. Records stand
in their order and then in mine. Where a `type` and `ref` has several records, `origin` tells them apart; if it does
not, they are one value. A line that only one side changed is taken as it stands there; in one that both changed, every
field is. Blank lines and the ends of lines are layout, no edits: theirs count.

A conflict's path is ("tx", ref, "label"), with Item("origin", …) before the field where origins tell records apart.
What stands at (type, ref) is the record as a dict, or a list of dicts if there are several.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from walletsync import merge
from walletsync.errors import DocumentError
from walletsync.formats import label_places
from walletsync.formats.label_lines import (
    NO_LINES,
    Key,
    LabelFile,
    checked,
    keyed,
    lines_of,
    listed,
    loaded,
    value_of,
    written,
)
from walletsync.merge import MISSING, Conflict, Item, Merged, Path, place


class BIP329Format:
    """Documents are str: the text of a label file. Every line is blank, or an object with a `type` and a `ref`."""

    name = "bip329"
    content = "labels"
    absence_is_news = False

    def empty(self) -> str:
        """Return the file without a label, which is an empty one."""
        return ""

    def encode(self, document: str) -> bytes:
        """Return the file in UTF-8. Raises DocumentError, naming the line."""
        return checked(document).encode()

    def decode(self, data: bytes) -> str:
        """Return the file's text. Raises DocumentError, naming the line, if one of them is not a record."""
        try:
            return checked(data.decode())
        except UnicodeDecodeError as error:
            number = data.count(b"\n", 0, error.start) + 1
        # Out here, because the error above holds the document, and one raised there would hold it.
        raise DocumentError(f"Line {number} is not UTF-8: save the label file in that encoding.")

    def merge(self, base: str, mine: str, theirs: str) -> Merged[str]:
        """Merge record by record, by the rules at the top of this module."""
        if mine in (theirs, base):
            return Merged(theirs, ())
        if theirs == base:
            return Merged(mine, ())
        old, ours, others = _records_that_i_edited(*map(lines_of, (base, mine, theirs)))
        changed: dict[Key, list[str]] = {}
        conflicts: list[Conflict] = []
        for key in others.records | ours.records:
            was, here, there = (file.records.get(key, NO_LINES) for file in (old, ours, others))
            if here in (there, was):
                continue
            if there == was:
                changed[key] = here
            else:
                changed[key], found = _merged(key, was, here, there)
                conflicts += found
        return Merged(others.with_records(changed, order=ours), tuple(conflicts))

    def value_at(self, document: str, path: Path) -> Any:
        """Return what is at `path`, or MISSING."""
        if not path:
            return document
        key = _key(path)
        return MISSING if key is None else merge.value_at(_nested(_one_record(document, key).records[key], path), path)

    def replace(self, document: str, path: Path, value: Any) -> str:
        """Return the file with `value` at `path`; a record that is missing is appended.

        Raises DocumentError if that is not a place in a label file, or the file would not be a valid one.
        """
        if not path:
            return checked(value)
        key = _key(path)
        if key is None:
            raise DocumentError(f"{place(path)} is not a place in a label file: begin with a type and a ref.")
        file = _one_record(document, key)
        lines = file.records[key]
        records = listed(merge.value_at(merge.replace(_nested(lines, path), path, value), path[:2]))
        if path[2:]:
            records = [_named(record, key) for record in records]
        if not all(type(record) is dict and _is_of(record, key) for record in records):
            raise DocumentError(
                f"{place(path[:2])} has to be an object that keeps this type and ref, or a list of such objects."
            )
        changed = {key: written(records, lines)}
        return file.with_records(changed, order=LabelFile(changed[key], dict.fromkeys(changed[key], key)))

    # For files that other programs write: `walletsync.formats.base.FileFormat`. What a record leaves out is not altered
    # by an import, says the BIP, so absence is no news.

    def differences(self, documents: Sequence[str]) -> list[dict[Path, Any]]:
        """Return what each has where they differ: fields of records, or all records where none can be told apart."""
        return label_places.differences(documents)

    def with_values(self, document: str, values: Mapping[Path, Any]) -> str:
        """Return the file with other values at some places."""
        return label_places.with_values(document, values)

    def is_derived(self, path: Path) -> bool:
        """Tell whether a place is a field that each program works out from the chain and from prices."""
        return label_places.is_derived(path)

    def is_telling(self, path: Path, value: Any) -> bool:
        """Tell whether it is a label."""
        return label_places.is_telling(path, value)

    def record_at(self, path: Path) -> Path:
        """Return type and ref."""
        return path[:2]

    def contents(self, document: str) -> set[Path]:
        """Return the places of labels, of frozen coins, and of fields that only one program knows."""
        return label_places.contents(document)


def _records_that_i_edited(base: list[str], mine: list[str], theirs: list[str]) -> list[LabelFile]:
    """Return the files, each with its records of those keys of which I have other lines than the base.

    The others need no look: what theirs has of them is the result.
    """
    edits = Counter(base).items() ^ Counter(mine).items()
    edited = {key for _, key in keyed({line for line, _ in edits})}
    of_these = {line: key for line, key in keyed({*base, *mine, *theirs}) if key in edited}
    return [LabelFile(lines, of_these) for lines in (base, mine, theirs)]


def _one_record(document: str, key: Key) -> LabelFile:
    """Return a file with what it has for one key."""
    lines = lines_of(document)
    # Parsed are only those that can have it: where nothing is escaped, a text stands in a line as it is.
    possible = [line for line in lines if key.ref in line or "\\" in line]
    file = LabelFile(lines, {line: about for line, about in keyed(possible) if about == key})
    file.records.setdefault(key, [])
    return file


def _merged(key: Key, base: list[str], mine: list[str], theirs: list[str]) -> tuple[list[str], list[Conflict]]:
    """Merge the lines of one key."""
    sides = [loaded(lines) for lines in (base, mine, theirs)]
    if all(len(records) <= 1 for records in sides):
        merged = merge.merge(*map(value_of, sides))
    else:
        merged = merge.merge(*sides, keys={"": "origin"}, order_is_layout=True)
    conflicts = [
        Conflict(
            (key.type, key.ref, *found.path),
            *(side if found.path else value_of(listed(side)) for side in _sides(found)),
        )
        for found in merged.conflicts
    ]
    return written(listed(merged.document), theirs + mine), conflicts


def _sides(conflict: Conflict) -> tuple[Any, Any, Any]:
    return conflict.base, conflict.mine, conflict.theirs


def _key(path: Path) -> Key | None:
    """Return the type and ref with which `path` begins, None if it does not."""
    match path:
        case (str(kind), str(ref), *_):
            return Key(kind, ref)
    return None


def _nested(lines: list[str], path: Path) -> dict[str, Any]:
    """Return a document of objects in which `path` leads through the records of `lines`."""
    kind, ref, *rest = path
    records = loaded(lines)
    value = records if rest and isinstance(rest[0], Item) else value_of(records)
    return {} if value is MISSING else {str(kind): {str(ref): value}}


def _named(record: Any, key: Key) -> Any:
    """Return a record that `merge.replace` has just made with its type and ref; any other as it is."""
    is_new = type(record) is dict and "type" not in record and "ref" not in record
    return {"type": key.type, "ref": key.ref, **record} if is_new else record


def _is_of(record: dict[str, Any], key: Key) -> bool:
    return (record.get("type"), record.get("ref")) == (key.type, key.ref)
