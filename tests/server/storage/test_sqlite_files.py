"""Opening a SQLite file: which SQLite, whose file, which journal, which schema."""

import os
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import apsw
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

import walletsync_server
from walletsync_server.storage.contract_tests.records import ALICE, BOB, NOW, append, wallet
from walletsync_server.storage.interface import StorageError
from walletsync_server.storage.sql import migrate
from walletsync_server.storage.sql.migrate import configuration
from walletsync_server.storage.sqlite import connect, dbapi
from walletsync_server.storage.sqlite.connect import refuse_broken_sqlite
from walletsync_server.storage.sqlite.opening import open_sqlite
from walletsync_server.storage.sqlite.storage import SqliteStorage


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "walletsync.db"


@pytest.fixture
def storage(file: Path) -> Iterator[SqliteStorage]:
    storage = cast(SqliteStorage, open_sqlite(file))
    yield storage
    storage.close()


def test_files_are_the_owners_only(file: Path) -> None:
    """The database and its companions have mode 0600, whatever the umask is."""
    before = os.umask(0)
    try:
        storage = open_sqlite(file)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}
    storage.close()
    names = ["walletsync.db", "walletsync.db-shm", "walletsync.db-wal", "walletsync.db.lock"]
    assert modes == dict.fromkeys(names, 0o600)
    assert {path.name for path in file.parent.iterdir()} == {"walletsync.db", "walletsync.db.lock"}


