"""Who an account knows, and that its owner is among them whatever strangers do and whatever became of the tokens."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from tests.server.helpers import PASSWORD, FakeClock, cheap_passwords
from tests.server.world import EMAIL
from walletsync_server.services import Services, build_services
from walletsync_server.services.errors import Busy, RateLimited, WrongCredentials
from walletsync_server.services.known_clients import KNOWN_FOR
from walletsync_server.services.throttle import Rates
from walletsync_server.storage.sqlite.opening import open_sqlite

HOME, CAFE = "192.0.2.1", "198.51.100.1"
NEW_PASSWORD = "another login password"
SEED = bytes(32)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def restart(tmp_path: Path, clock: FakeClock) -> Iterator[Callable[[], Services]]:
    """Return services that remember no more than what is stored."""
    storage = open_sqlite(tmp_path / "w.db", inline=True)
    yield lambda: build_services(
        storage,
        may_sign_up=lambda email: True,
        max_wallet_bytes=1,
        clock=clock,
        seconds=clock.seconds,
        passwords=cheap_passwords(),
        rates=Rates(login="1000/minute"),
    )
    storage.close()


def attack(services: Services) -> None:
    """Use up what strangers may guess, from five addresses."""
    for number in range(100):
        with pytest.raises(WrongCredentials):
            services.accounts.log_in(EMAIL, "wrong", "x", f"203.0.113.{number // 20}")
    with pytest.raises(RateLimited):
        services.accounts.log_in(EMAIL, PASSWORD, "phone", "203.0.113.99")


def log_in_and_change(services: Services) -> None:
    """Log a device in at home, then change the password from there, which makes every token void."""
    services.accounts.sign_up(EMAIL, PASSWORD, SEED, HOME)
    services.accounts.log_in(EMAIL, PASSWORD, "laptop", HOME)
    services.password_change.change(EMAIL, PASSWORD, NEW_PASSWORD, SEED, None, HOME)


def test_owner_is_known_after_a_change_of_the_password_and_a_restart(restart: Callable[[], Services]) -> None:
    """The own device gets in from anywhere, a new one from home, while strangers have used up their guesses."""
    log_in_and_change(restart())
    services = restart()
    attack(services)
    assert services.accounts.log_in(EMAIL, NEW_PASSWORD, "laptop", CAFE)
    assert services.accounts.log_in(EMAIL, NEW_PASSWORD, "tablet", HOME)


def test_owner_is_known_after_a_logout_and_a_restart(restart: Callable[[], Services]) -> None:
    """A token that was revoked says nothing against its device."""
    services = restart()
    services.accounts.sign_up(EMAIL, PASSWORD, SEED, HOME)
    services.tokens.revoke(services.accounts.log_in(EMAIL, PASSWORD, "laptop", HOME).token)
    services = restart()
    attack(services)
    assert services.accounts.log_in(EMAIL, PASSWORD, "laptop", CAFE)


@pytest.mark.promise("S-23")
def test_nobody_is_known_for_ever(restart: Callable[[], Services], clock: FakeClock) -> None:
    """Who has not come for three months is a stranger, and then nothing of it is kept."""
    log_in_and_change(restart())
    services = restart()
    clock.move(KNOWN_FOR - timedelta(microseconds=1))
    assert services.known_clients.purge() == 0
    attack(services)
    assert services.accounts.log_in(EMAIL, NEW_PASSWORD, "laptop", CAFE)
    services.password_change.change(EMAIL, NEW_PASSWORD, PASSWORD, SEED, None, CAFE)
    clock.move(timedelta(microseconds=1))
    assert services.known_clients.purge() == 1  # home
    with pytest.raises(RateLimited):
        services.accounts.log_in(EMAIL, PASSWORD, "tablet", HOME)
    clock.move(KNOWN_FOR)
    assert services.known_clients.purge() == 2
    attack(services)
    with pytest.raises(RateLimited):
        services.accounts.log_in(EMAIL, PASSWORD, "laptop", CAFE)


@pytest.mark.promise("S-25")
def test_what_is_kept_recognises_nobody_without_the_secret(restart: Callable[[], Services], tmp_path: Path) -> None:
    """Whoever has the rows alone cannot try names of devices and addresses of networks for them."""
    log_in_and_change(restart())
    with closing(apsw.Connection(str(tmp_path / "w.db"))) as database:
        rows = list(database.execute("SELECT name FROM known_clients"))
        database.execute("DELETE FROM server_values WHERE name = 'secret'")
    assert len(rows) == 2  # the device, and its network
    assert not any(word in name for (name,) in rows for word in (b"laptop", HOME.encode(), EMAIL.encode()))
    services = restart()
    attack(services)
    with pytest.raises(RateLimited):
        services.accounts.log_in(EMAIL, NEW_PASSWORD, "laptop", HOME)


def test_clock_that_is_set_back_makes_nobody_wait(restart: Callable[[], Services], clock: FakeClock) -> None:
    """What was counted is over when its time has passed, whatever the clock on the wall says meanwhile."""
    services = restart()
    for _ in range(20):
        with pytest.raises(WrongCredentials):
            services.accounts.log_in(EMAIL, "wrong", "x", CAFE)
    clock.set(-timedelta(days=365))
    with pytest.raises(RateLimited) as refused:
        services.accounts.log_in(EMAIL, "wrong", "x", CAFE)
    assert refused.value.retry_after <= 3600


def test_busy_server_counts_no_guess(restart: Callable[[], Services], monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that comes back as often as it is told to gets in once the rush is over."""
    services = restart()
    log_in_and_change(services)

    def busy(*_: object, **more: object) -> bool:
        raise Busy(1)

    with monkeypatch.context() as rush:
        rush.setattr(services.passwords, "verify", busy)
        rush.setattr(services.passwords, "hash", busy)
        for _ in range(30):
            with pytest.raises(Busy):
                services.accounts.log_in(EMAIL, NEW_PASSWORD, "laptop", CAFE)
            with pytest.raises(Busy):
                services.password_change.change(EMAIL, NEW_PASSWORD, PASSWORD, SEED, None, HOME)
            with pytest.raises(Busy):
                services.accounts.sign_up("bob@example.com", PASSWORD, SEED, HOME)
    assert services.accounts.log_in(EMAIL, NEW_PASSWORD, "laptop", CAFE)
    services.password_change.change(EMAIL, NEW_PASSWORD, PASSWORD, SEED, None, HOME)
    assert services.accounts.sign_up("bob@example.com", PASSWORD, SEED, HOME)
