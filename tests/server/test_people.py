"""The service and the queries about people."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.server.helpers import FakeClock
from walletsync_server.services import people as module
from walletsync_server.services.people import AddressSummary, People, Removed
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
def people(storage: Storage) -> People:
    """Alice with an account, a wallet and three tokens of which one lives; Bob with an account and a permission."""
    storage.write(lambda transaction: transaction.insert_account(replace(ALICE, epoch=2)))
    storage.write(lambda transaction: transaction.insert_account(BOB))
    append(storage, ALICE.account_id, wallet(1), wallet(2))
    storage.write(lambda transaction: transaction.put_token(replace(token("live", 2), epoch=2)))
    storage.write(lambda transaction: transaction.put_token(replace(token("expired", 1), epoch=2)))
    storage.write(lambda transaction: transaction.put_token(replace(token("of an old password", 3), epoch=1)))
    people = People(Store(storage), FakeClock(NOW + timedelta(days=1)))
    people.allow(BOB.email)
    people.allow(CAROL)
    return people


EVERYBODY = [
    AddressSummary(email=ALICE.email, allowed=False, created_at=NOW, current_sequence=2, devices=1),
    AddressSummary(email=BOB.email, allowed=True, created_at=NOW),
    AddressSummary(email=CAROL, allowed=True),
]


@pytest.mark.parametrize("at_once", [1, 2, 3, 500])
def test_everybody_is_found(people: People, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """All in the order of their addresses, each once, however many are read at a time."""
    monkeypatch.setattr(module, "_AT_ONCE", at_once)
    assert list(people.all()) == EVERYBODY


def test_one_is_found(people: People) -> None:
    """One person is told as in the list of all."""
    assert [people.find(person.email) for person in EVERYBODY] == EVERYBODY
    assert people.find("dora@example.com") is None


def test_removal_says_what_there_was(people: People, storage: Storage) -> None:
    """The account with all that belongs to it, the permission, both or neither."""
    assert people.remove(BOB.email, account=False) == Removed(account=False, permission=True)
    assert people.find(BOB.email) == replace(EVERYBODY[1], allowed=False)
    assert people.remove(BOB.email, account=True) == Removed(account=True, permission=False)
    assert people.remove(ALICE.email, account=True) == Removed(account=True, permission=False)
    assert people.remove(CAROL, account=True) == Removed(account=False, permission=True)
    assert people.remove(CAROL, account=True) == Removed(account=False, permission=False)
    assert list(people.all()) == []
    assert storage.read(lambda transaction: transaction.current_wallet(ALICE.account_id)) is None
