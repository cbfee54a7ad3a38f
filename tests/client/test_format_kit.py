"""The acceptance kit for formats catches what it is for: each format here breaks one promise."""

import pathlib
import re
from typing import Any

import pytest

from append_log import AppendLog
from walletsync.errors import DocumentError
from walletsync.formats.contents import is_apart, pieces
from walletsync.formats.json import JSONFormat
from walletsync.formats.testing import PROMISES, PromiseBroken, check, tells_nothing
from walletsync.merge import MISSING, Conflict, Merged, Path, copied, replace, same, value_at

DOCUMENTS = ["-:cfF6", "-:cfF6:565b", "-:cfF6:6De1", "-:cfF6:565b:6De1"]


class Nameless(AppendLog):
    name = ""


class Lossy(AppendLog):
    def decode(self, data: bytes) -> str:
        return super().decode(data)[:5] if len(data) > 5 else super().decode(data)


class Text(AppendLog):
    def encode(self, document: str) -> bytes:
        return super().encode(document).decode()  # type: ignore[return-value]  # on purpose


class Careless(AppendLog):
    def decode(self, data: bytes) -> str:
        return data.decode("ascii", errors="replace")


class Exploding(AppendLog):
    def decode(self, data: bytes) -> str:
        if not data:
            raise KeyError
        return super().decode(data)


class Colliding(AppendLog):
    def encode(self, document: str) -> bytes:
        super().encode(document)
        return b"-" if document == "-:cfF6" else document.encode()

    def decode(self, data: bytes) -> str:
        return super().decode(data)


class Fidgety(AppendLog):
    """Puts a space after every second document."""

    encodings = 0

    def encode(self, document: str) -> bytes:
        self.encodings += 1
        return AppendLog().encode(document) + b" " * (self.encodings % 2)

    def decode(self, data: bytes) -> str:
        return AppendLog().decode(data.removesuffix(b" "))


class Growing(AppendLog):
    """Is not empty any more the second time."""

    wallets = 0

    def empty(self) -> str:
        self.wallets += 1
        return f"-:{self.wallets:04}"


class Mine(AppendLog):
    def merge(self, base: str, mine: str, theirs: str) -> Merged[str]:
        return Merged(mine, super().merge(base, mine, theirs).conflicts)


class Doubling(AppendLog):
    def merge(self, base: str, mine: str, theirs: str) -> Merged[str]:
        return Merged(theirs + mine.removeprefix(base), ())


class Quarrelling(AppendLog):
    def merge(self, base: str, mine: str, theirs: str) -> Merged[str]:
        return Merged(theirs, (Conflict((), base, mine, theirs),))


class Fickle(AppendLog):
    merges = 0

    def merge(self, base: str, mine: str, theirs: str) -> Merged[str]:
        merged = super().merge(base, mine, theirs)
        self.merges += 1
        return merged if merged.document in (mine, theirs) else Merged(f"{merged.document}:{self.merges:04}", ())


class OpenConflicts(AppendLog):
    def merge(self, base: str, mine: str, theirs: str) -> Merged[str]:
        merged = super().merge(base, mine, theirs)
        if not merged.conflicts:
            return merged
        self.odd = not getattr(self, "odd", False)
        return Merged(theirs, merged.conflicts if self.odd else (Conflict((), base, theirs, mine),))


class Invalid(AppendLog):
    def merge(self, base: str, mine: str, theirs: str) -> Merged[str]:
        merged = super().merge(base, mine, theirs)
        return merged if merged.document in (mine, theirs) else Merged("no log", ())


class Forgetting(AppendLog):
    def merge(self, base: str, mine: str, theirs: str) -> Merged[str]:
        merged = super().merge(base, mine, theirs)
        return Merged(merged.document, tuple(Conflict((), MISSING, c.mine, c.theirs) for c in merged.conflicts))


