"""BIP-329 wallet labels, as Sparrow and others export them: one JSON object a line.

The document is the text of the file, so every byte that nobody edited stays as its program wrote it.

How it merges: records are matched by `type` and `ref`, and then field by field by the rules of `walletsync.merge`, so
that a label given here and a coin frozen there meet in one record. Types and fields of any name are kept. Records stand
in their order and then in mine. Where a `type` and `ref` has several records, `origin` tells them apart; if it does
not, they are a set: what both added is kept, what one took away is gone. Spellings that say the same are equal,
`label_sense` knows them. Fields that each program derives make no conflict, theirs count, and no edit of a record that
was deleted. A line that only one side changed is taken as it stands there; in one that both changed, every field is.
Blank lines and the ends of lines are layout, no edits: theirs count.

A conflict's path is ("tx", ref, "label"), with Item("origin", …) before the field where origins tell records apart.
What stands at (type, ref) is the record as a dict, or a list of dicts if there are several.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from walletsync import merge
from walletsync.errors import DocumentError
from walletsync.formats import label_files, label_places, label_words
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
from walletsync.formats.label_merging import merged_records
from walletsync.formats.label_sense import Key, by_origin, item_of, key_of
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
        return checked(label_files.text_of(data))

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
        return MISSING if key is None else _at(loaded(_one_record(document, key).records[key]), path[2:])

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
        records = _with(loaded(lines), path, value)
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

    def from_file(self, data: bytes, known: str) -> str:
        """Return the document in a file, with what is `known` of lines that cannot be read: `label_files`."""
        return label_files.read(data, known)

    def to_file(self, document: str, over: bytes) -> bytes:
        """Return the file with a document, in the spelling that it had, and with its lines that are no records."""
        return label_files.write(document, over)

    def unreadable(self, data: bytes) -> Sequence[str]:
        """Return the numbers of lines that are no records, and what is wrong with each."""
        return label_files.unreadable(data)

    def differences(self, documents: Sequence[str]) -> list[dict[Path, Any]]:
        """Return what each has where they differ: fields of records, or all records where none can be told apart."""
        return label_places.differences(documents)

    def with_values(self, document: str, values: Mapping[Path, Any]) -> str:
        """Return the file with other values at some places."""
        return label_places.with_values(document, values)

    def sense(self, path: Path, value: Any) -> Any:
        """Return what a value says, by `label_sense`; of several records, without what is derived."""
        return label_places.sense(path, value)

    def is_derived(self, path: Path) -> bool:
        """Tell whether a place is a field that each program works out from the chain and from prices."""
        return label_places.is_derived(path)

    def is_telling(self, path: Path, value: Any) -> bool:
        """Tell whether it is a label."""
        return label_places.is_telling(path, value)

    def record_at(self, path: Path) -> Path:
        """Return type and ref."""
        return path[:2]

    def shown(self, path: Path, value: Any) -> Any:
        """Return the value: nothing is known to be a secret."""
        return value

    def title(self, path: Path, record: Any) -> str:
        """Return the label, what it is of, and the end of its ref."""
        return label_words.title(path, record)

    def both(self, path: Path, mine: Any, theirs: Any) -> Any:
        """Return both labels in one; nothing else can be two things at once."""
        return label_words.both(path, mine, theirs)

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
    # Parsed are only those that can have it: a text of ASCII where nothing is escaped stands there, but for its case.
    ref = key.ref.lower()
    possible = [line for line in lines if ref in line.lower() or "\\" in line or not line.isascii()]
    file = LabelFile(lines, {line: about for line, about in keyed(possible) if about == key})
    file.records.setdefault(key, [])
    return file


def _merged(key: Key, base: list[str], mine: list[str], theirs: list[str]) -> tuple[list[str], list[Conflict]]:
    """Merge the lines of one key."""
    merged = merged_records(*map(loaded, (base, mine, theirs)))
    conflicts = [replace(found, path=(key.type, key.ref, *found.path)) for found in merged.conflicts]
    return written(merged.document, theirs + mine), conflicts


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
