"""Thirty days of careless programs and people, each driven by a seed: no edit is lost without a word.

A failure prints its history, which begins with its seed: `python -m tests.edge --first 4711 --seeds 1` replays it.
"""

import pytest

from tests.edge.bugs import BUGS, Bug
from tests.edge.history import Broken, History

SEEDS = 500  # each takes some 20 ms
SHARES = 4
BUG_SEEDS = 100
ALL = 10_000


def run_all(seeds: range) -> tuple[int, int]:
    """Return how often careful programs wrote, and about how much they were asked."""
    histories = [History(seed) for seed in seeds]
    for history in histories:
        history.run()
    return sum(each.takes for each in histories), sum(each.alarms for each in histories)


@pytest.mark.parametrize("share", range(SHARES))
def test_no_edit_is_lost_and_no_deletion_undone(share: int) -> None:
    """Programs save from memory, import or not, export all or a part, cut files short and lose their labels; and who
    always imports before writing is hardly ever asked about anything."""
    takes, alarms = run_all(range(share, SEEDS, SHARES))
    assert alarms < takes / 100


@pytest.mark.security
@pytest.mark.parametrize("share", range(40))
def test_ten_thousand_histories(share: int) -> None:
    """The same, with more seeds."""
    run_all(range(SEEDS + share, ALL, 40))


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
def test_each_part_of_the_rule_is_needed(bug: Bug) -> None:
    """Taken out, something is lost in one of a few histories."""
    with bug(), pytest.raises(Broken):
        run_all(range(BUG_SEEDS))


def test_a_seed_replays_exactly() -> None:
    """The same seed is the same history, to the last step; another one is another."""
    runs = [History(seed) for seed in (7, 7, 8)]
    for run in runs:
        run.run()
    assert runs[0].trace[1:] == runs[1].trace[1:] != runs[2].trace[1:]
