"""Password hashing: what is stored, what it costs, how much of it runs at once."""

import os
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from tests.server.helpers import PASSWORD
from tests.server.world import Interrupted
from walletsync_server import services
from walletsync_server.services import build_services
from walletsync_server.services.errors import Busy, WrongCredentials
from walletsync_server.services.passwords import PASSWORD_HASHER, Passwords
from walletsync_server.storage.sqlite.opening import open_sqlite


def test_password_hash_is_argon2id_at_current_guidance() -> None:
    """19 MiB, two passes, one lane; another salt each time."""
    passwords = Passwords(1)
    one, two = passwords.hash(PASSWORD), passwords.hash(PASSWORD)
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert one != two
    assert passwords.verify(one, PASSWORD)
    assert not passwords.verify(one, PASSWORD + "x")
    assert not PASSWORD_HASHER.check_needs_rehash(one)


def test_nobodys_password_costs_the_same_work() -> None:
    """Where there is no account a hash of the same cost is checked, and never matches."""
    checked = []

    class Recording(type(PASSWORD_HASHER)):  # type: ignore[misc]
        def verify(self, hash: str, password: str) -> bool:
            checked.append(hash)
            return bool(super().verify(hash, password))

    passwords = Passwords(1, Recording(time_cost=1, memory_cost=8, parallelism=1))
    stored = passwords.hash(PASSWORD)
    assert not passwords.verify(None, PASSWORD)
    assert passwords.verify(stored, PASSWORD)
    parameters = [text.split("$")[1:4] for text in checked]
    assert len(parameters) == 2
    assert parameters[0] == parameters[1]


OLD, NEW = (PasswordHasher(time_cost=1, memory_cost=cost, parallelism=1) for cost in (8, 16))


def test_older_hashes_cost_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the cost was raised, every check costs the old and the new one, for whatever account and for none."""
    checked: list[str] = []
    verify = PasswordHasher.verify

    def recorded(self: PasswordHasher, hash: str, password: str) -> bool:
        checked.append(hash.split("$")[3])
        return verify(self, hash, password)

    monkeypatch.setattr(PasswordHasher, "verify", recorded)
    passwords = Passwords(1, NEW, earlier=[OLD])
    old, new = OLD.hash(PASSWORD), NEW.hash(PASSWORD)
    for stored in (old, new, None):
        for text in (PASSWORD, "x"):
            assert passwords.verify(stored, text) is (stored is not None and text == PASSWORD)
    assert checked == ["m=16,t=1,p=1", "m=8,t=1,p=1"] * 6
    foreign = PasswordHasher(time_cost=1, memory_cost=24, parallelism=1).hash(PASSWORD)
    assert (passwords.verify(foreign, PASSWORD), passwords.verify(foreign, "x")) == (True, False)


@pytest.mark.parametrize("is_busy", [False, True])
def test_login_renews_an_old_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_busy: bool) -> None:
    """After the cost was raised a login stores a hash of today, unless too much waits; nobody is logged out."""
    storage = open_sqlite(tmp_path / "w.db", inline=True)
    options: dict[str, Any] = {"may_sign_up": lambda email: True, "max_wallet_bytes": 1}
    before = build_services(storage, passwords=Passwords(1, OLD), **options)
    before.accounts.sign_up("alice@example.com", PASSWORD, None)
    token = before.accounts.log_in("alice@example.com", PASSWORD, "laptop").token
    passwords = Passwords(1, NEW, earlier=[OLD])
    after = build_services(storage, passwords=passwords, **options)

    def hash_now() -> str:
        found = storage.read(lambda t: t.find_account("alice@example.com"))
        assert found
        return found.password_hash

    def busy(*_: object, **more: object) -> str:
        raise Busy(1)

    with pytest.raises(WrongCredentials):
        after.accounts.log_in("alice@example.com", "wrong", "phone")
    assert passwords.is_outdated(hash_now())
    with monkeypatch.context() as rush:
        if is_busy:
            rush.setattr(passwords, "hash", busy)
        after.accounts.log_in("alice@example.com", PASSWORD, "phone")
    assert passwords.is_outdated(hash_now()) is is_busy
    assert [each.device_id for each in after.tokens.devices(token)] == ["laptop", "phone"]
    after.accounts.log_in("alice@example.com", PASSWORD, "tablet")
    assert not passwords.is_outdated(hash_now())
    storage.close()


def test_two_logins_may_renew_at_once(tmp_path: Path) -> None:
    """A login during which another one renewed the hash is none with a wrong password."""
    storage = Interrupted(open_sqlite(tmp_path / "w.db", inline=True))
    options: dict[str, Any] = {"may_sign_up": lambda email: True, "max_wallet_bytes": 1}
    before = build_services(storage, passwords=Passwords(1, OLD), **options)
    before.accounts.sign_up("alice@example.com", PASSWORD, None)
    accounts = build_services(storage, passwords=Passwords(1, NEW, earlier=[OLD]), **options).accounts
    storage.before_write = lambda: accounts.log_in("alice@example.com", PASSWORD, "phone")
    assert accounts.log_in("alice@example.com", PASSWORD, "laptop")
    storage.close()


class Crowded(PasswordHasher):
    """Remembers for each hash whether another one might have begun beside it."""

    def __init__(self, at_once: int) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.at_once = at_once
        self.passwords: Passwords | None = None
        self.room: list[bool] = []

    def hash(self, *args: Any, **more: Any) -> str:
        self._look()
        return super().hash(*args, **more)

    def verify(self, *args: Any, **more: Any) -> Any:
        self._look()
        return super().verify(*args, **more)

    def _look(self) -> None:
        if self.passwords is not None:
            self.room.append(self.passwords.running < self.at_once)


@pytest.mark.parametrize(("at_once", "room"), [(1, False), (2, True)])
def test_no_more_run_at_once_than_may(at_once: int, room: bool) -> None:
    """Each hash and each check takes one of the turns, and gives it back, whatever comes out of it."""
    hasher = Crowded(at_once)
    hasher.passwords = passwords = Passwords(at_once, hasher)
    stored = passwords.hash(PASSWORD)
    assert [passwords.verify(each, text) for each in (stored, None) for text in (PASSWORD, "x")] == [
        *(True, False, False, False)
    ]
    assert hasher.room == [room] * 5


@pytest.mark.parametrize(("affinity", "count", "at_once"), [({0, 3, 5}, 8, 3), (None, 8, 8), (None, None, 1)])
def test_default_hashing_uses_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, affinity: set[int] | None, count: int | None, at_once: int
) -> None:
    """Without a hashing given, as many run at once as this process has cores, also where no affinity is told."""
    seen: list[int] = []

    def passwords(at_once: int, queue: int) -> Passwords:
        seen.append(at_once)
        return Passwords(at_once, queue=queue)

    monkeypatch.setattr(services, "Passwords", passwords)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    if affinity is None:
        monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    else:
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: affinity, raising=False)
    storage = open_sqlite(tmp_path / "w.db", inline=True)
    build_services(storage, may_sign_up=lambda email: True, max_wallet_bytes=1)
    storage.close()
    assert seen == [at_once]
