"""The journal of deletions: a restored backup brings nobody back who was deleted since."""

import shutil
import stat
from collections.abc import Iterator
from contextlib import closing
from operator import methodcaller
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.cheap_server import CheapServer
from tests.server.helpers import API, PASSWORD, Account, HttpWire, log_in, new_account
from tests.server.storage.test_deletion import traces
from walletsync_server.cli import main
from walletsync_server.storage.contract_tests.records import ALICE, BOB, NOW
from walletsync_server.storage.interface import StorageError
from walletsync_server.storage.sqlite.backup import restore
from walletsync_server.storage.sqlite.deletions import add_to_journal, read_journal
from walletsync_server.storage.sqlite.files import DELETIONS
from walletsync_server.storage.sqlite.opening import open_sqlite
from walletsync_server.testing import RunningServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    for name in ("data", "backups"):
        (tmp_path / name).mkdir()
    with CheapServer(accounts="open", database=tmp_path / "data" / "walletsync.db") as server:
        yield server


def command(server: RunningServer, *words: str | Path) -> Result:
    """Run a command on the server's database; options come before the words of `accounts`."""
    names = 2 if words[0] == "accounts" else 1
    typed = [*map(str, words[:names]), "--database", f"sqlite:///{server.database}", *map(str, words[names:])]
    ended = CliRunner().invoke(main, typed)
    assert ended.exit_code == 0, ended.output
    return ended


def delete(account: Account) -> None:
    body = {"email": account.email, "password": PASSWORD}
    assert account.wire("POST", f"{API}/account/delete", body).status == 204


def number(account: Account) -> int:
    return int(log_in(account.wire, account.email, device="other").json["userId"])


@pytest.mark.promise("P-103")
def test_restored_backup_brings_nobody_back(server: RunningServer, tmp_path: Path) -> None:
    """Who deleted the account, or was removed, stays so, and is in no file; the command says who. Others are there."""
    alice, bob, carol = (new_account(HttpWire(server.url)) for _ in range(3))
    numbers = {each.email: number(each) for each in (alice, bob)}
    assert [each.post(1, "canary").status for each in (alice, bob)] == [200, 200]
    command(server, "accounts", "add", bob.email)
    backup = tmp_path / "backups" / "old.db"
    command(server, "backup", backup)
    delete(alice)
    command(server, "accounts", "remove", "--yes", bob.email)
    server.stop()
    told = command(server, "restore", backup).stdout
    for email, account in numbers.items():
        assert f"{email}, account {account}, was deleted after this backup" in told
    server.start()
    assert [log_in(each.wire, each.email).status for each in (alice, bob, carol)] == [401, 401, 200]
    assert bob.email not in command(server, "accounts", "list").stdout
    assert not (traces(server.database) - {each.name for each in server.database.parent.glob("*.before-restore-*")})
    server.stop()
    assert "deleted again" in command(server, "restore", backup).stdout  # the new database knows them, too


def test_journal_beside_the_last_backup_counts_where_the_disk_is_lost(server: RunningServer, tmp_path: Path) -> None:
    """Of a database that is gone, and of a last backup that is damaged, the journal beside the backups is enough."""
    alice, carol = (new_account(HttpWire(server.url)) for _ in range(2))
    backups = tmp_path / "backups"
    command(server, "backup", backups / "1.db")
    assert not (backups / DELETIONS).exists()
    alices = number(alice)
    delete(alice)
    command(server, "backup", backups / "2.db")
    server.stop()
    shutil.rmtree(server.database.parent)
    server.database.parent.mkdir()
    assert f"{alice.email}, account {alices}, was deleted" in command(server, "restore", backups / "1.db").stdout
    server.start()
    assert [log_in(each.wire, each.email).status for each in (alice, carol)] == [401, 200]
    assert list(read_journal(server.database.with_name(DELETIONS))) == [alices]


def test_journal_names_nobody(server: RunningServer, tmp_path: Path) -> None:
    """It has a number and a time of each, is its owner's alone, and is there before the deletion is acknowledged."""
    alice = new_account(HttpWire(server.url))
    alices, journal = number(alice), server.database.with_name(DELETIONS)
    delete(alice)
    assert server.kill() == -9
    assert list(read_journal(journal)) == [alices]
    assert alice.email not in journal.read_text()
    assert len(journal.read_text().split()) == 2
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600


