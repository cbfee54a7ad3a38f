"""The service and the queries about admin."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.server.helpers import PASSWORD, FakeClock
from tests.server.world import EMAIL, World
from walletsync_server.services import account_admin, errors
from walletsync_server.services.account_admin import AccountAdmin, AddressSummary, Removed
from walletsync_server.services.store import Store
from walletsync_server.storage.contract_tests.records import ALICE, BOB, NOW, append, token, wallet
from walletsync_server.storage.interface import Storage
from walletsync_server.storage.sqlite.opening import open_sqlite

CAROL = "carol@example.com"


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    storage = open_sqlite(tmp_path / "walletsync.db", inline=True)
    yield storage
    storage.close()


@pytest.fixture
def admin(storage: Storage) -> AccountAdmin:
    """Alice with an account, a wallet and three tokens of which one lives; Bob with an account and a permission."""
    storage.write(lambda transaction: transaction.insert_account(replace(ALICE, epoch=2)))
    storage.write(lambda transaction: transaction.insert_account(BOB))
    append(storage, ALICE.account_id, wallet(1), wallet(2))
    storage.write(lambda transaction: transaction.put_token(replace(token("live", 2), epoch=2)))
    storage.write(lambda transaction: transaction.put_token(replace(token("expired", 1), epoch=2)))
    storage.write(lambda transaction: transaction.put_token(replace(token("of an old password", 3), epoch=1)))
    admin = AccountAdmin(Store(storage), FakeClock(NOW + timedelta(days=1)))
    admin.allow(BOB.email)
    admin.allow(CAROL)
    return admin


EVERYBODY = [
    AddressSummary(
        email=ALICE.email,
        allowed=False,
        created_at=NOW,
        current_sequence=2,
        devices=1,
        versions=2,
        size=2,
        last_seen=NOW,
    ),
    AddressSummary(email=BOB.email, allowed=True, created_at=NOW),
    AddressSummary(email=CAROL, allowed=True),
]


@pytest.mark.parametrize("at_once", [1, 2, 3, 500])
def test_everybody_is_found(admin: AccountAdmin, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """All in the order of their addresses, each once, however many are read at a time."""
    monkeypatch.setattr(account_admin, "_AT_ONCE", at_once)
    assert list(admin.all()) == EVERYBODY


def test_one_is_found(admin: AccountAdmin) -> None:
    """One person is told as in the list of all."""
    assert [admin.find(person.email) for person in EVERYBODY] == EVERYBODY
    assert admin.find("dora@example.com") is None


def test_devices_are_those_that_are_logged_in(admin: AccountAdmin) -> None:
    """Neither an expired login nor one of before the password was changed; nobody has none."""
    (device,) = admin.devices(ALICE.email)
    assert (device.device_id, device.logged_in_at, device.expires_at) == ("live", NOW, NOW + timedelta(days=2))
    assert admin.devices(CAROL) == admin.devices(BOB.email) == []


def test_devices_are_logged_out(admin: AccountAdmin, storage: Storage) -> None:
    """One by its name or all; the number is told, and the account stays."""
    storage.write(lambda transaction: transaction.put_token(replace(token("other", 4), epoch=2)))
    assert admin.log_out(ALICE.email, "missing") == 0
    assert admin.log_out(ALICE.email, "live") == 1
    assert [device.device_id for device in admin.devices(ALICE.email)] == ["other"]
    assert [admin.log_out(each, None) for each in (ALICE.email, ALICE.email, CAROL)] == [1, 0, 0]
    assert admin.find(ALICE.email) == replace(EVERYBODY[0], devices=0)


def test_removal_says_what_there_was(admin: AccountAdmin, storage: Storage) -> None:
    """The account with all that belongs to it, the permission, both or neither."""
    assert admin.remove(BOB.email, account=False) == Removed(account=False, permission=True)
    assert admin.find(BOB.email) == replace(EVERYBODY[1], allowed=False)
    assert admin.remove(BOB.email, account=True) == Removed(account=True, permission=False)
    assert admin.remove(ALICE.email, account=True) == Removed(account=True, permission=False)
    assert admin.remove(CAROL, account=True) == Removed(account=False, permission=True)
    assert admin.remove(CAROL, account=True) == Removed(account=False, permission=False)
    assert list(admin.all()) == []
    assert storage.read(lambda transaction: transaction.current_wallet(ALICE.account_id)) is None


def test_disabled_account_refuses_the_right_password(world: World) -> None:
    """To log in, to change the password and to delete the account; a wrong one is answered as ever."""
    admin = AccountAdmin(Store(world.storage), world.clock)
    token = world.log_in()
    assert [admin.disable(email) for email in (EMAIL, EMAIL, CAROL)] == [True, False, None]
    with pytest.raises(errors.Unauthorized):
        world.read(token)
    accounts, change = world.services.accounts, world.services.password_change
    for ask in (
        lambda password: accounts.log_in(EMAIL, password, "laptop"),
        lambda password: accounts.delete(EMAIL, password),
        lambda password: change.change(EMAIL, password, "another password", bytes(32), None),
    ):
        with pytest.raises(errors.AccountDisabled):
            ask(PASSWORD)
        with pytest.raises(errors.WrongCredentials):
            ask("wrong password")
    assert [admin.enable(email) for email in (EMAIL, EMAIL, CAROL)] == [True, False, None]
    assert world.log_in()


def test_login_that_was_being_checked_meets_the_disabling(world: World) -> None:
    """Between the check of the password and the token an operator disables the account: no token is issued."""
    admin = AccountAdmin(Store(world.storage), world.clock)
    world.storage.before_write = lambda: admin.disable(EMAIL)
    with pytest.raises(errors.AccountDisabled):
        world.log_in()
    assert admin.devices(EMAIL) == []


def test_quota_keeps_what_has_room(world: World) -> None:
    """Of earlier versions as many as fit; a change of the password and a version that alone has more are refused."""
    admin, token = AccountAdmin(Store(world.storage), world.clock), world.log_in()
    assert [admin.set_quota(email, 10) for email in (EMAIL, CAROL)] == [True, False]
    for sequence, text, kept in ((1, "x" * 5, [1]), (2, "x" * 5, [2, 1]), (3, "x", [3, 2]), (4, "ü" * 5, [4])):
        world.write(token, sequence, text)
        assert [version.sequence for version in world.services.wallets.history(token)] == kept
    with pytest.raises(errors.TooLarge):
        world.write(token, 5, "ü" * 5 + "x")
    large = world.services.wallets.checked(5, "x" * 11, "h")
    with pytest.raises(errors.TooLarge):
        world.services.password_change.change(EMAIL, PASSWORD, "another password", bytes(32), large)
    assert world.log_in()
