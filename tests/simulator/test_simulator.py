"""Thousands of random histories of an account, each driven by a seed; and bugs, planted on purpose, that they catch.

`make test` runs 1,000, and for each of the bugs those among which it shows; `make security` runs 10,000.

A failure prints its history. `SIMULATOR_FIRST=4711 SIMULATOR_SEEDS=1` replays that of seed 4711.
"""

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

from tests.simulator.bugs import FIRST_SEEDS, HONEST, LYING, Bug
from tests.simulator.history import History
from tests.simulator.liar import HistoryWithLiar, Liar
from tests.simulator.lines import Broken
from tests.simulator.server import Server

FIRST = int(os.environ.get("SIMULATOR_FIRST", "0"))
SEEDS = int(os.environ.get("SIMULATOR_SEEDS", "1000"))
LIAR_SEEDS = max(min(SEEDS, 1000), SEEDS // 10)
SHARES = 10
ALL, ALL_SHARES = 10_000, 40
LIAR_SHARES = 5
BUG_SEEDS = 2000


@pytest.fixture
def server() -> Iterator[Server]:
    logging.getLogger("walletsync_server").setLevel(logging.CRITICAL)
    with Server() as server:
        yield server


def run_all(histories: Iterable[History]) -> None:
    for history in histories:
        history.run()


def seeds_for(bug: Bug) -> range:
    first = FIRST_SEEDS.get(bug.__name__, 0)
    return range(first, first + BUG_SEEDS)


@pytest.mark.promise("S-7")
@pytest.mark.parametrize("share", range(SHARES))
def test_every_history_converges_and_loses_no_edit(server: Server, share: int) -> None:
    """Requests are lost, doubled, late and swapped, processes end anywhere, passwords change: all ends well."""
    run_all(History(seed, server) for seed in range(FIRST + share, FIRST + SEEDS, SHARES))


@pytest.mark.security
@pytest.mark.parametrize("share", range(ALL_SHARES))
def test_ten_thousand_histories(server: Server, share: int) -> None:
    """The same, with more seeds."""
    run_all(History(seed, server) for seed in range(SEEDS + share, ALL, ALL_SHARES))


@pytest.mark.promise("S-2", "S-7", "T-5")
@pytest.mark.parametrize("share", range(LIAR_SHARES))
def test_no_lie_is_believed(server: Server, share: int) -> None:
    """Whatever a server shows, each device goes forward along one line, keeps its edits, and says what is wrong."""
    lies, refusals = Counter[str](), Counter[str]()
    for seed in range(FIRST + share, FIRST + LIAR_SEEDS, LIAR_SHARES):
        history = HistoryWithLiar(seed, server)
        history.run()
        lies += history.liar.lies
        refusals += history.refusals
    if LIAR_SEEDS >= 1000:
        assert set(lies) == Liar.LIES
        assert set(refusals) == {"RollbackDetected", "ForkDetected", "BadWallet", "ProtocolError"}


@pytest.mark.parametrize("bug", HONEST.values(), ids=HONEST)
def test_planted_bug_is_caught(server: Server, bug: Bug) -> None:
    """Each bug breaks one of the histories."""
    with bug(), pytest.raises(Broken):
        run_all(History(seed, server) for seed in seeds_for(bug))


@pytest.mark.parametrize("bug", LYING.values(), ids=LYING)
def test_planted_trust_is_caught(server: Server, bug: Bug) -> None:
    """Each bug lets a device believe a lie."""
    with bug(), pytest.raises(Broken):
        run_all(HistoryWithLiar(seed, server) for seed in seeds_for(bug))


def test_seed_replays_exactly(server: Server) -> None:
    """The same seed is the same history, to the last step; another one is another."""
    runs = [History(seed, server) for seed in (7, 7, 8)]
    for run in runs:
        run.run()
    assert runs[0].trace[1:] == runs[1].trace[1:] != runs[2].trace[1:]
