"""What a clock that somebody sets may do, and what it may not: let anything be purged that still lives."""

from datetime import timedelta

import pytest

from tests.server.helpers import PASSWORD, FakeClock
from tests.server.world import EMAIL, World
from walletsync_server.services.clocks import BELIEVED_AFTER, CautiousClock
from walletsync_server.services.errors import NoWallet
from walletsync_server.services.tokens import LIFETIME
from walletsync_server.services.turns import ANYBODY

YEAR = timedelta(days=365)


def test_clock_that_was_set_forward_is_believed_in_the_end() -> None:
    """At first time goes on as before; after a day in which nobody set it again, it is right."""
    clock = FakeClock()
    cautious, began = CautiousClock(clock, clock.seconds), clock.now
    clock.move(timedelta(hours=1))
    assert cautious() == clock.now
    clock.set(YEAR)
    assert cautious() == began + timedelta(hours=1)
    clock.move(BELIEVED_AFTER - timedelta(seconds=1))
    assert cautious() == began + timedelta(hours=25, seconds=-1)
    clock.move(timedelta(seconds=1))
    assert cautious() == clock.now


def test_clock_that_is_put_right_was_never_believed() -> None:
    """It has to go on for a day after each time that it was set."""
    clock = FakeClock()
    cautious, began = CautiousClock(clock, clock.seconds), clock.now
    for step in (YEAR, YEAR, -2 * YEAR):
        clock.set(step)
        assert cautious() == began + clock.passed
        clock.move(timedelta(hours=23))
    assert cautious() == clock.now == began + timedelta(hours=69)


def test_clock_that_was_set_back_is_believed_at_once() -> None:
    """By that less is purged; and small steps, by which a clock is put right, are believed."""
    clock = FakeClock()
    cautious = CautiousClock(clock, clock.seconds)
    clock.set(-YEAR)
    assert cautious() == clock.now
    clock.move(BELIEVED_AFTER)
    clock.set(timedelta(seconds=1))
    assert cautious() == clock.now


@pytest.mark.parametrize("wrong", [timedelta(hours=1), YEAR])
def test_wrong_clock_purges_nothing_that_lives(world: World, wrong: timedelta) -> None:
    """A token works again once the clock is right, whatever was purged or logged in meanwhile; so do sign-ups wait."""
    token = world.log_in("laptop")
    world.services.signups.add("bob@example.com", PASSWORD, None)
    world.clock.set(LIFETIME + wrong)
    world.log_in("phone")
    purges = [world.services.tokens.purge, world.services.signups.purge, world.services.known_clients.purge]
    assert [purge() for purge in purges] == [0, 0, 0]
    world.clock.set(-LIFETIME - wrong)
    with pytest.raises(NoWallet):
        world.read(token)
    signups = world.services.signups
    assert signups.wait("bob@example.com", signups.hash_of("bob@example.com", PASSWORD, ANYBODY))
    assert world.services.accounts.log_in(EMAIL, PASSWORD, "laptop")
