"""The file of one of several wallets in an account: a view of their document, by the format of the file.

Edits of the file are edits of that wallet, and whatever is done with it leaves the others alone.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, Final

from walletsync import merge
from walletsync.errors import DocumentError, NotReady
from walletsync.formats.base import FileFormat, Opened, opened
from walletsync.formats.wallets import Sections, called, place_of, prefix, shown_of_any, split, with_format
from walletsync.merge import MISSING, Conflict, Merged, Path
from walletsync.remedies import Remedy

_WHOLE: Final = "(the whole wallet)"


class OneWallet:
    """The file of one wallet, by the format of that file, as a view of a document of several wallets.

    For the client, the format is `WalletsFormat`, with the format of documents that the file's is a view of.
    """

    def __init__(self, file_format: FileFormat[Any], format: str, own: str = "") -> None:
        """Take the format of the file, the name of that of the documents, and what the wallet is called."""
        self.file_format = file_format
        self._format, self._own = format, own
        self.name, self.content, self.absence_is_news = (
            file_format.name,
            file_format.content,
            file_format.absence_is_news,
        )

    def part(self, document: Sections, other: Sections) -> dict[str, Any]:
        """Return a document with this wallet as `other` has it, and all others as they are."""
        rest = {name: section for name, section in document.items() if name != self._own}
        return deepcopy(rest | ({self._own: other[self._own]} if self._own in other else {}))

    def inside(self, document: Sections) -> Any:
        """Return the document of this wallet alone, which is `document`'s own; an empty one where it is not there."""
        return document[self._own]["document"] if self._own in document else self.file_format.empty()

    def is_there(self, document: Sections) -> bool:
        """Tell whether a document has this wallet."""
        return self._own in document

    def empty(self) -> dict[str, Any]:
        """Return this wallet with nothing in it."""
        return self.with_inside({}, self.file_format.empty())

    def encode(self, document: Sections) -> bytes:
        """Return this wallet, as its format encodes it."""
        return self.file_format.encode(self.inside(document))

    def decode(self, data: bytes) -> dict[str, Any]:
        """Return this wallet, alone."""
        return self.with_inside({}, self.file_format.decode(data))

    def merge(self, base: Sections, mine: Sections, theirs: Sections) -> Merged[dict[str, Any]]:
        """Merge this wallet; of the others, what theirs has.

        Where theirs does not have it, not any more perhaps, an edit brings back all of mine: nobody has deleted what is
        in it one by one.
        """
        if not self.is_there(theirs):
            is_edited = self.inside(mine) == self.file_format.empty() or any(self.differences([base, mine]))
            return Merged(self.part(theirs, mine if is_edited else theirs), ())
        merged = self.file_format.merge(*map(self.inside, (base, mine, theirs)))
        conflicts = tuple(
            replace(each, path=self._outside(each.path))
            if each.path
            else Conflict(place_of(self._own), *map(self.whole, (base, mine, theirs)))
            for each in merged.conflicts
        )
        return Merged(self.with_inside(theirs, merged.document), conflicts)

    def value_at(self, document: Sections, path: Path) -> Any:
        """Return what is at `path` in this wallet, or MISSING."""
        return self.opened(document).value_at(path)

    def replace(self, document: Sections, path: Path, value: Any) -> dict[str, Any]:
        """Return a copy with `value` at `path` inside this wallet. Raises what the file's format raises."""
        wallet = self.opened(document)
        wallet.replace(path, value)
        return wallet.document()

    def opened(self, document: Sections) -> "OpenedWallet":
        """Return this wallet to be asked and changed at many paths: it is opened once."""
        return OpenedWallet(self, document)

    def from_file(self, data: bytes, known: Sections) -> dict[str, Any]:
        """Return what is in a file, as this wallet, alone."""
        return self.with_inside({}, self.file_format.from_file(data, self.inside(known)))

    def to_file(self, document: Sections, over: bytes) -> bytes:
        """Return the file with this wallet.

        Raises:
            NotReady: the account does not have it, or not any more, and its file is left alone.
        """
        if not self.is_there(document):
            raise NotReady(f"The account does not have {called(self._own)}.", remedy=Remedy.BRING_WALLET_BACK)
        return self.file_format.to_file(self.inside(document), over)

    def unreadable(self, data: bytes) -> Sequence[str]:
        """Return where a file has what is not of the document."""
        return self.file_format.unreadable(data)

    def differences(self, documents: Sequence[Sections]) -> list[dict[Path, Any]]:
        """Return what each has where this wallet is not the same in all."""
        found = self.file_format.differences([self.inside(document) for document in documents])
        return [{self._outside(path): value for path, value in each.items()} for each in found]

    def with_values(self, document: Sections, values: Mapping[Path, Any]) -> dict[str, Any]:
        """Return a copy with other values at some places of this wallet."""
        inside = {self.steps_in(path): value for path, value in values.items()}
        return self.with_inside(document, self.file_format.with_values(self.inside(document), inside))

    def sense(self, path: Path, value: Any) -> Any:
        """Return what a value at a place of this wallet says; at (), it is what the wallet says."""
        return (
            self.file_format.sense(self.steps_in(path), value)
            if path
            else self.file_format.sense((), self.inside(value))
        )

    def is_derived(self, path: Path) -> bool:
        """Tell whether what is at a place is worked out by each program for itself."""
        return self.file_format.is_derived(self.steps_in(path))

    def is_telling(self, path: Path, value: Any) -> bool:
        """Tell whether a program that has this value at a place must have read it there."""
        return self.file_format.is_telling(self.steps_in(path), value)

    def record_at(self, path: Path) -> Path:
        """Return the place of the record that a place belongs to; of other wallets, each is one."""
        return self._outside(self.file_format.record_at(self.steps_in(path))) if self.has(path) else path[:1]

    def contents(self, document: Sections) -> set[Path]:
        """Return the places of all that a person would miss in this wallet."""
        return {self._outside(path) for path in self.file_format.contents(self.inside(document))}

    def shown(self, path: Path, value: Any) -> Any:
        """Return what may be shown of a value: nothing of a whole wallet, which may have secrets."""
        _, inside = split(path)
        if value is MISSING or not inside:
            return value if value is MISSING else _WHOLE
        return self.file_format.shown(inside, value) if self.has(path) else shown_of_any(inside, value)

    def title(self, path: Path, record: Any) -> str:
        """Return what people call the record at a place."""
        is_whole = not (self.has(path) and self.steps_in(path))
        return called(split(path)[0]) if is_whole else self.file_format.title(self.steps_in(path), record)

    def both(self, path: Path, mine: Any, theirs: Any) -> Any:
        """Return one value that keeps what two sides have there, MISSING where only one of them can be."""
        is_whole = not (self.has(path) and self.steps_in(path))
        return MISSING if is_whole else self.file_format.both(self.steps_in(path), mine, theirs)

    def with_inside(self, document: Sections, inner: Any) -> dict[str, Any]:
        """Return a copy with another document of this wallet alone."""
        return self.part(document, {self._own: with_format(self._format, inner)})

    def whole(self, document: Sections) -> Any:
        """Return a copy of this wallet as it stands in the document, MISSING if it does not."""
        return deepcopy(document.get(self._own, MISSING))

    def has(self, path: Path) -> bool:
        """Tell whether a path goes into this wallet."""
        return split(path)[0] == self._own

    def steps_in(self, path: Path) -> Path:
        """Return the rest of a path inside this wallet. Raises DocumentError for one that goes into another."""
        if not self.has(path):
            raise DocumentError(f"{merge.place(path)} is not a place in {called(self._own)}.")
        return split(path)[1]

    def _outside(self, path: Path) -> Path:
        return (*prefix(self._own), *path)


