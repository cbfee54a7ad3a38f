"""Electrum 4.5 as far as labels go: what it exports, and what it takes from an import. From its described behaviour."""

import json
from dataclasses import dataclass, field


@dataclass
class Electrum:
    """A wallet and its labels, by address or by a transaction's id."""

    labels: dict[str, str] = field(default_factory=dict)

    def label(self, ref: str, text: str) -> None:
        """Set a label; an empty one deletes it, and a line break becomes a space."""
        if text:
            self.labels[ref] = text.replace("\n", " ")
        else:
            self.labels.pop(ref, None)

    def export(self) -> str:
        return json.dumps(self.labels, indent=4, sort_keys=True)

    def imports(self, text: str) -> None:
        for ref, label in json.loads(text).items():
            self.label(ref, label)
