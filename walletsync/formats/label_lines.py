"""The lines of a label file: which are records of what, which are none, how records are written, and where."""

import hashlib
import io
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from walletsync import exactjson
from walletsync.errors import DocumentError
from walletsync.formats.json import MAX_DEPTH
from walletsync.formats.label_sense import Key, key_of
from walletsync.merge import MISSING, same

BLANKS: Final = " \t\r\n"
NO_LINES: Final[list[str]] = []
_COMPACT = exactjson.Spelling("{", ",", "}", {})
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


_KEY = msgspec.json.Decoder(Key)
"""A quick way to read type and ref from a line that is known to be valid."""


class LabelFile:
    """The lines of a label file, and its records of some keys: their lines without the ends, in order."""

    def __init__(self, lines: list[str], keys: dict[str, Key]) -> None:
        """Look for the lines that are in `keys`."""
        self.lines = lines
        self.places = [(index, keys[line]) for index, line in enumerate(lines) if line in keys]
        self.records: dict[Key, list[str]] = {}
        for index, key in self.places:
            self.records.setdefault(key, []).append(lines[index].rstrip(BLANKS))

    def with_records(self, changed: dict[Key, list[str]], *, order: "LabelFile") -> str:
        """Return the document with other records for some keys; keys that it does not have follow, as in `order`."""
        lines = self.lines.copy()
        newline = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
        for index, records in self._spread(changed):
            end = lines[index][len(lines[index].rstrip(BLANKS)) :]
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
        left = {key: len(self.records.get(key, NO_LINES)) for key in changed}
        for index, key in self.places:
            if key in changed:
                left[key] -= 1
                count = 1 if left[key] else len(waiting[key])
                yield index, waiting[key][:count]
                del waiting[key][:count]


def lines_of(document: str) -> list[str]:
    """Return the lines with their ends; only a line feed ends one."""
    return io.StringIO(document, newline="\n").readlines()


def keyed(lines: Iterable[str]) -> Iterator[tuple[str, Key]]:
    """Return lines of a valid document with their keys, but for blank ones."""
    records = [line for line in lines if not line.isspace()]
    return zip(records, map(_key, records), strict=True)


def _key(line: str) -> Key:
    found = _KEY.decode(line)
    return key_of(found.type, found.ref)


_RECENTLY_VALID: deque[bytes] = deque(maxlen=8)
"""Digests of the documents that were checked last: a sync meets the same few again and again, in file and store."""


def is_valid(document: str) -> bool:
    """Tell whether a text is a label file with no line that is no record."""
    try:
        checked(document)
    except DocumentError:
        return False
    return True


def checked(document: Any) -> str:
    """Return a label file's text. Raises DocumentError, naming the line, if it is not one."""
    if type(document) is not str:
        raise DocumentError("A label file is text, in Python a str.")
    if document.startswith("\ufeff"):
        raise DocumentError("Line 1 begins with a byte order mark: save the label file as UTF-8 without one.")
    digest = hashlib.sha256(document.encode(errors="surrogatepass")).digest()
    if digest in _RECENTLY_VALID:
        return document
    for number, line in enumerate(io.StringIO(document, newline="\n"), start=1):
        text = line.rstrip(BLANKS)
        if text and (problem := problem_of(text)):
            raise DocumentError(f"Line {number} of the label file {problem}. Fix that line, or delete it.")
    _RECENTLY_VALID.append(digest)
    return document


def problem_of(text: str) -> str:
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


def loaded(lines: list[str]) -> list[Any]:
    """Return the records that lines are."""
    return [exactjson.loads(line) for line in lines]


def written(records: list[Any], lines: list[str]) -> list[str]:
    """Return `records` as lines, those of `lines` that say the same if there are any."""
    originals = list(zip(loaded(lines), lines, strict=True))
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
        if same(exactjson.loads(line), record) and not problem_of(line):
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


def value_of(records: list[Any]) -> Any:
    """Return what stands at a type and ref."""
    if not records:
        return MISSING
    return records[0] if len(records) == 1 else records


def listed(value: Any) -> list[Any]:
    """Return the records that a value stands for; `value_of` backwards."""
    if value is MISSING:
        return []
    return value if type(value) is list else [value]
