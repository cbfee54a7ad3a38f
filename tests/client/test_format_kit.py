"""The acceptance kit for formats catches what it is for: each format here breaks one promise."""

from typing import Any

import pytest

from append_log import AppendLog
from walletsync.errors import DocumentError
from walletsync.formats.testing import PromiseBroken, check
from walletsync.merge import MISSING, Conflict, Merged, Path

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
