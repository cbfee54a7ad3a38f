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

import hashlib
import io
import json
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from walletsync import exactjson, merge
from walletsync.errors import DocumentError
from walletsync.formats.json import MAX_DEPTH
from walletsync.merge import MISSING, Conflict, Item, Merged, Path, place, same

_BLANKS: Final = " \t\r\n"
_NONE: Final[list[str]] = []
_COMPACT = exactjson.Spelling("{", ",", "}", {})
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class BIP329Format:
    """Documents are str: the text of a label file. Every line is blank, or an object with a `type` and a `ref`."""

    name = "bip329"

    def empty(self) -> str:
        """Return the file without a label, which is an empty one."""
        return ""

    def encode(self, document: str) -> bytes:
        """Return the file in UTF-8. Raises DocumentError, naming the line."""
        return _checked(document).encode()

    def decode(self, data: bytes) -> str:
        """Return the file's text. Raises DocumentError, naming the line, if one of them is not a record."""
        try:
            return _checked(data.decode())
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
        old, ours, others = _records_that_i_edited(*map(_lines, (base, mine, theirs)))
        changed: dict[Key, list[str]] = {}
        conflicts: list[Conflict] = []
        for key in others.records | ours.records:
            was, here, there = (file.records.get(key, _NONE) for file in (old, ours, others))
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
            return _checked(value)
        key = _key(path)
        if key is None:
            raise DocumentError(f"{place(path)} is not a place in a label file: begin with a type and a ref.")
        file = _one_record(document, key)
        lines = file.records[key]
        records = _listed(merge.value_at(merge.replace(_nested(lines, path), path, value), path[:2]))
        if path[2:]:
            records = [_named(record, key) for record in records]
        if not all(type(record) is dict and _is_of(record, key) for record in records):
            raise DocumentError(
                f"{place(path[:2])} has to be an object that keeps this type and ref, or a list of such objects."
            )
        changed = {key: _written(records, lines)}
        return file.with_records(changed, order=_File(changed[key], dict.fromkeys(changed[key], key)))


class Key(msgspec.Struct, frozen=True):
    """What tells records apart; a quick way to read it from a line that is known to be valid."""

    type: str
    ref: str


_KEY = msgspec.json.Decoder(Key)


class _File:
    """The lines of a label file, and its records of some keys: their lines without the ends, in order."""

    def __init__(self, lines: list[str], keys: dict[str, Key]) -> None:
        """Look for the lines that are in `keys`."""
        self.lines = lines
        self.places = [(index, keys[line]) for index, line in enumerate(lines) if line in keys]
        self.records: dict[Key, list[str]] = {}
        for index, key in self.places:
            self.records.setdefault(key, []).append(lines[index].rstrip(_BLANKS))

    def with_records(self, changed: dict[Key, list[str]], *, order: "_File") -> str:
        """Return the document with other records for some keys; keys that it does not have follow, as in `order`."""
        lines = self.lines.copy()
        newline = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
        for index, records in self._spread(changed):
            end = lines[index][len(lines[index].rstrip(_BLANKS)) :]
            between = end if "\n" in end else newline
            lines[index] = between.join(records) + end if records else ""
        added = {key: records for key, records in changed.items() if not self.records.get(key)}
        new = [record + newline for _, records in order._spread(added) for record in records]
        last = len(self.lines)
        while last and self.lines[last - 1].isspace():
            last -= 1
        if new and last and lines[last - 1] and not lines[last - 1].endswith("\n"):
            lines[last - 1] += newline
        lines[last:last] = new
        return "".join(lines)

    def _spread(self, changed: dict[Key, list[str]]) -> Iterator[tuple[int, list[str]]]:
        """Yield, for each line of a key in `changed`, its index and what is to stand there.

        That is one line for one; the last line of a key makes room for all that are left.
        """
        waiting = {key: list(records) for key, records in changed.items()}
        left = {key: len(self.records.get(key, _NONE)) for key in changed}
        for index, key in self.places:
            if key in changed:
                left[key] -= 1
                count = 1 if left[key] else len(waiting[key])
                yield index, waiting[key][:count]
                del waiting[key][:count]


def _lines(document: str) -> list[str]:
    """Return the lines with their ends; only a line feed ends one."""
    return io.StringIO(document, newline="\n").readlines()


def _keyed(lines: Iterable[str]) -> Iterator[tuple[str, Key]]:
    """Return lines of a valid document with their keys, but for blank ones."""
    records = [line for line in lines if not line.isspace()]
    return zip(records, map(_KEY.decode, records), strict=True)


def _records_that_i_edited(base: list[str], mine: list[str], theirs: list[str]) -> list[_File]:
    """Return the files, each with its records of those keys of which I have other lines than the base.

    The others need no look: what theirs has of them is the result.
    """
    edits = Counter(base).items() ^ Counter(mine).items()
    edited = {key for _, key in _keyed({line for line, _ in edits})}
    of_these = {line: key for line, key in _keyed({*base, *mine, *theirs}) if key in edited}
    return [_File(lines, of_these) for lines in (base, mine, theirs)]


def _one_record(document: str, key: Key) -> _File:
    """Return a file with what it has for one key."""
    lines = _lines(document)
    file = _File(lines, {line: about for line, about in _keyed(lines) if about == key})
    file.records.setdefault(key, [])
    return file


