"""What is left of what was deleted: nothing in any file of the database, and no space."""

import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from operator import methodcaller
from pathlib import Path

import pytest

from tests.server.helpers import until
from walletsync_server.storage.contract_tests.records import ALICE, BOB, NOW, append, wallet
from walletsync_server.storage.interface import ReadTransaction, StorageError, WriteTransaction
from walletsync_server.storage.sqlite import log
from walletsync_server.storage.sqlite.compact import compact
from walletsync_server.storage.sqlite.files import DELETIONS
from walletsync_server.storage.sqlite.lock import DatabaseInUse
from walletsync_server.storage.sqlite.opening import open_sqlite


def traces(file: Path) -> set[str]:
    """Return the names of the database's files that have something of what was deleted."""
    found = [each for each in file.parent.iterdir() if each.name.startswith(file.name)]
    return {each.name for each in found if any(word in each.read_bytes() for word in (b"canary", ALICE.email.encode()))}


@pytest.mark.promise("P-102")
@pytest.mark.parametrize("inline", [False, True])
def test_deleted_account_is_gone_while_the_database_is_open(tmp_path: Path, inline: bool) -> None:
    """As soon as the deletion is acknowledged, no file beside the database has any of it, its log among them."""
    file = tmp_path / "walletsync.db"
    storage = open_sqlite(file, inline=inline)
    storage.write(lambda t: t.insert_account(ALICE))
    append(storage, ALICE.account_id, *(wallet(n, f"canary {n} " * 2000) for n in range(1, 5)))
    assert storage.read(lambda t: t.find_account(ALICE.email))
    assert traces(file)
    storage.write(lambda t: t.delete_account(ALICE.account_id, NOW))
    assert traces(file) == set()
    storage.close()


def test_wallets_under_an_old_password_are_gone_while_the_database_is_open(tmp_path: Path) -> None:
    """A change of the password leaves neither them nor the old hash in the log."""
    file = tmp_path / "walletsync.db"
    storage = open_sqlite(file)
    storage.write(lambda t: t.insert_account(replace(ALICE, email="a@example.com", password_hash="canary")))
    append(storage, ALICE.account_id, *(wallet(n, f"canary {n} " * 2000) for n in range(1, 5)))

    def change(transaction: WriteTransaction) -> None:
        transaction.replace_password(ALICE.account_id, "new hash", bytes(32))
        transaction.discard_wallets(ALICE.account_id)

    storage.write(change)
    assert traces(file) == set()
    storage.close()


@pytest.mark.parametrize("inline", [False, True])
def test_deleted_account_is_gone_once_nobody_reads_it_any_more(tmp_path: Path, inline: bool) -> None:
    """A reader that began before the deletion neither fails nor keeps others from writing; then the log is cleared."""
    file = tmp_path / "walletsync.db"
    storage = open_sqlite(file, inline=inline)
    storage.write(lambda t: t.insert_account(ALICE))
    append(storage, ALICE.account_id, wallet(1, "canary " * 2000))

    def read_long(transaction: ReadTransaction) -> object:
        before = transaction.current_wallet(ALICE.account_id)
        storage.write(lambda t: t.delete_account(ALICE.account_id, NOW))
        storage.write(lambda t: t.insert_account(BOB))
        assert transaction.current_wallet(ALICE.account_id) == before
        return before

    assert storage.read(read_long)
    if inline:
        storage.close()
        assert traces(file) == set()
    until(lambda: traces(file) == set())
    storage.close()


def test_log_is_bounded_however_many_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While there is always somebody who reads, the log is truncated all the same, whenever it is too large."""
    monkeypatch.setattr(log, "MOST_BYTES", 200_000)
    monkeypatch.setattr(log, "PAUSE_SECONDS", 0.0)
    file, largest, stop = tmp_path / "walletsync.db", 0, threading.Event()
    storage = open_sqlite(file)
    storage.write(lambda t: t.insert_account(ALICE))

    def read_on() -> None:
        while not stop.is_set():
            storage.read(lambda t: [t.current_wallet(ALICE.account_id) for _ in range(20)])

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read_on) for _ in range(4)]
        for number in range(1, 101):
            append(storage, ALICE.account_id, wallet(number, "x" * 50_000))
            storage.write(methodcaller("drop_wallets", ALICE.account_id, [number - 1]))
            largest = max(largest, file.with_name("walletsync.db-wal").stat().st_size)
        stop.set()
        for reader in readers:
            reader.result()
    assert largest < 2_000_000  # of ten million that were written
    storage.close()


def test_compacting_gives_space_back(tmp_path: Path) -> None:
    """The file shrinks, everything is there, and it is still the owner's only; a server must not have it open."""
    file = tmp_path / "walletsync.db"
    storage = open_sqlite(file)
    for account in (ALICE, BOB):
        storage.write(methodcaller("insert_account", account))
        append(storage, account.account_id, *(wallet(n, "x" * 500_000) for n in range(1, 5)))
    storage.write(lambda t: t.delete_account(ALICE.account_id, NOW))
    with pytest.raises(DatabaseInUse):
        compact(file)
    storage.close()
    before, after = compact(file)
    assert before > 4_000_000
    assert 2_000_000 < after == file.stat().st_size < 2_200_000
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"walletsync.db", "walletsync.db.lock", DELETIONS}
    storage = open_sqlite(file)
    found = storage.read(lambda t: t.current_wallet(BOB.account_id))
    assert found is not None
    assert found.encrypted_wallet == "x" * 500_000
    storage.close()
    with pytest.raises(StorageError, match="There is no database"):
        compact(tmp_path / "nothing.db")
