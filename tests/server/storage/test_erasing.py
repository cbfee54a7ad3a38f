"""Deletions in pieces: gone for everybody at once, from the files bit by bit, and never by halves."""

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from tests.server.helpers import until
from tests.server.storage.test_deletion import traces
from walletsync_server.storage.contract_tests.records import ALICE, BOB, NOW, append, token, wallet
from walletsync_server.storage.interface import Storage, WriteTransaction
from walletsync_server.storage.sql import erasing
from walletsync_server.storage.sqlite import commits
from walletsync_server.storage.sqlite.backup import back_up
from walletsync_server.storage.sqlite.opening import open_sqlite
from walletsync_server.storage.sqlite.transaction import SqliteWriteTransaction
from walletsync_server.storage.sqlite.verify import verify

VERSIONS = 6
Work = Callable[[WriteTransaction], None]


def delete(transaction: WriteTransaction) -> None:
    transaction.delete_account(ALICE.account_id, NOW)


def change(transaction: WriteTransaction) -> None:
    transaction.replace_password(ALICE.account_id, "new hash", bytes(32))
    transaction.discard_wallets(ALICE.account_id)
    transaction.append_wallet(ALICE.account_id, wallet(VERSIONS + 1, "new"))


class Held:
    """Lets no piece be removed before `release`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pieces = 0
        self.reached, self._go = threading.Event(), threading.Event()
        remove = SqliteWriteTransaction.erase_piece

        def held(transaction: SqliteWriteTransaction, account_id: int) -> bool:
            self.pieces += 1
            return remove(transaction, account_id)

        def wait(each: commits.Commits) -> None:
            self.reached.set()
            assert self._go.wait(20)
            erase(each)

        erase = commits.Commits.erase_piece
        monkeypatch.setattr(SqliteWriteTransaction, "erase_piece", held)
        monkeypatch.setattr(commits.Commits, "erase_piece", wait)
        monkeypatch.setattr(erasing, "PIECE_BYTES", 1)

    def release(self) -> None:
        self._go.set()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(monkeypatch)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database with an account of several versions that are one piece each."""
    made = tmp_path / "walletsync.db"
    storage = open_sqlite(made, inline=True)
    storage.write(lambda t: t.insert_account(ALICE))
    storage.write(lambda t: t.insert_account(BOB))
    storage.write(lambda t: t.put_token(token("laptop")))
    append(storage, ALICE.account_id, *(wallet(n, f"canary {n} " * 100) for n in range(1, VERSIONS + 1)))
    storage.close()
    return made


def begin(file: Path, held: Held, work: Work) -> tuple[Storage, Future[None]]:
    """Return the storage and the answer to come, after the deletion and before the first piece."""
    storage = open_sqlite(file)
    future = storage.submit(work)
    assert held.reached.wait(20)
    return storage, future


def killed(file: Path) -> Path:
    """Return a copy of the file and its log, which is all that a server that is killed now leaves."""
    folder = file.parent / "killed"
    folder.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(f"{file}{suffix}", folder / f"walletsync.db{suffix}")
    return folder / "walletsync.db"


def test_deleted_account_is_gone_for_everybody_before_its_last_piece(file: Path, held: Held) -> None:
    """Nobody finds anything of it, and the address has another account already, which stays when the rest goes."""
    storage, future = begin(file, held, delete)
    assert storage.read(lambda t: t.find_account(ALICE.email)) is None
    assert storage.read(lambda t: t.find_account(str(ALICE.account_id))) is None
    assert storage.read(lambda t: t.find_token(token("laptop").token_hash)) is None
    assert storage.read(lambda t: (t.current_wallet(ALICE.account_id), t.history(ALICE.account_id))) == (None, [])
    assert storage.read(lambda t: t.wallet_at(ALICE.account_id, VERSIONS)) is None
    assert storage.read(lambda t: t.digest_at(ALICE.account_id, VERSIONS)) is None
    assert storage.read(lambda t: (t.count_accounts(), len(t.addresses_after("", 9, NOW)))) == (1, 1)
    other, anew = open_sqlite(file, inline=True), replace(ALICE, account_id=5)
    other.write(lambda t: t.insert_account(anew))
    other.close()
    held.release()
    future.result()
    assert held.pieces == VERSIONS
    assert storage.read(lambda t: t.find_account(ALICE.email)) == anew
    storage.close()


