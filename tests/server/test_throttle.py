"""How often clients may ask: whose requests count together, who waits, and who is never shut out."""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from walletsync_server.services.errors import Busy, RateLimited
from walletsync_server.services.mail_queue import MAILS_PER_PERIOD
from walletsync_server.services.memory_counters import MemoryCounters
from walletsync_server.services.throttle import (
    MOST_KEYS,
    NO_RATES,
    OFF,
    Rates,
    Standing,
    Throttle,
    neighbourhood_of,
    network_of,
)

ALICE, BOB = "alice@example.com", "bob@example.com"
HOME, CAFE = "192.0.2.1", "198.51.100.7"
RATES = Rates(signup="2/hour", login="1000/minute", seed="3/minute;4/hour", resend="1/hour")
PAIR, STRANGERS = 20, 100
DEVICE, NETWORK, STRANGER = Standing


@dataclass
class Seconds:
    """A clock that stands until it is moved."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


def throttle_with(rates: Rates, clock: Seconds) -> Throttle:
    return Throttle(rates, secret=b"secret", counters=lambda _kind, most: MemoryCounters(most, clock), clock=clock)


@pytest.fixture
def throttle(clock: Seconds) -> Throttle:
    return throttle_with(RATES, clock)


def run(asked: AbstractContextManager[object] | None) -> None:
    """Do what is counted, if it is a block that counts."""
    if asked is not None:
        with asked:
            pass


def allowed(ask: Callable[[], Any], most: int = 2000) -> int:
    """Return how often `ask` works before it is refused."""
    for count in range(most):
        try:
            run(ask())
        except RateLimited:
            return count
    return most


def guesses(
    throttle: Throttle, client: str, email: str = ALICE, device: str = "", standing: Standing = STRANGER
) -> int:
    return allowed(lambda: wrong_guess(throttle, client, email, device, standing))


def wrong_guess(
    throttle: Throttle, client: str, email: str = ALICE, device: str = "", standing: Standing = STRANGER
) -> None:
    with throttle.guess(client, email, device, standing=standing) as guess:
        guess.judge(right=False)


def strange_network(number: int) -> str:
    return f"203.0.{number // 256}.{number % 256}"


def use_up_strangers(throttle: Throttle, email: str = ALICE) -> None:
    """Guess from many networks until every stranger is refused."""
    used = sum(guesses(throttle, strange_network(number), email) for number in range(10))
    assert used == STRANGERS


def test_each_network_has_its_own_allowance(throttle: Throttle) -> None:
    """Sign-ups of one network are refused after some; another network's are not, nor other kinds of requests."""
    assert allowed(lambda: throttle.sign_up(HOME)) == 2
    assert allowed(lambda: throttle.sign_up(CAFE)) == 2
    assert allowed(lambda: throttle.ask_for_mail_again(HOME)) == 1
    assert allowed(lambda: throttle.ask_for_seed(HOME)) == 3


@pytest.mark.promise("P-126")
def test_refusal_says_when_to_come_back(throttle: Throttle, clock: Seconds) -> None:
    """The wait is in whole seconds, at least one, and after it the request is taken."""
    throttle.ask_for_mail_again(HOME)
    clock.now += 3000.5
    with pytest.raises(RateLimited) as refused:
        throttle.ask_for_mail_again(HOME)
    assert refused.value.retry_after == 600
    assert "10 minutes" in str(refused.value)
    clock.now += refused.value.retry_after - 1
    with pytest.raises(RateLimited) as refused:
        throttle.ask_for_mail_again(HOME)
    assert refused.value.retry_after == 1
    assert "1 second." in str(refused.value)
    clock.now += 1
    throttle.ask_for_mail_again(HOME)


def test_several_rates_hold_together(throttle: Throttle, clock: Seconds) -> None:
    """Where two rates are given, both hold, and the wait is the longer one."""
    assert allowed(lambda: throttle.ask_for_seed(HOME)) == 3
    clock.now += 60
    with pytest.raises(RateLimited) as refused:
        throttle.ask_for_seed(HOME)
    assert refused.value.retry_after == 3600 - 60


