"""Who is told what, without a socket: the hub, and the services that use it."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from tests.server.helpers import PASSWORD, cheap_passwords
from tests.server.world import EMAIL, World
from walletsync_server.live.hub import MAX_LISTENERS, MAX_LISTENERS_PER_ACCOUNT, AccountIsFull, Hub, HubIsFull, Listener
from walletsync_server.services import build_services, errors
from walletsync_server.services.account_admin import AccountAdmin
from walletsync_server.services.coroutines import run_blocking
from walletsync_server.services.store import Store
from walletsync_server.services.tokens import LIFETIME
from walletsync_server.services.updates import LOOK_SECONDS, Updates
from walletsync_server.storage.interface import ReadTransaction
from walletsync_server.storage.sql import schema
from walletsync_server.storage.sqlite.opening import open_sqlite

SEED = bytes(32)


class Ear:
    """A listener of one account, with a count of the times it was woken."""

    def __init__(self, hub: Hub, account: int = 1, token: bytes = b"laptop's", epoch: int = 1) -> None:
        self.woken = 0
        self.listener: Listener = hub.listen(account, token, epoch, self._wake)

    def _wake(self) -> None:
        self.woken += 1


def test_each_listener_of_the_account_is_told() -> None:
    """Every device of the account learns the sequence, once; other accounts learn nothing."""
    hub = Hub()
    ears = [Ear(hub, token=name) for name in (b"laptop's", b"laptop's", b"phone's")]
    other = Ear(hub, account=2)
    hub.publish(1, 7)
    for ear in ears:
        assert (ear.woken, ear.listener.take(), ear.listener.take()) == (1, 7, None)
    assert (other.woken, other.listener.take()) == (0, None)


@pytest.mark.promise("P-107")
def test_slow_listener_keeps_the_newest_only() -> None:
    """Who does not take is woken once, and finds the newest sequence; then it is woken again."""
    hub = Hub()
    ear = Ear(hub)
    for sequence in range(1, 1000):
        hub.publish(1, sequence)
    assert (ear.woken, ear.listener.take()) == (1, 999)
    hub.publish(1, 1000)
    assert (ear.woken, ear.listener.take()) == (2, 1000)


@pytest.mark.promise("P-107")
def test_older_sequence_is_no_news() -> None:
    """Of two hints that overtook each other the newer one stays."""
    hub = Hub()
    ear = Ear(hub)
    hub.publish(1, 5)
    hub.publish(1, 4)
    assert ear.listener.take() == 5
    hub.publish(1, 5)
    assert (ear.woken, ear.listener.take()) == (1, None)


def test_hang_up_reaches_the_token_or_the_account() -> None:
    """Who listens with one token is hung up, or all of the account with tokens so old; nobody of another account."""
    hub = Hub()
    laptop, phone, other = Ear(hub), Ear(hub, token=b"phone's"), Ear(hub, account=2)
    newer = Ear(hub, token=b"newer", epoch=2)
    ears = (laptop, phone, other, newer)
    hub.hang_up(1, b"laptop's")
    assert [ear.listener.is_over for ear in ears] == [True, False, False, False]
    hub.hang_up_all(1, 1)
    assert [ear.listener.is_over for ear in ears] == [True, True, False, False]
    assert [ear.woken for ear in ears] == [1, 1, 0, 0]
    hub.hang_up_all(1, 2)
    assert newer.listener.is_over


def test_who_left_is_not_woken() -> None:
    """After `leave` nothing is told; leaving twice is fine, and so is telling an account that nobody listens to."""
    hub = Hub()
    gone, stays = Ear(hub), Ear(hub)
    hub.leave(gone.listener)
    hub.leave(gone.listener)
    hub.publish(1, 1)
    hub.hang_up_all(1, 1)
    assert (gone.woken, stays.woken, len(hub)) == (0, 1, 1)
    hub.leave(stays.listener)
    hub.publish(1, 2)
    hub.hang_up_all(1, 1)
    assert len(hub) == 0


def test_listeners_are_bounded() -> None:
    """An account has so many listeners, the server so many in all, and who leaves makes room."""
    hub = Hub(per_account=2, in_all=3)
    first, second, third = Ear(hub), Ear(hub), Ear(hub, account=2)
    with pytest.raises(HubIsFull):
        Ear(hub, account=2)
    hub.leave(third.listener)
    with pytest.raises(AccountIsFull):
        Ear(hub)
    hub.leave(first.listener)
    Ear(hub)
    assert (second.listener.is_over, len(hub)) == (False, 2)


@pytest.mark.parametrize("seed", [20261124])  # so that a failure names it
def test_any_thread_may_publish(seed: int) -> None:
    """Publishers in many threads, listeners that come, take and go: each that stays ends with the newest sequence."""
    hub, newest, threads = Hub(per_account=100), 400, 4
    sequences = list(range(1, newest + 1))
    random.Random(seed).shuffle(sequences)
    stays = Ear(hub)
    start = threading.Barrier(2 * threads)

    def publish(number: int) -> None:
        start.wait(20)
        for sequence in sequences[number::threads]:
            hub.publish(1, sequence)

    def come_and_go() -> None:
        start.wait(20)
        for _ in range(100):
            ear = Ear(hub)
            ear.listener.take()
            hub.leave(ear.listener)

    with ThreadPoolExecutor(2 * threads) as pool:
        runs = [pool.submit(publish, number) for number in range(threads)]
        runs += [pool.submit(come_and_go) for _ in range(threads)]
        for run in runs:
            run.result()
    assert stays.listener.take() == newest
    assert len(hub) == 1


@pytest.fixture
def hub(world: World) -> Hub:
    return world.hub


class Late(Hub):
    """Tells the first void token, or the first void epoch, only when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.late: list[Callable[[], None]] = []

    def hang_up(self, account_id: int, token: bytes) -> None:
        self.late.append(lambda: super(Late, self).hang_up(account_id, token))

    def hang_up_all(self, account_id: int, epoch: int) -> None:
        self.late.append(lambda: super(Late, self).hang_up_all(account_id, epoch))


