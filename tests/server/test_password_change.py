"""Changing the password and deleting the account without HTTP: every race that a recheck decides."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, update

from tests.server.helpers import PASSWORD
from tests.server.world import EMAIL, World
from walletsync_server.services import errors
from walletsync_server.services.coroutines import run_blocking
from walletsync_server.services.passwords import Passwords
from walletsync_server.services.tokens import LIFETIME
from walletsync_server.services.wallets import Content
from walletsync_server.storage.sql import schema

NEW = "another derived login password"
SEED = b"n" * 32


def change(world: World, sequence: int | None = None, new: str = NEW, text: str = "new") -> None:
    wallet = None
    if sequence is not None:
        wallet = world.services.wallets.checked(sequence, text, "h")
    world.services.password_change.change(EMAIL, PASSWORD, new, SEED, wallet)


def test_token_of_before_writes_nothing_after(world: World) -> None:
    """A write that was authenticated before the change and has its turn after it is refused: its key is the old one."""
    token = world.log_in()
    world.write(token, 1)
    world.storage.before_write = lambda: change(world, 2)
    with pytest.raises(errors.Unauthorized):
        world.write(token, 3, "under the old key")
    account = world.storage.read(lambda t: t.find_account(EMAIL))
    assert account is not None
    assert account.current_sequence == 2
    assert [each.sequence for each in world.storage.read(lambda t: t.history(account.account_id))] == [2]


def test_change_after_a_write_is_refused(world: World) -> None:
    """A write that comes between the check of the password and the change wins; the change changes nothing."""
    token = world.log_in()
    world.write(token, 1)
    world.storage.before_write = lambda: world.write(token, 2, "edit")
    with pytest.raises(errors.SequenceUsed):
        change(world, 2)
    assert world.log_in("phone")
    found = world.read(token)
    assert isinstance(found, Content)
    assert found.encrypted_wallet == "edit"


@pytest.mark.promise("N-9")
@pytest.mark.parametrize("sequence", [None, 2])
def test_same_change_twice_at_once_is_done_once(world: World, sequence: int | None) -> None:
    """A retry that runs beside its original succeeds, too, and the epoch rises once."""
    if sequence:
        world.write(world.log_in(), 1)
    world.storage.before_write = lambda: change(world, sequence)
    change(world, sequence)
    account = world.storage.read(lambda t: t.find_account(EMAIL))
    assert account is not None
    assert account.epoch == 2


@pytest.mark.parametrize(("new", "text"), [("a third password", "new"), (NEW, "other wallet")])
def test_of_two_changes_one_wins(world: World, new: str, text: str) -> None:
    """The later of two different changes finds its old password wrong."""
    world.write(world.log_in(), 1)
    world.storage.before_write = lambda: change(world, 2, new, text)
    with pytest.raises(errors.WrongCredentials):
        change(world, 2)
    assert world.services.accounts.log_in(EMAIL, new, "laptop")


def test_change_of_a_deleted_account_is_refused(world: World) -> None:
    """An account that vanishes meanwhile has no password to change."""
    world.storage.before_write = lambda: world.services.accounts.delete(EMAIL, PASSWORD)
    with pytest.raises(errors.WrongCredentials):
        change(world)


def test_deletion_during_a_password_change_is_refused(world: World) -> None:
    """A password that was right when it was checked, and changed before the deletion, deletes nothing."""
    world.storage.before_write = lambda: change(world)
    with pytest.raises(errors.WrongCredentials):
        world.services.accounts.delete(EMAIL, PASSWORD)
    assert world.services.accounts.log_in(EMAIL, NEW, "laptop")


def test_login_between_check_and_change_holds_no_token(world: World) -> None:
    """A device that logs in with the old password just before the change is logged out by it."""
    tokens: list[str] = []
    world.storage.before_write = lambda: tokens.append(world.log_in())
    change(world)
    with pytest.raises(errors.Unauthorized):
        world.read(tokens[0])


@pytest.mark.parametrize("known", [True, False])
def test_wrong_password_costs_the_same_for_every_address(
    world: World, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """Two checks, none of them in a transaction, whether there is an account or not."""
    checks: list[bool] = []
    verify = Passwords.verify

    def count(self: Passwords, stored: str | None, password: str, **more: Any) -> bool:
        checks.append(world.storage.writing)
        return verify(self, stored, password, **more)

    monkeypatch.setattr(Passwords, "verify", count)
    email = EMAIL if known else "nobody@example.com"
    with pytest.raises(errors.WrongCredentials):
        world.services.password_change.change(email, "wrong password", NEW, SEED, None)
    assert checks == [False, False]


@pytest.mark.promise("D-3")
def test_revoking_a_device_twice_at_once_is_refused_once(world: World) -> None:
    """The second of two revocations finds no device."""
    token = world.log_in()
    world.log_in("phone")
    world.storage.before_write = lambda: world.services.tokens.revoke_device(token, "phone")
    with pytest.raises(errors.NoSuchDevice):
        world.services.tokens.revoke_device(token, "phone")


@pytest.mark.promise("P-34")
@pytest.mark.parametrize(
    "use",
    [
        lambda world, token: world.services.tokens.revoke_device(token, "phone"),
        lambda world, token: world.services.tokens.devices(token),
        lambda world, token: world.services.wallets.history(token),
        lambda world, token: run_blocking(world.services.wallets.version(token, 1)),
    ],
)
def test_everything_needs_a_live_token(world: World, use: Callable[[World, str], object]) -> None:
    """A token of an earlier epoch is as dead as one that was deleted, even if its row is still there."""
    token = world.log_in()
    world.log_in("phone")
    world.write(token, 1)
    world.sql(update(schema.accounts).values(epoch=2))
    with pytest.raises(errors.Unauthorized):
        use(world, token)
    world.sql(delete(schema.tokens))
    with pytest.raises(errors.Unauthorized):
        use(world, token)


@pytest.mark.promise("D-3")
def test_expired_device_is_not_listed_and_cannot_be_revoked(world: World) -> None:
    """A device whose token is over holds none."""
    world.log_in("phone")
    world.clock.move(LIFETIME / 2)
    token = world.log_in()
    world.clock.move(LIFETIME / 2)
    assert [each.device_id for each in world.services.tokens.devices(token)] == ["laptop"]
    with pytest.raises(errors.NoSuchDevice):
        world.services.tokens.revoke_device(token, "phone")
