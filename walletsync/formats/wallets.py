"""Several wallets in one account: a document of named sections, each the document of another format.

An account with one wallet that has no name is just that wallet: a client that knows nothing of sections reads and
writes it as before. Once there is a named one, the document is of the format "wallets", which that client refuses.

`WalletsFormat` is the format of a client that works on one of the wallets; it decodes that one, and carries the others
along as their programs wrote them. `walletsync.formats.one_wallet` is for the file of that wallet.

A conflict's path is Item("wallet", name) for a whole wallet, as it stands in the document. The paths inside of it begin
with that, but not those in the wallet without a name.
"""

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any, Final, TypeAlias

from walletsync import merge
from walletsync.errors import DocumentError, OtherFormat
from walletsync.formats.base import Format, Opened, opened
from walletsync.formats.bip329 import BIP329Format
from walletsync.formats.json import JSONFormat
from walletsync.formats.lbry import LBRYFormat
from walletsync.merge import MISSING, Conflict, Item, Merged, Path, same

_KNOWN: Final[Mapping[str, Callable[[], Format[Any]]]] = {
    "bip329": BIP329Format,
    "json": JSONFormat,
    "lbry": LBRYFormat,
}
"""The formats by which a wallet is merged that is not the client's own."""
_NAME: Final = re.compile(r"\w(?:[\w .-]{0,62}\w)?|")
_STEP: Final = "wallet"
_PARTS: Final = {"format", "document"}
_JSON: Final = JSONFormat()


Sections: TypeAlias = Mapping[str, dict[str, Any]]


def is_name(name: str) -> bool:
    """Tell whether a wallet can be called that: letters, digits, "_", and between them spaces, "." and "-"; at most 64.

    The name of the one without a name is "".
    """
    return _NAME.fullmatch(name) is not None


