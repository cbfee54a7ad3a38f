"""One device's durable state: what it keeps, from whom, and what it refuses to open."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from walletsync import store as store_room
from walletsync.continuity import Known
from walletsync.errors import NotReady, StoreLocked, StoreUnusable
from walletsync.merge import MISSING, Conflict, Item
from walletsync.payload import Entry, Restore
from walletsync.store import DeviceState, PasswordChange, SealedVersion, Store

RESTORE = Restore(name="r", sequence=2, line="", epoch=1, entries={"phone": Entry(7, "ef")})
VERSION = SealedVersion(
    seed=b"\xff" * 32,
    encrypted_wallet="wallet",
    hmac="hmac",
    known=Known(sequence=3, digest="ab", epoch=1, entries={"phone": Entry(2, "cd")}, restores=(RESTORE,)),
    document=b"{}",
)
FULL = DeviceState(
    device_id="laptop",
    format="json",
    realm="https://wallet.example.com",
    email="alice@example.com",
    offered_seed=bytes(32),
    seed=b"\xff" * 32,
    seeds=(b"\xfd" * 32, b"\xff" * 32),
    accepts_new_password=True,
    token="ab" * 32,
    has_seen_extras=True,
    document=b'{"a": 1}',
    synced=VERSION,
    pending=replace(VERSION, encrypted_wallet="next", document=b"\x00\xff"),
    password_change=PasswordChange(seed=b"\xfe" * 32, wallet=replace(VERSION, seed=b"\xfe" * 32)),
    owed_restores=(RESTORE,),
    passed={"ab": 3},
    conflicts=(
        Conflict(("a", Item("id", 7), "b"), MISSING, 10**30, [True, 1, 1.0, None]),
        Conflict((), {"x": "\u00e9"}, MISSING, {}),
    ),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "laptop.wallet"


def test_a_new_store_is_empty(path: Path) -> None:
    """Before the first save there is no state, in a file or in memory."""
    for store in (Store(path), Store()):
        assert store.load() is None
        store.close()


def test_a_state_survives_a_restart_to_the_last_type(path: Path) -> None:
    """What was saved is what is loaded, conflicts with their types included."""
    with Store(path) as store:
        store.save(FULL)
    with Store(path) as store:
        loaded = store.load()
    assert loaded == FULL
    assert repr(loaded.conflicts) == repr(FULL.conflicts)


def test_a_change_of_one_field_keeps_the_others(path: Path) -> None:
    """Only what changed is written, and all of it counts."""
    with Store(path) as store:
        store.save(FULL)
        store.save(replace(FULL, pending=None, document=b"{}"))
    with Store(path) as store:
        assert store.load() == replace(FULL, pending=None, document=b"{}")


@pytest.mark.promise("S-29")
def test_the_file_is_for_its_owner_only(path: Path) -> None:
    """The mode is 0600 from the first moment, and an existing file loses what others could do with it."""
    Store(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    Store(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.promise("S-29")
def test_the_journal_is_for_its_owner_only(path: Path) -> None:
    """The rollback journal has the same contents and the same mode."""
    with Store(path) as store:
        store.save(FULL)
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


HOLD = """
import sys
from walletsync.store import Store
store = Store(sys.argv[1])
print("open", flush=True)
sys.stdin.readline()
store.close()
print("closed", flush=True)
sys.stdin.readline()
"""


@contextmanager
def held_by_another_process(path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process has the store open, until it reads a line; it ends with its input."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process


def test_a_second_client_on_the_file_is_refused(path: Path) -> None:
    """Two of one process would overwrite each other's edits, and waiting for oneself would never end."""
    with Store(path) as store:
        store.save(FULL)
        with pytest.raises(StoreLocked, match=f"another client of this process, {os.getpid()}"):
            Store(path)
        store.save(replace(FULL, token=None))
    with Store(path) as store:
        assert store.load() == replace(FULL, token=None)


def test_a_second_process_says_who_has_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while it gives up, with the number of the process that has it; if that has not told, without."""
    monkeypatch.setattr(store_room, "_PATIENCE_SECONDS", 0.1)
    with held_by_another_process(path) as process:
        with pytest.raises(StoreLocked, match=f"is open in process {process.pid}[.] Close that one"):
            Store(path)
        path.with_name(f"{path.name}-holder").unlink()
        with pytest.raises(StoreLocked, match="is open in another process"):
            Store(path)


def test_a_second_process_waits_until_the_file_is_free(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first closes it while the second waits: the second goes on."""
    monkeypatch.setattr(store_room, "_PATIENCE_SECONDS", 600.0)
    with held_by_another_process(path) as process, ThreadPoolExecutor() as pool:
        waiting = pool.submit(Store, path)
        process.communicate("\n")
        with waiting.result(600) as store:
            store.save(FULL)


