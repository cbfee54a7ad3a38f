"""What people call the records of a label file, and how one label says what two say."""

from typing import Any, Final

from walletsync.formats.places import is_blank
from walletsync.merge import MISSING, Path

_KINDS: Final = {
    "tx": "transaction",
    "addr": "address",
    "pubkey": "public key",
    "input": "input",
    "output": "coin",
    "xpub": "extended key",
}
_MAX_REF: Final = 16
_REF_END: Final = 8
"""So much of a longer ref is enough to find it in a list."""
_BETWEEN: Final = " / "


def title(path: Path, record: Any) -> str:
    """Return the label of a record, what it is of, and the end of its ref: `"rent", transaction …0000ab12`.

    Of several records of one type and ref the first label counts.
    """
    kind, ref = map(str, path[:2])
    records = record if type(record) is list else [record]
    labels = [each["label"] for each in records if type(each) is dict and not is_blank(each.get("label"))]
    of = f"{_KINDS.get(kind, kind)} {ref if len(ref) <= _MAX_REF else f'…{ref[-_REF_END:]}'}"
    return f'"{labels[0]}", {of}' if labels else of


def both(path: Path, mine: Any, theirs: Any) -> Any:
    """Return a label with mine and theirs in it, or theirs if that says mine already; MISSING if they are no labels."""
    if path[-1:] != ("label",) or any(type(side) is not str or is_blank(side) for side in (mine, theirs)):
        return MISSING
    return theirs if mine in theirs.split(_BETWEEN) else f"{mine}{_BETWEEN}{theirs}"