class KeepingMine(AppendLog):
    def merge(self, base: str, mine: str, theirs: str) -> Merged[str]:
        merged = super().merge(base, mine, theirs)
        return Merged(mine, merged.conflicts) if merged.conflicts else merged


class Nesting(AppendLog):
    def merge(self, base: str, mine: str, theirs: str) -> Merged[str]:
        merged = super().merge(base, mine, theirs)
        more = tuple(Conflict(("part",), MISSING, MISSING, MISSING) for _ in merged.conflicts)
        return Merged(merged.document, merged.conflicts + more)


class OneSided(AppendLog):
    def merge(self, base: str, mine: str, theirs: str) -> Merged[str]:
        merged = super().merge(base, mine, theirs)
        return Merged(theirs, ()) if merged.conflicts and mine < theirs else merged


class Indecisive(AppendLog):
    def replace(self, document: str, path: Path, value: Any) -> str:
        super().replace(document, path, value)
        return document


class Deletable(AppendLog):
    def replace(self, document: str, path: Path, value: Any) -> str:
        return "-" if value is MISSING else super().replace(document, path, value)


class Blind(AppendLog):
    def value_at(self, document: str, path: Path) -> Any:
        return MISSING


class Scribbling(AppendLog):
    """Documents are lists of segments, and merging sorts theirs in place."""

    def empty(self) -> Any:
        return []

    def encode(self, document: Any) -> bytes:
        return AppendLog().encode(":".join(["-", *document]))

    def decode(self, data: bytes) -> Any:
        return AppendLog().decode(data).split(":")[1:]

    def merge(self, base: Any, mine: Any, theirs: Any) -> Merged[Any]:
        theirs.sort()
        return super().merge(base, mine, theirs)

    def replace(self, document: Any, path: Path, value: Any) -> Any:
        return value


class Restless(AppendLog):
    """Turns a long log round by one segment each time."""

    def merge(self, base: str, mine: str, theirs: str) -> Merged[str]:
        merged = super().merge(base, mine, theirs)
        dash, *segments = merged.document.split(":")
        turned = segments if len(segments) < 4 else segments[1:] + segments[:1]
        return Merged(":".join([dash, *turned]), merged.conflicts)


class Unwilling(AppendLog):
    def replace(self, document: str, path: Path, value: Any) -> str:
        if value is not MISSING and value < document:
            raise DocumentError("not that one")
        return super().replace(document, path, value)


