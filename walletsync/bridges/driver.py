"""What a person does by hand, done for them: the wallet's labels into the file, and the file's into the wallet.

The file stays where programs and walletsync meet, and what its program may change there is decided by
`walletsync.edge`. Kept beside it is what the wallet had at the last look. A label that differs from that, and from the
document, is one that was edited in the wallet: it alone is written into the file, before anything is set in the wallet.
What the wallet had at the last look is what it can change and delete; whatever else is in the file, others put there.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from walletsync.bridges.base import Bridge, Look
from walletsync.errors import BridgeError, BridgeRefused, NotReady
from walletsync.formats.label_answers import LabelAnswers, Labels
from walletsync.formats.label_lines import keyed, lines_of, loaded
from walletsync.formats.label_sense import Key
from walletsync.formats.one_wallet import AnswersInside, OneWallet
from walletsync.formats.places import is_blank
from walletsync.remedies import Remedy
from walletsync.walletfile import WalletFile, read_file, write_file

if TYPE_CHECKING:
    from walletsync.client import Client

_BREAKS: Final = re.compile(r"[\r\n]+")
"""A wallet has a line for a label."""

_AT_ONCE: Final = 50
"""How many labels are set before the next look, so that what somebody edits meanwhile is not overwritten."""

_NOTHING: Final[Mapping[Key, str | None]] = MappingProxyType({})


class Driver:
    """Drives `bridge`, which is of the wallet `identity`, by the wallet's `file`; `seen` is a file of our own.

    The client's document is a label file, or has one as the `wallet` among several.

    `refused` is how many labels the program did not take the last time.
    """

    def __init__(
        self, bridge: Bridge, identity: str, file: WalletFile, seen: Path, *, wallet: OneWallet | None = None
    ) -> None:
        self.bridge = bridge
        self._identity = identity
        self._file = file
        self._seen_file = seen
        self._wallet = wallet
        self.refused = 0

    def is_edited(self) -> bool:
        """Tell whether the wallet has other labels than at the last look.

        Raises:
            BridgeError: the program cannot be asked, or has another wallet open.
        """
        return self._look().labels != self._seen()

    def take(self, client: "Client") -> None:
        """Put what was edited in the wallet into the file, and from there into the client's document.

        Raises what `is_edited` and `WalletFile.take_edits` raise.
        """
        look = self._look()
        self._file.take_edits(client)
        self._take(client, look)

    def give(self, client: "Client") -> None:
        """Set in the wallet what the document has otherwise, as far as it can hold it, after taking its edits.

        Nothing is set while deletions wait for a person, nor where the account does not have the wallet, which deletes
        none of its labels. Raises what `take` raises; what was not set is the next time.
        """
        self.refused, tried, given = 0, set[Key](), dict[Key, str | None]()
        while True:
            look = self._look(given)
            self._take(client, look)
            if self._file.held is not None or not self._is_there(client) or not self._set(client, look, tried, given):
                break
        if look.labels != self._seen():
            self._write(client, look.labels)
        self._file.put(client)

    def _look(self, given: Mapping[Key, str | None] = _NOTHING) -> Look:
        """Return what the wallet has: what it lists, and what it had or was `given` of what it does not tell."""
        look = self.bridge.look()
        if look.wallet != self._identity:
            raise BridgeError(
                f"{self.bridge.program} has another wallet open than the one that this file is of. Nothing is taken "
                "from it.",
                remedy=Remedy.OPEN_IN_PROGRAM,
            )
        labels = {key: _as_text(label) for key, label in look.labels.items() if not is_blank(label)}
        for key, label in {**(self._seen() or {}), **given}.items():
            is_told = look.is_complete or key in look.labels or key in look.blank
            shown = label if key not in look.unsure else _as_text(look.unsure[key])
            if label is not None and label == shown and not is_told:
                labels[key] = label
        return replace(look, labels=labels)

    def _take(self, client: "Client", look: Look) -> None:
        seen = self._seen()
        if seen is None:
            # A wallet without labels is a new one: it has not deleted what it never had.
            if look.labels:
                self._write(client, look.labels)
            else:
                self._remember({})
            return
        wanted = _labels(self._document(client))
        edited = {
            key
            for key in seen.keys() | look.labels.keys()
            if look.labels.get(key) != seen.get(key) and not _is_as_wanted(look.labels.get(key), wanted.get(key))
        }
        if edited:
            both = {key: (look.labels if key in edited else seen).get(key) for key in seen.keys() | edited}
            self._write(client, {key: label for key, label in both.items() if label is not None})

    def _set(self, client: "Client", look: Look, tried: set[Key], given: dict[Key, str | None]) -> bool:
        """Set some of what the document has otherwise and was not `tried` yet; tell whether there was any."""
        wanted, labels = _labels(self._document(client)), look.labels
        keys = [
            key
            for key in labels.keys() | wanted.keys()
            if key not in tried and not _is_as_wanted(labels.get(key), wanted.get(key))
        ]
        some = sorted(filter(lambda key: self._can_pass(key, wanted.get(key)), keys), key=_order)[:_AT_ONCE]
        for key in some:
            tried.add(key)
            try:
                if key in wanted:
                    label = _one_line(*wanted[key])
                    self.bridge.set_label(key, label)
                    given[key] = _as_text(label)
                else:
                    self.bridge.delete_label(key)
                    given[key] = None
            except BridgeRefused:
                self.refused += 1
        return bool(some)

    def _can_pass(self, key: Key, wanted: set[str] | None) -> bool:
        return (wanted is None or len(wanted) == 1) and self.bridge.can_hold(key)

    def _write(self, client: "Client", labels: Labels) -> None:
        """Write into the file what the wallet has otherwise than at the last look."""
        wanted = _labels(self._document(client))
        before, now = (
            {key: _as_in(wanted.get(key), label) for key, label in each.items()}
            for each in (self._seen() or {}, labels)
        )
        answers = LabelAnswers(before, now)
        self._file.write(client, answers if self._wallet is None else AnswersInside(self._wallet, answers))
        self._remember(labels)

    def _is_there(self, client: "Client") -> bool:
        try:
            document = client.get_document()
        except NotReady:
            return False
        return self._wallet is None or self._wallet.is_there(document)

    def _document(self, client: "Client") -> str:
        try:
            document = client.get_document()
        except NotReady:  # there is none yet
            return ""
        labels: str = document if self._wallet is None else self._wallet.inside(document)
        return labels

    def _seen(self) -> Labels | None:
        data = read_file(self._seen_file)
        try:
            plain = None if data is None else msgspec.json.decode(data, type=list[tuple[str, str, str]])
        except msgspec.MsgspecError:  # damaged: as on the first day, and nothing is deleted
            plain = None
        return None if plain is None else {Key(kind, ref): label for kind, ref, label in plain}

    def _remember(self, labels: Labels) -> None:
        plain = [(key.type, key.ref, label) for key, label in labels.items()]
        write_file(self._seen_file, msgspec.json.encode(plain))


def _labels(document: str) -> dict[Key, set[str]]:
    """Return the labels of a document; where there are several, a wallet can hold none of them."""
    found: dict[Key, set[str]] = {}
    for key, record in _records(document):
        label = record.get("label")
        if type(label) is str and not is_blank(label):
            found.setdefault(key, set()).add(label)
    return found


def _records(document: str) -> Iterator[tuple[Key, dict[str, Any]]]:
    lines = list(keyed(lines_of(document)))
    return zip((key for _, key in lines), loaded([line for line, _ in lines]), strict=True)


def _order(key: Key) -> tuple[str, str]:
    return key.type, key.ref


def _is_as_wanted(label: str | None, wanted: set[str] | None) -> bool:
    return label is None if wanted is None else label in {_one_line(each) for each in wanted}


def _as_in(wanted: set[str] | None, label: str) -> str:
    """Return a label as the document has it, if that is what it says."""
    return next((each for each in wanted or () if _one_line(each) == label), label)


def _one_line(label: str) -> str:
    return _BREAKS.sub(" ", label)


def _as_text(label: str) -> str:
    """Return a label without halves of surrogate pairs, which no file can hold."""
    return _one_line(label.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
