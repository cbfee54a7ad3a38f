"""A wallet that shows its history: `-:cfF6:565b`, one segment for each change.

The notebooks use it so that you can see with the eye what happened to a wallet. It is for show; a
real wallet wants `JSONFormat`. It is also a whole format of the simplest kind: to write your own,
begin here, and let `walletsync.formats.base.Format` tell what each method promises.
"""

import random
import re
import string
from collections.abc import Iterator
from typing import Any

from walletsync.errors import DocumentError
from walletsync.merge import MISSING, Conflict, Merged, Path

SEGMENT = "[0-9A-Za-z]{4}"


class AppendLog:
    """The document is a str: a dash, then for each change a colon and four letters or digits."""

    # Goes with every wallet, encrypted: a device with another format refuses to read it.
    name = "append-log"

    def empty(self) -> str:
        """Return the log of a wallet to which nothing has happened."""
        return "-"

    def encode(self, document: str) -> bytes:
        """Return the log in ASCII. Encoding checks: what cannot be read back is never sent."""
        # Errors say what is wrong and never quote the wallet: they end up in logs.
        if type(document) is not str or not re.fullmatch(f"-(:{SEGMENT})*", document):
            raise DocumentError("An append log is a dash, then segments such as :cfF6.")
        return document.encode()

    def decode(self, data: bytes) -> str:
        """Return the log. The bytes may come from a faulty program, so they are checked as well."""
        # Whatever is not ASCII becomes a character that no segment has.
        document = data.decode("ascii", errors="replace")
        self.encode(document)
        return document

    def merge(self, base: str, mine: str, theirs: str) -> Merged[str]:
        """Put my new segments, those after the merge base, after theirs."""
        # Three cases that every format has. Without the first, a change that both have is doubled.
        if mine in (theirs, base):
            return Merged(theirs, conflicts=())
        if theirs == base:
            return Merged(mine, conflicts=())
        if mine.startswith(base) and theirs.startswith(base):
            return Merged(theirs + mine.removeprefix(base), conflicts=())
        # Somebody has rewritten history. Which one is right is for a person to decide; until then
        # theirs stays, since the other devices have it. The path () is the whole document.
        return Merged(theirs, conflicts=(Conflict((), base, mine, theirs),))

    def value_at(self, document: str, path: Path) -> Any:
        """Return the whole document, since a conflict is about all of it."""
        return document if path == () else MISSING

    def replace(self, document: str, path: Path, value: Any) -> str:
        """Decide a conflict: return `value`, since a conflict is about the whole document."""
        if path != ():
            raise DocumentError("A log has no parts: the path of a decision is ().")
        self.encode(value)
        return str(value)


def append(document: str, segment: str) -> str:
    """Return the log after one more change."""
    return f"{document}:{segment}"


def segments(seed: int) -> Iterator[str]:
    """Yield segments without end, the same ones for the same seed in every run."""
    chance = random.Random(seed)  # noqa: S311 - a demo has to be repeatable, and keeps no secret
    while True:
        yield "".join(chance.choices(string.digits + string.ascii_letters, k=4))