def test_others_write_between_two_pieces(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes meanwhile waits for one piece, not for all: nor for the first one together with the deletion itself."""
    monkeypatch.setattr(erasing, "PIECE_BYTES", 1)
    storage, erase = open_sqlite(file), commits.Commits.erase_piece
    order: list[str] = []
    answers: list[Future[None]] = []

    def piece(each: commits.Commits) -> None:
        answers.append(storage.submit(lambda t: order.append("written")))
        erase(each)
        order.append("piece")

    monkeypatch.setattr(commits.Commits, "erase_piece", piece)
    storage.submit(delete).result()
    for answer in answers:
        answer.result()
    storage.close()
    assert order == ["piece", "written"] * VERSIONS


@pytest.mark.parametrize("work", [delete, change])
def test_answer_comes_when_nothing_is_left(file: Path, held: Held, work: Work) -> None:
    """Until then something is in the files; from then on nothing is."""
    storage, future = begin(file, held, work)
    assert traces(file)
    assert not future.done()
    held.release()
    future.result()
    found = [each for each in file.parent.iterdir() if each.name.startswith(file.name)]
    assert not any(b"canary" in each.read_bytes() for each in found)
    storage.close()


def test_changed_password_hides_the_old_versions_at_once(file: Path, held: Held) -> None:
    """The history begins with the new one, also while the old ones are still being removed."""
    storage, future = begin(file, held, change)
    assert [each.sequence for each in storage.read(lambda t: t.history(ALICE.account_id))] == [VERSIONS + 1]
    assert storage.read(lambda t: t.wallet_at(ALICE.account_id, VERSIONS)) is None
    summary = storage.read(lambda t: t.address_summary(ALICE.email, NOW))
    assert summary is not None
    assert (summary.versions, summary.size) == (1, len("new"))
    held.release()
    future.result()
    append(storage, ALICE.account_id, wallet(VERSIONS + 2))
    assert len(storage.read(lambda t: t.history(ALICE.account_id))) == 2
    storage.close()


@pytest.mark.parametrize("work", [delete, change])
def test_killed_between_two_pieces_the_next_server_goes_on(file: Path, held: Held, work: Work) -> None:
    """What was gone stays gone, and what was left of it goes without anybody asking."""
    storage, _ = begin(file, held, work)
    left = killed(file)
    assert traces(left)
    held.release()
    storage.close()
    again = open_sqlite(left)
    until(lambda: not any(b"canary" in each.read_bytes() for each in left.parent.iterdir()))
    assert (again.read(lambda t: t.find_account(ALICE.email)) is None) == (work is delete)
    assert again.read(lambda t: len(t.history(ALICE.account_id))) == (0 if work is delete else 1)
    again.close()
    if work is delete:
        assert traces(left) == set()
    assert verify(left, progress=lambda done, total: None).faults == []


@pytest.mark.parametrize("work", [delete, change])
def test_backup_between_two_pieces_has_nothing_of_what_is_gone(file: Path, held: Held, work: Work) -> None:
    """It is whole, although the rest was still in the database when it was made."""
    storage, future = begin(file, held, work)
    backup = file.parent / "backup.db"
    back_up(file, backup, replace=False, progress=lambda done, total: None)
    held.release()
    future.result()
    storage.close()
    assert b"canary" not in backup.read_bytes()
    found = verify(backup, progress=lambda done, total: None)
    assert found.faults == []
    assert (found.accounts, found.versions) == ((1, 0) if work is delete else (2, 1))


def test_disk_that_fails_between_two_pieces_is_tried_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The account is deleted, as the answer says, and once the disk works again nothing of it is left."""
    monkeypatch.setattr(erasing, "PIECE_BYTES", 1)
    monkeypatch.setattr(commits, "PAUSE_SECONDS", 0.01)
    fails, remove = threading.Event(), SqliteWriteTransaction.erase_piece

    def fail(transaction: SqliteWriteTransaction, account_id: int) -> bool:
        if fails.is_set():
            raise apsw.FullError
        fails.set()
        return remove(transaction, account_id)

    monkeypatch.setattr(SqliteWriteTransaction, "erase_piece", fail)
    storage = open_sqlite(file)
    storage.write(delete)
    assert storage.read(lambda t: t.find_account(ALICE.email)) is None
    assert traces(file)
    monkeypatch.setattr(SqliteWriteTransaction, "erase_piece", remove)
    until(lambda: traces(file) == set())
    storage.close()
