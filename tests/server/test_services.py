"""What the server promises, without HTTP: accounts, tokens, wallets, and every race that a recheck decides."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from operator import methodcaller
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import delete, update

from tests.server.helpers import PASSWORD, cheap_passwords
from tests.server.world import EMAIL, LIMIT, World
from walletsync.protocol import KEPT_VERSIONS, MAX_DEVICES, MAX_SEQUENCE
from walletsync_server.api.errors import STATUS
from walletsync_server.services import build_services, errors
from walletsync_server.services.coroutines import run_blocking
from walletsync_server.services.figures import LATELY_SECONDS, Figures
from walletsync_server.services.passwords import Passwords
from walletsync_server.services.store import Store
from walletsync_server.services.tokens import LIFETIME
from walletsync_server.storage.interface import (
    ReadTransaction,
    Storage,
    StorageError,
)
from walletsync_server.storage.sql import schema
from walletsync_server.storage.sql.queries import SqlWriteTransaction
from walletsync_server.storage.sqlite.opening import open_sqlite

T = TypeVar("T")


def test_sign_up_of_another_address_is_refused(world: World) -> None:
    """Who may not sign up is refused, and has no account."""
    with pytest.raises(errors.NotAllowed):
        world.services.accounts.sign_up("eve@example.com", PASSWORD, None)
    with pytest.raises(errors.WrongCredentials):
        world.log_in(email="eve@example.com")


@pytest.mark.parametrize(("password", "seed"), [("another", bytes(32)), (PASSWORD, None)])
def test_sign_up_of_a_taken_address_is_refused(world: World, password: str, seed: bytes | None) -> None:
    """Another password or seed is another person, or another try: refused."""
    with pytest.raises(errors.AccountExists):
        world.services.accounts.sign_up(EMAIL, password, seed)


def test_sign_up_again_changes_nothing(world: World) -> None:
    """The same again is a lost answer: tokens and wallet stay."""
    token = world.log_in()
    world.write(token, 1)
    world.services.accounts.sign_up(EMAIL, PASSWORD, bytes(32))
    assert world.read(token)


def test_sign_up_whose_rival_vanished_is_refused(world: World) -> None:
    """If the account that held the address is gone when it is compared, the client is told to look again."""
    read = world.storage.read

    def vanish(work: Callable[[ReadTransaction], T]) -> T:
        world.sql(delete(schema.accounts))
        return read(work)

    world.storage.read = vanish  # type: ignore[method-assign]
    with pytest.raises(errors.AccountExists):
        world.services.accounts.sign_up(EMAIL, PASSWORD, bytes(32))


def test_login_during_a_password_change_is_refused(world: World) -> None:
    """A password that was right when it was checked, and changed before the token was made, opens nothing."""
    world.storage.before_write = lambda: world.sql(update(schema.accounts).values({"epoch": 2}))
    with pytest.raises(errors.WrongCredentials):
        world.log_in()


def test_login_during_a_deletion_is_refused(world: World) -> None:
    """The same for an account that is gone."""
    world.storage.before_write = lambda: world.sql(delete(schema.accounts))
    with pytest.raises(errors.WrongCredentials):
        world.log_in()


@pytest.fixture
def hashed(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Return a list that grows by "new" for a hash and by the stored one for a check; neither runs inside a write."""
    seen: list[str | None] = []
    hash_, verify = Passwords.hash, Passwords.verify

    def hash_outside(self: Passwords, password: str, **more: Any) -> str:
        assert not world.storage.writing
        seen.append("new")
        return hash_(self, password, **more)

    def verify_outside(self: Passwords, stored: str | None, password: str, **more: Any) -> bool:
        assert not world.storage.writing
        seen.append(stored)
        return verify(self, stored, password, **more)

    monkeypatch.setattr(Passwords, "hash", hash_outside)
    monkeypatch.setattr(Passwords, "verify", verify_outside)
    return seen


def test_hashing_holds_up_no_write(world: World, hashed: list[str | None]) -> None:
    """Sign-up, its retry and login hash before or after their transaction, never inside."""
    for _ in range(2):
        world.services.accounts.sign_up("bob@example.com", PASSWORD, None)
    world.log_in(email="bob@example.com")
    assert [each == "new" for each in hashed] == [True, True, False, False]


def test_unknown_address_costs_a_check(world: World, hashed: list[str | None]) -> None:
    """A login to an address without an account does the work of one with a wrong password."""
    with pytest.raises(errors.WrongCredentials):
        world.log_in(email="nobody@example.com")
    assert hashed == [None]