@pytest.mark.promise("S-22")
def test_guesses_at_one_account_are_few(throttle: Throttle, clock: Seconds) -> None:
    """One network guesses a few times an hour at one account, and is free to log in to another one."""
    assert guesses(throttle, HOME) == PAIR
    assert guesses(throttle, HOME, BOB) == PAIR
    clock.now += 3600
    assert guesses(throttle, HOME) == PAIR


@pytest.mark.promise("S-27")
def test_all_strangers_together_guess_little(throttle: Throttle) -> None:
    """However many networks take part, an account is guessed at a hundred times an hour by strangers."""
    use_up_strangers(throttle)
    assert guesses(throttle, CAFE) == 0
    assert guesses(throttle, CAFE, BOB) == PAIR


def test_guesses_at_many_accounts_buy_none_at_one(throttle: Throttle) -> None:
    """However many other accounts are guessed at, what was guessed at one is not forgotten before its time."""
    use_up_strangers(throttle)
    for number in range(MOST_KEYS + 1):
        run(throttle.guess(strange_network(number % 256 + 256 * (number // 5000)), f"user{number}@example.com"))
    assert guesses(throttle, CAFE) == 0
    assert guesses(throttle, CAFE, BOB) == PAIR  # nor do they use up what others have


@pytest.mark.promise("S-22")
def test_network_guesses_little_at_all_accounts_together() -> None:
    """Trying one password at many accounts is limited by the network's own allowance."""
    throttle = throttle_with(replace(RATES, login="30/minute"), Seconds())
    numbers = iter(range(1000))
    assert allowed(lambda: throttle.guess(CAFE, f"user{next(numbers)}@example.com")) == 30


@pytest.mark.promise("S-23")
def test_known_device_is_never_locked_out(throttle: Throttle) -> None:
    """A device with a token gets in from anywhere, whatever strangers do: to its account, or beside it."""
    use_up_strangers(throttle)
    assert guesses(throttle, HOME) == 0
    assert guesses(throttle, HOME, device="laptop", standing=DEVICE) == PAIR
    assert guesses(throttle, HOME, device="phone", standing=DEVICE) == PAIR


def test_known_device_is_not_locked_out_by_its_neighbours() -> None:
    """Neither guesses at the same account nor at others, from the same network, use up a known device's allowance."""
    throttle = throttle_with(replace(RATES, login="5/minute"), Seconds())
    assert guesses(throttle, HOME, BOB) == 5
    assert guesses(throttle, HOME) == 0
    assert guesses(throttle, HOME, device="laptop", standing=DEVICE) == PAIR


def right_guess(throttle: Throttle, client: str, standing: Standing) -> None:
    with throttle.guess(client, ALICE, standing=standing) as guess:
        guess.judge(right=True)


def test_known_network_is_not_locked_out_from_elsewhere(throttle: Throttle) -> None:
    """From where somebody logged in before, a new device gets in as well; nobody elsewhere profits."""
    use_up_strangers(throttle)
    assert allowed(lambda: right_guess(throttle, CAFE, STRANGER)) == 0
    assert allowed(lambda: right_guess(throttle, HOME, NETWORK)) == PAIR


@pytest.mark.untraced  # far more steps than others
@pytest.mark.promise("S-24")
def test_known_network_cannot_be_told_by_wrong_guesses(clock: Seconds) -> None:
    """They are answered alike, use up as much of everything, and say the same time, in any order with others."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    for number in range(50):
        told = [history(random.Random(seed + number), standing) for standing in (NETWORK, STRANGER)]
        assert told[0] == told[1]


def history(chance: random.Random, standing: Standing) -> list[int | None]:
    """Return what comes of wrong guesses at ALICE from HOME, and at others and from elsewhere: seconds to wait."""
    clock, told = Seconds(), list[int | None]()
    throttle = throttle_with(replace(RATES, login="30/minute"), clock)
    for _ in range(400):
        client, email = chance.choice([HOME, HOME, *map(strange_network, range(5))]), chance.choice([ALICE, ALICE, BOB])
        is_known = (client, email) == (HOME, ALICE)
        try:
            wrong_guess(throttle, client, email, standing=standing if is_known else STRANGER)
        except RateLimited as refused:
            told.append(refused.retry_after)
        else:
            told.append(None)
        clock.now += chance.choice([0, 0, 0, 20])
    return told


def test_what_was_not_done_is_not_counted(throttle: Throttle) -> None:
    """Who is turned away because the server is busy has lost nothing of any allowance; any other end counts."""

    def fail(ask: Callable[[], AbstractContextManager[object]], error: Exception) -> None:
        with pytest.raises(type(error)), ask():
            raise error

    for _ in range(2 * STRANGERS):
        fail(lambda: throttle.guess(HOME, ALICE), Busy(1))
        fail(lambda: throttle.guess(HOME, ALICE, "laptop", standing=DEVICE), Busy(1))
        fail(lambda: throttle.sign_up(HOME), Busy(1))
        fail(lambda: throttle.ask_for_mail(HOME, ALICE), Busy(1))
    fail(lambda: throttle.guess(HOME, ALICE), ValueError())
    assert guesses(throttle, HOME) == PAIR - 1
    assert guesses(throttle, HOME, device="laptop", standing=DEVICE) == PAIR
    assert allowed(lambda: throttle.sign_up(HOME)) == 2
    assert allowed(lambda: throttle.ask_for_mail(HOME, ALICE)) == 3


def test_what_is_taken_back_late_buys_nothing(throttle: Throttle, clock: Seconds) -> None:
    """Where the window is over meanwhile, there is nothing to give back."""

    def begin_and_be_turned_away_later() -> None:
        with throttle.sign_up(HOME):
            clock.now += 3600
            raise Busy(1)

    with pytest.raises(Busy):
        begin_and_be_turned_away_later()
    assert allowed(lambda: throttle.sign_up(HOME)) == 2


def test_address_without_account_is_treated_alike(throttle: Throttle) -> None:
    """The throttle is not told whether an account exists: for strangers the same numbers hold."""
    for email in (ALICE, "nobody@example.com"):
        assert guesses(throttle, HOME, email, device="laptop") == PAIR
        assert sum(guesses(throttle, strange_network(number), email) for number in range(10)) == STRANGERS - PAIR


def test_off_is_off() -> None:
    """An operator, or a test, can do without limits."""
    throttle = throttle_with(NO_RATES, Seconds())
    asks: list[Callable[[], Any]] = [
        lambda: throttle.sign_up(HOME),
        lambda: throttle.ask_for_seed(HOME),
        lambda: throttle.ask_for_mail_again(HOME),
        lambda: throttle.guess(HOME, ALICE),
        lambda: throttle.guess(HOME, ALICE, "laptop", standing=DEVICE),
    ]
    assert [allowed(ask, 500) for ask in asks] == [500] * 5


def test_what_is_counted_names_nobody(clock: Seconds) -> None:
    """The keys hold no address and no device, and differ under another secret."""
    keys: list[set[str]] = []

    class Noted(MemoryCounters):
        def incr(self, key: str, expiry: int, amount: int = 1) -> int:
            keys[-1].add(key)
            return super().incr(key, expiry, amount)

    for secret in (b"secret", b"other"):
        keys.append(set())
        throttle = Throttle(RATES, secret=secret, counters=lambda _kind, most: Noted(most, clock), clock=clock)
        run(throttle.sign_up(HOME))
        run(throttle.guess(HOME, ALICE, "laptop"))
        run(throttle.guess(HOME, ALICE, "laptop", standing=DEVICE))
    mine, others = keys
    assert len(mine) == len(others) == 5
    assert not any(word in key for key in mine for word in (HOME, ALICE, "laptop"))
    assert not mine & others


def test_kinds_of_limits_have_counters_of_their_own(clock: Seconds) -> None:
    """Counters are made once for each kind, by its name, so that a store of several servers can keep them apart."""
    made: dict[str, MemoryCounters] = {}

    def make(kind: str, most: int) -> MemoryCounters:
        assert kind not in made
        made[kind] = MemoryCounters(most, clock)
        return made[kind]

    throttle = Throttle(RATES, secret=b"s", counters=make, clock=clock)
    run(throttle.sign_up(HOME))
    assert {kind: len(counters) for kind, counters in made.items() if len(counters)} == {"signup": 1}
    assert made.keys() == {"signup", "seed", "resend", "mail", "login", "pair", "strangers"}


@pytest.mark.promise("S-27")
@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("somewhere", "somewhere"),
    ],
)
def test_networks(client: str, network: str) -> None:
    """An IPv4 address counts by itself, however it is written; of IPv6 a household's 64 bits."""
    assert network_of(client) == network


@pytest.mark.promise("P-19")
@pytest.mark.parametrize(
    ("client", "neighbourhood"),
    [
        ("192.0.2.1", "192.0.2.0/24"),
        ("::ffff:192.0.2.1", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("", ""),
        ("somewhere", "somewhere"),
    ],
)
def test_neighbourhoods(client: str, neighbourhood: str) -> None:
    """What may well belong to one person shares its part of the queue for passwords."""
    assert neighbourhood_of(client) == neighbourhood


def test_counters_are_bounded() -> None:
    """With more clients than there is room for, the oldest counter goes; the others go on."""
    counters = MemoryCounters(3, Seconds())
    for key in "abcd":
        counters.incr(key, 60)
    assert len(counters) == 3
    assert [counters.get(key) for key in "abcd"] == [0, 1, 1, 1]
    assert counters.incr("b", 60) == 2
    assert len(counters) == 3


def test_counters_that_are_over_make_room() -> None:
    """MemoryCounters whose window is over do not stay, and one that begins again is the youngest."""
    clock = Seconds()
    counters = MemoryCounters(3, clock)
    counters.incr("a", 10)
    counters.incr("b", 20)
    clock.now += 10
    assert counters.get("a") == 0
    assert counters.get_expiry("a") == clock.now
    assert counters.get_expiry("b") == clock.now + 10
    assert counters.incr("a", 30) == 1
    assert len(counters) == 2
    clock.now += 10
    counters.incr("c", 10)
    assert (len(counters), counters.get("a"), counters.get("b")) == (2, 1, 0)
    clock.now += 10
    counters.incr("d", 30)
    clock.now += 1
    assert counters.incr("c", 30) == 1
    assert len(counters) == 3
    counters.incr("e", 10)
    assert [counters.get(key) for key in "adce"] == [0, 1, 1, 1]


def test_counters_do_what_a_storage_does() -> None:
    """They are cleared one by one or all at once, and always work."""
    counters = MemoryCounters(5)
    for key in "abc":
        counters.incr(key, 60, amount=2)
    counters.clear("a")
    counters.clear("a")
    assert [counters.get(key) for key in "abc"] == [0, 2, 2]
    assert counters.reset() == 2
    assert (len(counters), counters.check()) == (0, True)
    assert not issubclass(ValueError, counters.base_exceptions)


@pytest.mark.promise("S-21")
def test_one_network_cannot_use_up_the_mails_of_an_address(throttle: Throttle, clock: Seconds) -> None:
    """What one network may have mailed to an address leaves room for its owner; others and other addresses wait not."""
    assert allowed(lambda: throttle.ask_for_mail(HOME, ALICE)) == 3 < MAILS_PER_PERIOD
    assert allowed(lambda: throttle.ask_for_mail(HOME, "bob@example.com")) == 3
    assert allowed(lambda: throttle.ask_for_mail(strange_network(1), ALICE)) == 3
    clock.now += 3600
    assert allowed(lambda: throttle.ask_for_mail(HOME, ALICE)) == 3


def test_new_rates_apply_at_once_and_forget_nothing(clock: Seconds) -> None:
    """What was counted under a rate that stays still counts; what was begun under another is taken back there."""
    throttle = throttle_with(Rates(seed="3/hour", signup="2/hour", login=OFF, resend=OFF), clock)
    assert allowed(lambda: throttle.ask_for_seed(HOME)) == 3

    def apply_and_fail() -> None:
        with throttle.sign_up(HOME):
            throttle.apply(Rates(seed="3/hour", signup="1/hour", login=OFF, resend="1/hour"))
            raise Busy(1)

    with pytest.raises(Busy):
        apply_and_fail()
    assert allowed(lambda: throttle.ask_for_seed(HOME)) == 0
    assert allowed(lambda: throttle.sign_up(HOME)) == 1
    assert allowed(lambda: throttle.ask_for_mail_again(HOME)) == 1
    throttle.apply(Rates(seed=OFF, signup="2/hour", login=OFF, resend=OFF))
    assert allowed(lambda: throttle.ask_for_seed(HOME), most=10) == 10
    assert allowed(lambda: throttle.sign_up(HOME)) == 2
