"""A disk that is really full: the kernel lets no file of the server grow any more."""

import resource
import threading
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.attack import steps
from tests.attack.forked import ForkedServer
from tests.attack.ledger import State, is_stored, stored_accounts
from tests.attack.steps import Step
from tests.attack.wires import KeptWire
from tests.server.helpers import API, HttpWire, Wire, log_in, new_account, until
from walletsync_server.cli import main
from walletsync_server.storage.contract_tests.records import ALICE, BOB
from walletsync_server.storage.interface import ReadTransaction, Storage, StorageError
from walletsync_server.storage.sqlite import no_room
from walletsync_server.storage.sqlite.lock import DatabaseInUse, DatabaseLock
from walletsync_server.storage.sqlite.opening import open_sqlite
from walletsync_server.testing import RunningServer

EMAIL, NEWCOMER = "alice@example.com", "bob@example.com"
FRESH = State("derived login password", "5e" * 32)
ROOM = 1000, 4120, 6000
"""Bytes by which the log may still grow: a part of a page, one page with its header, a part of a transaction."""


def test_full_disk_refuses_and_loses_nothing_and_goes_on(tmp_path: Path) -> None:
    """Writes are 503 as long as there is no room, reads go on, and once there is room so does everything."""
    database = tmp_path / "walletsync.db"
    server = ForkedServer(database)
    assert server.wait_until_ready(), server.log.read_text()
    with closing(KeptWire(server.url)) as wire:
        state = carried_out(steps.sign_up(EMAIL, FRESH), wire)
        state = carried_out(steps.log_in(EMAIL, state, "laptop"), wire)
        for room in ROOM:
            state = fill(server.pid, Path(f"{database}-wal").stat().st_size + room, state, wire)
            assert is_stored(stored_accounts(database).get(EMAIL), state)
            assert NEWCOMER not in stored_accounts(database)
    assert server.kill() == -9
    assert is_stored(stored_accounts(database).get(EMAIL), state)


def fill(pid: int, size: int, state: State, wire: Wire) -> State:
    """Let no file grow beyond this size, try to write, and make room again; return what is to be stored then."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, before[1]))
    large = steps.post(state, "laptop", "w" * 20_000)
    refused = [large, steps.sign_up(NEWCOMER, FRESH), steps.log_in(EMAIL, state, "phone"), large]
    refused.append(steps.change_password(EMAIL, state, "another password", "ed" * 32, "w" * 20_000))
    for step in refused:
        answer = step.send(wire)
        assert (answer.status, answer.code) == (503, "unavailable"), step
        assert wire("GET", f"{API}/devices", token=state.tokens["laptop"]).status == 200
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    return carried_out(large, wire)


def carried_out(step: Step, wire: Wire) -> State:
    answer = step.send(wire)
    assert answer.status == step.status, answer
    state = step.after(answer)
    assert state is not None
    return state


NO_ROOM = 16 * 1024
"""Bytes: less than what SQLite needs beside a database, and more than the log of a start."""
UNLIMITED = resource.RLIM_INFINITY, resource.RLIM_INFINITY


class Cramped(RunningServer):
    """A server whose files cannot grow beyond `NO_ROOM` from its start on, whenever `is_full`."""

    is_full = False

    def _command(self) -> list[str]:
        words = super()._command()
        return ["prlimit", f"--fsize={NO_ROOM}:unlimited", *words] if self.is_full else words


def test_server_that_was_stopped_reads_on_a_full_disk(tmp_path: Path) -> None:
    """It starts, gives out wallets, refuses writes; `/readyz` and `doctor` say so; with room, all goes on by itself."""
    database = tmp_path / "walletsync.db"
    with Cramped(accounts="open", database=database) as server:
        wire = HttpWire(server.url)
        account = new_account(wire)
        assert account.post(1, "wallet").status == 200
        assert server.stop() == 0
        server.is_full = True
        server.start()
        assert account.get().json["encryptedWallet"] == "wallet"
        assert wire("GET", f"{API}/devices", token=account.token).status == 200
        refused = [account.post(2), log_in(wire, account.email)]
        assert [(answer.status, answer.code) for answer in refused] == [(503, "unavailable")] * 2
        assert [wire("GET", path).status for path in ("/readyz", "/healthz")] == [503, 200]
        assert "SQLITE_IOERR_SHMSIZE: the disk is full" in server.log()
        port = server.url.rpartition(":")[2]
        doctor = CliRunner().invoke(main, ["doctor", "--port", port, "--database", f"sqlite:///{database}"])
        assert (doctor.exit_code, "it cannot use its database" in doctor.stdout) == (1, True)
        assert account.get().status == 200
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, UNLIMITED)
        until(lambda: wire("GET", "/readyz").status == 200)
        assert [account.post(2, "next").status, account.get().json["sequence"]] == [200, 2]
        assert server.stop() == 0
        server.is_full = False
        server.start()
        assert account.get().json["encryptedWallet"] == "next"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database with an account that was closed in order."""
    file = tmp_path / "walletsync.db"
    with closing(open_sqlite(file)) as storage:
        storage.write(lambda t: t.insert_account(ALICE))
    return file


def without_room(file: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """Open the database of this process while no file of it can grow, so that it is read as it is."""
    monkeypatch.setattr(no_room, "PAUSE_SECONDS", 0.0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (NO_ROOM, limits[1]))
    try:
        storage = open_sqlite(file)
        with pytest.raises(StorageError, match="the disk is full"):
            storage.write(lambda t: t.ping())
        storage.check()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    return storage


def test_nobody_changes_a_file_that_is_read_as_it_is(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a command nor a restore has the database meanwhile, and both have once it is closed."""
    storage = without_room(file, monkeypatch)
    assert storage.read(lambda t: t.count_accounts()) == 1
    for is_alone in (False, True):
        with pytest.raises(DatabaseInUse):
            DatabaseLock(file, exclusive=is_alone)
    storage.close()
    with pytest.raises(StorageError):
        storage.read(lambda t: t.ping())
    with pytest.raises(StorageError):
        storage.write(lambda t: t.ping())
    DatabaseLock(file, exclusive=True).release()


def test_first_write_with_room_waits_for_whoever_reads(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as somebody reads the file as it is, nothing is written to it; then it is, and reads go on."""
    storage = without_room(file, monkeypatch)
    reading, go_on = threading.Event(), threading.Event()

    def read(_: ReadTransaction) -> None:
        reading.set()
        assert go_on.wait(30)

    reader = threading.Thread(target=storage.read, args=(read,))
    reader.start()
    assert reading.wait(30)
    with pytest.raises(StorageError):
        storage.write(lambda t: t.insert_account(BOB))
    go_on.set()
    reader.join()
    storage.write(lambda t: t.insert_account(BOB))
    assert storage.read(lambda t: t.count_accounts()) == 2
    storage.check()
    assert storage.readers()[0] == 0
    storage.close()


def test_database_that_was_not_closed_in_order_is_not_read_as_it_is(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest data would be missing: it is refused, with the reason."""
    open_now = open_sqlite(file)
    open_now.write(lambda t: t.insert_account(BOB))
    copy = tmp_path / "copy" / file.name
    copy.parent.mkdir()
    for name in (file.name, f"{file.name}-wal"):  # as another machine would have it
        (copy.parent / name).write_bytes(file.with_name(name).read_bytes())
    open_now.close()
    with pytest.raises(StorageError, match="the disk is full"):
        without_room(copy, monkeypatch)
    storage = open_sqlite(copy)
    assert storage.read(lambda t: t.count_accounts()) == 2
    storage.close()