def test_times_are_those_of_the_clock(world: World) -> None:
    """An account, a token and a version of the wallet remember when they came."""
    start = world.clock.now
    world.clock.move(timedelta(hours=1))
    token = world.log_in()
    world.clock.move(timedelta(hours=1))
    world.write(token, 1)
    world.clock.move(timedelta(hours=1))
    second = world.write(token, 2)
    account = world.storage.read(lambda t: t.find_account(EMAIL))
    kept = world.storage.read(lambda t: t.find_token(sha256(token.encode()).digest()))
    assert account is not None
    assert kept is not None
    versions = world.services.wallets.history(token)
    times = [account.created_at, kept.created_at, *(version.stored_at for version in reversed(versions))]
    assert times == [start + timedelta(hours=hours) for hours in range(4)]
    assert kept.expires_at == kept.created_at + LIFETIME
    assert world.read(token) == second


@pytest.mark.promise("P-33")
def test_token_lives_fourteen_days(world: World) -> None:
    """A token works until its time is over, and not at that moment any more."""
    token = world.log_in()
    world.write(token, 1)
    world.clock.move(LIFETIME - timedelta(microseconds=1))
    assert world.read(token)
    world.clock.move(timedelta(microseconds=1))
    for use in (
        lambda: world.read(token),
        lambda: world.write(token, 2),
        lambda: world.services.tokens.revoke(token),
    ):
        with pytest.raises(errors.Unauthorized):
            use()
    assert timedelta(days=14) == LIFETIME


@pytest.mark.promise("P-39")
def test_account_has_at_most_a_hundred_devices(world: World) -> None:
    """The 101st device is refused until one logs out; a device that has a token gets a new one at any time."""
    tokens = [world.log_in(f"device {number}") for number in range(MAX_DEVICES)]
    assert MAX_DEVICES == 100
    with pytest.raises(errors.TooManyDevices):
        world.log_in("one more")
    replaced = world.log_in("device 0")
    world.services.tokens.revoke(tokens[1])
    world.log_in("one more")
    with pytest.raises(errors.TooManyDevices):
        world.log_in("two more")
    for token in (tokens[2], replaced):
        with pytest.raises(errors.NoWallet):
            world.read(token)


def test_expired_tokens_make_room(world: World) -> None:
    """Devices that were not seen for long do not count."""
    for number in range(MAX_DEVICES):
        world.log_in(f"device {number}")
    world.clock.move(LIFETIME)
    world.log_in("one more")


@pytest.mark.parametrize("token", [None, "", "0" * 64, "ä"])
def test_no_token_is_unauthorized(world: World, token: str | None) -> None:
    """Nothing works without a token that is known."""
    with pytest.raises(errors.Unauthorized):
        world.services.tokens.revoke(token)


def test_write_with_a_token_revoked_meanwhile_is_refused(world: World) -> None:
    """A token that dies between its check and the write writes nothing."""
    token, other = world.log_in(), world.log_in("phone")
    world.write(token, 1)
    world.storage.before_write = lambda: world.services.tokens.revoke(token)
    with pytest.raises(errors.Unauthorized):
        world.write(token, 2)
    assert world.write(other, 2).sequence == 2


def test_token_that_expires_before_the_write_is_refused(world: World) -> None:
    """A token that was alive when it was checked and is over when the write has its turn does nothing."""
    token = world.log_in()
    world.write(token, 1)
    world.clock.move(LIFETIME - timedelta(seconds=1))
    for use in (lambda: world.write(token, 2), lambda: world.services.tokens.revoke(token)):
        world.storage.before_write = lambda: world.clock.move(timedelta(seconds=1))
        with pytest.raises(errors.Unauthorized):
            use()
        world.clock.move(-timedelta(seconds=1))
    assert world.write(token, 2).sequence == 2


def test_write_into_a_deleted_account_is_refused(world: World) -> None:
    """An account that vanishes between check and write takes nothing any more."""
    token = world.log_in()

    def vanish() -> None:
        for table in (schema.tokens, schema.known_clients, schema.accounts):
            world.sql(delete(table))

    world.storage.before_write = vanish
    with pytest.raises(errors.Unauthorized):
        world.write(token, 1)


