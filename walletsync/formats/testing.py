"""For tests of a format of your own: does it keep what `walletsync.formats.base.Format` promises?

Run `check` over it, in any test framework:

    check(MyFormat(), [first, second, third, …], refused=[b"not a document"])

The documents should differ in what your format merges: some edited in one place, some in another, some in the same one
differently, one with as much in it as a real wallet's. Each promise is run over every three of them, so a dozen is
plenty. `PROMISES` has them one by one, for a framework that wants a test for each.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import permutations, product, takewhile
from typing import Any, Final, TypeAlias

from walletsync.errors import DocumentError
from walletsync.formats.base import Format, opened
from walletsync.formats.contents import ITEM, Piece, is_apart, pieces
from walletsync.merge import MISSING, Conflict, Merged, Path, same

_MAX_DAMAGES = 200
_HISTORIES = 20
_STEPS = 40
_MARK = "unmistakable"
"""Text that no format has any other reason to tell."""


class PromiseBroken(AssertionError):
    """The format does not do what `Format` promises. Says which promise, and with which documents by their numbers."""


Promise: TypeAlias = Callable[[Format[Any], Sequence[Any]], None]


def check(format: Format[Any], documents: Sequence[Any], *, refused: Iterable[bytes] = ()) -> None:
    """Run every promise over `documents`, at least three that are all different.

    `refused` are bytes that are not a document. Raises PromiseBroken for the first promise that is not kept. What the
    format raises by mistake goes through.
    """
    if len(documents) < 3:
        raise ValueError("Give at least three documents: a base, mine and theirs.")
    for promise in PROMISES:
        promise(format, documents)
    for data in refused:
        _require(_decoded(format, data) is MISSING, "what is not a document is refused with DocumentError")


def comes_back(format: Format[Any], documents: Sequence[Any]) -> None:
    """What was encoded is decoded to the same, and only equal documents have equal bytes."""
    all_documents = [*documents, format.empty()]
    encoded = [format.encode(document) for document in all_documents]
    for number, (document, data) in enumerate(zip(all_documents, encoded, strict=True)):
        _require(type(data) is bytes, "a document is encoded as bytes", number)
        _require(_comes_back(format, document), "decoding gives back what was encoded", number)
        _require(format.encode(format.decode(data)) == data, "equal documents have equal bytes", number)
    _require(format.encode(format.empty()) == encoded[-1], "every empty document is the same")
    _require(len(set(encoded)) == len(encoded), "the documents, the empty one too, have different bytes")


def is_named(format: Format[Any], _: Sequence[Any]) -> None:
    """The name is a word that can be stored beside the document."""
    _require(type(format.name) is str and format.name.isprintable() and format.name != "", "a format has a name")


def refuses_damage(format: Format[Any], documents: Sequence[Any]) -> None:
    """Bytes that were cut off or changed are refused with DocumentError, or are another document that comes back."""
    empty = format.empty()
    nothing = format.encode(empty)
    for number, document in enumerate(documents):
        data = format.encode(document)
        step = len(data) // _MAX_DAMAGES + 1
        for place in range(0, len(data), step):
            for damaged in (data[:place], data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]):
                decoded = _decoded(format, damaged)
                if decoded is not MISSING:
                    _require(_comes_back(format, decoded), "what is taken for a document comes back", number)
                    is_lost = same(decoded, empty) and damaged != nothing
                    _require(not is_lost, "what is damaged is not taken for the empty document", number)


def changes_no_argument(format: Format[Any], documents: Sequence[Any]) -> None:
    """Documents that were passed stay as they are, whatever is done with them."""
    before = [format.encode(document) for document in documents]
    for sides in product(range(len(documents)), repeat=3):
        merged = _merged(format, documents, *sides)
        for conflict in merged.conflicts:
            _decided(format, documents[sides[2]], conflict, conflict.mine)
        _require([format.encode(document) for document in documents] == before, "no argument is changed", *sides)


def takes_the_side_that_changed(format: Format[Any], documents: Sequence[Any]) -> None:
    """If only one side changed anything, or both did the same, the result is that, without a conflict."""
    for base, side in product(range(len(documents)), repeat=2):
        for sides in ((base, side, side), (base, base, side), (base, side, base)):
            merged = _merged(format, documents, *sides)
            _require(merged.conflicts == (), "what only one side changed, or both alike, is not a conflict", *sides)
            _require(
                format.encode(merged.document) == format.encode(documents[side]), "the changed side is taken", *sides
            )


def merges_to_a_document(format: Format[Any], documents: Sequence[Any]) -> None:
    """Whatever the three are, the result is a valid document, the same one each time."""
    for sides in product(range(len(documents)), repeat=3):
        first, second = (_merged(format, documents, *sides) for _ in range(2))
        _require(_comes_back(format, first.document), "a merged document is a valid one", *sides)
        _require(
            format.encode(first.document) == format.encode(second.document),
            "the same arguments give the same document",
            *sides,
        )
        _require(first.conflicts == second.conflicts, "the same arguments give the same conflicts", *sides)


def shows_conflicts(format: Format[Any], documents: Sequence[Any]) -> None:
    """A conflict has what each side has in its place, and the document has theirs; none lies inside another."""
    for sides in product(range(len(documents)), repeat=3):
        merged = _merged(format, documents, *sides)
        for conflict in merged.conflicts:
            shown = (conflict.base, conflict.mine, conflict.theirs)
            for value, side in zip(shown, sides, strict=True):
                found = format.value_at(documents[side], conflict.path)
                _require(same(found, value), "a conflict has what each side has in its place", *sides)
            found = format.value_at(merged.document, conflict.path)
            _require(same(found, conflict.theirs), "where there is a conflict, the document has theirs", *sides)
        for one, other in permutations((conflict.path for conflict in merged.conflicts), 2):
            _require(other[: len(one)] != one, "no conflict lies inside another", *sides)


def shows_both_devices_the_same_conflicts(format: Format[Any], documents: Sequence[Any]) -> None:
    """With mine and theirs exchanged, the conflicts are in the same places."""
    for base, mine, theirs in product(range(len(documents)), repeat=3):
        here = {conflict.path for conflict in _merged(format, documents, base, mine, theirs).conflicts}
        there = {conflict.path for conflict in _merged(format, documents, base, theirs, mine).conflicts}
        _require(here == there, "both devices find the same conflicts", base, mine, theirs)


def decides_conflicts(format: Format[Any], documents: Sequence[Any]) -> None:
    """Every conflict can be decided for each of its three values, and all of them one after the other."""
    for sides in product(range(len(documents)), repeat=3):
        merged = _merged(format, documents, *sides)
        for kept in ("base", "mine", "theirs"):
            decided = merged.document
            for conflict in merged.conflicts:
                value = getattr(conflict, kept)
                decided = _decided(format, decided, conflict, value)
                _require(decided is not MISSING, "a conflict can be decided for each side", *sides)
                found = format.value_at(decided, conflict.path)
                _require(same(found, value), "a decision is in the document", *sides)
            _require(_comes_back(format, decided), "a decided document is a valid one", *sides)


def replaces_the_whole(format: Format[Any], documents: Sequence[Any]) -> None:
    """At the path () stands the whole document, which can be replaced, and not deleted."""
    for number, document in enumerate(documents):
        _require(same(format.value_at(document, ()), document), "at () stands the whole document", number)
        replaced = format.replace(format.empty(), (), document)
        _require(format.encode(replaced) == format.encode(document), "the whole document can be replaced", number)
        for spoiled in _spoiled(document):
            is_kept_out = not _refuses(format.encode, spoiled) or _refuses(format.replace, document, (), spoiled)
            _require(is_kept_out, "only a valid document can replace the whole", number)
        _require(_refuses(format.replace, document, (), MISSING), "the whole document cannot be deleted", number)


def keeps_every_edit(format: Format[Any], documents: Sequence[Any]) -> None:
    """What each side added is in the document or in a conflict, what it deleted is gone, and neither side is preferred.

    By the pieces of a document, whose order is no content. Of a `FileFormat`, by what they say in any spelling, and
    without what is derived, which nobody edits. A format whose changes come to something else than what
    either side wrote, such as a sum, does not keep this, and runs the others of `PROMISES`.
    """
    contents = [_edited(format, document) for document in documents]
    for sides in product(range(len(documents)), repeat=3):
        base, mine, theirs = (contents[side] for side in sides)
        merged = _merged(format, documents, *sides)
        document = _edited(format, merged.document)
        with_mine = _edited(format, _decided_for_mine(format, merged))
        _require(mine - base - theirs <= with_mine, "what mine added is in the document or in a conflict", *sides)
        _require(theirs - base - mine <= document, "what theirs added is in the document", *sides)
        for kept, other, found in ((mine, theirs, with_mine), (theirs, mine, document)):
            deleted = [piece for piece in base & other if piece not in kept and ITEM not in piece]
            _require(all(piece not in found for piece in deleted), "what one side deleted does not come back", *sides)
        swapped = _edited(format, _merged(format, documents, sides[0], sides[2], sides[1]).document)
        _require(with_mine == swapped, "with mine and theirs exchanged, the same is in the document", *sides)


def shares_nothing(format: Format[Any], documents: Sequence[Any]) -> None:
    """What a method returns can be changed without changing an argument, or what was returned before."""
    _require(is_apart(format.empty(), format.empty()), "each empty document is a new one")
    promise = "what is returned shares nothing with an argument"
    for number, document in enumerate(documents):
        data = format.encode(document)
        _require(is_apart(format.decode(data), format.decode(data)), "each decoded document is a new one", number)
        _require(is_apart(format.value_at(document, ()), document), promise, number)
        _require(is_apart(format.replace(format.empty(), (), document), document), promise, number)
    for sides in product(range(len(documents)), repeat=3):
        arguments = [documents[side] for side in sides]
        merged, again = (_merged(format, documents, *sides) for _ in range(2))
        returned = _returned(merged)
        _require(is_apart(returned, arguments), promise, *sides)
        _require(is_apart(returned, _returned(again)), "what is returned shares nothing with an earlier result", *sides)
        for conflict in merged.conflicts:
            found = format.value_at(merged.document, conflict.path)
            decided = _decided(format, merged.document, conflict, conflict.mine)
            _require(is_apart([found, decided], returned), promise, *sides)


def opens_documents(format: Format[Any], documents: Sequence[Any]) -> None:
    """Opened, a document says the same and is decided as by `replace`; the one that was opened stays as it is."""
    for sides in product(range(len(documents)), repeat=3):
        merged = _merged(format, documents, *sides)
        before, document, found = format.encode(merged.document), opened(format, merged.document), []
        for conflict in merged.conflicts:
            found.append(document.value_at(conflict.path))
            _require(same(found[-1], conflict.theirs), "an opened document says the same", *sides)
            document.replace(conflict.path, conflict.mine)
            is_there = same(document.value_at(conflict.path), conflict.mine)
            _require(is_there, "a decision is in the opened document", *sides)
        _require(_refuses(document.replace, (), MISSING), "an opened document cannot be deleted", *sides)
        decided, one_by_one = document.document(), _decided_for_mine(format, merged)
        _require(pieces(decided) == pieces(one_by_one), "opened, a document is decided as by replace", *sides)
        _require(_comes_back(format, decided), "an opened document that was decided is a valid one", *sides)
        _require(format.encode(merged.document) == before, "the document that was opened is not changed", *sides)
        _require(is_apart(decided, [*found, merged.document]), "an opened document shares nothing", *sides)


def tells_nothing(format: Format[Any], documents: Sequence[Any]) -> None:
    """The text of an error, and of those that it was raised from, holds nothing that stands in the document."""
    promise = "an error names places, never what stands in the document"
    for number, document in enumerate(documents):
        data = format.encode(document)
        for place in range(0, len(data) + 1, len(data) // _MAX_DAMAGES + 1):
            told = _told(format.decode, data[:place] + _MARK.encode() + data[place:])
            _require(_MARK not in told, promise, number)
        for spoiled in _spoiled(document):
            told = _told(format.encode, spoiled) + _told(format.replace, document, (), spoiled)
            _require(_MARK not in told, promise, number)


def converges(format: Format[Any], documents: Sequence[Any]) -> None:
    """Devices that edit and sync in any order all have the same once each has synced."""
    for seed in range(_HISTORIES):
        chance = random.Random(seed)  # noqa: S311 - the same histories each time
        devices = Devices(format, 4)
        for _ in range(_STEPS):
            number = chance.randrange(4)
            if chance.random() < 0.5:
                devices.documents[number] = chance.choice(documents)
            else:
                devices.sync(number)
        devices.settle()
        encoded = {format.encode(document) for document in devices.documents}
        _require(len(encoded) == 1, f"any order of devices converges (history {seed})")


PROMISES: Final[tuple[Promise, ...]] = (
    is_named,
    comes_back,
    refuses_damage,
    changes_no_argument,
    takes_the_side_that_changed,
    merges_to_a_document,
    shows_conflicts,
    shows_both_devices_the_same_conflicts,
    decides_conflicts,
    replaces_the_whole,
    keeps_every_edit,
    shares_nothing,
    opens_documents,
    tells_nothing,
    converges,
)
"""Every promise that can be run, in the order in which it makes sense to fix them."""


class Devices:
    """Devices that share a document as `Client.sync` does, without encryption, server and network."""

    def __init__(self, format: Format[Any], number: int) -> None:
        """Let `number` devices begin with the empty document."""
        self.format = format
        self.shared = format.empty()
        self.documents = [format.empty() for _ in range(number)]
        self.bases = [format.empty() for _ in range(number)]

    def sync(self, number: int) -> Merged[Any]:
        """Let a device merge what is shared under its own edits, and share the result."""
        merged = self.format.merge(self.bases[number], self.documents[number], self.shared)
        self.shared = self.documents[number] = self.bases[number] = merged.document
        return merged

    def settle(self) -> None:
        """Sync every device, and once more, so that each has the edits of all."""
        for number in [*range(len(self.documents))] * 2:
            self.sync(number)


def _merged(format: Format[Any], documents: Sequence[Any], base: int, mine: int, theirs: int) -> Merged[Any]:
    return format.merge(documents[base], documents[mine], documents[theirs])


def _edited(format: Format[Any], document: Any) -> Counter[Piece]:
    """Return the pieces of a document that somebody can have edited."""
    sense = getattr(format, "sense", None)
    is_derived = getattr(format, "is_derived", None)
    found = pieces(document if sense is None else sense((), document))
    if is_derived is None:
        return found
    return Counter({piece: number for piece, number in found.items() if not _lies_in(is_derived, piece)})


def _lies_in(is_derived: Callable[[Path], bool], piece: Piece) -> bool:
    way = tuple(step for step in takewhile(lambda step: not isinstance(step, type), piece) if type(step) is str)
    return any(is_derived(way[: length + 1]) for length in range(len(way)))


def _decoded(format: Format[Any], data: bytes) -> Any:
    """Return the document, or MISSING if it is refused."""
    try:
        return format.decode(data)
    except DocumentError:
        return MISSING


def _decided(format: Format[Any], document: Any, conflict: Conflict, value: Any) -> Any:
    """Return the document with a decision in it, or MISSING if that is refused."""
    try:
        return format.replace(document, conflict.path, value)
    except DocumentError:
        return MISSING


def _decided_for_mine(format: Format[Any], merged: Merged[Any]) -> Any:
    """Return the merged document with mine in the place of every conflict."""
    document = merged.document
    for conflict in merged.conflicts:
        document = _decided(format, document, conflict, conflict.mine)
    return document


def _returned(merged: Merged[Any]) -> list[Any]:
    """Return the document and all values of a merge."""
    return [merged.document, *((conflict.base, conflict.mine, conflict.theirs) for conflict in merged.conflicts)]


def _spoiled(document: Any) -> Iterator[Any]:
    """Yield what is hardly a document, with `_MARK` in it."""
    yield _MARK, document
    if isinstance(document, dict):
        yield {**document, "part": [_MARK, object()]}
    elif isinstance(document, list):
        yield [*document, _MARK, object()]
    elif isinstance(document, str):
        yield f"{document}{_MARK}\ud800"


def _refuses(method: Callable[..., Any], *arguments: Any) -> bool:
    try:
        method(*arguments)
    except DocumentError:
        return True
    return False


def _told(method: Callable[..., Any], *arguments: Any) -> str:
    """Return the text of the error with which `method` refuses, and of those that a log would show with it."""
    told = []
    try:
        method(*arguments)
    except DocumentError as error:
        found: BaseException | None = error
        while found is not None:
            told.append(str(found))
            found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    return "\n".join(told)


def _comes_back(format: Format[Any], document: Any) -> bool:
    try:
        return same(format.decode(format.encode(document)), document)
    except DocumentError:
        return False


def _require(is_kept: bool, promise: str, *numbers: int) -> None:
    if not is_kept:
        where = f", with the documents {', '.join(map(str, numbers))}" if numbers else ""
        raise PromiseBroken(f"Broken: {promise}{where}.")