class OpenedWallet:
    """One of several wallets, opened by the format of its file: `walletsync.formats.base.Opened`."""

    def __init__(self, format: OneWallet, document: Sections) -> None:
        self._format, self._before = format, document
        self._wallet: Opened[Any] = opened(format.file_format, format.inside(document))
        self._is_changed = False

    def value_at(self, path: Path) -> Any:
        """Return a copy of what is at `path`, or MISSING."""
        if not path:
            return self.document()
        if not self._format.has(path):
            return MISSING
        inside = self._format.steps_in(path)
        return self._wallet.value_at(inside) if inside else self._format.whole(self.document())

    def replace(self, path: Path, value: Any) -> None:
        """Put `value` at `path` inside the wallet. Raises what the file's format raises."""
        self._wallet.replace(self._format.steps_in(path), value)
        self._is_changed = True

    def document(self) -> dict[str, Any]:
        """Return a copy of the document, with what was replaced."""
        if not self._is_changed:
            return deepcopy(dict(self._before))
        return self._format.with_inside(self._before, self._wallet.document())


class AnswersInside:
    """What a program answers of one of several wallets, by what that makes of the wallet: `walletsync.edge.Answers`."""

    def __init__(self, format: OneWallet, inside: Any) -> None:
        self._format, self._answers = format, inside

    def had(self, document: Sections) -> dict[str, Any]:
        """Return what the program had the last time of what a file has."""
        return self._format.with_inside(document, self._answers.had(self._format.inside(document)))

    def has(self, document: Sections) -> dict[str, Any]:
        """Return what it has now of a file in which that is written."""
        return self._format.with_inside(document, self._answers.has(self._format.inside(document)))

    def written(self, document: Sections, waiting: Sections) -> dict[str, Any]:
        """Return a file with just that changed which the program has changed since."""
        written = self._answers.written(self._format.inside(document), self._format.inside(waiting))
        return self._format.with_inside(document, written)
