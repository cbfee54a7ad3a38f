"""Litestream beside the server: its tables in the database, and its transaction that never ends.

Here the tests play its part. `tests/attack/test_litestream.py` runs the real one.
"""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from unittest.mock import Mock

import apsw
import pytest
from click.testing import CliRunner, Result

from tests.server.helpers import until
from tests.server.storage.test_deletion import traces
from walletsync_server.cli import main
from walletsync_server.storage.contract_tests.records import ALICE, BOB, NOW, append, wallet
from walletsync_server.storage.interface import Storage
from walletsync_server.storage.sqlite import log
from walletsync_server.storage.sqlite.log import WriteAheadLog
from walletsync_server.storage.sqlite.opening import open_sqlite

TABLES = (
    "CREATE TABLE IF NOT EXISTS _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)",
    "CREATE TABLE IF NOT EXISTS _litestream_lock (id INTEGER)",
    "INSERT INTO _litestream_seq VALUES (1, 7) ON CONFLICT (id) DO UPDATE SET seq = seq + 1",
)
"""What litestream 0.5 does to a database as it begins."""
PATIENT = 20.0
"""Seconds for what takes milliseconds, on a busy machine."""


def attach(file: Path) -> None:
    with closing(apsw.Connection(str(file))) as connection:
        for statement in TABLES:
            connection.execute(statement)


@contextmanager
def reading_for_ever(file: Path) -> Iterator[None]:
    """Keep a read transaction open, as litestream does so that nobody else starts the log anew."""
    with closing(apsw.Connection(str(file))) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM _litestream_seq").fetchall()
        yield


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "walletsync.db"


@pytest.fixture
def storage(file: Path) -> Iterator[Storage]:
    """An account with two versions, and litestream's tables beside it."""
    storage = open_sqlite(file)
    storage.write(lambda transaction: transaction.insert_account(ALICE))
    append(storage, ALICE.account_id, wallet(1), wallet(2))
    attach(file)
    yield storage
    storage.close()


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def done(ended: Result) -> str:
    assert ended.exit_code == 0, ended.output
    return ended.output


def on(database: Path) -> list[str]:
    return ["--database", f"sqlite:///{database}"]


def test_its_tables_stop_no_command(storage: Storage, file: Path, tmp_path: Path) -> None:
    """Opening, looking, backup, check of the backup, restore, compact and migrate go as without."""
    backup = tmp_path / "backup.db"
    done(run("accounts", "list", *on(file)))
    done(run("backup", backup, *on(file)))
    assert "no digest" not in done(run("verify-backup", backup))
    storage.close()
    done(run("restore", backup, *on(file)))
    done(run("compact", *on(file)))
    done(run("migrate", *on(file)))
    with closing(open_sqlite(file)) as restored:
        assert restored.read(lambda transaction: transaction.current_wallet(ALICE.account_id)) == wallet(2)


def test_older_schema_with_its_tables_is_brought_up_to_date(at_first_schema: Path) -> None:
    """An upgrade minds nothing of them."""
    attach(at_first_schema)
    done(run("migrate", *on(at_first_schema)))
    open_sqlite(at_first_schema).close()


def test_database_that_has_nothing_else_yet_is_taken(file: Path) -> None:
    """Litestream may find the file before the server has made its own tables."""
    attach(file)
    with closing(open_sqlite(file)) as storage:
        storage.write(lambda transaction: transaction.insert_account(ALICE))


def test_digest_covers_what_has_no_key(storage: Storage, file: Path, tmp_path: Path) -> None:
    """A row that comes into a table without a key is noticed, too."""
    backup = tmp_path / "backup.db"
    done(run("backup", backup, *on(file)))
    with closing(apsw.Connection(str(backup))) as connection:
        connection.execute("INSERT INTO _litestream_lock VALUES (1)")
    ended = run("verify-backup", backup)
    assert ended.exit_code == 1
    assert "its digest is another one" in ended.output


def test_restore_and_compact_say_that_it_has_to_be_stopped(storage: Storage, file: Path, tmp_path: Path) -> None:
    """It has the database open, and would go on with a file that has lost its name."""
    backup = tmp_path / "backup.db"
    done(run("backup", backup, *on(file)))
    storage.close()
    with reading_for_ever(file):
        for words in (("restore", str(backup)), ("compact",)):
            ended = run(*words, *on(file))
            assert ended.exit_code == 1
            assert f"Another program has {file} open; stop it, then try again." in ended.output


def test_its_transaction_neither_fails_nor_holds_what_is_written(storage: Storage, file: Path) -> None:
    """Deletions are acknowledged beside it; what was deleted leaves the log as soon as the transaction ends."""
    append(storage, ALICE.account_id, wallet(3, "canary " * 2000))
    with reading_for_ever(file):
        storage.write(lambda transaction: transaction.delete_account(ALICE.account_id, NOW))
        storage.write(lambda transaction: transaction.insert_account(BOB))
        assert "walletsync.db-wal" in traces(file)
    until(lambda: traces(file) == set(), PATIENT)


def test_server_that_was_restarted_meanwhile_clears_the_log_as_well(storage: Storage, file: Path) -> None:
    """What an earlier process could not truncate, the next one does once it may."""
    append(storage, ALICE.account_id, wallet(3, "canary " * 2000))
    with reading_for_ever(file):
        storage.write(lambda transaction: transaction.delete_account(ALICE.account_id, NOW))
        storage.close()
        assert "walletsync.db-wal" in traces(file)
        again = open_sqlite(file)
        again.write(lambda transaction: transaction.insert_account(BOB))
        assert "walletsync.db-wal" in traces(file)
    until(lambda: traces(file) == set(), PATIENT)
    again.close()


def test_closing_waits_little_for_it(storage: Storage, file: Path) -> None:
    """A server ends within seconds beside a transaction that does not, however much it would like to truncate."""
    with reading_for_ever(file):
        storage.write(lambda transaction: transaction.delete_account(ALICE.account_id, NOW))
        started = time.monotonic()
        storage.close()
        assert time.monotonic() - started < 5


def test_tries_become_rare_while_they_are_in_vain(
    storage: Storage, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try keeps writers waiting, so for a minute of a transaction that does not end there are a dozen, not 120."""
    storage.close()
    tries, now = [], [0.0]
    monkeypatch.setattr(log, "time", Mock(monotonic=lambda: now[0]))
    once = WriteAheadLog._truncate

    def counted(self: WriteAheadLog, patience: float) -> None:
        tries.append(patience)
        once(self, 0.0)

    monkeypatch.setattr(WriteAheadLog, "_truncate", counted)
    with closing(open_sqlite(file, inline=True)) as inline:
        with reading_for_ever(file):
            inline.write(lambda transaction: transaction.delete_account(ALICE.account_id, NOW))
            for _ in range(120):
                now[0] += 0.5
                inline.write(lambda transaction: transaction.find_account(BOB.email))
            assert 5 < len(tries) < 15
        now[0] += 10
        inline.write(lambda transaction: transaction.insert_account(BOB))
        before = len(tries)
        now[0] += 0.5
        inline.write(lambda transaction: transaction.find_account(BOB.email))
        assert len(tries) == before  # it worked, so none is due
