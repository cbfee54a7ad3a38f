"""What a format is. The docstrings of `Format` are the contract: whoever writes one keeps them.

A format is plain computation. It touches no file, no clock and no network, keeps no state between
calls, and two devices given the same arguments get the same result. `AppendLog`, beside the
notebooks, is a small one to begin from, and `walletsync.formats.testing.check` runs the contract over yours.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from walletsync.merge import D, Merged, Path

Kept = TypeVar("Kept", covariant=True)


class Format(Protocol[D]):
    """What the document of a wallet is, and how two changed copies of it become one.

    `D` is the type of a document. A caller may go on changing a document that it passed or got, so
    no method changes an argument, or returns something that shares a mutable part with one.

    The text of every error may end up in a log: it names places, never what stands there.
    """

    name: str
    """Stored, encrypted, beside the document: a device with another format refuses it instead of
    misreading it. Two formats never share one, and a change that old devices would misread needs a
    new one."""

    def empty(self) -> D:
        """Return the document of a wallet that holds nothing yet, a new one each time."""
        ...

    def encode(self, document: D) -> bytes:
        """Return the bytes that are encrypted and sent.

        The only check on what people and programs put into a document, so it is a strict one:
        raises DocumentError, which names the place and says what is possible there, for anything
        that `decode` would not give back exactly. The same document, as `decode` made it and down to
        any order that the format keeps, has the same bytes on every device; that is how the client
        sees whether anything changed.
        """
        ...

    def decode(self, data: bytes) -> D:
        """Return the document; `decode(encode(document))` is `document`, types included.

        `data` was made by some device of the same person, perhaps by a newer or a broken program.
        Raises DocumentError, and nothing else, for anything that is not a document.
        """
        ...

    def merge(self, base: D, mine: D, theirs: D) -> Merged[D]:
        """Return one document with the changes of both, and a conflict for each that has no place.

        `base` is the version that `mine` and `theirs` both began as, `theirs` what the other
        devices have already agreed on, and all three are valid. The result is valid as well. A
        change is in the document or in a conflict, never lost; where there is a conflict, the
        document has theirs. Never raises: a document that cannot be merged in parts is a single
        conflict at the path (). If only one side changed, the result is that side; if both are the
        same, it is that.
        """
        ...

    def value_at(self, document: D, path: Path) -> Any:
        """Return a copy of what `document` has at `path`, the place that a conflict names, or MISSING."""
        ...

    def replace(self, document: D, path: Path, value: Any) -> D:
        """Return a copy of `document` with `value` at `path`, the place that a conflict names.

        So a conflict is decided, perhaps long after it arose: `value` is one of the three of the
        conflict (MISSING deletes), or another. Raises DocumentError if the document has changed
        such that it has no place for it, or would not be a valid one.
        """
        ...


class Opened(Protocol[Kept]):
    """A document that is asked and changed at many places, one after the other, as where thousands of conflicts wait.

    A format whose `value_at` and `replace` take as long as the document is large has one more method, `opened`, which
    returns this of a document. It need not: see `opened` below.
    """

    def value_at(self, path: Path) -> Any:
        """Return what `Format.value_at` returns for the document as it is now."""
        ...

    def replace(self, path: Path, value: Any) -> None:
        """Change the document as `Format.replace` does. What that raises leaves it as it was."""
        ...

    def document(self) -> Kept:
        """Return the document as it is now."""
        ...


def opened(format: Format[D], document: D) -> Opened[D]:
    """Return a document to be asked and changed, opened by its format; by one that has no `opened`, place by place."""
    own = getattr(format, "opened", None)
    found: Opened[D] = _PlaceByPlace(format, document) if own is None else own(document)
    return found


class _PlaceByPlace(Generic[D]):
    """A document that any format opens, by what each has."""

    def __init__(self, format: Format[D], document: D) -> None:
        self._format = format
        self._document: D = format.value_at(document, ())

    def value_at(self, path: Path) -> Any:
        return self._format.value_at(self._document, path)

    def replace(self, path: Path, value: Any) -> None:
        self._document = self._format.replace(self._document, path, value)

    def document(self) -> D:
        return self._document


class FileFormat(Format[D], Protocol[D]):
    """A format of files that a program of its own reads and writes: what `walletsync.edge` has to know of it.

    A place is the smallest thing that a program gives, changes or takes away by itself, such as a field of a record.
    """

    content: str
    """What a person would miss in a document, as a plural for sentences: "labels"."""

    absence_is_news: bool
    """Whether a program that reads a file takes over that something is no longer in it. If not, it goes on having it,
    and shows with that only that it could not know."""

    def from_file(self, data: bytes, known: D) -> D:
        """Return the document in a file, as a program wrote it.

        A part that cannot be read is not taken for one that is gone: what is `known` to have stood there stays.
        Raises DocumentError for what is no such file, or a half written one.
        """
        ...

    def to_file(self, document: D, over: bytes) -> bytes:
        """Return the file with a document, in the layout and spelling of the one that was there, b"" for none.

        What a program has written there that is not of the document stays.
        """
        ...

    def unreadable(self, data: bytes) -> Sequence[str]:
        """Return where a file that `from_file` takes has what is not of the document, and why: "line 3 is not JSON"."""
        ...

    def differences(self, documents: Sequence[D]) -> list[dict[Path, Any]]:
        """Return, for each document, what it has at the places where they are not all the same.

        What a document does not have there is not in its dict. `value_at` and `replace` take a place, too.
        """
        ...

    def with_values(self, document: D, values: Mapping[Path, Any]) -> D:
        """Return a copy with other `values` at places that `differences` named; MISSING takes away what is there.

        Raises DocumentError as `replace` does.
        """
        ...

    def sense(self, path: Path, value: Any) -> Any:
        """Return what a value at a place says, in JSON values that are `merge.same` for all spellings of it.

        MISSING is MISSING. At (), it is what a document says.
        """
        ...

    def is_derived(self, path: Path) -> bool:
        """Tell whether what is at a place is worked out by each program for itself, so that nobody edits it."""
        ...

    def is_telling(self, path: Path, value: Any) -> bool:
        """Tell whether a program that has this value at a place must have read it there."""
        ...

    def record_at(self, path: Path) -> Path:
        """Return the place of the record that a place belongs to, which is what a person counts."""
        ...

    def contents(self, document: D) -> set[Path]:
        """Return the places of all that a person would miss in a document."""
        ...

    def shown(self, path: Path, value: Any) -> Any:
        """Return what people may be shown of a value at a path: all but what is secret even on their own screen."""
        ...

    def title(self, path: Path, record: Any) -> str:
        """Return what people call the record at a place, which is `record` or MISSING; nothing of it is secret."""
        ...

    def both(self, path: Path, mine: Any, theirs: Any) -> Any:
        """Return one value for a place that keeps what two sides have there, MISSING where only one of them can be."""
        ...


@runtime_checkable
class SeveralFormats(Protocol):
    """What a format has besides, of whose documents some are sent as those of another format."""

    def sent(self, encoded: bytes) -> tuple[str, bytes]:
        """Return under which format's name an encoded document goes to other devices, and as what."""
        ...

    def received(self, name: str, data: bytes) -> bytes:
        """Return the encoded document that another device has sent under a format's name.

        Raises OtherFormat for one that it cannot be, or DocumentError.
        """
        ...
