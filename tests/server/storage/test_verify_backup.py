"""`verify-backup`: every kind of damage is found without any key, and a whole file is left alone."""

import re
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import pytest
from click.testing import CliRunner, Result

from walletsync_server.cli import main
from walletsync_server.storage.contract_tests.records import ALICE, BOB, append, wallet
from walletsync_server.storage.interface import StorageError
from walletsync_server.storage.sqlite.backup import back_up, restore
from walletsync_server.storage.sqlite.opening import open_sqlite
from walletsync_server.storage.sqlite.verify import verify as look


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup of two accounts: Alice with versions 2 to 4, Bob without any."""
    storage = open_sqlite(tmp_path / "walletsync.db")
    storage.write(lambda transaction: transaction.insert_account(ALICE))
    storage.write(lambda transaction: transaction.insert_account(BOB))
    append(storage, ALICE.account_id, *map(wallet, range(1, 5)))
    storage.write(lambda transaction: transaction.drop_wallets(ALICE.account_id, [1]))
    storage.close()
    file = tmp_path / "backup" / "backup.db"
    file.parent.mkdir()
    back_up(tmp_path / "walletsync.db", file, replace=False, progress=lambda done, total: None)
    return file


def verify(file: Path) -> Result:
    return CliRunner().invoke(main, ["verify-backup", str(file)])


def damage(file: Path, statement: str) -> None:
    with closing(apsw.Connection(str(file))) as connection:
        connection.execute(statement)


def test_whole_backup_is_told_so(backup: Path) -> None:
    """Status 0 and what is in it; neither the file nor its folder changes."""
    before = backup.read_bytes()
    backup.chmod(0o400)
    ended = verify(backup)
    assert ended.exit_code == 0, ended.output
    assert "2 accounts, 3 versions" in ended.stdout
    assert backup.read_bytes() == before
    assert [path.name for path in backup.parent.iterdir()] == [backup.name]


def test_not_one_bit_changes_unnoticed(backup: Path, tmp_path: Path) -> None:
    """Whatever is stored, wherever it stands in the file: password hash, seed, address, digest, a wallet."""
    queries = (
        "SELECT email, password_hash, salt_seed FROM accounts LIMIT 1",
        "SELECT value FROM server_values",
        "SELECT hmac, encrypted_wallet FROM wallets LIMIT 1",
    )
    with closing(apsw.Connection(str(backup))) as connection:
        stored: list[Any] = [value for query in queries for row in connection.execute(query) for value in row]
    whole, damaged = backup.read_bytes(), tmp_path / "damaged.db"
    for value in stored:
        found = value.encode() if isinstance(value, str) else value
        places = [match.start() for match in re.finditer(re.escape(found), whole)]
        assert places
        for place in (begin + offset for begin in places for offset in range(0, len(found), 3)):
            damaged.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            assert found_by(damaged), f"byte {place}"


def found_by(file: Path) -> bool:
    """Say whether damage is found."""
    try:
        return bool(look(file, progress=lambda done, total: None).faults)
    except StorageError:
        return True


def test_row_that_is_added_or_gone_is_noticed(backup: Path) -> None:
    """Also where no wallet tells."""
    damage(backup, "INSERT INTO allowed_addresses VALUES ('mallory@example.com', 1)")
    ended = verify(backup)
    assert ended.exit_code == 1
    assert "its digest is another one" in ended.stderr
    damage(backup, "DELETE FROM allowed_addresses")
    assert verify(backup).exit_code == 0
    damage(backup, "DELETE FROM accounts WHERE current_sequence = 0")
    assert verify(backup).exit_code == 1


def test_database_without_a_digest_is_told_so(backup: Path, tmp_path: Path) -> None:
    """A database of a server is not sealed, nor is a backup once it was opened as one, or was restored."""
    database = tmp_path / "walletsync.db"
    ended = verify(database)
    assert ended.exit_code == 0
    assert "It has no digest" in ended.stderr
    assert "It has no digest" not in verify(backup).stderr
    restore(backup, database, now=datetime(2026, 1, 2, tzinfo=UTC), progress=lambda done, total: None)
    assert "It has no digest" in verify(database).stderr
    open_sqlite(backup).close()
    assert "It has no digest" in verify(backup).stderr


def test_versions_of_long_ago_may_be_missing(tmp_path: Path) -> None:
    """A server keeps few of them; the last ten of those that are kept follow each other."""
    file = tmp_path / "walletsync.db"
    storage = open_sqlite(file)
    storage.write(lambda transaction: transaction.insert_account(ALICE))
    append(storage, ALICE.account_id, *map(wallet, range(1, 21)))
    storage.write(lambda transaction: transaction.drop_wallets(ALICE.account_id, [1, 3, 4, 5, 7, 8, 9, 10]))
    storage.close()
    assert verify(file).exit_code == 0
    damage(file, "DELETE FROM wallets WHERE sequence = 12")
    said = verify(file)
    assert said.exit_code == 1
    assert "after version 11 comes 13." in said.stderr


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM wallets WHERE sequence = 3", "after version 2 comes 4"),
        ("DELETE FROM wallets WHERE sequence = 4", "the current version is 4, but the newest one in the file is 3"),
        ("DELETE FROM wallets", "the current version is 4, but the newest one in the file is 0"),
        ("UPDATE accounts SET current_sequence = 3 WHERE account_id > 1", "the current version is 3"),
        ("UPDATE accounts SET current_sequence = 1 WHERE account_id = 1", "Account 1: the current version is 1"),
        ("UPDATE wallets SET encrypted_wallet = X'2E' WHERE sequence = 3", "version 3 is not as it was stored"),
        ("UPDATE wallets SET encrypted_wallet = X'FF' WHERE sequence = 3", "version 3 is not as it was stored"),
        ("UPDATE wallets SET hmac = X'FF' WHERE sequence = 2", "version 2 is not as it was stored"),
        ("UPDATE wallets SET digest = zeroblob(32) WHERE sequence = 4", "version 4 is not as it was stored"),
        ("DELETE FROM accounts WHERE account_id > 1", "refers to a missing row of accounts"),
    ],
)
def test_damage_is_named(backup: Path, statement: str, said: str) -> None:
    """Status 1, with the account's number and what is wrong, and without anybody's address."""
    damage(backup, statement)
    ended = verify(backup)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert said in ended.stderr
    assert "is damaged" in ended.stderr
    assert "example.com" not in ended.output


def test_damaged_index_is_found(backup: Path) -> None:
    """The structure of the file is checked, not only what can be read from it."""
    damage(backup, "UPDATE accounts SET email = 'c@example.com' WHERE account_id = 1")
    whole = backup.read_bytes()
    assert whole.count(b"c@example.com") == 2  # the row, and the index of addresses
    place = whole.rindex(b"c@example.com")
    backup.write_bytes(whole[:place] + b"d" + whole[place + 1 :])
    ended = verify(backup)
    assert (ended.exit_code, "SQLite finds" in ended.stderr) == (1, True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: file.unlink(), "There is no file"),
        (lambda file: file.write_bytes(b""), "is not a database of walletsync-server"),
        (lambda file: file.write_bytes(b"text" * 1000), "is not a SQLite database"),
        (lambda file: file.write_bytes(file.read_bytes()[:5000]), "is damaged"),
        (lambda file: Path(f"{file}-wal").write_bytes(b"log"), "newest data is in backup.db-wal"),
        (lambda file: damage(file, "DELETE FROM alembic_version"), "is not a database of walletsync-server"),
        (lambda file: damage(file, "UPDATE alembic_version SET version_num = 9999"), "newer version"),
        (lambda file: damage(file, "UPDATE alembic_version SET version_num = CAST(X'FF' AS TEXT)"), "is damaged"),
    ],
)
def test_what_is_no_backup_is_told_so(backup: Path, change: object, said: str) -> None:
    """Missing, empty, cut short, something else, a bare copy of a running server's file, a later version's; and one
    whose version is not even text."""
    assert callable(change)
    change(backup)
    ended = verify(backup)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert said in ended.stderr
