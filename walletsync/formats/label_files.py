"""The file of a program that writes labels, and the document in it: what is in the file that is none of the document's.

A byte order mark, and lines that are no records, stay in the file where they are. Such a line holds up nothing but
itself: the record that it stands for, by its ref, counts as it was, and where it cannot be told which one that is,
nothing counts as deleted. What the document has in another spelling than the file stays as the file has it.
"""

import re
from collections.abc import Iterable
from typing import Final

from walletsync.errors import DocumentError
from walletsync.formats.label_lines import (
    BLANKS,
    NO_LINES,
    LabelFile,
    checked,
    is_valid,
    keyed,
    lines_of,
    loaded,
    problem_of,
    written,
)
from walletsync.formats.label_merging import counterparts
from walletsync.formats.label_sense import Key, identity, key_of, respelled

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_TYPE, _REF = (re.compile(rf'"{name}"\s*:\s*"([^"\\]*)"') for name in ("type", "ref"))


def text_of(data: bytes) -> str:
    """Return the text of a file. Raises DocumentError, naming the line, if it is not UTF-8."""
    try:
        return data.removeprefix(BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
    # Out here, because the error above holds the document, and one raised there would hold it.
    raise DocumentError(f"Line {number} is not UTF-8: save the label file in that encoding.")


def read(data: bytes, known: str) -> str:
    """Return the document in a file; what it had before, `known`, is not gone by a line that cannot be read.

    Raises DocumentError, naming the line, if it is not UTF-8, has no record but other lines, or is cut off in a line.
    """
    text = text_of(data)
    if is_valid(text):
        return text
    lines = lines_of(text)
    others = dict(_others(lines))
    records = [line for number, line in enumerate(lines, start=1) if number not in others]
    cut_off = others and not lines[-1].endswith("\n") and len(lines) in others
    if cut_off or all(line.isspace() for line in records):
        checked(text)  # tells which line, and what is wrong with it
    kept = _kept("".join(records), known, [_Subject(lines[number - 1]) for number in others])
    for number in others:
        subject = _Subject(lines[number - 1])
        stood_there = [kept.pop(key) for key in list(kept) if subject.is_about(key)]
        lines[number - 1] = "".join(f"{record}\n" for records in stood_there for record in records)
    before = lines_of(known)
    file = LabelFile(lines_of("".join(lines)), {})
    return checked(file.with_records(kept, order=LabelFile(before, dict(keyed(before)))))


def write(document: str, over: bytes) -> bytes:
    """Return the file with `document`, in the spelling of the file that was there, and with all else that was in it."""
    text = text_of(over)
    mark = BYTE_ORDER_MARK if over.startswith(BYTE_ORDER_MARK) else b""
    if text == document:
        return over
    lines, others = lines_of(text), {} if is_valid(text) else dict(_others(lines_of(text)))
    readable = [line for number, line in enumerate(lines, start=1) if number not in others]
    unreadable = [_Subject(lines[number - 1]) for number in others]
    old, new = (LabelFile(each, dict(keyed(each))) for each in (readable, lines_of(document)))
    changed = {}
    for key in old.records | new.records:
        was, now = (file.records.get(key, NO_LINES) for file in (old, new))
        if any(subject.is_about(key) for subject in unreadable):
            changed[key] = was
        elif was != now and was and now:
            changed[key] = _in_spelling_of(was, now)
    result = new.with_records(changed, order=old)
    return mark + _with_others(result, lines, others).encode()


def unreadable(data: bytes) -> list[str]:
    """Return what is wrong with each line that is no record, as the end of a sentence about the file."""
    text = text_of(data)
    return [] if is_valid(text) else [f"line {number} {problem}" for number, problem in _others(lines_of(text))]


class _Subject:
    """What a line that is no record may have been about."""

    def __init__(self, line: str) -> None:
        self._type, self._ref = (found and found[1] for found in (_TYPE.search(line), _REF.search(line)))
        self.is_known = self._ref is not None

    def is_about(self, key: Key) -> bool:
        return self._ref is not None and key == key_of(self._type or key.type, self._ref)


def _others(lines: Iterable[str]) -> list[tuple[int, str]]:
    """Return the numbers of the lines that are no records, and what is wrong with each."""
    texts = ((number, line.rstrip(BLANKS)) for number, line in enumerate(lines, start=1))
    return [(number, problem) for number, text in texts if text and (problem := problem_of(text))]


def _kept(document: str, known: str, unreadable: list[_Subject]) -> dict[Key, list[str]]:
    """Return the records that are `known`, and not in the document, but may stand in lines that cannot be read."""
    file, before = (LabelFile(lines, dict(keyed(lines))) for lines in map(lines_of, (document, known)))
    may_be_any = not all(subject.is_known for subject in unreadable)
    kept = {}
    for key, lines in before.records.items():
        here = file.records.get(key, NO_LINES)
        if len(here) < len(lines) and (may_be_any or any(subject.is_about(key) for subject in unreadable)):
            said = set(map(identity, loaded(here)))
            kept[key] = [
                line for line, record in zip(lines, loaded(lines), strict=True) if identity(record) not in said
            ]
    return kept


def _in_spelling_of(old: list[str], new: list[str]) -> list[str]:
    """Return the records of `new` as lines, with all that `old` says too as it is written there."""
    was, now = loaded(old), loaded(new)
    lines = []
    for line, record, before in zip(new, now, counterparts(now, was), strict=True):
        if before is None:
            lines.append(line)
        else:
            lines += written([respelled(record, was[before])], [old[before], line])
    return lines


def _with_others(document: str, lines: list[str], others: dict[int, str]) -> str:
    """Return a document with the `others` of `lines`, each behind the record that it has stood behind."""
    if not others:
        return document
    result = lines_of(document)
    keys = dict(keyed(result))
    places = {key: index for index, line in enumerate(result) if (key := keys.get(line)) is not None}
    keys |= dict(keyed(line for number, line in enumerate(lines, start=1) if number not in others))
    behind: dict[int, list[str]] = {}
    place = -1
    for number, line in enumerate(lines, start=1):
        if number in others:
            behind.setdefault(place, []).append(line if line.endswith("\n") else f"{line}\n")
        elif line in keys:
            place = places.get(keys[line], place)
    if result and not result[-1].endswith("\n") and len(result) - 1 in behind:
        result[-1] += "\n"
    for index in sorted(behind, reverse=True):
        result[index + 1 : index + 1] = behind[index]
    return "".join(result)