@pytest.mark.parametrize("end", ["login", "revocation", "password"])
def test_late_hang_up_spares_the_new_token(tmp_path: Path, end: str) -> None:
    """What made an older token void may be told late: who listens with the device's new token goes on."""
    hub, storage = Late(), open_sqlite(tmp_path / "w.db", inline=True)
    services = build_services(
        storage, may_sign_up=lambda email: True, max_wallet_bytes=1, passwords=cheap_passwords(), hub=hub
    )
    services.accounts.sign_up(EMAIL, PASSWORD, SEED)
    first = services.accounts.log_in(EMAIL, PASSWORD, "laptop").token
    old = services.updates.listen(first, silence)
    password = PASSWORD
    if end == "login":
        services.accounts.log_in(EMAIL, PASSWORD, "laptop")
    elif end == "revocation":
        services.tokens.revoke_device(first, "laptop")
    else:
        password = "new password"
        services.password_change.change(EMAIL, PASSWORD, password, SEED, None)
    (late,) = hub.late
    new = services.updates.listen(services.accounts.log_in(EMAIL, password, "laptop").token, silence)
    late()
    assert (old.listener.is_over, new.listener.is_over) == (True, False)
    storage.close()


def account_of(world: World) -> int:
    account = world.storage.read(lambda transaction: transaction.find_account(EMAIL))
    assert account is not None
    return account.account_id


def listen(world: World, token: str) -> Listener:
    return world.services.updates.listen(token, silence).listener


def test_accepted_write_is_published(world: World, hub: Hub) -> None:
    """A write that was accepted is told; a retry and a conflict change nothing and tell nothing."""
    token = world.log_in()
    ear = Ear(hub, account_of(world))
    world.write(token, 1)
    assert ear.listener.take() == 1
    world.write(token, 1)
    with pytest.raises(errors.Conflict):
        world.write(token, 1, "another")
    assert (ear.woken, ear.listener.take()) == (1, None)


def test_void_token_is_hung_up(world: World, hub: Hub) -> None:
    """Logging out hangs up that device, and so does a new login of the device; others stay."""
    token = world.log_in("laptop")
    laptop, phone = listen(world, token), listen(world, world.log_in("phone"))
    world.log_in("phone")
    assert (laptop.is_over, phone.is_over) == (False, True)
    world.services.tokens.revoke(token)
    assert laptop.is_over


