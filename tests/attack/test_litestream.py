"""Litestream itself beside a running server: what it replicates can be restored, and it is in nobody's way."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cheap_server import CheapServer
from tests.server.helpers import API, PASSWORD, Account, HttpWire, log_in, new_account, until
from tests.server.storage.test_deletion import traces
from walletsync_server.storage.interface import StorageError
from walletsync_server.storage.sqlite.verify import Verification, verify

PROGRAM = Path(sys.executable).with_name("litestream")
PATIENT = 60.0
MANUAL = (Path(__file__).parents[2] / "server" / "README.md").read_text()
(CONFIGURATION,) = re.findall(r"^```yaml\n(dbs:.*?)^```$", MANUAL, re.MULTILINE | re.DOTALL)


@contextmanager
def replicating(database: Path, replica: Path, log: Path) -> Iterator[None]:
    """Run litestream with the manual's configuration; the replica is in a folder of this machine."""
    configuration = log.with_suffix(".yml")
    configuration.write_text(
        CONFIGURATION.replace("/var/lib/walletsync/walletsync.db", str(database)).replace(
            "sftp://walletsync@backup.example.com/walletsync", f"file://{replica}"
        )
    )
    with log.open("a") as output:
        command = [str(PROGRAM), "replicate", "-config", str(configuration)]
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(PATIENT) == 0, log.read_text()


def restored(replica: Path, target: Path) -> Verification | None:
    """Return what is found in what the replica has now; None while it has nothing yet."""
    target.unlink(missing_ok=True)
    ended = subprocess.run(
        [str(PROGRAM), "restore", "-o", str(target), f"file://{replica}"], capture_output=True, text=True, check=False
    )
    if ended.returncode:
        assert "no matching backup files available" in ended.stderr, ended.stderr
        return None
    try:
        return verify(target, progress=lambda done, total: None)
    except StorageError:  # it is from before the server made its schema
        return None


def ran(*words: str | Path) -> str:
    command = [sys.executable, "-m", "walletsync_server", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.security
def test_replica_is_restored_and_served(tmp_path: Path) -> None:
    """What was acknowledged is in the replica soon after; it is checked, restored, served, and replicated further."""
    database, replica, file = tmp_path / "db" / "walletsync.db", tmp_path / "replica", tmp_path / "replica.db"
    database.parent.mkdir()
    with (
        CheapServer(database=database, accounts="open") as server,
        replicating(database, replica, tmp_path / "log"),
    ):
        account = new_account(HttpWire(server.url))
        for sequence in range(1, 6):
            assert account.post(sequence, f"wallet {sequence}").status == 200
        until(lambda: (found := restored(replica, file)) is not None and found.versions == 5, PATIENT)
        backup = tmp_path / "backup.db"
        ran("backup", backup, "--database", f"sqlite:///{database}")
        assert "is whole: 1 accounts, 5 versions" in ran("verify-backup", backup)
    shutil.rmtree(database.parent)
    database.parent.mkdir()
    assert "is whole: 1 accounts, 5 versions" in ran("verify-backup", file)
    ran("restore", file, "--database", f"sqlite:///{database}")
    with (
        CheapServer(database=database, accounts="open") as server,
        replicating(database, replica, tmp_path / "log"),
    ):
        wire = HttpWire(server.url)
        account = Account(wire, account.email, log_in(wire, account.email).json["token"])
        assert account.get().json["encryptedWallet"] == "wallet 5"
        assert account.post(6).status == 200
        until(lambda: (found := restored(replica, file)) is not None and found.versions == 6, PATIENT)


@pytest.mark.security
def test_what_is_deleted_leaves_the_files_when_litestream_stops(tmp_path: Path) -> None:
    """Beside it, a deletion is acknowledged and others write; its transaction keeps the log, and only that long."""
    database = tmp_path / "db" / "walletsync.db"
    database.parent.mkdir()
    with CheapServer(database=database, accounts="open") as server:
        wire = HttpWire(server.url)
        account, other = new_account(wire), new_account(wire)
        with replicating(database, tmp_path / "replica", tmp_path / "log"):
            until(lambda: restored(tmp_path / "replica", tmp_path / "replica.db") is not None, PATIENT)
            assert account.post(1, "canary " * 20_000).status == 200
            answer = wire("POST", f"{API}/account/delete", {"email": account.email, "password": PASSWORD})
            assert answer.status == 204
            assert other.post(1).status == 200
        until(lambda: traces(database) == set(), PATIENT)
