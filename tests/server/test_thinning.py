"""Which versions of a wallet are kept, as versions come: the rule alone, and what is left in the database."""

import random
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.server.helpers import API, FlaskWire, cheap_passwords, new_account
from tests.server.world import EMAIL, World
from walletsync.protocol import KEPT_VERSIONS
from walletsync_server.app import close_app, create_app
from walletsync_server.services import build_services, utc_now
from walletsync_server.services.account_admin import AccountAdmin
from walletsync_server.services.coroutines import run_blocking
from walletsync_server.services.store import Store
from walletsync_server.services.thinning import KEPT_DAYS, KEPT_HOURS, MOST_VERSIONS, superfluous
from walletsync_server.settings import Settings
from walletsync_server.storage.interface import StoredVersion
from walletsync_server.storage.sqlite.opening import open_sqlite

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLENTY = 10**9
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Came:
    """A version, and when it came to the minute."""

    stored: StoredVersion
    time: datetime


def came(times: Iterable[datetime], sizes: Sequence[int] = (1,)) -> list[Came]:
    """Return versions from 1 that came at these times, the newest first."""
    return [
        Came(StoredVersion(number, (time - EPOCH) // HOUR, sizes[number % len(sizes)]), time)
        for number, time in enumerate(times, 1)
    ][::-1]


def versions(times: Iterable[datetime], sizes: Sequence[int] = (1,)) -> list[StoredVersion]:
    return [each.stored for each in came(times, sizes)]


def kept(all_of_them: Sequence[StoredVersion], most_bytes: int = PLENTY) -> list[int]:
    gone = set(superfluous(all_of_them, most_bytes))
    return [version.sequence for version in all_of_them if version.sequence not in gone]


def kept_as_they_come(all_of_them: Sequence[StoredVersion], most_bytes: int = PLENTY) -> list[int]:
    """Return what is left when after each version those are dropped that need not be kept."""
    there: list[StoredVersion] = []
    for version in reversed(all_of_them):
        there.insert(0, version)
        gone = set(superfluous(there, most_bytes))
        there = [each for each in there if each.sequence not in gone]
    return [version.sequence for version in there]


@pytest.mark.promise("P-80")
def test_the_last_ten_and_the_first_are_kept() -> None:
    """However fast they come."""
    assert kept(versions([NOON] * 9)) == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert kept(versions([NOON] * 12)) == [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 1]


@pytest.mark.parametrize(("good", "loss"), [(1, NOON + MINUTE), (5, NOON + HOUR)], ids=["in its hour", "in the next"])
def test_what_was_there_before_a_loss_outlasts_what_follows(good: int, loss: datetime) -> None:
    """Forty versions at once, and one in each hour since; that is neither the first nor the last one of its day."""
    since = [NOON + number * HOUR for number in range(1, KEPT_HOURS)]
    there = versions([NOON - 2 * HOUR, *[NOON] * good, *[loss] * 40, *since])
    assert 1 + good in kept_as_they_come(there)


@pytest.mark.promise("P-80")
def test_two_an_hour_are_kept_for_a_day_and_two_a_day_for_a_month() -> None:
    """A version each ten minutes, for forty days: the first one of each hour and each day, and the last one before."""
    there = came(NOON + number * 10 * MINUTE for number in range(40 * 24 * 6))
    time_of = {each.stored.sequence: each.time for each in there}
    times = [time_of[sequence] for sequence in kept_as_they_come([each.stored for each in there])]
    assert times[:KEPT_VERSIONS] == [there[0].time - number * 10 * MINUTE for number in range(KEPT_VERSIONS)]
    newest_hour = there[0].time.replace(minute=0)
    newest_day = newest_hour.replace(hour=0)
    firsts = [newest_hour - number * HOUR for number in range(KEPT_HOURS)]
    firsts += [newest_day - number * DAY for number in range(KEPT_DAYS)]
    lasts = [first - 10 * MINUTE for first in firsts]
    assert set(times) == {*times[:KEPT_VERSIONS], *firsts, *lasts}
    assert len(times) <= MOST_VERSIONS


@pytest.mark.promise("P-80")
def test_a_wallet_that_seldom_changes_has_a_longer_past() -> None:
    """Days count that have a version: one a week is kept for as many weeks, and the one before the first of these."""
    assert len(kept(versions(NOON + number * 7 * DAY for number in range(50)))) == KEPT_DAYS + 1


@pytest.mark.promise("P-80")
def test_bytes_bound_what_is_kept_from_the_oldest_on() -> None:
    """The newest stay as far as there is room for all of them; the current one stays in any case."""
    there = versions([NOON] * 5, sizes=(3, 3, 3, 100, 3))  # version 3 is the large one
    assert [kept(there, most) for most in (0, 2, 3, 5, 6, 105, 106, 109)] == [
        [5],
        [5],
        [5],
        [5],
        [5, 4],
        [5, 4],
        [5, 4, 3],
        [5, 4, 3, 2],
    ]
    there = versions([NOON] * 12)
    assert [kept(there, most)[-1] for most in (9, 10, 11)] == [4, 3, 1]  # the first of the hour goes first


def test_whoever_drops_some_after_each_version_has_the_same_as_if_all_were_there() -> None:
    """Whatever times the versions came at, and wherever the clock was set to in between."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(60):
        now, times = NOON, []
        for _ in range(chance.randrange(1, 150)):
            now += chance.choice([MINUTE, 20 * MINUTE, 3 * HOUR, 2 * DAY, -HOUR, 400 * DAY, -400 * DAY])
            times.append(now)
        there = versions(times, sizes=[chance.randrange(1, 9) for _ in range(7)])
        left = kept_as_they_come(there)
        assert left == kept(there)
        assert left[:KEPT_VERSIONS] == [version.sequence for version in there[:KEPT_VERSIONS]]
        assert len(left) <= MOST_VERSIONS
        bound = chance.randrange(0, 200)
        bounded = kept_as_they_come(there, bound)
        assert bounded == kept([version for version in there if version.sequence >= bounded[-1]])
        assert set(bounded[:-1]) < set(left)
        sizes = {version.sequence: version.size for version in there}
        assert len(bounded) == 1 or sum(sizes[sequence] for sequence in bounded) <= bound


def test_a_clock_that_was_wrong_for_one_version_costs_none_of_the_others() -> None:
    """A year ahead once: what was kept before is kept after it."""
    times = [NOON + number * HOUR for number in range(20)]
    before = kept(versions(times))
    assert set(before) <= set(kept(versions([*times, NOON + 365 * DAY, NOON + 20 * HOUR])))


@pytest.mark.parametrize(("bound", "left"), [(PLENTY, 20), (5, 5)])
def test_versions_are_thinned_as_they_are_written(world: World, bound: int, left: int) -> None:
    """In the same transaction: the history lists what the rule says, and nothing else is in the database."""
    services = build_services(
        world.storage,
        may_sign_up=lambda email: True,
        max_wallet_bytes=1,
        kept_bytes=bound,
        clock=world.clock,
        passwords=cheap_passwords(),
    )
    token = world.log_in()
    for sequence in range(1, 41):
        run_blocking(services.wallets.write(token, sequence=sequence, encrypted_wallet="-", hmac="h"))
        world.clock.move(10 * MINUTE)
    last = [*range(40, 29, -1), 25, 24, 19, 18, 13, 12, 7, 6, 1][:left]
    assert [version.sequence for version in services.wallets.history(token)] == last
    account = world.storage.read(lambda transaction: transaction.find_account(EMAIL))
    assert account is not None
    assert world.storage.read(lambda t: [n for n in range(41) if t.digest_at(account.account_id, n)]) == last[::-1]


def test_the_operator_says_how_many_bytes_are_kept(tmp_path: Path) -> None:
    """The setting reaches the wallets of every account; a quota of one account goes before it."""
    settings = Settings(database=f"sqlite:///{tmp_path}/w.db", accounts="open", kept_bytes=2)
    app = create_app(settings, passwords=cheap_passwords())
    try:
        alice, bob = (new_account(FlaskWire(app)) for _ in range(2))
        with closing(open_sqlite(tmp_path / "w.db", inline=True)) as storage:
            assert AccountAdmin(Store(storage), utc_now).set_quota(bob.email, 4)
        for account, left in ((alice, [5, 4]), (bob, [5, 4, 3, 2])):
            for sequence in range(1, 6):
                assert account.post(sequence, "-").status == 200
            answer = account.wire("GET", f"{API}/wallet/history", token=account.token)
            assert [each["sequence"] for each in answer.json["versions"]] == left
    finally:
        close_app(app)