class WalletsFormat:
    """Documents are dicts from the names of wallets to {"format": its format's name, "document": what it has}.

    What the client's own wallet has is a document of its format, and of any other one the encoded text.
    """

    name = "wallets"

    def __init__(self, format: Format[Any], own: str = "") -> None:
        """Take the format of the client's own wallet, and its name, of which `is_name` is true."""
        self._format, self._own = format, own

    def empty(self) -> dict[str, Any]:
        """Return a new {}."""
        return {}

    def encode(self, document: Sections) -> bytes:
        """Return JSON in UTF-8, the wallets in the order of their names. Raises DocumentError, naming the wallet."""
        if type(document) is not dict or not all(type(name) is str for name in document):
            raise DocumentError("A document of several wallets is a dict from their names, which are text.")
        encoded = _JSON.encode({name: self._encoded(name, document[name]) for name in sorted(document)})
        _parsed(encoded)
        return encoded

    def decode(self, data: bytes) -> dict[str, Any]:
        """Return the document.

        Raises:
            OtherFormat: our wallet is there, of another format than ours.
            DocumentError: it is no document of several wallets, or our wallet is none of its format.
        """
        return {name: self._decoded(name, section) for name, section in _parsed(data).items()}

    def sent(self, encoded: bytes) -> tuple[str, bytes]:
        """Return under which format's name a document goes to other devices, and as what."""
        sections = _parsed(encoded)
        if sections.keys() == {""}:
            return sections[""]["format"], sections[""]["document"].encode()
        return self.name, encoded

    def received(self, name: str, data: bytes) -> bytes:
        """Return the document that another device has sent under a format's name.

        Raises:
            OtherFormat: it is one wallet without a name, of another format than ours, which has none either.
            DocumentError: it is no text, which no wallet beside ours could be.
        """
        if name == self.name:
            return data
        if self._own == "" and name != self._format.name:
            raise OtherFormat.between(name, self._format.name)
        return _JSON.encode({"": {"format": name, "document": _text(data)}})

    def merge(self, base: Sections, mine: Sections, theirs: Sections) -> Merged[dict[str, Any]]:
        """Merge each wallet by its own format; one that only one side changed, made or removed is taken from there."""
        merged, conflicts = {}, []
        for name in dict.fromkeys([*theirs, *mine]):
            section, found = self._merged(name, *(side.get(name) for side in (base, mine, theirs)))
            conflicts += found
            if section is not None:
                merged[name] = deepcopy(section)
        return Merged(merged, tuple(conflicts))

    def value_at(self, document: Sections, path: Path) -> Any:
        """Return a copy of what is at `path`, or MISSING."""
        return self.opened(document).value_at(path)

    def replace(self, document: Sections, path: Path, value: Any) -> dict[str, Any]:
        """Return a copy with `value` at `path`; a wallet of ours that is missing is made.

        Raises DocumentError if that is not a place in it, or would be no document.
        """
        wallets = self.opened(document)
        wallets.replace(path, value)
        return wallets.document()

    def opened(self, document: Sections) -> "OpenedWallets":
        """Return the document to be asked and changed at many paths: each wallet is opened once."""
        return OpenedWallets(self, document)

    def _merged(
        self, name: str, base: dict[str, Any] | None, mine: dict[str, Any] | None, theirs: dict[str, Any] | None
    ) -> tuple[dict[str, Any] | None, list[Conflict]]:
        if same(mine, theirs) or same(mine, base):
            return theirs, []
        if same(theirs, base):
            return mine, []
        whole = Conflict(place_of(name), *map(_copied, (base, mine, theirs)))
        ours, others = self.wallet(name, mine), self.wallet(name, theirs)
        if ours is None or others is None or ours[0].name != others[0].name:
            return theirs, [whole]
        format, before = ours[0], self.wallet(name, base)
        is_of_it = before is not None and before[0].name == format.name
        merged = format.merge(before[1] if before and is_of_it else format.empty(), ours[1], others[1])
        conflicts = [
            replace(each, path=(*prefix(name), *each.path)) if each.path else whole for each in merged.conflicts
        ]
        return self.section(name, format, merged.document), conflicts

    def wallet(self, name: str, section: dict[str, Any] | None) -> tuple[Format[Any], Any] | None:
        """Return a wallet's format and document; None if there is none, or it cannot be read here."""
        if section is None or name == self._own:
            return None if section is None else (self._format, section["document"])
        if section["format"] not in _KNOWN:
            return None
        format = _KNOWN[section["format"]]()
        try:
            return format, format.decode(section["document"].encode())
        except DocumentError:
            return None

    def new_wallet(self, name: str) -> tuple[Format[Any], Opened[Any]] | None:
        """Return our wallet, with nothing in it yet; None for any other, whose format nobody has said."""
        return (self._format, opened(self._format, self._format.empty())) if name == self._own else None

    def section(self, name: str, format: Format[Any], document: Any) -> dict[str, Any]:
        """Return a wallet as it stands in a document."""
        return with_format(format.name, document if name == self._own else format.encode(document).decode())

    def _encoded(self, name: str, section: Any) -> Any:
        """Return a wallet as it stands in an encoded document, if it is one."""
        if name != self._own or type(section) is not dict or section.keys() != _PARTS:
            return section
        self._refuse_other(name, section["format"])
        return with_format(section["format"], _text(self._format.encode(section["document"])))

    def _decoded(self, name: str, section: dict[str, Any]) -> dict[str, Any]:
        if name != self._own:
            return section
        self._refuse_other(name, section["format"])
        return with_format(section["format"], self._format.decode(section["document"].encode()))

    def _refuse_other(self, name: str, format: str) -> None:
        """Raise OtherFormat if a wallet is ours, and of another format."""
        if name == self._own and format != self._format.name:
            subject = f"The wallet {name!r} of this account" if name else "The wallet"
            found = format if format in _KNOWN else "another one"  # a broken program may have put anything there
            raise OtherFormat.between(found, self._format.name, wallet=subject)


