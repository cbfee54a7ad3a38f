"""The rule at the edge: a program can change only what it has shown that it knows.

A program writes a file that we write as well. A device remembers, `Known`, what the program itself wrote last (P), and
what was put into the file since, one put after the other (S1, S2, …). What it writes now (W) is merged into the
document as any edit is, with a base, mine and theirs. The rule chooses the base, place by place, and that is all:

1. The program has read the last put of which W has something that was in none of the states before. Up to that state
   it knows the file; if there is none, it knows only P, as one that saves from memory does.
2. Where W has what the file had in any of the states that the program knows, it is no edit: the base is W. If it is an
   earlier one, though the program has read a later, somebody may have taken that back: a conflict, with all three.
   Not so where the later one is that something is gone, if programs of this format do not take that over.
3. Where the program did not have something in P, it cannot delete it by leaving it out.
4. Elsewhere it is an edit of what the program knows. Where it shows that it has read only a part, of P.

What W has otherwise than the file had it, and the document has otherwise than W, without a conflict, is `earlier`: what
the program had before, or never had. Nobody has to look at it, and everybody can.

A write that takes away much, see `Limit`, is `held`: the document keeps that, and takes only the rest.

Everything here is pure. Places, and what a program can know, are the format's: `walletsync.formats.base.FileFormat`.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, Generic, Protocol, TypeAlias

from walletsync import exactjson
from walletsync.errors import DocumentError
from walletsync.formats.base import FileFormat, opened
from walletsync.formats.places import is_blank
from walletsync.merge import MISSING, Conflict, D, Merged, Path, pointer, same

MAX_PUTS: Final = 16
"""How many puts are told apart; of more, the older half counts as one, which only its last news show to be read."""

MAX_MARKS: Final = 10_000

Values: TypeAlias = Mapping[Path, Any]
_NOTHING: Final[Values] = MappingProxyType({})


@dataclass(frozen=True)
class Put:
    """News that were put into the file: what it had `before` at the places that changed, MISSING for nothing there.

    A program that has what was put at one of `shown_by` has read it. Where there was nothing at all, both are None: all
    that was put is news. What `is_carried` is in all that is written for the program, and is not the program's.
    """

    before: Values | None
    shown_by: frozenset[Path] | None
    is_carried: bool = False


@dataclass(frozen=True)
class Known(Generic[D]):
    """What a device knows of a file: what is in it `now`, and the `puts` that lead back to what the program wrote."""

    now: D
    puts: tuple[Put, ...] = ()
    earlier: Values = field(default_factory=dict)
    """What the program has, as far as the document is known to have something else."""
    held: Values = field(default_factory=dict)
    """What the program took away that nobody has confirmed: it counts as being there, until the program has another."""
    had: tuple[str, ...] = ()
    """Marks of what stood in the file and does so no more: to have it again does not show that it was read again."""


@dataclass(frozen=True)
class Limit:
    """A write may take away up to `handful` things, or up to `percent` of all; but never the last one."""

    handful: int = 5
    percent: int = 10

    def is_much(self, lost: int, of: int) -> bool:
        """Tell whether to take away `lost` things of so many is more than nobody has to confirm."""
        return lost > self.handful and 100 * lost > self.percent * of


@dataclass(frozen=True)
class Judged(Generic[D]):
    """What a write makes of the document, and what it does not make of it.

    `earlier` is what the program has, by place, where the document has something else. `held` is what the write would
    take away, with the values; `lost` says how much that is, of how much.
    """

    document: D
    conflicts: tuple[Conflict, ...] = ()
    earlier: Values = field(default_factory=dict)
    held: Values = field(default_factory=dict)
    lost: tuple[int, int] = (0, 0)
    had: tuple[str, ...] = ()


class Answers(Protocol[D]):
    """What a program that writes no files has when it is asked, and had the last time: what that makes of a file."""

    def had(self, document: D) -> D:
        """Return what the program had the last time of what a file has."""
        ...

    def has(self, document: D) -> D:
        """Return what it has now of a file in which that is written."""
        ...

    def written(self, document: D, waiting: D) -> D:
        """Return a file with just that changed which the program has changed since.

        `waiting` is the file with all that the program took away and nobody has confirmed, as far as it is needed.
        """
        ...


def carrying(format: FileFormat[D], known: Known[D], had: D) -> Known[D]:
    """Return what is known of a file if its program had `had` of it, and what is written for it has the rest along.

    Whoever writes for a program that holds a part of the file leaves all else as it is. To have it in there is nothing
    that the program says: neither has it read that, nor does it have anything left if all of its own is gone. So what
    the program wrote, from which its edits are seen, is `had` alone, and the rest was put there by others.
    """
    old, _ = _changes(format, had, known.now)
    return replace(known, puts=(Put(old, frozenset(), is_carried=True),) if old else ())


def judge(format: FileFormat[D], known: Known[D], written: D, document: D, limit: Limit | None) -> Judged[D]:
    """Return what becomes of `document` when the program has `written` the file; no `limit`: a person has confirmed."""
    states, there, given = _states(format, known), format.contents(document), format.contents(written)
    is_carried = any(put.is_carried for put in known.puts)
    has_nothing = not (given - (format.contents(known.now) - format.contents(states[0])) if is_carried else given)
    # What never came from the program cannot go with it, but its first file, with nothing in it, may be a mistake.
    is_first = not known.held and not is_carried and format.encode(states[0]) == format.encode(format.empty())
    is_new = has_nothing and is_first
    if is_new and limit is None:
        known, states = Known(known.now, had=known.had), [known.now]
    with_held = format.with_values(known.now, known.held)
    *views, held_view, mine, theirs = format.differences([*states, with_held, written, document])
    read = _last_read(format, known.puts, views, mine)
    documents = states[0], states[read], written
    judging = _Judging(format, documents, views, read, held_view, mine, theirs, is_carried=is_carried)
    merged, held = format.merge(judging.based_on(_NOTHING), written, document), _NOTHING
    was = format.contents(with_held)
    lost = there & was if is_new else there - format.contents(merged.document)
    of = len(there - (given - was))  # without what the program adds: the same again after an interruption
    if limit is not None and lost and (has_nothing or judging.still_held or limit.is_much(len(lost), of)):
        held = judging.taken_away(lost, views[-1] if is_new else _NOTHING)
        merged = format.merge(judging.based_on(held), written, document)
    conflicts = merged.conflicts + judging.asked(merged)
    earlier = _earlier(format, known, written, merged.document, [*held, *(each.path for each in conflicts)])
    had = _with_marks(
        format,
        known.had,
        {
            path: value
            for path, value in views[-1].items()
            if path not in mine or not _alike(format, path, mine[path], value)
        },
    )
    return Judged(merged.document, conflicts, earlier, held, (len(lost), of) if held else (0, 0), had)


def much_lost(format: FileFormat[D], document: D, after: D, limit: Limit) -> tuple[int, int]:
    """Return how much of a document is not in the one `after` it, of how much; (0, 0) if nobody has to confirm that."""
    there, left = format.contents(document), format.contents(after)
    lost, of = len(there - left), len(there)
    return (lost, of) if lost and (not left or limit.is_much(lost, of)) else (0, 0)


def after_put(format: FileFormat[D], known: Known[D], after: D) -> Known[D]:
    """Return what is known of the file once something else was put into it."""
    puts = known.puts
    if len(puts) >= MAX_PUTS:
        half = MAX_PUTS // 2
        states = _states(format, known)
        old, _ = _changes(format, states[0], states[half])
        puts = (Put(None if puts[0].before is None else old, puts[half - 1].shown_by), *puts[half:])
    old, new = _changes(format, known.now, after)
    if old and not (puts or known.had) and format.encode(known.now) == format.encode(format.empty()):
        return Known(after, (Put(None, None),), had=known.had)
    had = _with_marks(format, known.had, old)
    marks = set(had)
    is_new = {
        path
        for path, value in new.items()
        if value is not MISSING and _mark(path, format.sense(path, value)) not in marks
    }
    shown_by = frozenset(path for path in is_new if format.is_telling(path, new[path]))
    return Known(after, (*puts, Put(old, shown_by)) if old else puts, had=had)


def _alike(format: FileFormat[D], path: Path, one: Any, other: Any) -> bool:
    return same(one, other) or same(format.sense(path, one), format.sense(path, other))


def _with_marks(format: FileFormat[D], had: tuple[str, ...], values: Values) -> tuple[str, ...]:
    marks = [
        _mark(path, format.sense(path, value))
        for path, value in values.items()
        if value is not MISSING and format.is_telling(path, value)
    ]
    return tuple(dict.fromkeys((*had, *marks)))[-MAX_MARKS:]


def _mark(path: Path, value: Any) -> str:
    return hashlib.sha256(f"{pointer(path)} {exactjson.dumps(value)}".encode()).hexdigest()[:16]


def _changes(format: FileFormat[D], before: D, after: D) -> tuple[Values, Values]:
    """Return what either has at the places where they differ."""
    old, new = format.differences([before, after])
    paths = old | new
    return {path: old.get(path, MISSING) for path in paths}, {path: new.get(path, MISSING) for path in paths}


def _states(format: FileFormat[D], known: Known[D]) -> list[D]:
    """Return what the file had: first what the program wrote, last what it has now."""
    states = [known.now]
    for put in reversed(known.puts):
        states.append(format.empty() if put.before is None else format.with_values(states[-1], put.before))
    return states[::-1]


def _last_read(format: FileFormat[D], puts: Sequence[Put], views: Sequence[Values], mine: Values) -> int:
    """Return how many of the puts the program has read, as far as what it wrote shows."""
    for number in range(len(puts), 0, -1):
        shown_by = puts[number - 1].shown_by
        for path in mine if shown_by is None else shown_by:
            value = mine.get(path, MISSING)
            is_there = value is not MISSING and _alike(format, path, value, views[number].get(path, MISSING))
            is_there = is_there and (shown_by is not None or format.is_telling(path, value))
            if is_there and not any(_alike(format, path, value, view.get(path, MISSING)) for view in views[:number]):
                return number
    return 0


class _Judging(Generic[D]):
    """What a program's write is based on, place by place.

    `documents` are what it wrote last, the last that it has read, and what it writes, `views` are all states,
    of which it has read the first and `read` more.
    """

    def __init__(
        self,
        format: FileFormat[D],
        documents: tuple[D, D, D],
        views: Sequence[Values],
        read: int,
        with_held: Values,
        mine: Values,
        theirs: Values,
        *,
        is_carried: bool,
    ) -> None:
        self._format = format
        self._is_carried = is_carried
        self._before, self._known, self._written = documents
        self._all_views, self._views = views, views[: read + 1]
        self._mine, self._theirs = mine, theirs
        self._paths = dict.fromkeys(path for values in (*views, with_held, mine, theirs) for path in values)
        self.still_held = {
            path: value
            for path, value in with_held.items()
            if not self._alike(path, value, views[-1].get(path, MISSING)) and self._is_taken_away(path)
        }
        """What was held, and the program has not written anything there since."""
        self._returned = [path for path in self._paths if self._is_returned(path)]
        self._bases = {path: self._base(path) for path in self._paths}

    @cached_property
    def _deleted(self) -> set[Path]:
        """The places of the records that the program had, and has no more."""
        *both, _ = self._format.differences([self._before, self._written, self._format.empty()])
        before, now = ({self._format.record_at(path) for path in each} for each in both)
        return before - now

    def based_on(self, held: Values) -> D:
        """Return the document that the write is an edit of; it does not take away what is `held`."""
        changes = {
            path: self._mine.get(path, MISSING) if path in held else base
            for path, base in self._bases.items()
            if path in held or not self._alike(path, base, self._views[-1].get(path, MISSING))
        }
        return self._format.with_values(self._known, changes)

    def asked(self, merged: Merged[D]) -> tuple[Conflict, ...]:
        """Return the conflicts of what the program has read, and written as it was before."""
        if not self._returned:
            return ()
        is_known, document = _within(each.path for each in merged.conflicts), opened(self._format, merged.document)
        return tuple(
            Conflict(path, self._views[-1].get(path, MISSING), self._mine[path], theirs)
            for path in self._returned
            for theirs in (document.value_at(path),)
            if not (is_known(path) or self._alike(path, self._mine[path], theirs))
        )

    def taken_away(self, lost: Iterable[Path], put: Values) -> Values:
        """Return what the program knew or was `put` for it, where the write has nothing, or less by what is `lost`."""
        around = {path[:length] for path in lost for length in range(len(path) + 1)}
        found = {}
        for path in self._paths:
            value, before = self._mine.get(path, MISSING), self._bases[path]
            before = put.get(path, MISSING) if is_blank(before) else before
            if not is_blank(before) and not self._alike(path, before, value) and (is_blank(value) or path in around):
                found[path] = before
        return found

    def _alike(self, path: Path, one: Any, other: Any) -> bool:
        return _alike(self._format, path, one, other)

    def _is_taken_away(self, path: Path) -> bool:
        value = self._mine.get(path, MISSING)
        return is_blank(value) or self._alike(path, value, self._all_views[-1].get(path, MISSING))

    def _is_returned(self, path: Path) -> bool:
        *earlier, last = (view.get(path, MISSING) for view in self._views)
        value = self._mine.get(path, MISSING)
        if self._format.is_derived(path) or value is MISSING or self._alike(path, value, last):
            return False
        can_be_known = last is not MISSING or self._format.absence_is_news
        return can_be_known and any(self._alike(path, value, each) for each in earlier)

    def _base(self, path: Path) -> Any:
        first, *_, last = states = [view.get(path, MISSING) for view in (self._views[0], *self._views)]
        value = self._mine.get(path, MISSING)
        if path in self.still_held:
            return self.still_held[path]
        if value is MISSING and self._format.record_at(path) in self._deleted:
            if self._format.is_derived(path):
                return self._theirs.get(path, MISSING)  # it goes with its record, whoever has worked it out anew
            if self._is_carried and first is MISSING:
                return self._all_views[-1].get(path, MISSING)  # it says nothing without what the program took away
        if any(self._alike(path, value, view.get(path, MISSING)) for view in self._all_views):
            return value
        if last is MISSING and not self._format.absence_is_news:
            # It goes on having what is gone elsewhere, so that is what it edits.
            last = next((state for state in reversed(states) if state is not MISSING), MISSING)
            return value if self._format.is_derived(path) and last is not MISSING else last
        return first if self._returned and not self._format.is_derived(path) else last


def _earlier(format: FileFormat[D], known: Known[D], written: D, document: D, told: Iterable[Path]) -> Values:
    """Return what was written otherwise than the file had it, or is so still, where the document has something else."""
    is_told = _within(told)
    was, mine, ours = format.differences([known.now, written, document])
    found = {}
    for path in was | mine | ours:
        value = mine.get(path, MISSING)
        is_edit = not _alike(format, path, value, was.get(path, MISSING))
        is_still = path in known.earlier and _alike(format, path, value, known.earlier[path])
        if (is_edit or is_still) and not (
            _alike(format, path, value, ours.get(path, MISSING)) or format.is_derived(path) or is_told(path)
        ):
            found[path] = value
    return found


def still_other(format: FileFormat[D], document: D, earlier: Values) -> Values:
    """Return those of `earlier` that the document has otherwise, and can have as they are."""
    with suppress(DocumentError):
        return _changes(format, document, format.with_values(document, earlier))[1]
    found: dict[Path, Any] = {}  # one of them has no place any more
    for path, value in earlier.items():
        with suppress(DocumentError):
            found |= _changes(format, document, format.with_values(document, {path: value}))[1]
    return found


def _within(known: Iterable[Path]) -> Callable[[Path], bool]:
    """Return a function that tells whether a place is one of those `known`, or inside of one, or around it."""
    places = set(known)
    around = {place[:length] for place in places for length in range(len(place))}
    return lambda path: path in around or any(path[:length] in places for length in range(len(path) + 1))
