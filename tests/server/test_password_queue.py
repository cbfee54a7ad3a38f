"""What happens when more passwords come than can be hashed: they wait in turn, and beyond that they are refused."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from tests.server.front import served
from tests.server.helpers import PASSWORD, FlaskWire, HttpWire, fresh_email, sign_up, until
from walletsync_server.app import close_app, create_app
from walletsync_server.services.errors import Busy
from walletsync_server.services.passwords import Passwords
from walletsync_server.services.turns import Asker
from walletsync_server.settings import Settings
from walletsync_server.testing import UNLIMITED

AT_ONCE, QUEUE = 2, 3


class Slow(PasswordHasher):
    """Hashes only when it is let, and counts how many do so at once."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.open = threading.Event()
        self.open.set()
        self.lock = threading.Lock()
        self.running = self.most = 0

    def hash(self, *args: Any, **more: Any) -> str:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        assert self.open.wait(30)
        with self.lock:
            self.running -= 1
        return super().hash(*args, **more)


@pytest.fixture
def hasher() -> Slow:
    return Slow()


@pytest.fixture
def passwords(hasher: Slow) -> Passwords:
    made = Passwords(AT_ONCE, hasher, queue=QUEUE)
    hasher.open.clear()
    hasher.most = 0
    return made


@pytest.fixture
def pool(hasher: Slow) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool
        hasher.open.set()


def fill(passwords: Passwords, pool: ThreadPoolExecutor) -> list["Future[str]"]:
    """Begin as many as may run and wait; return when they do."""
    begun = [pool.submit(passwords.hash, PASSWORD) for _ in range(AT_ONCE + QUEUE)]
    until(lambda: (passwords.running, passwords.waiting) == (AT_ONCE, QUEUE))
    return begun


def test_those_who_wait_get_their_turn(passwords: Passwords, pool: ThreadPoolExecutor, hasher: Slow) -> None:
    """All that were let in are hashed, never more at once than may; then nobody runs and nobody waits."""
    begun = fill(passwords, pool)
    hasher.open.set()
    assert all(passwords.verify(each.result(30), PASSWORD) for each in begun)
    assert hasher.most == AT_ONCE
    assert (passwords.running, passwords.waiting) == (0, 0)


def test_one_too_many_is_refused_at_once(passwords: Passwords, pool: ThreadPoolExecutor, hasher: Slow) -> None:
    """Beyond the queue nobody waits: hashing and checking are refused, with a time to come back; later they work."""
    begun = fill(passwords, pool)
    for _ in range(3):
        with pytest.raises(Busy, match="try again in 1 second") as refused:
            passwords.verify(None, PASSWORD)
        assert refused.value.retry_after == 1
    with pytest.raises(Busy):
        passwords.hash(PASSWORD)
    hasher.open.set()
    stored = begun[0].result(30)
    until(lambda: passwords.waiting == 0)
    assert passwords.verify(stored, PASSWORD)
    assert not passwords.verify(stored, "another")


def asked(passwords: Passwords, pool: ThreadPoolExecutor, asker: Asker) -> "Future[str]":
    """Ask for one more; return when it waits, or is over already."""
    before, begun = passwords.waiting, pool.submit(passwords.hash, PASSWORD, asker=asker)
    until(lambda: begun.done() or passwords.waiting > before)
    return begun


def test_known_go_first(passwords: Passwords, pool: ThreadPoolExecutor, hasher: Slow) -> None:
    """Those who are known have places of their own, however full it is, and their turn comes before all strangers'."""
    strangers = fill(passwords, pool)
    known = [asked(passwords, pool, Asker("alice", is_known=True)) for _ in range(QUEUE)]
    assert asked(passwords, pool, Asker("alice", is_known=True)).exception(20)
    order: list[str] = []
    for name, group in (("stranger", strangers[AT_ONCE:]), ("known", known)):
        for each in group:
            each.add_done_callback(lambda _, name=name: order.append(name))  # type: ignore[misc]
    hasher.open.set()
    for each in [*strangers, *known]:
        assert each.result(30)
    assert order.index("known") < order.index("stranger")
    assert passwords.places == AT_ONCE + 2 * QUEUE


