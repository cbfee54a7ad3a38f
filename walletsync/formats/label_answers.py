"""What a program that holds labels, and nothing else of a label file, does to one: to its own labels alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from walletsync.formats.label_lines import NO_LINES, LabelFile, keyed, lines_of, loaded, written
from walletsync.formats.label_places import SAYS_NOTHING
from walletsync.formats.label_sense import Key
from walletsync.formats.places import is_blank

Labels: TypeAlias = Mapping[Key, str]


@dataclass(frozen=True)
class LabelAnswers:
    """The labels that a program had `before`, at its last answer, and those that it has `now`."""

    before: Labels
    now: Labels

    def had(self, document: str) -> str:
        """Return what of a label file was the program's: of each record that it had a label of, that label.

        Where there are several records, nobody can tell which one was, so it counts as having had them all. Where it
        had none, it had the blank one of the file.
        """
        return _own(document, self._blank_ones(document) | dict(self.before))

    def has(self, document: str) -> str:
        """Return what of a label file is the program's now."""
        return _own(document, self.now)

    def written(self, document: str, waiting: str) -> str:
        """Return a label file with the labels that were changed, and every other byte where it was.

        A record whose label is gone stays if it says anything else. One that was taken away, and is among those
        `waiting` for that to be confirmed, comes back with all that it said if it has a label again.
        """
        changed = {key for key in self.before.keys() | self.now.keys() if self.before.get(key) != self.now.get(key)}
        file, kept = (_file(each, changed) for each in (document, waiting))
        records: dict[Key, list[str]] = {}
        for key in sorted(changed, key=_order):
            lines = file.records.get(key, NO_LINES)
            if not lines and key in self.now:
                lines = kept.records.get(key, NO_LINES)
            records[key] = _relabelled(key, lines, self.before.get(key), self.now.get(key))
        order = [line for each in records.values() for line in each]
        return file.with_records(records, order=LabelFile(order, dict(keyed(order))))

    def _blank_ones(self, document: str) -> dict[Key, str]:
        of = _file(document, self.now.keys() - self.before.keys()).records
        alone = ((key, loaded(lines)[0].get("label")) for key, lines in of.items() if len(lines) == 1)
        return {key: label for key, label in alone if type(label) is str and is_blank(label)}


def _own(document: str, labels: Labels) -> str:
    file, own = _file(document, labels), list[str]()
    for key in sorted(labels, key=_order):
        lines = file.records.get(key, NO_LINES)
        own += lines if len(lines) > 1 else written([_record(key, labels[key])], [])
    return "".join(f"{line}\n" for line in own)


def _file(document: str, keys: Iterable[Key]) -> LabelFile:
    """Return a file with its records of these keys."""
    lines, wanted = lines_of(document), set(keys)
    return LabelFile(lines, {line: key for line, key in keyed(lines) if key in wanted})


def _relabelled(key: Key, lines: list[str], had: str | None, has: str | None) -> list[str]:
    """Return the records of a key once the program has another label there, None for none.

    Of several, those with the label that it had are the program's. If there are none, its label is one more.
    """
    records, after = loaded(lines), list[dict[str, Any]]()
    for record in records:
        is_own = len(records) == 1 or (had is not None and record.get("label") == had)
        if not is_own or (has is None and "label" not in record):
            after.append(record)
        elif has is not None:
            after.append({**record, "label": has})
        elif not record.keys() - {"label"} <= SAYS_NOTHING:
            after.append({name: value for name, value in record.items() if name != "label"})
    if has is not None and all(record.get("label") != has for record in after):
        after.append(_record(key, has))
    return written(after, lines)


def _record(key: Key, label: str) -> dict[str, Any]:
    return {"type": key.type, "ref": key.ref, "label": label}


def _order(key: Key) -> tuple[str, str]:
    return key.type, key.ref
