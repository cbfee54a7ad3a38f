"""What is written down beside a notebook's outputs: what they were made from, and what the server was asked meanwhile.

A record has, by the id of each cell with code, a hash of its source, and each call in it with the answer; besides a
hash of the modules beside the notebooks. It is committed, so that a check on any machine can tell a cell that was
edited from one whose outputs changed by themselves. What differs from run to run is masked as in the outputs; what no
reader may see is hidden.

What a record says of calls explains a difference, and never is one: programs that wait for each other may call once
more or less.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools.docs.masks import Masks, refused
from tools.docs.project import HIDDEN, NOTEBOOKS
from tools.docs.relay import Call

_SHOWN = 2000
"""Characters of a body, the rest of which a hash stands for."""
Record = dict[str, Any]


def path_of_record(name: str) -> str:
    """Return the path of a notebook's record below the root."""
    return f"{NOTEBOOKS}/records/{name}.json"


def record(root: Path, notebook: Any, passed: Iterable[Call]) -> Record:
    """Return the record of a notebook and what passed while it ran."""
    calls = [(call.place, *_shown(call)) for call in passed]
    masks = Masks(text for _, *texts in calls for text in texts)
    cells = {
        cell.id: {
            "source": digest(cell.source),
            "calls": [[masks.apply(text) for text in texts] for place, *texts in calls if place == cell.id],
        }
        for cell in notebook.cells
        if cell.cell_type == "code"
    }
    return {"beside": beside(root), "cells": cells}


def to_json(record: Record) -> str:
    """Return what is written to a record's file."""
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def read(root: Path, name: str) -> Record | None:
    """Return the committed record of a notebook; None if there is none, or if it is damaged."""
    try:
        value = json.loads((root / path_of_record(name)).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) and {"beside", "cells"} <= value.keys() else None


def made_alike(one: Record | None, other: Record) -> bool:
    """Whether two records are of the same cells and modules."""
    return one is not None and made_from(one) == made_from(other)


def made_from(record: Record) -> list[tuple[str, str]]:
    """Return what the outputs come from, each with its hash, in order: first the modules beside, then the cells."""
    return [("", record["beside"]), *((name, cell["source"]) for name, cell in record["cells"].items())]


def digest(text: str) -> str:
    """Return what tells one source from another."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def beside(root: Path) -> str:
    """Return what tells the modules beside the notebooks from what they were before."""
    modules = sorted((root / NOTEBOOKS).glob("*.py"))
    return digest("\0".join(f"{path.name}\0{path.read_text(encoding='utf-8')}" for path in modules))


def calls_in(record: Record, cell: str) -> list[str]:
    """Return each call of a cell and its answer, a line for either."""
    return [line for call in record["cells"].get(cell, {}).get("calls", []) for line in call]


def _shown(call: Call) -> tuple[str, str]:
    return _safe(f"{call.method} {call.target}", call.body), _safe(f"  → {call.status}", call.answer)


def _safe(first: str, body: bytes) -> str:
    text = re.sub(HIDDEN, r"\1<hidden>", f"{first} {_text(body)}".rstrip())
    what = next(refused(text), None)
    return f"{first.partition('?')[0]} <hidden: {what}>" if what else text


def _text(body: bytes) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return f"<{len(body)} bytes>"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… <the rest: {digest(text[_SHOWN:])}>"