@pytest.mark.parametrize(
    ("end", "survives"),
    [
        (lambda world, token: world.services.tokens.revoke_device(token, "phone"), True),
        (lambda world, token: world.services.accounts.delete(EMAIL, PASSWORD), False),
        (
            lambda world, token: world.services.password_change.change(EMAIL, PASSWORD, "new password", SEED, None),
            False,
        ),
    ],
)
def test_end_of_a_token_is_told(world: World, hub: Hub, end: Callable[[World, str], object], survives: bool) -> None:
    """Revoking a device hangs up that device; a deletion and a change of the password hang up all."""
    token = world.log_in("laptop")
    laptop, phone = listen(world, token), listen(world, world.log_in("phone"))
    end(world, token)
    assert phone.is_over
    assert laptop.is_over is not survives


def test_refused_change_of_the_password_hangs_up_nobody(world: World, hub: Hub) -> None:
    """Neither a wrong password nor a retry closes a connection."""
    world.services.password_change.change(EMAIL, PASSWORD, "new password", SEED, None)
    ear = Ear(hub, account_of(world), epoch=2)
    world.services.password_change.change(EMAIL, PASSWORD, "new password", SEED, None)
    with pytest.raises(errors.WrongCredentials):
        world.services.password_change.change(EMAIL, PASSWORD, "another password", SEED, None)
    assert not ear.listener.is_over


def silence() -> None:
    """Wake nobody."""


@pytest.fixture
def amid(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object], Callable[[], object]], None]:
    """Let a test do something just before, and just after, somebody begins to listen."""
    listen = hub.listen

    def between(before: Callable[[], object], after: Callable[[], object]) -> None:
        def patched(account_id: int, token: bytes, epoch: int, wake: Callable[[], None]) -> Listener:
            before()
            listener = listen(account_id, token, epoch, wake)
            after()
            return listener

        monkeypatch.setattr(hub, "listen", patched)

    return between


def test_subscription_knows_the_current_wallet(world: World, hub: Hub) -> None:
    """Whoever begins to listen learns the current sequence, if there is one, and how long the token lives."""
    token = world.log_in()
    first = world.services.updates.listen(token, silence)
    assert first.listener.take() is None
    assert first.seconds == LIFETIME.total_seconds()
    world.write(token, 1)
    second = world.services.updates.listen(token, silence)
    assert second.listener.take() == 1
    first.leave()
    second.leave()
    assert len(hub) == 0


def test_no_write_is_lost_when_listening_begins(
    world: World, amid: Callable[[Callable[[], object], Callable[[], object]], None]
) -> None:
    """A write just before and one just after the beginning are both known."""
    token = world.log_in()
    amid(lambda: world.write(token, 1), silence)
    assert world.services.updates.listen(token, silence).listener.take() == 1
    amid(silence, lambda: world.write(token, 2))
    assert world.services.updates.listen(token, silence).listener.take() == 2


@pytest.mark.parametrize("late", [False, True])
def test_no_revocation_is_lost_when_listening_begins(
    world: World, hub: Hub, late: bool, amid: Callable[[Callable[[], object], Callable[[], object]], None]
) -> None:
    """A token that is revoked just before or just after the beginning does not listen."""
    token = world.log_in()

    def revoke() -> None:
        world.services.tokens.revoke(token)

    amid(silence, revoke) if late else amid(revoke, silence)
    with pytest.raises(errors.Unauthorized):
        world.services.updates.listen(token, silence)
    assert len(hub) == 0


@pytest.mark.promise("P-114")
def test_listening_is_refused_where_there_is_no_room(world: World, hub: Hub) -> None:
    """A full account and a full server are different refusals, and both say when to try again."""
    token = world.log_in()
    for _ in range(MAX_LISTENERS_PER_ACCOUNT):
        world.services.updates.listen(token, silence)
    with pytest.raises(errors.TooManySockets) as refused:
        world.services.updates.listen(token, silence)
    assert refused.value.retry_after > 0
    for account in range(MAX_LISTENERS - MAX_LISTENERS_PER_ACCOUNT):
        hub.listen(-account, b"laptop's", 1, silence)
    with pytest.raises(errors.Overloaded):
        world.services.updates.listen(token, silence)


def test_token_names_its_account_until_it_is_over(world: World) -> None:
    """What a door asks before it reads a large body: no token, an unknown, an expired and a live one."""
    token, account = world.log_in(), world.services.tokens.account_of
    assert [account(each) for each in (token, None, "", "0" * 64)] == [account_of(world), None, None, None]
    world.clock.move(LIFETIME)
    assert account(token) is None


