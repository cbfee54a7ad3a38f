"""Where addresses are confirmed, nobody learns who has an account from what a request costs later requests."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.server.helpers import PASSWORD, FakeClock, cheap_passwords
from walletsync_server.services import Services, build_services
from walletsync_server.services.account_admin import AccountAdmin
from walletsync_server.services.errors import RateLimited, ServiceError
from walletsync_server.services.throttle import Rates
from walletsync_server.storage.sqlite.opening import open_sqlite

TAKEN, FREE = "taken@example.com", "nobody@example.com"
HOME, CAFE = "192.0.2.1", "198.51.100.1"
GUESS = "another password"
SEED = bytes(32)
NO_TIME, SOME_TIME, FORGOTTEN = timedelta(), timedelta(seconds=20), timedelta(hours=2)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@dataclass
class Worlds:
    """Two servers that differ in one thing: only on the first has TAKEN an account, whose owner logs in at HOME."""

    both: list[Services]

    def tell(self, ask: Callable[[Services], object]) -> list[str]:
        """Return what each of them answers."""
        return [told(partial(ask, services)) for services in self.both]

    def ask(self, name: str, client: str, email: str) -> list[str]:
        """Put one of `QUESTIONS` to both."""
        return self.tell(lambda services: QUESTIONS[name](services, client, email))


def told(ask: Callable[[], object]) -> str:
    """Return what a client sees of an answer."""
    try:
        return repr(ask())
    except ServiceError as error:
        return f"{type(error).__name__} {error} {getattr(error, 'retry_after', '')}"


@pytest.fixture
def worlds(tmp_path: Path, clock: FakeClock) -> Iterator[Worlds]:
    storages = [open_sqlite(tmp_path / f"{name}.db", inline=True) for name in ("with", "without")]
    made = [
        build_services(
            storage,
            may_sign_up=lambda email: True,
            max_wallet_bytes=1,
            confirm_addresses=True,
            clock=clock,
            seconds=clock.seconds,
            passwords=cheap_passwords(),
            rates=Rates(login="30/minute", signup="1000/hour", resend="20/hour"),
        )
        for storage in storages
    ]
    owner = made[0]
    owner.accounts.sign_up(TAKEN, PASSWORD, SEED, HOME)
    outgoing = owner.mail_queue.take()
    assert outgoing
    assert outgoing.link
    assert owner.signups.confirm(outgoing.link.token)
    owner.accounts.log_in(TAKEN, PASSWORD, "laptop", HOME)
    clock.move(FORGOTTEN)
    yield Worlds(made)
    for storage in storages:
        storage.close()


QUESTIONS: dict[str, Callable[[Services, str, str], object]] = {
    "login": lambda services, client, email: services.accounts.log_in(email, GUESS, "x", client),
    "deletion": lambda services, client, email: services.accounts.delete(email, GUESS, client),
    "change": lambda services, client, email: services.password_change.change(
        email, GUESS, GUESS + "!", SEED, None, client
    ),
    "sign-up": lambda services, client, email: services.accounts.sign_up(email, GUESS, SEED, client),
    "resend": lambda services, client, email: services.accounts.mail_again(email, client),
}


@pytest.mark.untraced  # far more steps than others
@pytest.mark.promise("S-19", "T-25")
def test_no_order_of_questions_tells_an_account(worlds: Worlds, clock: FakeClock) -> None:
    """Whatever is asked, from the owner's network and from others, both servers answer alike all the time."""
    kinds = {kind for _, kind in asked_in_any_order(worlds, clock, 3000)}
    assert kinds >= {"RateLimited", "WrongCredentials", "NotVerified", "False"}


def test_disabled_account_is_not_told_either(worlds: Worlds, clock: FakeClock) -> None:
    """Without its password it answers like an address that has none; only the right one is told."""
    AccountAdmin(worlds.both[0].accounts._store, clock).disable(TAKEN)
    kinds = {kind for _, kind in asked_in_any_order(worlds, clock, 500)}
    assert "WrongCredentials" in kinds
    assert "AccountDisabled" not in kinds
    clock.move(FORGOTTEN)
    right = worlds.tell(lambda services: services.accounts.log_in(TAKEN, PASSWORD, "laptop", HOME))
    assert [answer.split()[0] for answer in right] == ["AccountDisabled", "WrongCredentials"]


def asked_in_any_order(worlds: Worlds, clock: FakeClock, number: int) -> set[tuple[str, str]]:
    """Ask both servers so many questions, each of which they have to answer alike; return what was asked and told."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    seen = set()
    for _ in range(number):
        name = chance.choice(list(QUESTIONS))
        client = chance.choice([HOME, HOME, CAFE, f"203.0.113.{chance.randrange(9)}"])
        email = chance.choice([TAKEN, TAKEN, FREE])
        answers = worlds.ask(name, client, email)
        assert answers[0] == answers[1], (name, client, email)
        seen.add((name, answers[0].split()[0]))
        clock.move(chance.choice([NO_TIME, NO_TIME, SOME_TIME]))
    return seen


@pytest.mark.promise("S-24")
def test_owner_gets_in_where_all_others_are_turned_away(worlds: Worlds) -> None:
    """The right password is taken from the known network, while a wrong one there and any elsewhere are refused."""
    owner = worlds.both[0].accounts
    for number in range(100):
        worlds.ask("login", f"203.0.113.{number // 20}", TAKEN)
    for client, password in ((HOME, GUESS), (CAFE, GUESS), (CAFE, PASSWORD)):
        with pytest.raises(RateLimited):
            owner.log_in(TAKEN, password, "tablet", client)
    assert owner.log_in(TAKEN, PASSWORD, "tablet", HOME)


def test_right_password_is_not_told_to_those_who_are_turned_away(worlds: Worlds) -> None:
    """With it, a change of the password that is refused uses up as much, and changes nothing."""
    services = worlds.both[0]
    for number in range(100):
        worlds.ask("login", f"203.0.113.{number // 20}", TAKEN)
    left = []
    for client, password in (("198.51.100.7", PASSWORD), ("198.51.100.8", GUESS)):
        change = (TAKEN, password, GUESS + "!", SEED, None, client)
        refused = told(lambda c=change: services.password_change.change(*c))  # type: ignore[misc]
        assert refused.startswith("RateLimited")
        left.append([told(lambda c=change: services.password_change.change(*c)) for _ in range(15)])  # type: ignore[misc]
    assert left[0] == left[1]
    assert services.accounts.log_in(TAKEN, PASSWORD, "laptop", HOME)


@pytest.mark.promise("S-28")
def test_end_of_an_account_is_not_told_by_the_sign_ups_of_others(worlds: Worlds) -> None:
    """Who signed up with somebody's address goes on waiting when the account there is deleted; its owner's end."""
    services = worlds.both[0]
    assert worlds.tell(lambda each: each.accounts.sign_up(TAKEN, GUESS, SEED, CAFE)) == ["False"] * 2
    services.accounts.sign_up(TAKEN, PASSWORD, SEED, HOME)
    services.accounts.delete(TAKEN, PASSWORD, HOME)
    for ask in ("login", "deletion"):
        answers = worlds.ask(ask, CAFE, TAKEN)
        assert answers[0] == answers[1]
        assert answers[0].startswith("NotVerified")
    assert told(lambda: services.accounts.log_in(TAKEN, PASSWORD, "x", CAFE)).startswith("WrongCredentials")
