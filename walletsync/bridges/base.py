"""What a bridge to a wallet program is. Whoever writes one keeps what `Bridge` says: docs/bridges.md."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from walletsync.formats.label_sense import Key


@dataclass(frozen=True)
class Look:
    """What a program showed of a wallet at one moment: its labels, and `wallet`, which tells it from any other.

    `wallet` is the same as long as it is the same wallet, and need not be readable. It is kept, so it holds no secret.
    A label that is not listed was deleted only if the program says so: what it named is `blank`, or the list
    `is_complete`. Of anything else it is not known, and what was seen before stays.
    """

    wallet: str
    labels: Mapping[Key, str]
    blank: frozenset[Key] = frozenset()
    """What was listed as having no label."""
    unsure: Mapping[Key, str] = field(default_factory=dict)
    """What was listed with a label that may be made up for want of one: it is one only if it was seen before."""
    is_complete: bool = False
    """Whether all labels that there are were listed, so that all else has none."""


class Bridge(Protocol):
    """One wallet of one program: how its labels are read, written and deleted.

    Every method raises BridgeError if the program cannot be asked, and BridgeRefused, which is one, if it answers that
    it does not do this. No message has a label in it, or what the program said.
    """

    program: str
    """What people call it."""

    formats: tuple[str, ...]
    """In which formats a file can hold all its labels."""

    def look(self) -> Look:
        """Return all labels that the program can list. A wallet that is closed or locked is no empty one: it raises."""
        ...

    def can_hold(self, key: Key) -> bool:
        """Tell whether the wallet that `look` showed has what `key` names, and shows a label that is set there."""
        ...

    def set_label(self, key: Key, label: str) -> None:
        """Give what `key` names this label, in place of any other."""
        ...

    def delete_label(self, key: Key) -> None:
        """Take the label away."""
        ...
