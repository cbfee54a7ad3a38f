"""Sparrow 2.5 as far as labels go: what it exports, and what it takes from an import. From its described behaviour."""

import json
from dataclasses import dataclass, field
from typing import Any

ESCAPED = "'=<>&"
"""What its JSON writes as \\u0027 and so on."""


def made_up(number: int) -> str:
    """Return a hash as transactions have one."""
    return f"{number:064x}"


@dataclass
class Sparrow:
    """A wallet with some transactions, each of which has paid one address; `fingerprint` is its keys'."""

    fingerprint: str = "d34db33f"
    transactions: int = 3
    rate: float = 100_000.5
    labels: dict[tuple[str, str], str] = field(default_factory=dict)
    frozen: set[str] = field(default_factory=set)

    @property
    def origin(self) -> str:
        return f"wpkh([{self.fingerprint}/84'/0'/0'])"

    def label(self, of: tuple[str, str], text: str) -> None:
        """Let the person label something, by type and ref."""
        self.labels[of] = text

    def export(self) -> str:
        """Every transaction, address and coin, with a label or without; what is blank or not frozen is left out."""
        derived: dict[str, dict[str, Any]] = {
            "tx": {"height": 900_000, "fee": 141, "value": 10_000, "rate": {"USD": self.rate}},
            "addr": {"keypath": "/0/0", "heights": [900_000]},
            "output": {"keypath": "/0/0", "value": 10_000, "height": 900_000, "fmv": {"USD": self.rate / 1e4}},
        }
        lines = []
        for kind, more in derived.items():
            for ref in map(self._ref(kind), range(self.transactions)):
                record = more | {"type": kind, "ref": ref, "label": self.labels.get((kind, ref)), "origin": self.origin}
                record["spendable"] = False if ref in self.frozen else None
                lines.append(_gson({name: value for name, value in record.items() if value is not None}))
        return "".join(f"{line}\n" for line in lines)

    def imports(self, text: str) -> None:
        """Take labels that are not blank, and whether a coin is frozen, of the wallet's own keys."""
        for record in map(json.loads, text.splitlines()):
            if record.get("origin", self.origin) != self.origin:
                continue
            if record.get("label", "").strip():
                self.labels[record["type"], record["ref"]] = record["label"]
            if record.get("spendable") is False:
                self.frozen.add(record["ref"])
            elif record.get("spendable") is True:
                self.frozen.discard(record["ref"])

    def _ref(self, kind: str) -> Any:
        return {
            "tx": made_up,
            "addr": lambda number: f"bc1q{made_up(number)[:38]}",
            "output": lambda number: f"{made_up(number)}:0",
        }[kind]


def _gson(record: dict[str, Any]) -> str:
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    for character in ESCAPED:
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
