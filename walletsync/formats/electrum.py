"""Electrum's labels, which know nothing of BIP-329: a JSON object, from an address or a transaction's id to its label.

The document is the label file of `BIP329Format`, so that an account may have Electrum on one laptop and Sparrow on
another; Electrum's file is a view of it. What Electrum cannot hold, such as the label of a coin or that it is frozen,
is not in the file, and stays in the document.

Electrum's import sets what the file names, deletes what has an empty label there, and leaves what is missing; its
export has no empty labels. So what was deleted elsewhere, or in an Electrum that is asked, stands in the file as "",
until Electrum writes it anew.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from typing_extensions import override

from walletsync.errors import DocumentError
from walletsync.formats.bip329 import BIP329Format
from walletsync.formats.json import JSONFormat
from walletsync.formats.label_lines import NO_LINES, LabelFile, keyed, lines_of, loaded, written
from walletsync.formats.label_sense import Key, key_of
from walletsync.formats.places import is_blank
from walletsync.merge import Merged, Path

_JSON: Final = JSONFormat()
_TRANSACTION: Final = re.compile("[0-9a-f]{64}")
_TYPES: Final = ("tx", "addr")
"""Of what Electrum has labels."""
_BREAKS: Final = re.compile(r"[\r\n]+")
"""Electrum makes spaces of them."""


class ElectrumFormat(BIP329Format):
    """The format of Electrum's file. For the client of the account, the format is `BIP329Format`."""

    @override
    def merge(self, base: str, mine: str, theirs: str) -> Merged[str]:
        """Merge what two files of Electrum say into a document: labels of transactions and addresses, nothing else."""
        return super().merge(_seen(base, theirs), _seen(mine, theirs), theirs)

    @override
    def from_file(self, data: bytes, known: str) -> str:
        """Return the labels of a file, each as a record of its own.

        Raises DocumentError, naming the place, if it is not an object of texts.
        """
        records = [_record(_key(ref), label) for ref, label in _labels(data).items() if label.strip()]
        return "".join(f"{line}\n" for line in written(records, []))

    @override
    def to_file(self, document: str, over: bytes) -> bytes:
        """Return the file as Electrum writes one, with an empty label for each that was there and is deleted."""
        before, now = _labels(over), _labelled(document)
        labels = dict.fromkeys(before, "") | {ref: _BREAKS.sub(" ", label) for ref, label in now.items()}
        if over and labels == before:
            return over
        return json.dumps(labels, indent=4, sort_keys=True).encode()

    @override
    def differences(self, documents: Sequence[str]) -> list[dict[Path, Any]]:
        """Return the labels that Electrum can hold, where they are not all the same."""
        views = [
            {(*_steps(_key(ref)), "label"): label for ref, label in _labelled(document).items()}
            for document in documents
        ]
        places = {path for view in views for path in view}
        differing = {path for path in places if len({view.get(path) for view in views}) > 1}
        return [{path: label for path, label in view.items() if path in differing} for view in views]

    @override
    def unreadable(self, data: bytes) -> Sequence[str]:
        """Return nothing: a file is read as a whole, or not at all."""
        return ()


def _key(ref: str) -> Key:
    return key_of("tx" if _TRANSACTION.fullmatch(ref) else "addr", ref)


def _steps(key: Key) -> Path:
    return key.type, key.ref


def _record(key: Key, label: str) -> dict[str, Any]:
    return {"type": key.type, "ref": key.ref, "label": label}


def _labels(data: bytes) -> dict[str, str]:
    labels = _JSON.decode(data) if data.strip() else {}
    for ref, label in labels.items():
        if type(label) is not str:
            raise DocumentError(f"{ref!r} has no label of text: export the labels from Electrum once more.")
    return labels


def _labelled(document: str) -> dict[str, str]:
    """Return the labels by ref; not where there are several, of which Electrum could hold one only."""
    found: dict[str, set[str]] = {}
    lines = {line: key for line, key in keyed(lines_of(document)) if key.type in _TYPES}
    for record, key in zip(loaded(list(lines)), lines.values(), strict=True):
        label = record.get("label")
        if type(label) is str and not is_blank(label):
            found.setdefault(key.ref, set()).add(label)
    return {ref: labels.pop() for ref, labels in found.items() if len(labels) == 1}


def _seen(view: str, document: str) -> str:
    """Return a document with the labels of a view in place of its own, as if Electrum had edited it.

    Of several records of one key none is Electrum's: a label that none of them has is one more.
    """
    lines = lines_of(document)
    file = LabelFile(lines, {line: key for line, key in keyed(lines) if key.type in _TYPES})
    said = {key: loaded([line])[0] for line, key in keyed(lines_of(view))}
    wanted = {key: record["label"] for key, record in said.items() if "label" in record}
    changed = {}
    for key in file.records | wanted:
        records = loaded(file.records.get(key, NO_LINES))
        changed[key] = written(_labelled_with(records, key, wanted.get(key)), file.records.get(key, NO_LINES))
    order = [line for each in changed.values() for line in each]
    return file.with_records(changed, order=LabelFile(order, dict(keyed(order))))


def _labelled_with(records: list[Any], key: Key, label: str | None) -> list[Any]:
    if len(records) > 1:
        is_new = label is not None and label not in [record.get("label") for record in records]
        return [*records, _record(key, str(label))] if is_new else records
    record = (records[0] if records else {"type": key.type, "ref": key.ref}) | {"label": label}
    if label is None:
        del record["label"]
    return [record] if record.keys() > {"type", "ref"} else []
