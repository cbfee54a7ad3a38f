"""Where a backup may go, on which file systems, and whose the files of a database are."""

import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from tests.apt import require
from tests.cheap_server import CheapServer
from tests.server.helpers import HttpWire, fresh_email, log_in, new_account, sign_up
from walletsync_server.cli import main
from walletsync_server.storage.contract_tests.records import ALICE, append, wallet
from walletsync_server.storage.interface import Storage
from walletsync_server.storage.sqlite.files import files_of
from walletsync_server.storage.sqlite.opening import open_sqlite
from walletsync_server.storage.sqlite.verify import verify

IS_ROOT = os.geteuid() == 0
ROOT = [] if IS_ROOT else ["sudo", "--non-interactive"]
USER = 12345 if IS_ROOT else os.geteuid()
"""The server's user, who is not root."""
_MAY_GRANT = int(re.findall(r"CapBnd:\s*(\w+)", Path("/proc/self/status").read_text())[0], 16)
# A container may not have what lets a process read all; there, the owners of the files alone tell what is right.
READS_ALL = "dac_read_search" if _MAY_GRANT & 1 << 2 else "dac_override"
AS_USER = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if IS_ROOT else []
if IS_ROOT:  # it may read all, since this checkout may be in a folder of root's, but write to its own files only
    AS_USER += [f"--{kind}-caps=+{READS_ALL}" for kind in ("inh", "ambient")]
    AS_USER += ["--securebits=+no_setuid_fixup"]  # or access(2), which asks first, would not know that it may
AS_STRANGER = ["setpriv", "--bounding-set=-all"] if IS_ROOT else []
"""Who may do nothing to files of others, or to those whose folder is closed to everybody."""
EMAIL = "alice@example.com"
MANUAL = Path(__file__).parents[3] / "server" / "README.md"
EXAMPLE = MANUAL.parents[1] / "deploy" / "walletsync.toml"
COMMAND = [sys.executable, "-m", "walletsync_server"]


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: bytes
    err: bytes