def test_wallet_is_read_without_a_condition(world: World) -> None:
    """Who has no version yet gets the wallet."""
    token = world.log_in()
    written = world.write(token, 1)
    assert run_blocking(world.services.wallets.read(token)) == written


def test_token_made_void_by_another_process_is_found(world: World, hub: Hub) -> None:
    """Who listens for an account that was removed behind the server's back is hung up at the next look, nobody else."""
    laptop, phone = (listen(world, world.log_in(name)) for name in ("laptop", "phone"))
    assert world.services.updates.hang_up_void() == 0
    world.sql(delete(schema.tokens).where(schema.tokens.c.device_id == "phone"))
    world.clock.move(timedelta(seconds=LOOK_SECONDS - 1))
    assert world.services.updates.hang_up_void() == 0
    world.clock.move(timedelta(seconds=1))
    assert world.services.updates.hang_up_void() == 1
    assert (laptop.is_over, phone.is_over) == (False, True)


def test_who_is_cut_off_looks_each_time(world: World, hub: Hub) -> None:
    """What other servers make void is not told then; and once they are reached again it is looked for with the rest."""

    class Alone(Hub):
        reach = "cut off"

    cut_off, joined = (
        Updates(
            Store(world.storage),
            tokens=world.services.tokens,
            hub=hub,
            publisher=publisher,
            clock=world.clock,
            seconds=world.clock.seconds,
        )
        for publisher in (Alone(), hub)
    )
    laptop, phone, tablet = (listen(world, world.log_in(name)) for name in ("laptop", "phone", "tablet"))
    assert [cut_off.hang_up_void(), joined.hang_up_void()] == [0, 0]
    world.sql(delete(schema.tokens).where(schema.tokens.c.device_id == "phone"))
    assert [joined.hang_up_void(), cut_off.hang_up_void()] == [0, 1]
    hub.leave(phone)
    world.sql(delete(schema.tokens).where(schema.tokens.c.device_id == "tablet"))
    assert joined.tell_all() == 1
    assert [each.is_over for each in (laptop, phone, tablet)] == [False, True, True]


def test_many_tokens_are_looked_at_in_few_questions(world: World, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it costs little however many listen; and each is looked at."""
    monkeypatch.setattr("walletsync_server.services.updates.AT_ONCE", 2)
    listeners = {name: listen(world, world.log_in(name)) for name in "abcde"}
    world.sql(delete(schema.tokens).where(schema.tokens.c.device_id.in_(["a", "c", "e"])))
    questions, read = Counter[str](), world.storage.read

    def counting(work: Callable[[ReadTransaction], Any]) -> Any:
        questions["asked"] += 1
        return read(work)

    monkeypatch.setattr(world.storage, "read", counting)
    assert world.services.updates.hang_up_void() == 3
    assert "".join(name for name, each in listeners.items() if each.is_over) == "ace"
    assert questions["asked"] == 1 + 3


def test_token_of_which_another_process_told_is_found_at_once(world: World, hub: Hub) -> None:
    """What a command made void is looked for at the next occasion; that it told costs one look at all tokens."""
    listener = listen(world, world.log_in("laptop"))
    assert world.services.updates.hang_up_void() == 0
    AccountAdmin(Store(world.storage), world.clock).log_out(EMAIL, None)
    assert [world.services.updates.hang_up_void() for _ in range(2)] == [1, 0]
    assert listener.is_over


def test_token_that_the_clock_ended_is_found(world: World, hub: Hub) -> None:
    """Where the clock was set beyond a token's end, it is void, whatever the socket's own timer says."""
    laptop = listen(world, world.log_in("laptop"))
    world.clock.move(LIFETIME)
    phone = listen(world, world.log_in("phone"))
    assert world.services.updates.hang_up_void() == 1
    assert (laptop.is_over, phone.is_over) == (True, False)


def test_all_are_told_what_they_missed(world: World, hub: Hub) -> None:
    """After hints may have been lost each listener learns the current sequence, and each account is asked for once."""
    updates, token = world.services.updates, world.log_in()
    world.write(token, 1)
    told = updates.listen(token, lambda: None)
    assert told.listener.take() == 1
    missed = Ear(hub, account=told.listener.account_id)
    assert missed.listener.take() is None
    assert updates.tell_all() == 1
    assert (missed.woken, missed.listener.take(), told.listener.take()) == (1, 1, None)
    told.leave()
    hub.leave(missed.listener)
    assert updates.tell_all() == 0
