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

from walletsync.formats import label_files, label_places, label_words
from walletsync.formats.label_lines import NO_LINES, LabelFile, checked, keyed, lines_of, loaded, written
from walletsync.formats.label_merging import merged_records
from walletsync.formats.label_sense import Key
from walletsync.formats.label_values import LabelValues
from walletsync.merge import Conflict, Merged, Path


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
        return LabelValues(document).value_at(path)

    def replace(self, document: str, path: Path, value: Any) -> str:
        """Return the file with `value` at `path`; a record that is missing is appended.

        Raises DocumentError if that is not a place in a label file, or the file would not be a valid one.
        """
        file = LabelValues(document)
        file.replace(path, value)
        return file.document()

    def opened(self, document: str) -> LabelValues:
        """Return the file to be asked and changed at many paths: it is parsed once."""
        return LabelValues(document)

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


def _merged(key: Key, base: list[str], mine: list[str], theirs: list[str]) -> tuple[list[str], list[Conflict]]:
    """Merge the lines of one key."""
    merged = merged_records(*map(loaded, (base, mine, theirs)))
    conflicts = [replace(found, path=(key.type, key.ref, *found.path)) for found in merged.conflicts]
    return written(merged.document, theirs + mine), conflicts