@pytest.mark.parametrize(
    ("format_", "says"),
    [
        (Nameless(), "a format has a name"),
        (Text(), "a document is encoded as bytes"),
        (Lossy(), "decoding gives back what was encoded"),
        (Colliding(), "decoding gives back what was encoded, with the documents 0"),
        (Fidgety(), "equal documents have equal bytes"),
        (Growing(), "every empty document is the same"),
        (Mine(), "the changed side is taken, with the documents 0, 0, 1"),
        (Doubling(), "the changed side is taken"),
        (Quarrelling(), "what only one side changed, or both alike, is not a conflict"),
        (Fickle(), "the same arguments give the same document"),
        (OpenConflicts(), "the same arguments give the same conflicts"),
        (Forgetting(), "a conflict has what each side has in its place"),
        (KeepingMine(), "where there is a conflict, the document has theirs"),
        (Nesting(), "no conflict lies inside another"),
        (OneSided(), "both devices find the same conflicts"),
        (Indecisive(), "a decision is in the document"),
        (Deletable(), "the whole document cannot be deleted"),
        (Blind(), "a conflict has what each side has in its place"),
        (Careless(), "what is taken for a document comes back"),
        (Invalid(), "a merged document is a valid one"),
        (Unwilling(), "a conflict can be decided for each side"),
        (Restless(), "any order of devices converges"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, AppendLog) else "",
)
def test_a_format_that_breaks_a_promise_is_caught(format_: AppendLog, says: str) -> None:
    """The error says which promise, and with which documents by their numbers."""
    with pytest.raises(PromiseBroken, match=f"^Broken: ({says})"):
        check(format_, DOCUMENTS)


def test_a_format_that_keeps_every_promise_passes() -> None:
    """The toy format of the tour, as its author would check it."""
    check(AppendLog(), DOCUMENTS, refused=[b"", b"no log"])


def test_a_format_that_changes_an_argument_is_caught() -> None:
    """Callers go on with what they passed."""
    with pytest.raises(PromiseBroken, match="no argument is changed"):
        check(Scribbling(), [["bbbb", "aaaa"], ["aaaa"], ["cccc"]])


def test_what_a_format_raises_by_mistake_goes_through() -> None:
    """Its traceback says more than the kit could."""
    with pytest.raises(KeyError):
        check(Exploding(), DOCUMENTS)


def test_bytes_that_should_be_refused_and_are_not_are_caught() -> None:
    """The list is the author's own."""
    with pytest.raises(PromiseBroken, match="what is not a document is refused"):
        check(AppendLog(), DOCUMENTS, refused=[b"no log", b"-:cfF6"])


def test_documents_that_are_not_all_different_are_caught() -> None:
    """Each of them twice would prove little."""
    with pytest.raises(PromiseBroken, match="the documents, the empty one too, have different bytes"):
        check(AppendLog(), [*DOCUMENTS, DOCUMENTS[0]])


def test_three_documents_are_the_least() -> None:
    """With fewer there is no base, mine and theirs that differ."""
    with pytest.raises(ValueError, match="at least three"):
        check(AppendLog(), DOCUMENTS[:2])


def test_the_page_about_formats_lists_every_promise() -> None:
    """In the order in which they are run."""
    page = (pathlib.Path(__file__).parents[2] / "docs" / "formats.md").read_text()
    assert re.findall(r"^ *\| `(\w+)` \|", page, re.MULTILINE) == [promise.__name__ for promise in PROMISES]


OBJECTS: list[dict[str, Any]] = [
    {"a": 1, "b": {"x": 1}, "l": [1], "s": "é"},
    {"a": 2, "b": {"x": 1}, "l": [1], "s": "é"},
    {"a": 1, "b": {"x": 2}, "l": [1]},
    {"a": 1, "b": {"x": 3, "y": 1}, "l": [1, 2], "s": "é"},
    {"a": 1, "l": [1], "new": 5},
    {"b": {}},
    {"accounts": [{"id": number, "n": number} for number in range(5)]},
    {"accounts": [{"id": number, "n": -number} for number in range(6, 0, -1)]},
    {"f": -0.0, "n": None, "t": True, "q": [[]]},
]


class OfObjects(JSONFormat):
    """A format to break; as it is, it keeps every promise."""

    name = "of-objects"

    def __init__(self) -> None:
        super().__init__({"/accounts": "id"})

    def merge(self, base: Any, mine: Any, theirs: Any) -> Merged[Any]:
        if same(mine, theirs) or theirs in (base, mine) or mine == base:
            return super().merge(base, mine, theirs)
        return self.merge_both(base, mine, theirs)

    def merge_both(self, base: Any, mine: Any, theirs: Any) -> Merged[Any]:
        """Merge where both sides have changed something."""
        return super().merge(base, mine, theirs)


class TheirsWins(OfObjects):
    def merge_both(self, base: Any, mine: Any, theirs: Any) -> Merged[Any]:
        return JSONFormat().merge(theirs, theirs, theirs)


class MineWins(OfObjects):
    def merge_both(self, base: Any, mine: Any, theirs: Any) -> Merged[Any]:
        return JSONFormat().merge(mine, mine, mine)


class HigherWins(OfObjects):
    """On every device the same one of the two is lost, without a conflict."""

    def merge_both(self, base: Any, mine: Any, theirs: Any) -> Merged[Any]:
        higher = max(mine, theirs, key=self.encode)
        return JSONFormat().merge(higher, higher, higher)


class Peaceful(OfObjects):
    """Leaves the conflicts out."""

    def merge_both(self, base: Any, mine: Any, theirs: Any) -> Merged[Any]:
        return Merged(super().merge_both(base, mine, theirs).document, ())


class ForgettingMyAdditions(OfObjects):
    def merge_both(self, base: Any, mine: Any, theirs: Any) -> Merged[Any]:
        return super().merge_both(base, {name: mine[name] for name in mine if name in base}, theirs)


class ForgettingAllAdditions(OfObjects):
    def merge_both(self, base: Any, mine: Any, theirs: Any) -> Merged[Any]:
        sides = ({name: side[name] for name in side if name in base} for side in (mine, theirs))
        return super().merge_both(base, *sides)


class Reviving(OfObjects):
    """What I deleted comes back if theirs still has it."""

    def merge_both(self, base: Any, mine: Any, theirs: Any) -> Merged[Any]:
        unchanged = {name: base[name] for name in base if same(theirs.get(name), base[name])}
        return super().merge_both(base, unchanged | mine, theirs)


class RevivingAll(OfObjects):
    """What either side deleted comes back, on every device."""

    def merge_both(self, base: Any, mine: Any, theirs: Any) -> Merged[Any]:
        merged = super().merge_both(base, mine, theirs)
        decided = {conflict.path[0] for conflict in merged.conflicts}
        return Merged({name: base[name] for name in base if name not in decided} | merged.document, merged.conflicts)


class SharingTheirs(OfObjects):
    def merge_both(self, base: Any, mine: Any, theirs: Any) -> Merged[Any]:
        merged = super().merge_both(base, mine, theirs)
        for name in merged.document:
            if name in theirs and same(merged.document[name], theirs[name]):
                merged.document[name] = theirs[name]
        return merged


class SharingInConflicts(OfObjects):
    def merge_both(self, base: Any, mine: Any, theirs: Any) -> Merged[Any]:
        merged = super().merge_both(base, mine, theirs)
        found = (
            Conflict(c.path, c.base, mine[c.path[0]] if len(c.path) == 1 and c.path[0] in mine else c.mine, c.theirs)
            for c in merged.conflicts
        )
        return Merged(merged.document, tuple(found))


class RememberingMerges(OfObjects):
    def __init__(self) -> None:
        super().__init__()
        self.merges: dict[tuple[bytes, ...], Merged[Any]] = {}

    def merge_both(self, base: Any, mine: Any, theirs: Any) -> Merged[Any]:
        sides = tuple(map(self.encode, (base, mine, theirs)))
        return self.merges.setdefault(sides, super().merge_both(base, mine, theirs))


class RememberingDocuments(OfObjects):
    def __init__(self) -> None:
        super().__init__()
        self.documents: dict[bytes, Any] = {}

    def decode(self, data: bytes) -> Any:
        return self.documents.setdefault(data, super().decode(data))


class OneEmpty(OfObjects):
    def __init__(self) -> None:
        super().__init__()
        self.nothing: dict[str, Any] = {}

    def empty(self) -> Any:
        return self.nothing


class SharingWhatIsReplaced(OfObjects):
    def replace(self, document: Any, path: Path, value: Any) -> Any:
        replaced = super().replace(document, path, value)
        return replaced if path else value


class SharingWhatIsFound(OfObjects):
    def value_at(self, document: Any, path: Path) -> Any:
        return super().value_at(document, path) if path else document


class OpenedObject:
    """An object to be asked and changed at many places; as it is, a right one."""

    def __init__(self, document: Any) -> None:
        self.now = copied(document)

    def value_at(self, path: Path) -> Any:
        return value_at(self.now, path)

    def replace(self, path: Path, value: Any) -> None:
        self.now = replace(self.now, path, value)

    def document(self) -> Any:
        return copied(self.now)


class Opening(OfObjects):
    """Opens documents by a class of its own."""

    def __init__(self, kind: type[OpenedObject] = OpenedObject) -> None:
        super().__init__()
        self._kind = kind

    def opened(self, document: Any) -> OpenedObject:
        return self._kind(document)


class Blindfolded(OpenedObject):
    def value_at(self, path: Path) -> Any:
        return "something"


class Hesitant(OpenedObject):
    def replace(self, path: Path, value: Any) -> None:
        replace(self.now, path, value)


class Deleting(OpenedObject):
    def replace(self, path: Path, value: Any) -> None:
        if path or value is not MISSING:
            super().replace(path, value)


class DroppingDecisions(OpenedObject):
    def __init__(self, document: Any) -> None:
        super().__init__(document)
        self.first = copied(document)

    def document(self) -> Any:
        return self.first


class ChangingWhatWasOpened(OpenedObject):
    def __init__(self, document: Any) -> None:
        self.now = document

    def replace(self, path: Path, value: Any) -> None:
        replaced = replace(self.now, path, value)
        self.now.clear()
        self.now.update(replaced)


class LendingWhatWasOpened(OpenedObject):
    def __init__(self, document: Any) -> None:
        self.now = document

    def document(self) -> Any:
        return self.now


class TellingWhatItRefuses(OfObjects):
    def encode(self, document: Any) -> bytes:
        try:
            return super().encode(document)
        except DocumentError:
            raise DocumentError(f"This is no document: {document!r}") from None


class TellingWhatItCannotRead(OfObjects):
    def decode(self, data: bytes) -> Any:
        try:
            return super().decode(data)
        except DocumentError:
            raise DocumentError(f"This is no document: {data!r}") from None


class TellingByItsCause(OfObjects):
    """What an error was raised from is in a log as well."""

    def decode(self, data: bytes) -> Any:
        try:
            return super().decode(data)
        except DocumentError:
            raise DocumentError("This is no document.") from ValueError(data)


class TakingAnythingForNothing(OfObjects):
    def decode(self, data: bytes) -> Any:
        try:
            return super().decode(data)
        except DocumentError:
            return {}


class ReplacingUnchecked(OfObjects):
    def replace(self, document: Any, path: Path, value: Any) -> Any:
        return super().replace(document, path, value) if path or value is MISSING else value


THEIRS_LOST = "what theirs added is in the document"
LOST = "what mine added is in the document or in a conflict"
SHARED = "what is returned shares nothing with an argument"
TOLD = "an error names places, never what stands in the document"


@pytest.mark.untraced  # each takes as many steps as a format that is right
@pytest.mark.parametrize(
    ("format_", "says"),
    [
        (TheirsWins(), LOST),
        (MineWins(), THEIRS_LOST),
        (HigherWins(), THEIRS_LOST),
        (Peaceful(), LOST),
        (ForgettingMyAdditions(), "with mine and theirs exchanged, the same is in the document"),
        (ForgettingAllAdditions(), THEIRS_LOST),
        (Reviving(), "with mine and theirs exchanged, the same is in the document"),
        (RevivingAll(), "what one side deleted does not come back"),
        (SharingTheirs(), SHARED),
        (SharingInConflicts(), SHARED),
        (SharingWhatIsReplaced(), SHARED),
        (SharingWhatIsFound(), SHARED),
        (RememberingMerges(), "what is returned shares nothing with an earlier result"),
        (RememberingDocuments(), "each decoded document is a new one"),
        (OneEmpty(), "each empty document is a new one"),
        (Opening(Blindfolded), "an opened document says the same"),
        (Opening(Hesitant), "a decision is in the opened document"),
        (Opening(Deleting), "an opened document cannot be deleted"),
        (Opening(DroppingDecisions), "opened, a document is decided as by replace"),
        (Opening(ChangingWhatWasOpened), "the document that was opened is not changed"),
        (Opening(LendingWhatWasOpened), "an opened document shares nothing"),
        (TellingWhatItRefuses(), TOLD),
        (TellingWhatItCannotRead(), TOLD),
        (TellingByItsCause(), TOLD),
        (TakingAnythingForNothing(), "what is damaged is not taken for the empty document"),
        (ReplacingUnchecked(), "only a valid document can replace the whole"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, JSONFormat) else "",
)
def test_a_format_that_loses_shares_or_tells_is_caught(format_: JSONFormat, says: str) -> None:
    """Each of these passes at a look at the result alone."""
    with pytest.raises(PromiseBroken, match=f"^Broken: {says}"):
        check(format_, OBJECTS)


@pytest.mark.untraced  # more steps than all others of this file
@pytest.mark.parametrize("format_", [OfObjects(), Opening()], ids=lambda value: type(value).__name__)
def test_the_formats_that_these_break_are_right_ones(format_: JSONFormat) -> None:
    """So each of them is caught for its fault."""
    check(format_, OBJECTS, refused=[b"nonsense", b"[]", b""])


class Record:
    """An object with attributes, as a document may hold it."""

    __slots__ = ("__dict__", "name", "unset")

    def __init__(self, name: str, **others: Any) -> None:
        self.name = name
        self.__dict__.update(others)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, 2], [2, 1]),
        ({"a": [{"b": 1}, {"c": 2}]}, {"a": [{"c": 2}, {"b": 1}]}),
        ("-:aaaa:bbbb", "-:bbbb:aaaa"),
        ('{"a":1.0, "b":"\\u00fc"}\r\n\nx y\n', 'xy\n{"b":"ü","a":1.00}'),
        (Record("a", x=1), Record("a", x=1)),
        ((b"a", {1}), ({1}, b"a")),
    ],
)
def test_order_and_spelling_are_no_content(one: Any, other: Any) -> None:
    """They may be those of either side."""
    assert pieces(one) == pieces(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        ({"a": 1}, {"b": 1}),
        ({1: "a"}, {True: "a"}),
        ({"a": {}}, {}),
        ([1, 1], [1]),
        ({"a": [1], "b": []}, {"a": [], "b": [1]}),
        ("a", "aa"),
        ('{"a":1}', '{"a":2}'),
        ("[1]", "[2]"),
        (Record("a"), Record("b")),
        (Record("a", x=1), Record("a", y=1)),
    ],
)
def test_what_stands_where_is_content(one: Any, other: Any) -> None:
    """To the last type, and how often."""
    assert pieces(one) != pieces(other)