def test_token_revoked_twice_at_once_is_refused_once(world: World) -> None:
    """The second of two logouts finds no token."""
    token = world.log_in()
    world.storage.before_write = lambda: world.services.tokens.revoke(token)
    with pytest.raises(errors.Unauthorized):
        world.services.tokens.revoke(token)


@pytest.mark.promise("W-8")
def test_write_that_lost_the_race_is_a_conflict(world: World) -> None:
    """Of two writes with the next sequence the later one gets the other's wallet, and knows it was not applied."""
    laptop, phone = world.log_in(), world.log_in("phone")
    world.storage.before_write = lambda: world.write(phone, 1, "phone")
    with pytest.raises(errors.Conflict) as raised:
        world.write(laptop, 1, "laptop")
    assert raised.value.current.encrypted_wallet == "phone"
    assert raised.value.applied is False


@pytest.mark.promise("N-2", "N-6")
def test_same_write_twice_at_once_is_accepted_once(world: World) -> None:
    """A retry that runs beside its original is 200 for both, and one version."""
    token = world.log_in()
    world.storage.before_write = lambda: world.write(token, 1)
    assert world.write(token, 1).sequence == 1
    assert world.write(token, 2).sequence == 2


def test_sequence_stops_at_its_end(world: World) -> None:
    """After 2³²−1 nothing follows, and that is a conflict, no fault; the last wallet again is a retry."""
    token = world.log_in()
    world.write(token, 1)
    world.sql(update(schema.accounts).values(current_sequence=MAX_SEQUENCE - 1))
    world.sql(update(schema.wallets).values(sequence=MAX_SEQUENCE - 1))
    assert world.write(token, MAX_SEQUENCE, "last").sequence == MAX_SEQUENCE
    assert world.write(token, MAX_SEQUENCE, "last").encrypted_wallet == "last"
    with pytest.raises(errors.Conflict):
        world.write(token, MAX_SEQUENCE, "other")
    with pytest.raises(errors.Conflict):
        world.write(token, 1, "other")


def test_history_is_bounded(world: World) -> None:
    """Of an hour the first and the last ten versions are kept; what is between is forgotten, and the server says so."""
    token = world.log_in()
    for sequence in range(1, KEPT_VERSIONS + 4):
        world.write(token, sequence, f"wallet {sequence}")
    expected = {1: True, 2: None, 3: None, 4: True, KEPT_VERSIONS + 2: True}
    for sequence, applied in expected.items():
        with pytest.raises(errors.Conflict) as raised:
            world.write(token, sequence, f"wallet {sequence}")
        assert raised.value.applied is applied
    with pytest.raises(errors.Conflict) as raised:
        world.write(token, 4, "other")
    assert raised.value.applied is False


