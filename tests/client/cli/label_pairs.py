"""Label files of a few lines, and two laptops that have the same one."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.client.cli.machines import Machine

Pair = tuple[Machine, Machine]
RENT = {"a": "rent", "b": "car"}


def labels(**of: str | None) -> str:
    records = [{"type": "tx", "ref": ref} | ({} if label is None else {"label": label}) for ref, label in of.items()]
    return "".join(f"{json.dumps(record)}\n" for record in records)


def read(machine: Machine) -> dict[str, str]:
    records = [json.loads(line) for line in machine.file.read_text().splitlines()]
    return {record["ref"]: record["label"] for record in records if "label" in record}


def made_pair(folder: Path, url: str, address: Callable[[], str], text: str) -> Pair:
    """Return two laptops with the same labels, which the program of the first one wrote."""
    email = address()
    one, other = (Machine(folder / name, url, email) for name in ("one", "other"))
    for machine in (one, other):
        machine.init("--format bip329")
    one.file.write_text(text)
    one.ok("register")
    one.ok("sync")
    other.ok("sync")
    return one, other