def test_parts_that_can_be_changed_are_found_wherever_they_are() -> None:
    """In objects, in tuples and behind attributes; what nobody can change may be shared."""
    parts: list[Any] = [[], {}, set(), bytearray(), Record("a")]
    for part in parts:
        assert not is_apart({"a": (part,)}, [Record("b", inside=part)])
    assert is_apart([MISSING, "a", 1, (2,), frozenset({3}), int], [MISSING, "a", 1, (2,), frozenset({3}), int])
    assert is_apart([[], {}], [[], {}])


class Parts(Scribbling):
    """Documents are lists or tuples of segments, kept as lists; nothing is sorted."""

    def encode(self, document: Any) -> bytes:
        if not all(type(each) is str for each in document):
            raise DocumentError(self.told(document))
        return super().encode(document)

    def told(self, document: Any) -> str:
        return "A part is not a segment."


class TellingParts(Parts):
    def told(self, document: Any) -> str:
        return f"{document} has a part that is not a segment."


def test_documents_of_any_kind_are_spoiled_to_see_what_an_error_tells() -> None:
    """Lists by one more item, and whatever it is by standing where a document does."""
    for documents in ([["aaaa"]], [("aaaa",)]):
        tells_nothing(Parts(), documents)
        with pytest.raises(PromiseBroken, match=TOLD):
            tells_nothing(TellingParts(), documents)
