"""Whether a history of GETs and POSTs is one that a single wallet, changed by compare-and-swap, can have.

Deciding that is hard for registers in general. Here each accepted POST says which sequence it made, and that is the
order: so a history is linearizable exactly if every sequence was made once and no operation went back in time.
The approach is that of P. Gibbons and E. Korach, "Testing shared memories" (1997), for registers whose order is known.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from itertools import accumulate
from math import inf
from typing import TypeAlias


class Outcome(Enum):
    """What the client learned of a POST."""

    ACCEPTED = auto()
    REFUSED = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, kw_only=True)
class Post:
    """A POST of `wallet` as `sequence`, between two moments of one clock, by `who`."""

    began: float
    ended: float
    sequence: int
    wallet: str
    outcome: Outcome
    who: str = ""

    def __str__(self) -> str:
        return f"{self.who}: POST {self.sequence} {self.wallet!r}, {self.outcome.name.lower()}"


@dataclass(frozen=True, kw_only=True)
class Get:
    """What was current, by a GET or by the answer to a POST that was refused; 0 and no wallet if there was none."""

    began: float
    ended: float
    sequence: int
    wallet: str = ""
    who: str = ""

    def __str__(self) -> str:
        return f"{self.who}: GET {self.sequence} {self.wallet!r}"


Operation: TypeAlias = Post | Get


@dataclass(frozen=True)
class Fault:
    """What no register does.

    Attributes:
        sentence: what is wrong.
        operations: one or two that cannot both be so: the smallest part of the history that shows it.
    """

    sentence: str
    operations: tuple[Operation, ...]

    def __str__(self) -> str:
        ordered = sorted(self.operations, key=lambda each: each.began)
        first = ordered[0].began
        lines = (f"{each.began - first:8.3f} to {each.ended - first:.3f} s  {each}" for each in ordered)
        return "\n".join([f"{self.sentence}:", *lines])

    @property
    def size(self) -> tuple[int, float]:
        """How many operations it takes to see it, and how far apart they are."""
        moments = [moment for each in self.operations for moment in (each.began, each.ended)]
        return len(self.operations), max(moments) - min(moments)


def faults(history: Iterable[Operation]) -> list[Fault]:
    """Return what is wrong with the history of one account, the smallest first; nothing if it is linearizable.

    Each wallet is posted once. A POST of which nothing is known may have happened at any moment after it began, or not
    at all.
    """
    operations = sorted(history, key=lambda each: each.began)
    known = [each for each in operations if isinstance(each, Get) or each.outcome is Outcome.ACCEPTED]
    makers: dict[int, list[Post]] = {}
    for each in operations:
        if isinstance(each, Post) and each.outcome is not Outcome.REFUSED:
            makers.setdefault(each.sequence, []).append(each)
    found = (_wrong_wallets(known, makers) or _missing(known, makers)) + _backwards(known)
    return sorted(found, key=lambda fault: fault.size)


def _wrong_wallets(known: list[Operation], makers: dict[int, list[Post]]) -> list[Fault]:
    """Say of which sequences there were several wallets, or one that nobody posted as that."""
    shown: dict[int, list[Operation]] = {}
    for each in known:
        if each.sequence:
            shown.setdefault(each.sequence, []).append(each)
    found = []
    for sequence, (first, *more) in shown.items():
        posts = makers.get(sequence, [])
        accepted = [post for post in posts if post.outcome is Outcome.ACCEPTED]
        other = next((each for each in more if each.wallet != first.wallet), None)
        if len(accepted) > 1:
            found.append(Fault(f"sequence {sequence} was accepted more than once", tuple(accepted[:2])))
        elif other is not None:
            found.append(Fault(f"sequence {sequence} was more than one wallet", (first, other)))
        elif first.wallet not in {post.wallet for post in posts}:
            found.append(Fault(f"sequence {sequence} was a wallet that nobody posted as that", (first,)))
    return found


def _missing(known: list[Operation], makers: dict[int, list[Post]]) -> list[Fault]:
    """Say which sequences were there before it, or one before it, can have been made."""
    newest = max((each.sequence for each in known), default=0)
    first = [makers[number][0] if number in makers else None for number in range(1, newest + 1)]
    last = list(accumulate(first, _later))  # to be made of all up to a sequence
    found = []
    for each in known:
        maker = last[each.sequence - 1] if each.sequence else each
        if maker is None or each.ended < maker.began:
            found.append(Fault(f"sequence {each.sequence} came too early", (each, maker) if maker else (each,)))
    return found


def _later(one: Post | None, other: Post | None) -> Post | None:
    """Return the one that began later; none if one of them was never posted."""
    return max(one, other, key=lambda post: post.began) if one and other else None


def _backwards(known: list[Operation]) -> list[Fault]:
    """Say which operations were told of less than what was so when they began."""
    ended = deque(sorted(known, key=lambda each: each.ended))
    found: list[Fault] = []
    newest: Operation = Get(began=-inf, ended=-inf, sequence=0)
    for each in known:
        while ended[0].ended < each.began:
            newest = max(ended.popleft(), newest, key=lambda each: each.sequence)
        if each.sequence < newest.sequence + isinstance(each, Post):
            found.append(Fault(f"sequence {each.sequence} came after {newest.sequence}", (newest, each)))
    return found
