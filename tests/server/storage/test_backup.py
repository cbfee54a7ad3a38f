"""Backup and restore: one file, complete or not there at all, and nothing revived that was revoked."""

import os
import pty
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import Mock

import apsw
import pytest
from click.testing import CliRunner, Result

from tests.cheap_server import CheapServer
from tests.server.helpers import HttpWire, log_in, new_account
from walletsync_server.cli import main
from walletsync_server.storage.contract_tests.records import ALICE, BOB, append, token, wallet
from walletsync_server.storage.interface import Storage, StorageError
from walletsync_server.storage.sqlite import backup as module
from walletsync_server.storage.sqlite.backup import back_up, restore
from walletsync_server.storage.sqlite.lock import DatabaseInUse, DatabaseLock
from walletsync_server.storage.sqlite.opening import open_sqlite
from walletsync_server.storage.sqlite.verify import verify
from walletsync_server.testing import ServerDidNotStart

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ASIDE = "walletsync.db.before-restore-20260102T030405Z"


def ignore(done: int, total: int) -> None:
    """Take note of no progress."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "walletsync.db"


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    return tmp_path / "backup.db"


@pytest.fixture
def storage(file: Path) -> Iterator[Storage]:
    """Two accounts, one with three versions and a token."""
    storage = open_sqlite(file)
    storage.write(lambda transaction: transaction.insert_account(ALICE))
    storage.write(lambda transaction: transaction.insert_account(BOB))
    append(storage, ALICE.account_id, wallet(1), wallet(2), wallet(3, "\0 ü"))
    storage.write(lambda transaction: transaction.put_token(token("laptop", 7)))
    yield storage
    storage.close()


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def on(database: Path) -> list[str]:
    return ["--database", f"sqlite:///{database}"]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_backup_of_an_open_database_is_one_private_file(storage: Storage, file: Path, backup: Path) -> None:
    """While others have it open, all that was committed gets into one file of mode 0600, and no draft is left."""
    progress: list[tuple[int, int]] = []
    back_up(file, backup, replace=False, progress=lambda done, total: progress.append((done, total)))
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert names(file.parent) == {"backup.db", *(f"walletsync.db{more}" for more in ("", "-wal", "-shm", ".lock"))}
    assert progress[-1][0] == progress[-1][1] > 0
    found = verify(backup, progress=ignore)
    assert (found.accounts, found.versions, found.faults) == (2, 3, [])


def test_backup_is_on_the_disk(storage: Storage, file: Path, backup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes are flushed before it gets its name, and its folder afterwards: a loss of power takes neither."""
    synced: list[tuple[int, bool]] = []
    flush = os.fsync

    def watched(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_ino, backup.exists()))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    back_up(file, backup, replace=False, progress=lambda done, total: None)
    assert synced == [(backup.stat().st_ino, False), (backup.parent.stat().st_ino, True)]


def test_progress_is_shown(storage: Storage, file: Path, backup: Path) -> None:
    """Whoever waits at a terminal sees how far it is; stdout has the result, and a timer's log no bar."""
    assert [on_terminal("backup", *on(file), backup), on_terminal("verify-backup", backup)] == [True, True]
    backup.unlink()
    assert (run("backup", *on(file), backup).stderr, run("verify-backup", backup).stderr) == ("", "")


def on_terminal(*words: str | Path) -> bool:
    """Run a command whose stderr is a terminal; tell whether that, and not stdout, has a whole bar at its end."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        ended = subprocess.run(
            [sys.executable, "-m", "walletsync_server", *words], stdout=subprocess.PIPE, stderr=theirs
        )
        os.close(theirs)
        assert ended.returncode == 0
        return b"100%" in terminal.read(65536) and b"%" not in ended.stdout


def test_backup_is_of_one_moment(storage: Storage, file: Path, backup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is committed while it copies is not in it, and the copying does not begin anew."""
    monkeypatch.setattr(module, "_PAGES_AT_ONCE", 1)
    steps: list[int] = []

    def write_meanwhile(done: int, total: int) -> None:
        steps.append(done)
        append(storage, ALICE.account_id, wallet(3 + len(steps), "x" * 10_000))

    back_up(file, backup, replace=False, progress=write_meanwhile)
    assert steps == sorted(set(steps))
    assert len(steps) > 5
    assert verify(backup, progress=ignore).versions == 3


def test_existing_file_is_kept_unless_forced(storage: Storage, file: Path, backup: Path) -> None:
    """A backup never replaces a file by accident, not even one that appears while it is made."""
    backup.write_text("yesterday's")
    ended = run("backup", *on(file), backup)
    assert ended.exit_code == 1
    assert "--force" in ended.stderr
    assert backup.read_text() == "yesterday's"
    backup.unlink()
    with pytest.raises(StorageError, match="File exists"):
        back_up(file, backup, replace=False, progress=lambda done, total: backup.write_text("another's"))  # type: ignore[arg-type]
    assert backup.read_text() == "another's"
    assert run("backup", *on(file), "--force", backup).exit_code == 0
    assert verify(backup, progress=ignore).accounts == 2