def test_system_without_effective_users_will_do(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python in a browser cannot say as whom it runs, and keeps accounts all the same."""
    monkeypatch.delattr(os, "geteuid")
    with closing(open_sqlite(file, inline=True)) as storage:
        storage.write(lambda transaction: transaction.insert_account(ALICE))
        assert storage.read(lambda transaction: transaction.find_account(ALICE.email)) == ALICE


@pytest.mark.parametrize(
    ("version", "broken"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 7), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 0), False),
    ],
)
def test_broken_sqlite_is_refused(version: tuple[int, int, int], broken: bool) -> None:
    """A version that can corrupt its write-ahead log is refused with what to do about it."""
    if broken:
        with pytest.raises(StorageError, match=r"3\.51\.3"):
            refuse_broken_sqlite(version)
    else:
        refuse_broken_sqlite(version)


def test_broken_sqlite_is_refused_at_the_start(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check is made before anything is written."""
    monkeypatch.setattr(dbapi, "sqlite_version_info", (3, 40, 1))
    with pytest.raises(StorageError):
        open_sqlite(file)
    assert not file.exists()


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    """A missing folder, a folder, and another kind of file are named with the reason; the file stays as it is."""
    other = tmp_path / "notes.txt"
    other.write_text("these are my notes, and no database\n" * 100)
    reasons = {
        tmp_path / "missing" / "x.db": "its folder does not exist",
        tmp_path: "Is a directory",
        other: "the file is not a SQLite database",
    }
    for path, reason in reasons.items():
        with pytest.raises(StorageError, match=f"{path.name} .*{reason}"):
            open_sqlite(path)
    assert other.read_text().startswith("these are my notes")


def test_text_that_is_not_utf8_is_damage(file: Path) -> None:
    """Where the disk has changed a letter: an error of the storage as for other damage, for readers and for jobs."""
    with closing(open_sqlite(file)) as storage:
        storage.write(lambda transaction: transaction.allow("alice@example.com", NOW))
        with closing(apsw.Connection(str(file))) as other:
            other.execute("UPDATE allowed_addresses SET email = CAST(X'FF' AS TEXT)")
        for ask in (storage.read, storage.write):
            with pytest.raises(StorageError, match="the file is damaged; restore a backup"):
                ask(lambda transaction: transaction.addresses_after("", 10, NOW))


def test_database_of_another_program_is_refused(file: Path) -> None:
    """A SQLite file with other tables is named in the error and keeps every byte; an empty one is taken."""
    other = apsw.Connection(str(file))
    other.execute("CREATE TABLE notes (text)")
    other.close()
    before = file.read_bytes()
    with pytest.raises(StorageError, match=r"walletsync\.db .* another program"):
        open_sqlite(file)
    assert file.read_bytes() == before
    assert {path.name for path in file.parent.iterdir()} == {file.name, f"{file.name}.lock"}
    file.write_bytes(b"")
    open_sqlite(file).close()


def test_journal_that_is_no_write_ahead_log_is_refused() -> None:
    """Where SQLite answers that it keeps another journal, nothing is promised on it."""
    with pytest.raises(StorageError, match="memory"):
        connect._use_write_ahead_log(apsw.Connection(":memory:"))


def test_switch_to_the_write_ahead_log_is_tried_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite may give up at once where others use a new file, whatever its timeout; this tries for a while."""
    other = apsw.Connection(str(file))
    other.execute("CREATE TABLE alembic_version (version_num)")
    other.execute("BEGIN")
    other.execute("SELECT * FROM alembic_version").fetchall()
    connection = apsw.Connection(str(file))
    tries: list[str] = []

    def execute(statement: str) -> Any:
        if len(tries) == 2:
            other.close()
        tries.append(statement)
        return connection.execute(statement)

    with monkeypatch.context() as patience:
        patience.setattr(connect, "BUSY_SECONDS", 0)
        with pytest.raises(apsw.BusyError, match="locked"):
            connect._use_write_ahead_log(connection)
    connect._use_write_ahead_log(Mock(execute=execute))
    assert len(tries) == 3
    assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
    connection.close()


def test_database_of_a_newer_version_is_refused(storage: SqliteStorage, file: Path) -> None:
    """A database that has seen an unknown migration is left alone."""
    storage.close()
    with closing(apsw.Connection(str(file))) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageError, match="newer version"):
        open_sqlite(file)


def test_install_path_may_have_a_percent_sign(monkeypatch: pytest.MonkeyPatch, storage: SqliteStorage) -> None:
    """The folder of the migrations is taken literally."""
    monkeypatch.setattr(migrate, "__file__", "/opt/100%(here)s/storage/sql/migrate.py")
    with storage._writing.connect() as connection:
        folder = configuration(connection).get_main_option("script_location")
    assert folder == "/opt/100%(here)s/storage/sql/migrations"


def test_revisions_are_what_the_names_of_the_files_say(storage: SqliteStorage) -> None:
    """The newest one is Alembic's head, and each is known."""
    with storage._writing.connect() as connection:
        scripts = ScriptDirectory.from_config(configuration(connection))
    assert migrate.newest_revision() == scripts.get_current_head()
    assert all(migrate.is_known(each.revision) for each in scripts.walk_revisions())
    assert not migrate.is_known("9999")


def test_migrations_make_the_schema_of_the_code(storage: SqliteStorage) -> None:
    """After all migrations the database is what `schema` says."""
    with storage._writing.connect() as connection:
        command.check(configuration(connection))


def test_every_key_begins_with_the_account(storage: SqliteStorage) -> None:
    """Whatever belongs to an account can be found, moved and locked by its id; what has none yet, by its address."""
    inspector = sa.inspect(storage._writing)
    keys = {name: inspector.get_pk_constraint(name)["constrained_columns"][0] for name in inspector.get_table_names()}
    of_the_server = {"server_values", "alembic_version"}
    without_account = {"signups": "email", "mails": "email", "allowed_addresses": "email"}
    assert {name: keys[name] for name in without_account} == without_account
    assert {keys[name] for name in keys.keys() - of_the_server - without_account.keys()} == {"account_id"}


def test_opening_gives_up_on_a_file_that_stays_locked(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that another program holds for itself is not waited for forever."""
    monkeypatch.setattr(connect, "BUSY_SECONDS", 0.2)
    other = apsw.Connection(str(file))
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match="SQLITE_BUSY"):
        open_sqlite(file)
    other.close()
    open_sqlite(file).close()


def test_wheel_brings_the_migrations(tmp_path: Path) -> None:
    """An installed package can make its database and show its pages: their files are in the wheel."""
    package = Path(walletsync_server.__file__).parent
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=package.parent,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    migrations = package / "storage" / "sql" / "migrations"
    here = {str(path.relative_to(package.parent)) for path in migrations.rglob("*.py")}
    assert len(here) >= 3
    pages = {str(path.relative_to(package.parent)) for path in (package / "pages").glob("*.*") if path.is_file()}
    assert "walletsync_server/pages/verify.html" in pages
    here |= pages
    assert here <= packed


@pytest.mark.promise("P-102")
def test_deleted_account_is_gone_from_the_file(tmp_path: Path) -> None:
    """Neither the address nor a wallet, current or old, is in any byte of the file once the account is deleted."""
    file = tmp_path / "walletsync.db"
    storage = open_sqlite(file)
    storage.write(lambda t: t.insert_account(ALICE))
    storage.write(lambda t: t.insert_account(BOB))
    append(storage, ALICE.account_id, *(wallet(n, f"canary {n} " * 2000) for n in range(1, 5)))
    storage.write(lambda t: t.drop_wallets(ALICE.account_id, [1, 2, 3]))
    storage.write(lambda t: t.delete_account(ALICE.account_id, NOW))
    storage.close()
    data = file.read_bytes()
    assert b"canary" not in data
    assert ALICE.email.encode() not in data
    assert BOB.email.encode() in data
