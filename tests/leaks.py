"""A search for what is known to be secret, in bytes: in each encoding, and in whatever is packed there."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from ahocorasick import Automaton

from tests.canaries import encodings_of
from tests.openings import opened

SHORTEST = 6
"""Bytes: what is shorter stands in random bytes by chance, at least in base64."""


@dataclass(frozen=True)
class Secret:
    """What may stand nowhere. `name` says in a report what it is."""

    name: str
    value: bytes = field(repr=False)


class Search:
    """Finds some secrets in any bytes.

    Raises:
        ValueError: one of them is shorter than `SHORTEST`.
    """

    def __init__(self, secrets: Iterable[Secret]) -> None:
        forms: dict[bytes, str] = {}
        for secret in secrets:
            if len(secret.value) < SHORTEST:
                raise ValueError(f"{secret.name} is too short to be told from chance")
            for encoding, form in encodings_of(secret.value):
                forms.setdefault(form, f"{secret.name} as {encoding}")
        self._automaton = Automaton()  # of texts, in which each character stands for a byte
        for form, name in forms.items():
            self._automaton.add_word(form.decode("latin-1"), name)
        self._automaton.make_automaton()
        self._seen: set[bytes] = set()

    def found(self, place: str, data: bytes) -> list[str]:
        """Return a sentence for each secret in the bytes. What was searched before is not searched again."""
        found = (
            f"there is {name}, in {' in '.join([*reversed(way), place])}"
            for way, piece in opened(data, self._seen)
            for _, name in self._automaton.iter(piece.decode("latin-1"))
        )
        return list(dict.fromkeys(found))


def without(values: Collection[bytes], data: bytes, *, after: bytes) -> bytes:
    """Return the bytes without those values where they stand right behind what matches `after`: by design."""
    if not values:
        return data
    return re.sub(b"(%s)(?:%s)" % (after, b"|".join(map(re.escape, values))), rb"\1", data)
