"""How the records of one key merge: field by field, told apart by their origins, or as a set."""

from typing import Any

from walletsync import merge
from walletsync.formats.label_lines import value_of
from walletsync.formats.label_sense import DERIVED, by_origin, identity, respelled
from walletsync.merge import MISSING, Conflict, Merged, Path

Record = dict[str, Any]


def merged_records(base: list[Record], mine: list[Record], theirs: list[Record]) -> Merged[list[Record]]:
    """Merge the records of one key; a conflict's path begins behind type and ref."""
    sides = (base, mine, theirs)
    if all(len(records) <= 1 for records in sides):
        record, conflicts = _merged_record((), *(records[0] if records else MISSING for records in sides))
        return Merged([] if record is MISSING else [record], tuple(conflicts))
    old, ours, others = map(by_origin, sides)
    if old is None or ours is None or others is None:
        return _merged_sets(base, mine, theirs)
    records, conflicts = [], []
    for item in others | ours:
        three = (each.get(item, MISSING) for each in (old, ours, others))
        record, found = _merged_record((item,), *three)
        conflicts += found
        if record is not MISSING:
            records.append(record)
    return Merged(records, tuple(conflicts))


def _merged_record(path: Path, base: Any, mine: Any, theirs: Any) -> tuple[Any, list[Conflict]]:
    merged = merge.merge(*_without_what_is_no_edit(base, mine, theirs))
    conflicts = [
        Conflict((*path, *found.path), *(merge.value_at(side, found.path) for side in (base, mine, theirs)))
        for found in merged.conflicts
        if not (found.path and found.path[0] in DERIVED)  # theirs counts
    ]
    return merged.document, conflicts


def _without_what_is_no_edit(base: Any, mine: Any, theirs: Any) -> tuple[Any, Any, Any]:
    """Return three records that differ only where one says something else than another.

    What is derived is no edit of a record that the other side deleted.
    """
    if base is not MISSING and MISSING in (mine, theirs):
        left = theirs if mine is MISSING else mine
        if left is MISSING or identity(left) == identity(base):
            return base, (MISSING if mine is MISSING else base), (MISSING if theirs is MISSING else base)
    if mine is not MISSING:
        mine = respelled(mine, theirs)
    if base is not MISSING:
        base = respelled(base, theirs)
        mine = mine if mine is MISSING else respelled(mine, base)
    return base, mine, theirs


def _merged_sets(base: list[Record], mine: list[Record], theirs: list[Record]) -> Merged[list[Record]]:
    """Keep the additions of both, and nothing that one of them took away; to take away all is to delete a record."""
    old, ours, others = map(_by_identity, (base, mine, theirs))
    if not (mine and theirs) and (ours | others).keys() - old.keys():
        deleted = Conflict((), *(merge.copied(value_of(side)) for side in (base, mine, theirs)))
        return Merged(theirs, (deleted,))
    merged: list[Record] = []
    for name in others | ours:
        was, here, there = (side.get(name, []) for side in (old, ours, others))
        number = _number(len(was), len(here), len(there))
        first, second = (here, there) if there == was else (there, here)
        merged += [*first, *second[len(first) :]][:number]
    return Merged(merged, ())


def _number(was: int, here: int, there: int) -> int:
    """Return how many there are that say the same: no more than one side has left, or as many as one has added."""
    if there == was:
        return here
    if here == was:
        return there
    return max(here, there) if min(here, there) > was else min(here, there)


def _by_identity(records: list[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(identity(record), []).append(record)
    return found


def counterparts(records: list[Record], others: list[Record]) -> list[int | None]:
    """Return for each record the number of the one among `others` that it is another version of, None for none."""
    if len(records) == len(others) == 1:
        return [0]
    origins, other_origins = by_origin(records), by_origin(others)
    if origins is not None and other_origins is not None:
        numbers = {item: number for number, item in enumerate(other_origins)}
        return [numbers.get(item) for item in origins]
    left: dict[str, list[int]] = {}
    for number, record in enumerate(others):
        left.setdefault(identity(record), []).append(number)
    waiting = (left.get(identity(record)) for record in records)
    return [numbers.pop(0) if numbers else None for numbers in waiting]