def test_a_store_that_is_lent_is_open_to_others(path: Path) -> None:
    """They change it; whoever lent it cannot meanwhile, and goes on with what they have left."""
    with Store(path) as store:
        store.save(FULL)
        for _ in range(2):
            store.lend()
        with Store(path) as other:
            other.save(replace(FULL, token="other"))
        assert store.load() == FULL
        with pytest.raises(NotReady, match=r"is lent to others. Call take_back_store\(\) first"):
            store.save(replace(FULL, token="lost"))
        for _ in range(2):
            store.take_back()
        assert store.load() == replace(FULL, token="other")
        store.save(replace(FULL, token=None))
        with pytest.raises(StoreLocked):
            Store(path)
        store.lend()
    with Store(path) as store:
        assert store.load() == replace(FULL, token=None)


def test_a_store_that_somebody_else_still_has_stays_lent(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lent it may try again, and has lost nothing."""
    monkeypatch.setattr(store_room, "_PATIENCE_SECONDS", 0.1)
    with Store(path) as store:
        store.save(FULL)
        store.lend()
        with held_by_another_process(path):
            with pytest.raises(StoreLocked):
                store.take_back()
            assert store.load() == FULL
        store.take_back()
        assert store.load() == FULL


def test_a_store_in_memory_is_nobody_elses() -> None:
    """Lent or not, it keeps what it has."""
    with Store() as store:
        store.save(FULL)
        store.lend()
        store.save(replace(FULL, token=None))
        store.take_back()
        assert store.load() == replace(FULL, token=None)


def test_a_process_that_was_killed_holds_nothing(path: Path) -> None:
    """What it left behind beside the file says who had it, and keeps nobody out."""
    with held_by_another_process(path) as process:
        process.kill()
    assert path.with_name(f"{path.name}-holder").read_text() == str(process.pid)
    with Store(path) as store:
        store.save(FULL)
        assert path.with_name(f"{path.name}-holder").read_text() == str(os.getpid())
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_telling_who_has_the_file_is_only_a_courtesy(path: Path) -> None:
    """Where that cannot be written, the store works all the same, and nothing is followed or removed."""
    elsewhere = path.with_name("elsewhere")
    elsewhere.write_text("of somebody else")
    path.with_name(f"{path.name}-holder").symlink_to(elsewhere)
    with Store(path) as store:
        store.save(FULL)
    assert elsewhere.read_text() == "of somebody else"


def database(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_files_that_are_no_store_are_refused_untouched(path: Path) -> None:
    """Somebody's text, another program's database, another version's store: an error, and not a byte changed."""
    path.write_text("my shopping list, which is longer than an SQLite header has to be: " + "bread " * 50)
    refused(path, "cannot be used")
    path.unlink()
    database(path, "CREATE TABLE songs (title)")
    refused(path, "is a database of another program")
    path.unlink()
    Store(path).close()
    database(path, "PRAGMA user_version = 5")
    refused(path, "was written by a newer version")
    database(path, "PRAGMA user_version = 3")
    refused(path, "was written by an early version of walletsync. Nothing in it was changed; name another file")


def refused(path: Path, why: str) -> None:
    path.chmod(0o664)
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match=why):
        Store(path)
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o664


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE state SET value = x'7b' WHERE name = 'synced'",
        "UPDATE state SET value = '[{}]' WHERE name = 'conflicts'",
        "UPDATE state SET value = '[' WHERE name = 'conflicts'",
        "UPDATE state SET name = 'unknown' WHERE name = 'token'",
        "DELETE FROM state WHERE name = 'device_id'",
    ],
)
def test_a_damaged_store_is_refused(path: Path, damage: str) -> None:
    """Half a state is not a state."""
    with Store(path) as store:
        store.save(FULL)
    database(path, damage)
    with Store(path) as store, pytest.raises(StoreUnusable, match="is damaged"):
        store.load()


def test_a_store_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    """A missing folder is named, with what to do."""
    with pytest.raises(StoreUnusable, match="Name a file in a folder that exists"):
        Store(tmp_path / "missing" / "laptop.wallet")


