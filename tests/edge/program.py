"""A wallet program with a person before it: it keeps labels in memory, imports and exports, and has its mishaps."""

import json
import random
from dataclasses import dataclass, field

Labels = dict[str, str]


def labels_of(text: str) -> Labels:
    """Return the labels of a file, by what they are of."""
    records = [json.loads(line) for line in text.splitlines()]
    return {record["ref"]: record["label"] for record in records if record.get("label")}


@dataclass(frozen=True)
class Habits:
    """What a program and its person do.

    `imports`: how often the person imports before they label something. `exports_all`: records without a label as well,
    and what is derived. `knows`: the part of all records that are in the program's wallet; it imports no others.
    `mishaps`: how often an export goes wrong. `saves`: how often one follows the labelling.
    """

    imports: float
    exports_all: bool
    knows: float
    mishaps: float
    saves: float

    @classmethod
    def drawn(cls, rng: random.Random) -> "Habits":
        return cls(
            imports=rng.choice((1.0, 1.0, 0.4, 0.0)),
            exports_all=rng.random() < 0.6,
            knows=rng.choice((1.0, 1.0, 0.6)),
            mishaps=rng.choice((0.0, 0.0, 0.1)),
            saves=rng.choice((1.0, 0.6)),
        )

    @property
    def is_careful(self) -> bool:
        """Whether it never writes without having read."""
        return self.imports == 1.0 and self.saves == 1.0 and self.mishaps == 0.0


@dataclass
class Program:
    """What one program has in memory. `edited` has what the person did and no export has yet."""

    habits: Habits
    refs: list[str]
    labels: Labels = field(default_factory=dict)
    deleted: dict[str, str] = field(default_factory=dict)
    edited: set[str] = field(default_factory=set)
    written: Labels = field(default_factory=dict)
    """The labels of its last export that was noticed."""
    cut: set[str] = field(default_factory=set)
    """What was missing in that, though the program has it."""

    def imports(self, text: str) -> None:
        """Take over the labels of a file. What is blank or missing there alters nothing (BIP-329)."""
        for ref, label in labels_of(text).items():
            if ref in self.refs:
                self.labels[ref] = label
                self.deleted.pop(ref, None)
                self.edited.discard(ref)  # if there was an edit, the program itself has lost it

    def export(self) -> str:
        records = [self._record(ref) for ref in self.refs if self.habits.exports_all or ref in self.labels]
        return "".join(f"{json.dumps(record)}\n" for record in records)

    def _record(self, ref: str) -> dict[str, object]:
        derived: dict[str, object] = {"height": 900_000 + int(ref)} if self.habits.exports_all else {}
        label = {"label": self.labels[ref]} if ref in self.labels else {}
        return derived | {"type": "tx", "ref": ref} | label