def test_one_neighbourhood_does_not_fill_the_queue(
    passwords: Passwords, pool: ThreadPoolExecutor, hasher: Slow
) -> None:
    """Who waits from where most wait gives way to somebody from elsewhere, the last first; nobody to their own kind."""
    begun = [pool.submit(passwords.hash, PASSWORD, asker=Asker("crowd")) for _ in range(AT_ONCE)]
    until(lambda: passwords.running == AT_ONCE)
    waiting = [asked(passwords, pool, Asker("crowd")) for _ in range(QUEUE)]
    with pytest.raises(Busy):
        passwords.hash(PASSWORD, asker=Asker("crowd"))
    elsewhere = pool.submit(passwords.hash, PASSWORD, asker=Asker("elsewhere"))
    assert isinstance(waiting[-1].exception(20), Busy)
    assert passwords.waiting == QUEUE
    with pytest.raises(Busy):  # there would be as many from there as from the crowd
        passwords.hash(PASSWORD, asker=Asker("elsewhere"))
    hasher.open.set()
    assert all(each.result(30) for each in [*begun, *waiting[:-1], elsewhere])


def test_place_is_given_back_after_a_failure(hasher: Slow) -> None:
    """A hash that fails leaves its turn to the next."""
    passwords = Passwords(1, hasher, queue=1)
    for _ in range(3):
        with pytest.raises(AttributeError):
            passwords.hash(None)  # type: ignore[arg-type]
    assert passwords.running == 0
    assert passwords.hash(PASSWORD)


def test_longer_queue_means_a_longer_wait(hasher: Slow) -> None:
    """Who is refused is told to come back when the queue will have moved on."""
    passwords = Passwords(1, hasher, queue=100)
    with ThreadPoolExecutor(101) as pool:
        hasher.open.clear()
        for _ in range(101):
            pool.submit(passwords.hash, PASSWORD)
        until(lambda: passwords.waiting == 100)
        with pytest.raises(Busy) as refused:
            passwords.hash(PASSWORD)
        hasher.open.set()
    assert refused.value.retry_after == 5


@pytest.mark.promise("P-126")
def test_busy_server_says_so(tmp_path: Path, hasher: Slow) -> None:
    """Over HTTP it is a 503 with Retry-After, and nothing was stored; who asks for no password is served."""
    passwords = Passwords(1, hasher, queue=1)
    settings = Settings(database=f"sqlite:///{tmp_path / 'w.db'}", accounts="open", **UNLIMITED)
    app = create_app(settings, passwords=passwords)
    wire, emails = FlaskWire(app), [fresh_email() for _ in range(3)]
    with ThreadPoolExecutor(2) as pool:
        hasher.open.clear()
        begun = [pool.submit(sign_up, wire, email) for email in emails[:2]]
        until(lambda: (passwords.running, passwords.waiting) == (1, 1))
        answer = sign_up(wire, emails[2])
        healthy = wire("GET", "/readyz")
        hasher.open.set()
        assert [each.result(30).status for each in begun] == [201, 201]
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "busy", "1")
    assert healthy.status == 200
    assert sign_up(wire, emails[2]).status == 201
    close_app(app)


def test_hashing_leaves_threads_for_others(tmp_path: Path, hasher: Slow) -> None:
    """However many hash and wait to, the front door answers what goes through Flask and needs no password."""
    settings = Settings(database=f"sqlite:///{tmp_path / 'w.db'}", accounts="open", **UNLIMITED)
    app = create_app(settings, passwords=Passwords(10, hasher, queue=20))
    hasher.open.clear()
    with served(app) as front, ThreadPoolExecutor(30) as pool:
        asked = [pool.submit(sign_up, HttpWire(front.url), fresh_email()) for _ in range(30)]
        until(lambda: hasher.running == 10)
        assert HttpWire(front.url)("GET", "/readyz").status == 200
        hasher.open.set()
        assert [each.result().status for each in asked] == [201] * 30
    close_app(app)
