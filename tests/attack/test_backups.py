"""Backups of a server under load: each is a moment that was, with all that was acknowledged before it."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.attack.ledger import Stored, stored_accounts
from tests.attack.wires import KeptWire
from tests.cheap_server import CheapServer
from tests.server.helpers import API, Account, HttpWire, log_in, new_account
from walletsync_server.storage.sqlite.backup import back_up, restore
from walletsync_server.storage.sqlite.verify import verify

WRITERS = 6
SMALL, LARGE = 300, 100_000  # bytes: every tenth wallet has many pages


class Writer:
    """One account that writes version after version. `acknowledged` is the last that was."""

    def __init__(self, url: str) -> None:
        self.account = new_account(HttpWire(url))
        self.email = self.account.email
        self.acknowledged = 0
        self._wire = KeptWire(url)

    def write_until(self, stopping: threading.Event) -> None:
        account = Account(self._wire, self.email, self.account.token)
        while not stopping.is_set():
            sequence = self.acknowledged + 1
            size = LARGE if sequence % 10 == 0 else SMALL
            assert account.post(sequence, f"{sequence}-" * size).status == 200
            self.acknowledged = sequence
        self._wire.close()


@pytest.mark.parametrize("backups", [4, pytest.param(100, marks=pytest.mark.security)])
def test_backups_under_load_restore_with_unbroken_sequences(tmp_path: Path, backups: int) -> None:
    """Each restores to versions without a gap, as posted, up to one that was current while the backup was made."""
    database, restored, stopping = tmp_path / "walletsync.db", tmp_path / "restored.db", threading.Event()
    with CheapServer(accounts="open", database=database) as server, ThreadPoolExecutor(WRITERS) as pool:
        writers = [Writer(server.url) for _ in range(WRITERS)]
        writing = [pool.submit(writer.write_until, stopping) for writer in writers]
        try:
            for _ in range(backups):
                restored.unlink(missing_ok=True)
                check_one(database, tmp_path / "backup.db", restored, writers)
        finally:
            stopping.set()
        for each in writing:
            each.result()
    assert sum(writer.acknowledged for writer in writers) > backups
    go_on_with(restored, writers)


def check_one(database: Path, backup: Path, restored: Path, writers: Sequence[Writer]) -> None:
    """Make a backup while the others write, restore it to a place of its own, and look at what is there."""
    before = {writer.email: writer.acknowledged for writer in writers}
    back_up(database, backup, replace=True, progress=lambda done, total: None)
    after = {writer.email: writer.acknowledged + 1 for writer in writers}  # one may be stored and not answered yet
    assert restore(backup, restored, now=datetime.now(UTC), progress=lambda done, total: None).aside is None
    assert verify(restored, progress=lambda done, total: None).faults == []
    stored = stored_accounts(restored)
    assert stored.keys() == before.keys()
    for email, each in stored.items():
        assert before[email] <= each.sequence <= after[email]
        assert_unbroken(each)


def assert_unbroken(stored: Stored) -> None:
    """Check that the first and the last ten versions are there, as they were posted, and no token."""
    sequences = [row[0] for row in stored.versions]
    posted = range(1, stored.sequence + 1)
    assert sequences == [*posted[:1], *posted[1:][-10:]]
    assert all(row[4].startswith(f"{row[0]}-".encode()) for row in stored.versions)
    assert not stored.tokens


def go_on_with(restored: Path, writers: Sequence[Writer]) -> None:
    """Serve a restored backup: everybody logs in again and writes the next version."""
    with CheapServer(accounts="open", database=restored) as server:
        wire = HttpWire(server.url)
        for writer in writers:
            assert wire("GET", f"{API}/wallet", token=writer.account.token).status == 401
            account = Account(wire, writer.email, log_in(wire, writer.email).json["token"])
            current = account.get()
            sequence = current.json["sequence"] if current.status == 200 else 0
            assert account.post(sequence + 1).status == 200