def _merged(key: Key, base: list[str], mine: list[str], theirs: list[str]) -> tuple[list[str], list[Conflict]]:
    """Merge the lines of one key."""
    sides = [_loaded(lines) for lines in (base, mine, theirs)]
    if all(len(records) <= 1 for records in sides):
        merged = merge.merge(*map(_value, sides))
    else:
        merged = merge.merge(*sides, keys={"": "origin"}, order_is_layout=True)
    conflicts = [
        Conflict(
            (key.type, key.ref, *found.path), *(side if found.path else _value(_listed(side)) for side in _sides(found))
        )
        for found in merged.conflicts
    ]
    return _written(_listed(merged.document), theirs + mine), conflicts


def _sides(conflict: Conflict) -> tuple[Any, Any, Any]:
    return conflict.base, conflict.mine, conflict.theirs


def _loaded(lines: list[str]) -> list[Any]:
    return [exactjson.loads(line) for line in lines]


def _written(records: list[Any], lines: list[str]) -> list[str]:
    """Return `records` as lines, those of `lines` that say the same if there are any."""
    originals = list(zip(_loaded(lines), lines, strict=True))
    return [
        next((line for old, line in originals if same(old, record)), None) or _line(record, lines) for record in records
    ]


def _line(record: dict[str, Any], lines: list[str]) -> str:
    """Return a record as a new line, in the spelling of `lines` where it says what they say.

    Raises DocumentError if it would not come back as it is.
    """
    spellings = [exactjson.spelling(line) for line in lines]
    style = spellings[0] if spellings else _COMPACT
    try:
        fields = [_field(name, value, spellings) for name, value in record.items()]
        line = style.opening + style.separator.join(fields) + style.closing
        if same(exactjson.loads(line), record) and not _problem(line):
            return line
    except (TypeError, ValueError, RecursionError):
        pass  # It is what follows that says so, and holds nothing of the document.
    raise DocumentError(
        "The value cannot be stored in a label file: use dict with str keys, list, str, int, float, bool or None, no "
        f"subclass of them, only finite numbers, and at most {MAX_DEPTH} levels of nesting."
    )


def _field(name: str, value: Any, spellings: list[exactjson.Spelling]) -> str:
    for spelling in spellings:
        known, text = spelling.entries.get(name, (MISSING, ""))
        if same(known, value):
            return text
    return exactjson.dumps({name: value})[1:-1]


def _value(records: list[Any]) -> Any:
    """Return what stands at a type and ref."""
    if not records:
        return MISSING
    return records[0] if len(records) == 1 else records


def _listed(value: Any) -> list[Any]:
    """Return the records that a value stands for; `_value` backwards."""
    if value is MISSING:
        return []
    return value if type(value) is list else [value]


def _key(path: Path) -> Key | None:
    """Return the type and ref with which `path` begins, None if it does not."""
    match path:
        case (str(kind), str(ref), *_):
            return Key(kind, ref)
    return None


def _nested(lines: list[str], path: Path) -> dict[str, Any]:
    """Return a document of objects in which `path` leads through the records of `lines`."""
    kind, ref, *rest = path
    records = _loaded(lines)
    value = records if rest and isinstance(rest[0], Item) else _value(records)
    return {} if value is MISSING else {str(kind): {str(ref): value}}


def _named(record: Any, key: Key) -> Any:
    """Return a record that `merge.replace` has just made with its type and ref; any other as it is."""
    is_new = type(record) is dict and "type" not in record and "ref" not in record
    return {"type": key.type, "ref": key.ref, **record} if is_new else record


def _is_of(record: dict[str, Any], key: Key) -> bool:
    return (record.get("type"), record.get("ref")) == (key.type, key.ref)


_RECENTLY_VALID: deque[bytes] = deque(maxlen=8)
"""Digests of the documents that were checked last: a sync meets the same few again and again, in file and store."""


def _checked(document: Any) -> str:
    if type(document) is not str:
        raise DocumentError("A label file is text, in Python a str.")
    if document.startswith("\ufeff"):
        raise DocumentError("Line 1 begins with a byte order mark: save the label file as UTF-8 without one.")
    digest = hashlib.sha256(document.encode(errors="surrogatepass")).digest()
    if digest in _RECENTLY_VALID:
        return document
    for number, line in enumerate(io.StringIO(document, newline="\n"), start=1):
        text = line.rstrip(_BLANKS)
        if text and (problem := _problem(text)):
            raise DocumentError(f"Line {number} of the label file {problem}. Fix that line, or delete it.")
    _RECENTLY_VALID.append(digest)
    return document


def _problem(text: str) -> str:
    """Return what is wrong with a line that is not blank, or an empty str."""
    try:
        text.encode()
        record = exactjson.loads(text)
        if _SURROGATE.search(text):
            exactjson.dumps(record).encode()
        if text.count("{") + text.count("[") > MAX_DEPTH and _depth(record) > MAX_DEPTH:
            raise RecursionError
    except UnicodeEncodeError:
        return "holds half of a surrogate pair, which is not valid text"
    except json.JSONDecodeError as error:
        return f"is not JSON at column {error.colno}"
    except RecursionError:
        return f"has more than {MAX_DEPTH} objects and lists inside one another"
    except ValueError as error:  # in the words of `exactjson`, which hold nothing of the document
        return f"is not a record: {error}"
    if type(record) is dict and type(record.get("type")) is str and type(record.get("ref")) is str:
        return ""
    return "is not a record: each is an object with a type and a ref, both of them text"


def _depth(value: Any) -> int:
    inside = value.values() if type(value) is dict else value if type(value) is list else None
    return 0 if inside is None else 1 + max(map(_depth, inside), default=0)