def test_failed_backup_leaves_nothing(storage: Storage, file: Path, backup: Path) -> None:
    """Whatever stops it, neither the file nor a draft is there, and what --force would have replaced still is."""
    backup.write_text("yesterday's")
    before = names(file.parent)

    def fail(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(file, backup, replace=True, progress=fail)
    assert names(file.parent) == before
    assert backup.read_text() == "yesterday's"


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_what_is_missing_is_named(tmp_path: Path, command: str) -> None:
    """Without a database there is nothing to back up, without a file nothing to restore; none is made."""
    ended = run(command, *on(tmp_path / "walletsync.db"), tmp_path / "backup.db")
    assert ended.exit_code == 1
    assert f"There is no {'database' if command == 'backup' else 'file'}" in ended.stderr
    assert names(tmp_path) <= {"walletsync.db.lock"}


def test_folder_that_is_missing_is_named(storage: Storage, file: Path, tmp_path: Path) -> None:
    """Where the backup or the restored database cannot be, the command says so."""
    ended = run("backup", *on(file), tmp_path / "missing" / "backup.db")
    assert (ended.exit_code, "backup.db cannot be written: its folder does not exist" in ended.stderr) == (1, True)
    ended = run("restore", *on(tmp_path / "missing" / "walletsync.db"), tmp_path / "backup.db")
    assert (ended.exit_code, "its folder does not exist" in ended.stderr) == (1, True)


def test_foreign_database_is_not_backed_up(tmp_path: Path) -> None:
    """A file of another program is not taken for ours."""
    other = tmp_path / "notes.db"
    connection = apsw.Connection(str(other))
    connection.execute("CREATE TABLE notes (text)")
    connection.close()
    ended = run("backup", *on(other), tmp_path / "backup.db")
    assert (ended.exit_code, "another program" in ended.stderr) == (1, True)


@pytest.mark.promise("S-32", "T-20")
def test_restored_database_has_everything_but_tokens(storage: Storage, file: Path, backup: Path) -> None:
    """Accounts and wallets are as at the backup, no token is alive, and the previous database is kept aside."""
    back_up(file, backup, replace=False, progress=ignore)
    append(storage, ALICE.account_id, wallet(4))
    storage.close()
    assert restore(backup, file, now=NOW, progress=ignore).aside == file.with_name(ASIDE)
    assert names(file.parent) == {"backup.db", "walletsync.db", "walletsync.db.lock", ASIDE}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert verify(file.with_name(ASIDE), progress=ignore).versions == 4
    again = open_sqlite(file)
    assert again.read(lambda t: t.current_wallet(ALICE.account_id)) == wallet(3, "\0 ü")
    assert again.read(lambda t: t.find_token(token("laptop", 7).token_hash)) is None
    again.close()


def test_restore_sends_no_mail_again_and_confirms_no_old_link(storage: Storage, file: Path, backup: Path) -> None:
    """Sign-ups that waited at the time of the backup, and mails about them, are not taken up again."""
    storage.close()
    with closing(apsw.Connection(str(file))) as connection:
        connection.execute("INSERT INTO signups VALUES ('c@example.com', X'00', 'hash', NULL, 0, 1)")
        connection.execute("INSERT INTO mails VALUES ('c@example.com', 1, X'00', 0, 0, 0, NULL, X'00')")
    back_up(file, backup, replace=False, progress=ignore)
    restore(backup, file, now=NOW, progress=ignore)
    restored = apsw.Connection(str(file))
    left = [restored.execute(f"SELECT count(*) FROM {name}").fetchone() for name in ("signups", "mails")]  # noqa: S608
    restored.close()
    assert left == [(0,), (0,)]


def test_restore_to_where_nothing_was(storage: Storage, file: Path, backup: Path, tmp_path: Path) -> None:
    """A new machine has no database before; the server then serves what the backup has."""
    back_up(file, backup, replace=False, progress=ignore)
    fresh = tmp_path / "new" / "walletsync.db"
    fresh.parent.mkdir()
    assert restore(backup, fresh, now=NOW, progress=ignore).aside is None
    assert names(fresh.parent) == {"walletsync.db", "walletsync.db.lock"}
    assert verify(fresh, progress=ignore).versions == 3


def test_restore_replaces_what_a_killed_server_left(storage: Storage, file: Path, backup: Path) -> None:
    """The log that a killed server leaves beside the database goes with the old one, never into the new one."""
    back_up(file, backup, replace=False, progress=ignore)
    append(storage, ALICE.account_id, wallet(4))
    killed = Path(f"{file}-killed")
    for companion in ("", "-wal", "-shm"):
        Path(f"{killed}{companion}").write_bytes(Path(f"{file}{companion}").read_bytes())
    aside = restore(backup, killed, now=NOW, progress=ignore).aside
    assert aside is not None
    assert verify(aside, progress=ignore).versions == 4
    assert verify(killed, progress=ignore).versions == 3
    assert not Path(f"{killed}-wal").exists()


def test_what_sqlite_cannot_open_is_replaced_and_kept(storage: Storage, backup: Path, tmp_path: Path) -> None:
    """A database that is beyond repair is what a restore is for; it goes aside as it is, with what lies beside it."""
    back_up(tmp_path / "walletsync.db", backup, replace=False, progress=ignore)
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"broken" * 1000)
    Path(f"{broken}-wal").mkdir()
    aside = restore(backup, broken, now=NOW, progress=ignore).aside
    assert aside is not None
    assert aside.read_bytes() == b"broken" * 1000
    assert Path(f"{aside}-wal").is_dir()
    assert verify(broken, progress=ignore).versions == 3


