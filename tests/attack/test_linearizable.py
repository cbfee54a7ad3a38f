"""Two servers on one PostgreSQL and one Valkey, all of which are killed meanwhile: each account is one register.

And the checker that says so, which must see what a broken server would do.
"""

from collections.abc import Collection
from functools import partial

import pytest

from tests.attack.broken import BrokenServer, acknowledge_before_the_commit, take_no_lock
from tests.attack.histories import ALL, VALKEY_STOPPED, Maker, seen_by_clients
from tests.attack.register import Get, Operation, Outcome, Post, faults
from tests.cheap_server import CheapServer
from tests.valkey import Valkey

FEW, MANY = 500, 10_000
ACCEPTED, REFUSED, UNKNOWN = Outcome.ACCEPTED, Outcome.REFUSED, Outcome.UNKNOWN


def post(began: float, ended: float, sequence: int, wallet: str, outcome: Outcome = ACCEPTED) -> Post:
    return Post(began=began, ended=ended, sequence=sequence, wallet=wallet, outcome=outcome, who="client 1")


def get(began: float, ended: float, sequence: int, wallet: str = "") -> Get:
    return Get(began=began, ended=ended, sequence=sequence, wallet=wallet)


RIGHT: dict[str, list[Operation]] = {
    "nothing": [],
    "one after the other": [get(0, 1, 0), post(2, 3, 1, "a"), get(4, 5, 1, "a"), post(6, 7, 2, "b"), get(8, 9, 2, "b")],
    "a GET beside a POST sees either": [post(0, 9, 1, "a"), get(1, 2, 0), get(3, 4, 1, "a")],
    "one of two is refused": [post(0, 5, 1, "a"), post(0, 5, 1, "b", REFUSED), get(0, 5, 1, "a")],
    "an unknown POST happened": [post(0, 1, 1, "a", UNKNOWN), get(2, 3, 1, "a"), post(4, 5, 2, "b")],
    "an unknown POST happened late": [post(0, 1, 1, "a", UNKNOWN), get(2, 3, 0), get(4, 5, 1, "a")],
    "an unknown POST did not happen": [post(0, 1, 1, "a", UNKNOWN), get(2, 3, 0), post(4, 5, 1, "b")],
}
WRONG: dict[str, tuple[list[Operation], str]] = {
    "acknowledged before the commit, and lost": ([post(0, 1, 1, "a"), get(2, 3, 0)], "came after 1"),
    "acknowledged, lost, and made again": ([post(0, 1, 1, "a"), post(2, 3, 1, "b")], "accepted more than once"),
    "no lock: both accepted": ([post(0, 5, 1, "a"), post(0, 5, 1, "b")], "accepted more than once"),
    "no lock: unknown ones, both seen": (
        [post(0, 1, 1, "a", UNKNOWN), post(0, 1, 1, "b", UNKNOWN), get(2, 3, 1, "a"), get(2, 3, 1, "b")],
        "more than one wallet",
    ),
    "a GET from a replica that lags": ([post(0, 1, 1, "a"), post(2, 3, 2, "b"), get(4, 5, 1, "a")], "came after 2"),
    "time runs back between two GETs": ([post(0, 9, 1, "a"), get(1, 2, 1, "a"), get(3, 4, 0)], "came after 1"),
    "a gap": ([post(0, 1, 1, "a"), post(2, 3, 3, "c")], "came too early"),
    "made after one that follows it": ([post(0, 1, 2, "b"), post(2, 3, 1, "a", UNKNOWN)], "came too early"),
    "seen before it was posted": ([get(0, 1, 1, "a"), post(2, 3, 1, "a")], "came too early"),
    "a refused POST was stored": ([post(0, 1, 1, "a", REFUSED), get(2, 3, 1, "a")], "nobody posted"),
    "another's wallet": ([post(0, 1, 1, "a"), get(2, 3, 1, "z")], "more than one wallet"),
}

_EARLY = partial(BrokenServer, acknowledge_before_the_commit)
BROKEN: dict[str, tuple[tuple[Maker, Maker], int, Collection[str]]] = {
    "both acknowledge before the commit": ((_EARLY, _EARLY), 0, ALL),
    "one takes no lock": ((partial(BrokenServer, take_no_lock), CheapServer), FEW, [VALKEY_STOPPED]),
}
"""With how many things clients do at such servers, at least, and what befalls these meanwhile."""


@pytest.mark.parametrize("name", RIGHT)
def test_what_a_register_can_do_is_right(name: str) -> None:
    """In whichever order the operations were written down."""
    assert faults(RIGHT[name]) == faults(RIGHT[name][::-1]) == []


@pytest.mark.parametrize("name", WRONG)
def test_what_a_broken_server_does_is_seen(name: str) -> None:
    """And named, with a part of the history that is wrong by itself."""
    history, said = WRONG[name]
    found = faults(history)
    assert any(said in fault.sentence for fault in found), found
    assert {fault.sentence for fault in found} == {fault.sentence for fault in faults(history[::-1])}
    for fault in found:
        assert len(fault.operations) <= 2
        assert fault.sentence in {each.sentence for each in faults(fault.operations)}


def test_what_is_wrong_is_shown_in_order() -> None:
    """The smallest part first, and of that who did what, and when after its beginning."""
    late = Get(began=9.25, ended=9.5, sequence=1, wallet="a", who="client 2")
    history: list[Operation] = [post(8, 9, 2, "b"), post(1, 2, 1, "a"), get(12, 14, 1, "a"), late]
    assert str(faults(history)[0]).splitlines() == [
        "sequence 1 came after 2:",
        "   0.000 to 1.000 s  client 1: POST 2 'b', accepted",
        "   1.250 to 1.500 s  client 2: GET 1 'a'",
    ]


@pytest.mark.promise("W-8")
@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.security)])
def test_each_account_is_one_register(count: int, valkey: Valkey) -> None:
    """Through two servers that are killed in turn, restarts of PostgreSQL, and times without Valkey."""
    seen = seen_by_clients((CheapServer, CheapServer), valkey, count)
    print(seen)
    assert not seen.faults(), seen.faults()[0]
    assert all(any(isinstance(each, Post) and each.outcome is ACCEPTED for each in one) for one in seen.histories)
    assert set(seen.struck) == set(ALL)


@pytest.mark.parametrize("name", BROKEN)
def test_broken_servers_are_found_out(name: str, valkey: Valkey) -> None:
    """By the same run, and two operations at most show it."""
    servers, count, blows = BROKEN[name]
    seen = seen_by_clients(servers, valkey, count, 1, blows)
    found = seen.faults()
    print(seen, *found[:3], sep="\n")
    assert found
    assert len(found[0].operations) <= 2
    assert found[0].sentence in {each.sentence for each in faults(found[0].operations)}