def test_wallet_over_the_limit_is_refused(world: World) -> None:
    """The limit counts bytes of UTF-8, and the sentence tells it."""
    token = world.log_in()
    assert world.write(token, 1, "ä" * (LIMIT // 2)).sequence == 1
    with pytest.raises(errors.TooLarge, match=str(LIMIT)):
        world.write(token, 2, "ä" * (LIMIT // 2) + "x")


def test_known_wallet_is_not_read(world: World) -> None:
    """A caller that knows the digest gets the digest only."""
    token = world.log_in()
    wallet = world.write(token, 1)
    found = run_blocking(world.services.wallets.read(token, lambda digest: digest == wallet.digest))
    assert found == wallet.digest


def test_seeds_of_two_servers_differ(world: World, tmp_path: Path) -> None:
    """Each server makes a secret of its own at its first start and keeps it, so fakes are stable and its own."""

    def fake(storage: Storage) -> str:
        services = build_services(
            storage,
            may_sign_up=lambda email: True,
            max_wallet_bytes=1,
            passwords=cheap_passwords(),
        )
        return services.seeds.seed_of("nobody@example.com")

    other = open_sqlite(tmp_path / "other.db", inline=True)
    assert fake(world.storage) == fake(world.storage) != fake(other)
    other.close()
    assert world.services.seeds.seed_of(EMAIL) == "00" * 32


def test_fake_seed_is_made_from_the_whole_address(world: World) -> None:
    """Addresses that differ in one character, wherever it stands, have fakes that differ."""
    address = "a-long-name-before-the-sign@a-long-name-after-the-sign.example.com"
    others = {address[:at] + "x" + address[at + 1 :] for at in range(len(address))}
    addresses = {address, address + "x", address[:-1]} | others
    assert len({world.services.seeds.seed_of(each) for each in addresses}) == len(addresses)


def test_storage_that_fails_is_unavailable(world: World) -> None:
    """What the storage cannot do is one error of the services, for reads and for writes."""
    world.storage.close()
    with pytest.raises(errors.Unavailable) as raised:
        world.services.readiness.check()
    assert isinstance(raised.value.__cause__, StorageError)
    with pytest.raises(errors.Unavailable):
        world.services.accounts.sign_up("bob@example.com", PASSWORD, None)


@pytest.mark.promise("P-127")
def test_whoever_met_a_fault_comes_back_at_a_time_of_their_own() -> None:
    """Else all of them would come at the same moment, when the database is just there again."""
    waits = {errors.Unavailable().retry_after for _ in range(200)}
    assert waits == set(range(errors.LEAST_PAUSE, errors.MOST_PAUSE + 1))


@pytest.mark.promise("X-1")
def test_every_refusal_has_a_status_a_code_and_a_sentence() -> None:
    """No error of the services is forgotten where errors become answers."""

    def leaves(kind: type[errors.ServiceError]) -> set[type[errors.ServiceError]]:
        return set[type[errors.ServiceError]]().union(*map(leaves, kind.__subclasses__())) or {kind}

    refusals = leaves(errors.ServiceError)
    assert refusals == set(STATUS)
    for refusal in refusals:
        assert refusal.code
        assert refusal.sentence.endswith(".")


def test_secrets_are_not_shown(world: World) -> None:
    """What holds a token, a hash or a wallet does not show it when printed."""
    issued = world.services.accounts.log_in(EMAIL, PASSWORD, "laptop")
    assert issued.token not in repr(issued)
    wallet = world.write(issued.token, 1, "secret wallet")
    assert "secret wallet" not in repr(wallet)
    account = world.storage.read(lambda t: t.find_account(EMAIL))
    assert account is not None
    assert account.password_hash not in repr(replace(account))


def test_database_that_cannot_be_asked_is_unavailable(world: World) -> None:
    """Whether one thing is asked or several."""
    token = world.log_in()
    world.storage.close()
    for ask in (world.services.tokens.account_of, world.read, world.services.wallets.history):
        with pytest.raises(errors.Unavailable):
            ask(token)


def test_strangers_large_wallet_is_refused_before_it_is_looked_at(world: World) -> None:
    """Without a live token it is not even measured, let alone hashed; with one, it is over the limit."""
    large = "x" * (LIMIT + 1)
    with pytest.raises(errors.Unauthorized):
        world.write("0" * 64, 1, large)
    with pytest.raises(errors.TooLarge):
        world.write(world.log_in(), 1, large)


def test_refused_write_holds_no_wallet_while_it_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current wallet is read when it is its turn to be answered: hundreds that wait would fill the memory."""

    def unwanted(*_: object) -> None:
        raise AssertionError

    token = world.log_in()
    world.write(token, 1, "first")
    for name in ("current_wallet", "shown_by"):
        monkeypatch.setattr(SqlWriteTransaction, name, unwanted)
    with pytest.raises(errors.Conflict) as raised:
        world.write(token, 1, "another")
    assert raised.value.current.encrypted_wallet == "first"


def test_figures_are_numbers_or_none(world: World) -> None:
    """What cannot be asked is no number, so that the other figures are shown all the same."""
    figures = world.services.figures
    assert (figures.accounts(), figures.mails_waiting(), math.isnan(figures.last_backup())) == (1, 0, True)
    world.storage.close()
    assert all(map(math.isnan, (figures.accounts(), figures.mails_waiting(), figures.last_backup())))


def test_many_accounts_are_counted_now_and_then(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few are counted each time, and many once in five minutes, since that costs; without a database there is none."""
    monkeypatch.setattr("walletsync_server.services.figures.MANY", 2)
    now = 0.0
    figures = Figures(Store(world.storage), lambda: now)
    counts = [figures.accounts()]
    for email in ("bob@example.com", "carol@example.com", "dave@example.com"):
        world.storage.write(methodcaller("allow", email, world.clock()))
        world.services.accounts.sign_up(email, PASSWORD, bytes(32))
        counts.append(figures.accounts())
    assert counts == [1, 2, 3, 3]
    now = LATELY_SECONDS
    assert figures.accounts() == 4
    world.storage.close()
    assert figures.accounts() == 4
    now += LATELY_SECONDS
    assert math.isnan(figures.accounts())