def test_damaged_backup_is_not_restored(storage: Storage, file: Path, backup: Path) -> None:
    """What `verify-backup` finds wrong stops a restore, and the database stays as it is."""
    back_up(file, backup, replace=False, progress=ignore)
    storage.close()
    with closing(apsw.Connection(str(backup))) as connection:
        connection.execute("DELETE FROM wallets WHERE sequence = 2")
    before = file.read_bytes()
    ended = run("restore", *on(file), backup)
    assert (ended.exit_code, "nothing was restored" in ended.stderr) == (1, True)
    assert file.read_bytes() == before
    assert names(file.parent) == {"backup.db", "walletsync.db", "walletsync.db.lock"}


def test_restore_brings_an_older_schema_up_to_date(backup: Path, file: Path, at_first_schema: Path) -> None:
    """A backup of an earlier version can be restored and served."""
    restore(at_first_schema, file, now=NOW, progress=ignore)
    storage = open_sqlite(file)
    assert storage.read(lambda t: t.current_wallet(1)) is not None
    storage.close()


def test_server_and_restore_exclude_each_other(file: Path, backup: Path) -> None:
    """No restore under a running server, no start during a restore; a killed server holds nothing."""
    with CheapServer(accounts="open", database=file) as server:
        account = new_account(HttpWire(server.url))
        assert account.post(1, "first").status == 200
        assert run("backup", *on(file), backup).exit_code == 0
        assert account.post(2, "second").status == 200
        refused = run("restore", *on(file), backup)
        assert (refused.exit_code, "stop the server" in refused.stderr) == (1, True)
        assert account.get().json["sequence"] == 2
        server.kill()
        restored = run("restore", *on(file), backup)
        assert (restored.exit_code, "is kept as" in restored.stdout) == (0, True), restored.output
        server.start()
        assert account.get().status == 401
        account.token = log_in(account.wire, account.email).json["token"]
        assert account.get().json["encryptedWallet"] == "first"
        server.stop()
        lock = DatabaseLock(file, exclusive=True)
        with pytest.raises(ServerDidNotStart, match="is being replaced"):
            server.start()
        lock.release()
        server.start()


def test_database_that_another_program_has_open_is_not_replaced(storage: Storage, file: Path, backup: Path) -> None:
    """Somebody's shell on the database is noticed as well, though it holds no lock of ours."""
    back_up(file, backup, replace=False, progress=ignore)
    storage.close()
    shell = apsw.Connection(str(file))
    shell.execute("BEGIN")
    shell.execute("SELECT * FROM accounts").fetchall()
    with pytest.raises(DatabaseInUse, match="Another program"):
        restore(backup, file, now=NOW, progress=ignore)
    shell.close()
    restore(backup, file, now=NOW, progress=ignore)


def test_old_database_that_cannot_be_kept_stays(
    storage: Storage, file: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a way to keep the old database it is not replaced."""
    back_up(file, backup, replace=False, progress=ignore)
    storage.close()
    monkeypatch.setattr(os, "link", Mock(side_effect=OSError(28, "No space left on device")))
    with pytest.raises(StorageError, match="cannot be kept"):
        restore(backup, file, now=NOW, progress=ignore)
    assert verify(file, progress=ignore).accounts == 2


def test_restores_in_one_second_keep_what_each_replaced(storage: Storage, file: Path, backup: Path) -> None:
    """Nothing that was kept is replaced, and nobody has to wait for another second."""
    back_up(file, backup, replace=False, progress=ignore)
    storage.close()
    kept = [restore(backup, file, now=NOW, progress=ignore).aside for _ in range(3)]
    assert kept == [file.with_name(f"{ASIDE}{number}") for number in ("", "-2", "-3")]
    assert all(verify(each, progress=ignore).accounts == 2 for each in kept if each is not None)


def test_full_disk_is_told(storage: Storage, file: Path, backup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the disk while the backup is written is a sentence, and leaves nothing."""
    monkeypatch.setattr(os, "fsync", Mock(side_effect=OSError(28, "No space left on device")))
    with pytest.raises(StorageError, match="No space left"):
        back_up(file, backup, replace=False, progress=ignore)
    assert not backup.exists()


def test_migrate_says_from_where_to_where(at_first_schema: Path, tmp_path: Path) -> None:
    """An operator reads what was done to the database, and that nothing was to be done the second time."""
    done = run("migrate", *on(at_first_schema))
    assert (done.exit_code, "migrated from 0001 to 0" in done.stdout) == (0, True)
    assert "is up to date" in run("migrate", *on(at_first_schema)).stdout
    assert "migrated from nothing" in run("migrate", *on(tmp_path / "new.db")).stdout
