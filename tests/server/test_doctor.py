"""`config` and `doctor`: what is set and where it comes from; what is wrong and what to do about it."""

import json
import os
import shutil
import subprocess
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import apsw
import pytest
from click.testing import CliRunner, Result

from walletsync_server.cli import main
from walletsync_server.configuration import load
from walletsync_server.observe import disk, doctor
from walletsync_server.observe.doctor import OLD_BACKUP, diagnose
from walletsync_server.observe.findings import FAIL, OK, WARN, Finding
from walletsync_server.settings import TABLE, Settings
from walletsync_server.storage.contract_tests.records import ALICE, NOW, append, wallet
from walletsync_server.storage.sqlite import connect
from walletsync_server.storage.sqlite.health import Health, examine
from walletsync_server.storage.sqlite.opening import open_sqlite

UNUSED_PORT = 1
"""That of tcpmux, which nobody serves."""
LATER = NOW + timedelta(days=1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database with one account and one wallet."""
    file = tmp_path / "walletsync.db"
    storage = open_sqlite(file)
    storage.write(lambda transaction: transaction.insert_account(ALICE))
    append(storage, ALICE.account_id, wallet(1))
    storage.close()
    return file


def run(*words: str, **variables: str) -> Result:
    return CliRunner().invoke(main, words, env=variables)


def found(file: Path, now: datetime = LATER, **settings: Any) -> dict[str, Finding]:
    settings = {"port": 0, **settings}
    findings = list(diagnose(Settings(database=f"sqlite:///{file}", **settings), clock=lambda: now))
    return {finding.name: finding for finding in findings}


def test_config_tells_value_and_origin(tmp_path: Path) -> None:
    """Every setting has its value and whether it came from a flag, a variable, a file or nowhere."""
    file = tmp_path / "server.toml"
    file.write_text('allow = ["alice@example.com"]\n')
    ended = run("config", "--json", "--port", "1", "--config", str(file), WALLETSYNC_HOST="::1")
    shown = json.loads(ended.stdout)
    assert list(shown) == list(TABLE)
    assert shown["port"] == {"value": 1, "origin": "--port"}
    assert shown["host"] == {"value": "::1", "origin": "WALLETSYNC_HOST"}
    assert shown["allow"] == {"value": ["alice@example.com"], "origin": str(file)}
    assert shown["accounts"] == {"value": "allowlist", "origin": "default"}


def test_output_of_config_is_a_file_for_config(tmp_path: Path) -> None:
    """What is printed sets the same again, and no secret is in it."""
    secret = tmp_path / 'pass"word'
    secret.write_text("open sesame")
    words = ["--mail-server", "mail.example.com", "--mail-from", "a@example.com", "--mail-username", "ü \\"]
    words += ["--mail-password-file", str(secret), "--allow", "alice@example.com", "--allow", "bob@example.com"]
    ended = run("config", *words)
    assert "sesame" not in ended.output
    copy = tmp_path / "copy.toml"
    copy.write_text(ended.stdout)
    settings = load({}, {}, str(copy)).settings
    assert settings.allow == ("alice@example.com", "bob@example.com")
    assert (settings.mail_username, settings.mail_password_file) == ("ü \\", str(secret))


def test_sound_server_is_well(file: Path) -> None:
    """Nothing to do: every line is ok, and the status is 0."""
    assert run("backup", "--database", f"sqlite:///{file}", str(file.with_name("backup.db"))).exit_code == 0
    ended = run("doctor", "--database", f"sqlite:///{file}", "--port", "0")
    assert ended.exit_code == 0, ended.output
    lines = [line.split()[0] for line in ended.stdout.splitlines()]
    assert lines == [OK] * len(lines)
    files = {"database owner", "database mode", "file system", "disk"}
    assert {"settings", "SQLite", "database", "schema", "clock", "backup", *files} == found(file).keys()


def test_doctor_changes_nothing(file: Path) -> None:
    """Not the database, not even one that is not there yet."""
    before = file.read_bytes()
    run("doctor", "--database", f"sqlite:///{file}")
    missing = file.with_name("new.db")
    ended = run("doctor", "--database", f"sqlite:///{missing}")
    assert (ended.exit_code, "does not exist yet" in ended.stdout) == (0, True)
    assert file.read_bytes() == before
    assert not missing.exists()


def test_findings_as_json(file: Path) -> None:
    """Programs get the same findings, and the same status."""
    with closing(apsw.Connection(str(file))) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    ended = run("doctor", "--json", "--database", f"sqlite:///{file}")
    findings = json.loads(ended.stdout)
    assert ended.exit_code == 1
    assert [finding["name"] for finding in findings if finding["level"] == FAIL] == ["schema"]
    assert all(finding["sentence"] for finding in findings)


def test_server_on_the_network_without_tls_is_warned_of(file: Path) -> None:
    """Doctor says what `serve` says."""
    assert found(file, host="192.0.2.1")["settings"].level == WARN
    behind: dict[str, Any] = {"host": "192.0.2.1", "public_url": f"https://localhost:{UNUSED_PORT}"}
    assert found(file, **behind)["settings"].level == WARN
    assert "trusted_proxies" in found(file, **behind)["settings"].sentence
    assert found(file, **behind, trusted_proxies=["192.0.2.2"])["settings"].level == OK


def test_broken_sqlite_fails(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SQLite that `serve` refuses."""
    monkeypatch.setattr(doctor, "sqlite_version", lambda: (3, 40, 1))
    assert found(file)["SQLite"].level == FAIL


@pytest.mark.parametrize("more", ["", ".lock"])
def test_database_that_others_can_read_is_warned_of(file: Path, more: str) -> None:
    """With the command that mends it."""
    Path(f"{file}{more}").chmod(0o640)
    finding = found(file)["database mode"]
    assert (finding.level, finding.sentence.endswith(f"chmod 600 {file}{more}")) == (WARN, True)


def test_missing_folder_fails(tmp_path: Path) -> None:
    """Where `serve` could make no database."""
    assert found(tmp_path / "missing" / "w.db")["database"].level == FAIL


def test_database_that_may_not_be_written_fails(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when it is run by another user than the server; the tests may run as root, so the answer is a stand-in."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "run as the server's user" in found(file)["database"].sentence


def test_damaged_database_fails(file: Path) -> None:
    """What SQLite's quick check finds, and what is no database at all."""
    whole = file.read_bytes()
    page = whole.rindex(b"alice@example.com") // 4096 * 4096
    file.write_bytes(whole[:page] + b"\xff" + whole[page + 1 :])
    finding = found(file)["database"]
    assert (finding.level, "Restore a backup" in finding.sentence) == (FAIL, True)
    file.write_bytes(b"text" * 1000)
    finding = found(file)["database"]
    assert (finding.level, "is not a SQLite database" in finding.sentence) == (FAIL, True)


def test_schema_is_compared(file: Path) -> None:
    """An older one is to be migrated; another program's or a newer one is not ours to touch."""
    for revision, level in (("0001", WARN), ("9999", FAIL)):
        with closing(apsw.Connection(str(file))) as connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        assert found(file)["schema"].level == level
    file.write_bytes(b"")
    assert found(file)["schema"].level == FAIL


def test_clock_that_is_behind_the_data_fails(file: Path) -> None:
    """A clock from before the newest wallet is wrong, or was."""
    assert found(file, now=NOW - timedelta(seconds=1))["clock"].level == FAIL
    assert found(file, now=datetime.now(UTC))["clock"].level == OK


def test_clock_is_asked_after_the_data(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a server stores while the doctor looks is from before the doctor's time."""

    def store_first(file: Path) -> Health:
        storage = open_sqlite(file)
        append(storage, ALICE.account_id, replace(wallet(2), stored_at=datetime.now(UTC)))
        storage.close()
        return examine(file)

    monkeypatch.setattr(doctor, "examine", store_first)
    findings = diagnose(Settings(database=f"sqlite:///{file}", port=0), clock=lambda: datetime.now(UTC))
    assert {finding.name: finding.level for finding in findings}["clock"] == OK


@pytest.mark.parametrize(("free", "level"), [(10, FAIL), (disk.NO_SPACE, WARN), (disk.LITTLE_SPACE, OK)])
def test_little_space_is_told(file: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: str) -> None:
    """Before the disk is full."""
    usage = shutil.disk_usage(file.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=free))
    assert found(file)["disk"].level == level


@pytest.mark.parametrize("more", ["", "-wal", ".lock"])
def test_file_of_another_user_fails(file: Path, monkeypatch: pytest.MonkeyPatch, more: str) -> None:
    """As root leaves it that copies a database to its place, where no server may open it; with the mending command."""
    Path(f"{file}-wal").touch()
    stranger, look = Path(f"{file}{more}"), Path.stat

    def owned(path: Path, **options: Any) -> os.stat_result:
        state = look(path, **options)
        return os.stat_result((*state[:4], 0 if path == stranger else 12345, 12345, *state[6:]))

    monkeypatch.setattr(Path, "stat", owned)  # a test may run as a user who can give nothing away
    finding = found(file)["database owner"]
    assert (finding.level, finding.sentence.endswith(f"run: chown 12345:12345 {stranger}")) == (FAIL, True)


@pytest.mark.parametrize(
    ("kind", "level"),
    [("ext4", OK), ("nfs4", FAIL), ("cifs", FAIL), ("fuse.sshfs", FAIL), ("9p", FAIL), ("overlay", OK)],
)
def test_disk_of_another_machine_fails(file: Path, monkeypatch: pytest.MonkeyPatch, kind: str, level: str) -> None:
    """By what is mounted there last, at a place whose name may have blanks."""
    here = file.parent
    mounts = file.with_name("mounts")
    mounts.write_text(
        f"21 1 8:1 / / rw,relatime shared:1 - xfs /dev/sda1 rw\n"
        f"35 21 8:2 / {here} rw - nfs a:/b rw\n"
        f"36 21 8:2 / {here} rw - {kind} a:/b rw\n"
        f"37 36 8:3 / {here}/other\\040place rw - smb3 a:/b rw\n"
    )
    monkeypatch.setattr(disk, "MOUNTS", mounts)
    assert found(file)["file system"].level == level
    other = file.parent / "other place"
    other.mkdir()
    assert "smb3" in found(other / "w.db")["file system"].sentence


def test_file_system_of_this_machine_is_known(file: Path) -> None:
    """What Linux really tells of the disk on which the tests run."""
    told = subprocess.check_output(["findmnt", "-n", "-o", "FSTYPE", "-T", file.parent], text=True)  # noqa: S607
    assert disk._kind_of(file.parent) == told.strip() != ""


def test_disk_that_is_read_only_fails(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel makes it after a failure; the tests may not mount one, so the answer is a stand-in."""
    room = {"f_bavail": 2**30, "f_bfree": 2**30, "f_blocks": 2**30, "f_frsize": 4096}
    monkeypatch.setattr(os, "statvfs", lambda path: Mock(f_flag=os.ST_RDONLY, **room))
    assert "read-only" in found(file)["file system"].sentence


def test_old_backup_is_warned_of(file: Path) -> None:
    """None at all, or the last one some days ago; one to stdout counts as well."""
    assert found(file)["backup"].level == WARN
    for target in (str(file.with_name("backup.db")), "-"):
        before = datetime.now(UTC)
        assert run("backup", "--database", f"sqlite:///{file}", target).exit_code == 0
        assert found(file, now=before + OLD_BACKUP)["backup"].level == OK
        finding = found(file, now=datetime.now(UTC) + OLD_BACKUP + timedelta(days=1))["backup"]
        assert (finding.level, f"{OLD_BACKUP.days + 1} days ago" in finding.sentence) == (WARN, True)
        with closing(apsw.Connection(str(file))) as connection:
            connection.execute("DELETE FROM server_values WHERE name = 'backed_up_at'")


def test_backup_that_cannot_be_noted_is_made_all_the_same(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be wanted just since the disk fails: the file is there, the status is 0, and the reason is told."""
    monkeypatch.setattr(connect, "BUSY_SECONDS", 0.1)
    with closing(apsw.Connection(str(file))) as other:
        other.execute("BEGIN IMMEDIATE")
        ended = run("backup", "--database", f"sqlite:///{file}", str(file.with_name("backup.db")))
    assert (ended.exit_code, "`doctor` will not know of this backup" in ended.stderr) == (0, True)
    assert "SQLITE_BUSY" in ended.stderr
    assert run("verify-backup", str(file.with_name("backup.db"))).exit_code == 0