def run(*words: str | Path, before: Sequence[str] = ()) -> Ended:
    """Run a command; in a process of its own only if something is to come before it, since that takes a second."""
    if not before:
        result = CliRunner().invoke(main, [str(word) for word in words])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return Ended(result.exit_code, result.stdout_bytes, result.stderr_bytes)
    ended = subprocess.run(
        [*before, *COMMAND, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def on(database: Path) -> list[str]:
    return ["--database", f"sqlite:///{database}"]


def check(file: Path) -> None:
    """The file is a whole backup of one account with two versions."""
    found = verify(file, progress=lambda done, total: None)
    assert (found.faults, found.has_digest, found.accounts, found.versions) == ([], True, 1, 2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "walletsync.db"


@pytest.fixture
def storage(file: Path) -> Iterator[Storage]:
    """One account with two versions, in a database that is open."""
    file.parent.mkdir()
    storage = open_sqlite(file)
    storage.write(lambda transaction: transaction.insert_account(ALICE))
    append(storage, ALICE.account_id, wallet(1), wallet(2))
    yield storage
    storage.close()


def test_backup_over_the_live_database_is_refused(tmp_path: Path) -> None:
    """Neither the database nor what lies beside it is replaced under a server: what it acknowledges is there later."""
    database, elsewhere = tmp_path / "w.db", tmp_path / "elsewhere"
    elsewhere.symlink_to(tmp_path)
    with CheapServer(accounts="open", database=database) as server:
        account = new_account(HttpWire(server.url))
        assert account.post(1, "one").status == 200
        os.link(database, tmp_path / "another-name.db")
        own = [*files_of(database), elsewhere / "w.db", elsewhere / "w.db-journal", tmp_path / "another-name.db"]
        for target in own:
            ended = run("backup", *on(database), "--force", target)
            assert (ended.status, b"belongs to the database itself" in ended.err) == (1, True), target
        assert account.post(2, "two").status == 200
        assert server.kill() == -signal.SIGKILL
        server.start()
        assert account.get().json["encryptedWallet"] == "two"


def test_database_that_a_link_names_is_the_same_database(tmp_path: Path) -> None:
    """One lock for all its names: no restore under a server, and no compaction that leaves the file where it was."""
    database, link = tmp_path / "w.db", tmp_path / "link.db"
    link.symlink_to(database)
    with CheapServer(accounts="open", database=link) as server:
        new_account(HttpWire(server.url))
        assert run("backup", *on(link), tmp_path / "backup.db").status == 0
        assert b"belongs to the database itself" in run("backup", *on(link), "--force", database).err
        for command in (["restore", *on(database), tmp_path / "backup.db"], ["compact", *on(database)]):
            ended = run(*command)
            assert (ended.status, b"is in use" in ended.err) == (1, True)
    assert run("compact", *on(link)).status == 0
    assert link.is_symlink()


@pytest.mark.parametrize("kind", ["pipe", "link", "dangling link", "folder", "device"])
def test_only_a_plain_file_is_replaced(storage: Storage, file: Path, tmp_path: Path, kind: str) -> None:
    """--force replaces a backup, never what a name leads to, a pipe that somebody reads, or a device."""
    target, other = tmp_path / "target", tmp_path / "other"
    other.write_text("another's")
    if kind == "pipe":
        os.mkfifo(target)
    elif kind == "link":
        target.symlink_to(other)
    elif kind == "dangling link":
        target.symlink_to(tmp_path / "missing")
    elif kind == "folder":
        target.mkdir()
    else:
        target = Path("/dev/null")
    before = target.lstat()
    ended = run("backup", *on(file), "--force", target)
    assert (ended.status, ended.out, b"is no plain file" in ended.err) == (1, b"", True)
    assert target.lstat().st_ino == before.st_ino
    assert other.read_text() == "another's"


def test_only_a_backup_is_restored_and_only_over_a_database(storage: Storage, file: Path, tmp_path: Path) -> None:
    """The database is not restored from itself, and what is no file is not replaced by one."""
    assert run("backup", *on(file), tmp_path / "backup.db").status == 0
    storage.close()
    ended = run("restore", *on(file), file)
    assert (ended.status, b"belongs to the database itself" in ended.err) == (1, True)
    os.mkfifo(tmp_path / "pipe")
    ended = run("restore", *on(tmp_path / "pipe"), tmp_path / "backup.db")
    assert (ended.status, b"is no plain file" in ended.err) == (1, True)


def test_backup_goes_to_stdout(storage: Storage, file: Path, tmp_path: Path) -> None:
    """`-` is stdout: the whole backup and nothing else, ready for another machine, and nothing is left behind."""
    before = set(file.parent.iterdir())
    ended = run("backup", *on(file), "-")
    assert (ended.status, set(file.parent.iterdir())) == (0, before)
    (tmp_path / "backup.db").write_bytes(ended.out)
    check(tmp_path / "backup.db")


def test_backup_does_not_flood_a_terminal(storage: Storage, file: Path) -> None:
    """Whoever forgets to say where it goes is told so."""
    ours, theirs = os.openpty()
    command = [*COMMAND, "backup", *on(file), "-"]
    ended = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, check=False)
    os.close(theirs)
    os.close(ours)
    assert (ended.returncode, b"no text for a terminal" in ended.stderr) == (2, True)


def broken(call: str, error: str, calls: str = "") -> list[str]:
    """Return the beginning of a command in which a system call fails, as it does on some file systems."""
    require("strace")
    return ["strace", "-f", "-o", os.devnull, "-e", f"inject={call}:error={error}{calls and f':when={calls}'}"]


@pytest.mark.parametrize("lacks", [("link,linkat", "EPERM"), ("link,linkat", "EOPNOTSUPP"), ("fsync", "EINVAL", "2+")])
def test_backup_to_fat_and_to_shares(storage: Storage, file: Path, tmp_path: Path, lacks: tuple[str, ...]) -> None:
    """Without hard links (FAT, SMB), and where folders cannot be flushed, backups are made and replace nothing."""
    target = tmp_path / "backup.db"
    ended = run("backup", *on(file), target, before=broken(*lacks))
    assert ended.status == 0, ended.err
    check(target)
    ended = run("backup", *on(file), target, before=broken(*lacks))
    assert (ended.status, b"exists already" in ended.err) == (1, True)
    assert {path.name for path in tmp_path.iterdir()} == {"data", "backup.db"}


def test_backup_needs_no_locks_and_no_shared_memory(storage: Storage, file: Path, tmp_path: Path) -> None:
    """Of the file that it writes it asks for neither, which shares of other machines may not have."""
    require("strace")
    log = tmp_path / "log"
    traced = ["strace", "-f", "-y", "-o", str(log), "-e", "trace=fcntl,flock,mmap"]
    assert run("backup", *on(file), tmp_path / "backup.db", before=traced).status == 0
    lines = log.read_text().splitlines()
    asked = [line for line in lines if "F_SETLK" in line or "MAP_SHARED" in line]
    assert any("walletsync.db" in line for line in asked)
    assert not [line for line in asked if ".partial" in line]


def test_full_disk_is_told_of_where_it_is_full(storage: Storage, file: Path, tmp_path: Path) -> None:
    """One sentence that names the backup and not the database, and no draft stays to fill the disk."""
    for target in (str(tmp_path / "backup.db"), "-"):
        ended = run("backup", *on(file), target, before=broken("pwrite64", "ENOSPC"))
        assert (ended.status, ended.out) == (1, b"")
        assert b"cannot be written: the disk is full" in ended.err
        assert b"Traceback" not in ended.err
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]
    with Path("/dev/full").open("wb") as full:
        command = [*COMMAND, "backup", *on(file), "-"]
        cut = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert (cut.returncode, b"No space left" in cut.stderr, b"Traceback" in cut.stderr) == (1, True, False)


@pytest.fixture
def home() -> Iterator[Path]:
    """The folder of the server's user, as systemd makes it, where any user may go."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        home.mkdir(0o700)
        os.chown(home, USER, USER if IS_ROOT else -1)
        yield home
        home.chmod(0o700)


def assert_owned(folder: Path) -> None:
    """Every file in the folder is the server's, and no other user can read it."""
    states = {path.name: path.stat() for path in folder.iterdir()}
    assert states
    assert {
        name for name, state in states.items() if state.st_uid != USER or stat.S_IMODE(state.st_mode) & 0o077
    } == set()


def test_root_leaves_nothing_that_the_server_cannot_open(home: Path, tmp_path: Path) -> None:
    """Whatever root does about a database, its files stay its owner's: the server starts, reads and writes."""
    database, backup = home / "walletsync.db", tmp_path / "backup.db"
    assert run("migrate", *on(database), before=ROOT).status == 0
    assert_owned(home)
    account = served(database)
    for command in (
        ["accounts", "add", *on(database), EMAIL],
        ["backup", *on(database), backup],
        ["compact", *on(database)],
        ["restore", *on(database), backup],
        ["doctor", *on(database)],
    ):
        ended = run(*command, before=ROOT)
        assert ended.status == 0, ended.err
        assert_owned(home)
    served(database, account)
    for path in files_of(database):
        path.unlink(missing_ok=True)
    assert run("restore", *on(database), backup, before=ROOT).status == 0
    assert_owned(home)
    served(database, account)


@contextmanager
def serving(database: Path) -> Iterator[HttpWire]:
    """Let the server's user serve the database; kill it in the end, so that all its files stay."""
    words = ["serve", "--stop-with-stdin", "--port", "0", "--accounts", "open", *on(database)]
    command = [*AS_USER, *COMMAND, *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield HttpWire(process.stdout.readline().removeprefix("Listening on ").strip())
        finally:
            process.kill()


def served(database: Path, email: str = "") -> str:
    """Read from and write to the database by its server."""
    with serving(database) as wire:
        email = email or new_account(wire).email
        assert log_in(wire, email).status == 200
        assert sign_up(wire, fresh_email()).status == 201
    return email


def test_files_of_others_are_told_without_a_traceback(home: Path, tmp_path: Path) -> None:
    """A folder or a file that the user may not read: a sentence that says so and what to do, by every command."""
    database = home / "walletsync.db"
    assert run("migrate", *on(database), before=ROOT).status == 0
    served(database)
    home.chmod(0)
    for words in (
        ["restore", *on(tmp_path / "w.db"), database],
        ["accounts", "list", *on(database)],
        ["doctor", *on(database)],
        ["serve", *on(database)],
    ):
        ended = run(*words, before=AS_STRANGER)
        said = ended.out + ended.err
        assert (ended.status, b"Traceback" in said) == (1, False), said
        assert b"user" in said
        assert b"ermission denied" in said or b"cannot " in said


def test_documented_backup_and_restore_work_as_written(home: Path, tmp_path: Path) -> None:
    """Line by line as root: of a server that runs, and in place of its database while it is stopped."""
    programs, settings = tmp_path / "bin", tmp_path / "walletsync.toml"
    programs.mkdir()
    for name, does in (("walletsync-server", f'exec {shlex.join(COMMAND)} "$@"'), ("systemctl", 'echo "$@"')):
        (programs / name).write_text(f"#!/bin/sh\n{does}\n")
        (programs / name).chmod(0o755)
    settings.write_text(EXAMPLE.read_text().replace("/var/lib/walletsync", str(home)))
    page = MANUAL.read_text().split("\n## Backup\n")[1].split("\n## ")[0]
    make, send, _timer, restore = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    changes = {"/etc/walletsync/walletsync.toml": settings, "/var/backups": tmp_path, "2026-01-31": "$(date +%F)"}
    changes["ssh backup.example.com"] = "sh -c"
    script = f"cd {tmp_path}\n{make}{send}{restore}"
    for old, new in changes.items():
        assert old in script
        script = script.replace(old, str(new))
    database = home / "walletsync.db"
    email = served(database)
    with serving(database):
        live = script.partition("systemctl stop")[0]
        shell = [*ROOT, "env", f"PATH={programs}:{os.environ['PATH']}", "sh", "-ec"]
        subprocess.run([*shell, live], check=True, capture_output=True)
    said = subprocess.run([*shell, script.replace(live, live.splitlines()[1] + "\n")], check=True, capture_output=True)
    assert said.stdout.splitlines()[0] == b"stop walletsync"
    assert b"with every device logged out" in said.stdout
    assert_owned(home)
    served(database, email)
    found = verify(tmp_path / "walletsync.db", progress=lambda done, total: None)
    assert (found.faults, found.accounts) == ([], 2)
