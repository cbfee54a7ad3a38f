"""What happened between two documents, in words for people: how many of what they would miss were changed, and when."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from walletsync.formats.base import FileFormat, opened
from walletsync.merge import MISSING, Path

_ONE: Final = {"labels": "label", "entries": "entry"}
"""What one of a format's contents is called, where there is a word for it."""
_MINUTE, _HOUR, _DAY, _WEEK = 60, 60 * 60, 24 * 60 * 60, 7 * 24 * 60 * 60


@dataclass(frozen=True)
class Changes:
    """How many records were added, changed and deleted, of those that somebody would miss."""

    added: int
    changed: int
    deleted: int

    @classmethod
    def between(cls, format: FileFormat[Any], before: Any, after: Any) -> "Changes":
        """Count what became of `before` until it was `after`; what programs work out for themselves is no change."""
        was, now = _Contents(format, before), _Contents(format, after)
        found = [(was.has(record), now.has(record)) for record in _records(format, before, after)]
        return cls(found.count((False, True)), found.count((True, True)), found.count((True, False)))

    def sentence(self, content: str) -> str:
        """Return it as people say it, `content` being the format's: "3 labels changed, 1 deleted"."""
        parts = [(self.added, "added"), (self.changed, "changed"), (self.deleted, "deleted")]
        told = [(number, what) for number, what in parts if number]
        if not told:
            return f"no {content} changed"
        (number, what), *others = told
        first = f"{number} {_ONE.get(content, f'of the {content}') if number == 1 else content} {what}"
        return ", ".join([first, *(f"{number} {what}" for number, what in others)])


class _Contents:
    """What is in a document that somebody would miss."""

    def __init__(self, format: FileFormat[Any], document: Any) -> None:
        self._document = opened(format, document)
        self._places = format.contents(document)
        self._around = {path[:length] for path in self._places for length in range(len(path))}

    def has(self, record: Path) -> bool:
        """Tell whether somebody would miss something of a record."""
        if record in self._around:
            return True
        is_within = any(record[:length] in self._places for length in range(len(record) + 1))
        return is_within and self._document.value_at(record) is not MISSING


def _records(format: FileFormat[Any], before: Any, after: Any) -> Iterator[Path]:
    """Yield the places of records that differ, but of an object and what is in it only the latter."""
    old, new = format.differences([before, after])
    records = dict.fromkeys(format.record_at(path) for path in old | new if not format.is_derived(path))
    around = set(_around(records))
    yield from (record for record in records if record not in around)


def _around(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        yield from (path[:length] for length in range(len(path)))


def ago(time: str, now: datetime) -> str:
    """Return how long before `now` a time was (RFC 3339): "5 minutes ago"; after a week, the day.

    What is no time, since a server may say anything, is returned as it is.
    """
    try:
        then = datetime.fromisoformat(time).astimezone(UTC)
    except (ValueError, OverflowError):
        return time
    seconds = (now - then).total_seconds()
    if not -_HOUR < seconds < _WEEK:
        return f"on {then:%Y-%m-%d}"
    for unit, name in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if seconds >= unit:
            number = int(seconds // unit)
            return f"{number} {name}{'' if number == 1 else 's'} ago"
    return "just now"