class OpenedWallets:
    """Several wallets, each opened by its format when it is first asked for: `walletsync.formats.base.Opened`."""

    def __init__(self, format: WalletsFormat, document: Sections) -> None:
        self._format = format
        self._sections: Any = deepcopy(dict(document))
        self._open: dict[str, tuple[Format[Any], Opened[Any]] | None] = {}

    def value_at(self, path: Path) -> Any:
        """Return a copy of what is at `path`, or MISSING."""
        name, inside = split(path)
        if not inside:
            return self.document() if not path else _copied(self.document().get(name))
        found = self._wallet(name)
        return MISSING if found is None else found[1].value_at(inside)

    def replace(self, path: Path, value: Any) -> None:
        """Put `value` at `path`. Raises DocumentError as `WalletsFormat.replace` does."""
        name, inside = split(path)
        found = self._wallet(name) or self._format.new_wallet(name) if inside else None
        if inside and found is None:
            raise DocumentError(f"{merge.place(path)} is not a place in the wallets of this account.")
        if found is not None:
            found[1].replace(inside, value)
            self._open[name] = found
            return
        changed = self.document() | {name: value} if path else value
        if value is MISSING and path:
            del changed[name]
        self._format.encode(changed)
        self._sections, self._open = deepcopy(changed), {}

    def document(self) -> dict[str, Any]:
        """Return a copy of the document, with what was replaced."""
        changed = {
            name: self._format.section(name, found[0], found[1].document())
            for name, found in self._open.items()
            if found is not None
        }
        return deepcopy(self._sections | changed)

    def _wallet(self, name: str) -> tuple[Format[Any], Opened[Any]] | None:
        if name not in self._open:
            found = self._format.wallet(name, self._sections.get(name))
            self._open[name] = None if found is None else (found[0], opened(*found))
        return self._open[name]


def names(document: Sections) -> dict[str, str]:
    """Return the wallets of an account by their names, each with the name of its format."""
    return {name: document[name]["format"] for name in sorted(document)}


def _copied(section: dict[str, Any] | None) -> Any:
    return MISSING if section is None else deepcopy(section)


def with_format(format: str, document: Any) -> dict[str, Any]:
    """Return a wallet as it stands in a document of several."""
    return {"format": format, "document": document}


def prefix(name: str) -> Path:
    """Return with what each path in a wallet begins."""
    return place_of(name) if name else ()


def place_of(name: str) -> Path:
    """Return where a wallet stands as a whole."""
    return (Item(_STEP, name),)


def split(path: Path) -> tuple[str, Path]:
    """Return the name of the wallet that a path goes into, and the rest of the path."""
    match path:
        case (Item(key="wallet", value=str(name)), *_):
            return name, path[1:]
    return "", path


def shown_of_any(path: Path, value: Any) -> Any:
    """Return what may be shown of a value inside a wallet of any format: what each of those that merge here shows."""
    for format in (BIP329Format(), JSONFormat(), LBRYFormat()):
        value = format.shown(path, value)
    return value


def called(name: str) -> str:
    """Return what a wallet is called in sentences."""
    return f"the wallet {name!r}" if name else "the wallet without a name"


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        problem = f"it is not UTF-8 at byte {error.start}"
    # Out here, because the error above holds the document, and one raised there would hold it.
    raise DocumentError(f"This is not a document that can be one of several wallets: {problem}.")


def _parsed(data: bytes) -> dict[str, dict[str, str]]:
    """Return the wallets that are in a document, by their names."""
    sections = _JSON.decode(data)
    for name, section in sections.items():
        if not is_name(name):
            raise DocumentError("This is not a document of several wallets: one has a name that none can have.")
        if (
            type(section) is not dict
            or section.keys() != _PARTS
            or not all(type(part) is str for part in section.values())
        ):
            raise DocumentError(f"This is not a document of several wallets: {called(name)} is no section.")
    return sections