def test_a_name_has_no_meaning_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What SQLite would take for a database in memory is a file like any other."""
    monkeypatch.chdir(tmp_path)
    for name in (":memory:", "file::memory:?cache=shared", "a?mode=ro"):
        with Store(name) as store:
            store.save(FULL)
        with Store(tmp_path / name) as store:
            assert store.load() == FULL


def test_a_link_is_followed(tmp_path: Path) -> None:
    """To a file, or to where the file will be."""
    (tmp_path / "link").symlink_to(tmp_path / "laptop.wallet")
    with Store(tmp_path / "link") as store:
        store.save(FULL)
    with Store(tmp_path / "laptop.wallet") as store:
        assert store.load() == FULL
    assert stat.S_IMODE((tmp_path / "laptop.wallet").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["", ".", "..", "folder", "a\0b"])
def test_what_is_no_file_is_refused_and_left_as_it_is(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder keeps its mode."""
    (tmp_path / "folder").mkdir(mode=0o755)
    monkeypatch.chdir(tmp_path)
    before = tmp_path.stat().st_mode
    with pytest.raises(StoreUnusable, match="Name a file"):
        Store(name)
    assert tmp_path.stat().st_mode == before
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o755


def test_a_damaged_page_is_an_error_of_ours(path: Path) -> None:
    """Whichever part of the file is damaged, and the file can be opened again at once."""
    with Store(path) as store:
        store.save(replace(FULL, document=b"x" * 30_000))
    whole = path.read_bytes()
    for page in range(1, len(whole) // 4096):
        path.write_bytes(whole[: page * 4096] + bytes(4096) + whole[(page + 1) * 4096 :])
        for _ in range(2):
            try:
                with Store(path) as store:
                    assert store.load() == replace(FULL, document=b"x" * 30_000)
            except StoreUnusable:
                continue  # and not another exception


def test_every_change_waits_for_the_disk(path: Path) -> None:
    """A crash of the machine cannot undo what save() returned from."""
    with Store(path) as store:
        assert store_room._pragma(store._database, "synchronous") == 3
        assert store._database.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_failed_save_leaves_the_state_before(path: Path) -> None:
    """If the disk takes no more, the state is the one before, here and after a restart."""
    with Store(path) as store:
        store.save(FULL)
        store._database.execute("PRAGMA max_page_count = 1")
        with pytest.raises(StoreUnusable, match="SQLITE_FULL"):
            store.save(replace(FULL, document=b"x" * 1_000_000, token=None))
        store._database.execute("PRAGMA max_page_count = 10000")
        store.save(replace(FULL, token=None))
    with Store(path) as store:
        assert store.load() == replace(FULL, token=None)


def test_a_closed_store_says_so(path: Path) -> None:
    """Whoever goes on with a closed client is told to make a new one."""
    store = Store(path)
    store.close()
    with pytest.raises(NotReady, match="Make a new client"):
        store.save(FULL)


def test_a_store_of_another_process_is_left_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a fork, which test_threads.py makes for real: nothing is read or written, and the owner's word stays."""
    with Store(path) as store:
        store.save(FULL)
        with monkeypatch.context() as forked:
            forked.setattr(store, "_process", os.getpid() + 1)
            store._saved = None
            for use in (store.load, lambda: store.save(FULL)):
                with pytest.raises(NotReady, match="which this one was forked from"):
                    use()
            store.close()
        assert path.with_name(f"{path.name}-holder").read_text() == str(os.getpid())
        assert store.load() == FULL


def test_a_store_can_be_handed_to_another_thread(path: Path) -> None:
    """Made in one thread, used in the next."""
    with Store(path) as store, ThreadPoolExecutor() as pool:
        pool.submit(store.save, FULL).result()
        assert store.load() == FULL


def test_no_repr_shows_what_is_inside() -> None:
    """Token and document do not get into a log by being printed."""
    assert VERSION.sequence == 3
    for value in (FULL, FULL.synced, FULL.password_change):
        assert repr(value) == f"{type(value).__name__}(<hidden>)"


def test_who_waits_for_the_file_keeps_nobody_out(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two that open it at once, one gets it; neither keeps what the other one waits for."""
    Store(path).close()
    tried = threading.Event()

    class Telling(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql == "BEGIN EXCLUSIVE":
                tried.set()
            return super().execute(sql, *parameters)

    with closing(sqlite3.connect(path, timeout=5, isolation_level=None)) as other, ThreadPoolExecutor(1) as late:
        monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Telling))
        for number in range(20):
            tried.clear()
            other.execute("BEGIN IMMEDIATE")
            other.execute("INSERT OR REPLACE INTO state VALUES ('of another', ?)", (number,))
            opened = late.submit(Store, path)
            assert tried.wait(30)
            other.execute("COMMIT")
            opened.result().close()
