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
    """A POST of `wallet` as `sequence`, between two moments of one clock."""

    began: float
    ended: float
    sequence: int
    wallet: str
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class Get:
    """What was current, by a GET or by the answer to a POST that was refused; 0 and no wallet if there was none."""

    began: float
    ended: float
    sequence: int
    wallet: str = ""


Operation: TypeAlias = Post | Get


def faults(history: Iterable[Operation]) -> list[str]:
    """Return what is wrong with the history of one account; nothing if it is linearizable.

    Each wallet is posted once. A POST of which nothing is known may have happened at any moment after it began, or not
    at all.
    """
    operations = list(history)
    known = [each for each in operations if isinstance(each, Get) or each.outcome is Outcome.ACCEPTED]
    makers: dict[int, list[Post]] = {}
    for each in operations:
        if isinstance(each, Post) and each.outcome is not Outcome.REFUSED:
            makers.setdefault(each.sequence, []).append(each)
    return _wrong_wallets(known, makers) or _missing(known, makers) + _backwards(known)


def _wrong_wallets(known: list[Operation], makers: dict[int, list[Post]]) -> list[str]:
    """Say of which sequences there were several wallets, or one that nobody posted as that."""
    wallets: dict[int, list[str]] = {}
    for each in known:
        if each.sequence:
            wallets.setdefault(each.sequence, []).append(each.wallet)
    found = []
    for sequence, shown in wallets.items():
        posts = makers.get(sequence, [])
        if sum(post.outcome is Outcome.ACCEPTED for post in posts) > 1:
            found.append(f"sequence {sequence} was accepted more than once")
        elif len(set(shown)) > 1:
            found.append(f"sequence {sequence} was more than one wallet")
        elif shown[0] not in {post.wallet for post in posts}:
            found.append(f"sequence {sequence} was a wallet that nobody posted as that")
    return found


def _missing(known: list[Operation], makers: dict[int, list[Post]]) -> list[str]:
    """Say which sequences were there before it, or one before it, can have been made."""
    newest = max((each.sequence for each in known), default=0)
    began = [min((post.began for post in makers.get(number, [])), default=inf) for number in range(1, newest + 1)]
    possible = [-inf, *accumulate(began, max)]
    return [f"sequence {each.sequence} came too early" for each in known if each.ended < possible[each.sequence]]


def _backwards(known: list[Operation]) -> list[str]:
    """Say which operations were told of less than what was so when they began."""
    ended = deque(sorted(known, key=lambda each: each.ended))
    found, newest = [], 0
    for each in sorted(known, key=lambda each: each.began):
        while ended[0].ended < each.began:
            newest = max(newest, ended.popleft().sequence)
        if each.sequence < newest + isinstance(each, Post):
            found.append(f"sequence {each.sequence} came after {newest}")
    return found