def test_line_that_is_taken_out_brings_an_account_back(server: RunningServer, tmp_path: Path) -> None:
    """Who was deleted by mistake is there again after a restore without their line, which the one before names."""
    alice, bob = (new_account(HttpWire(server.url)) for _ in range(2))
    backup = tmp_path / "backups" / "old.db"
    command(server, "backup", backup)
    for each in (alice, bob):
        command(server, "accounts", "remove", "--yes", each.email)
    command(server, "backup", tmp_path / "backups" / "new.db")
    server.stop()
    told = command(server, "restore", backup).stdout.splitlines()
    (line,) = (each for each in told if each.startswith(alice.email))
    account = line.removeprefix(f"{alice.email}, account ").split(",")[0]
    for folder in (server.database.parent, backup.parent):
        journal = folder / DELETIONS
        kept = [each for each in journal.read_text().splitlines(keepends=True) if not each.endswith(f" {account}\n")]
        assert len(kept) == 1
        journal.write_text("".join(kept))
    assert alice.email not in command(server, "restore", backup).stdout
    server.start()
    assert [log_in(each.wire, each.email).status for each in (alice, bob)] == [200, 401]
    assert int(account) not in read_journal(server.database.with_name(DELETIONS))


def test_journal_that_could_not_be_written_is_completed(tmp_path: Path) -> None:
    """With the next deletion, and when the database is opened again; the table decides, not the file."""
    file, journal = tmp_path / "walletsync.db", tmp_path / DELETIONS
    storage = open_sqlite(file, inline=True)
    for account in (ALICE, BOB):
        storage.write(methodcaller("insert_account", account))
    journal.mkdir()
    storage.write(lambda t: t.delete_account(ALICE.account_id, NOW))
    journal.rmdir()
    storage.write(lambda t: t.delete_account(BOB.account_id, NOW))
    both = {ALICE.account_id: NOW, BOB.account_id: NOW}
    assert read_journal(journal) == both
    storage.close()
    journal.unlink()
    open_sqlite(file).close()
    assert read_journal(journal) == both


def test_deletion_that_fails_is_not_in_the_journal(tmp_path: Path) -> None:
    """What is not stored is not written down: a restore would delete who is there."""
    storage = open_sqlite(tmp_path / "walletsync.db", inline=True)
    storage.write(lambda t: t.insert_account(ALICE))
    with closing(storage), pytest.raises(ZeroDivisionError):
        storage.write(lambda t: (t.delete_account(ALICE.account_id, NOW), 1 // 0))
    assert not (tmp_path / DELETIONS).exists()


def test_line_cut_short_by_a_crash_is_written_again(tmp_path: Path) -> None:
    """The rest of a line counts for nothing, and the next line begins where it began."""
    journal = tmp_path / DELETIONS
    add_to_journal(journal, {1: NOW, 22: NOW})
    journal.write_bytes(journal.read_bytes()[:-2])
    assert read_journal(journal) == {1: NOW}
    add_to_journal(journal, {1: NOW, 22: NOW, 3: NOW})
    assert read_journal(journal) == {1: NOW, 22: NOW, 3: NOW}
    assert len(journal.read_text().splitlines()) == 3


@pytest.mark.parametrize("line", ["nonsense", "2026-01-02 x", "x 5", f"{NOW.isoformat()} 5 6", "", "\udcff"])
def test_journal_that_makes_no_sense_is_not_passed_over(tmp_path: Path, line: str) -> None:
    """A restore stops before it changes anything, and says which line it is."""
    file, backup = tmp_path / "walletsync.db", tmp_path / "backups" / "backup.db"
    backup.parent.mkdir()
    open_sqlite(file).close()
    shutil.copy(file, backup)
    (backup.parent / DELETIONS).write_bytes(f"{NOW.isoformat()} 5\n{line}\n".encode(errors="surrogateescape"))
    before = file.read_bytes()
    with pytest.raises(StorageError, match="line 2 is none of a journal of deletions"):
        restore(backup, file, now=NOW, progress=lambda done, total: None)
    assert file.read_bytes() == before


def test_doctor_sees_a_journal_that_cannot_be_written(tmp_path: Path) -> None:
    """The server goes on without it, so somebody has to tell; a journal that is well is not worth a line."""
    file, journal = tmp_path / "walletsync.db", tmp_path / DELETIONS
    with closing(open_sqlite(file)) as storage:
        storage.write(lambda t: t.insert_account(ALICE))
        storage.write(lambda t: t.delete_account(ALICE.account_id, NOW))
    words = ["doctor", "--database", f"sqlite:///{file}"]
    assert "deletions" not in CliRunner().invoke(main, words).stdout
    journal.write_text("nonsense\n")
    ended = CliRunner().invoke(main, words)
    assert (ended.exit_code, "line 1 is none of a journal of deletions" in ended.stdout) == (1, True)
    journal.unlink()
    journal.mkdir()
    assert f"{journal} cannot be read: Is a directory." in CliRunner().invoke(main, words).stdout
