"""`open_storage`: from a URL to the engine."""

from pathlib import Path

import pytest

from walletsync_server.storage import open_storage
from walletsync_server.storage.contract_tests.records import ALICE
from walletsync_server.storage.interface import StorageError


@pytest.mark.parametrize("name", ["w.db", "a b%20c?mode=ro#d", "ü.db", "file:x"])
def test_url_names_a_file_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """From the working directory or from the root of the disk, whatever is in its name."""
    monkeypatch.chdir(tmp_path)
    storage = open_storage(f"sqlite:///{name}")
    storage.write(lambda transaction: transaction.insert_account(ALICE))
    storage.close()
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}.lock"}
    again = open_storage(f"sqlite:///{tmp_path}/{name}", inline=True)
    assert again.read(lambda transaction: transaction.find_account(ALICE.email)) == ALICE
    again.close()


@pytest.mark.parametrize("url", ["", "walletsync.db", "mysql://host/name", "sqlite:walletsync.db", "SQLITE:///x"])
def test_unknown_engine_is_told_which_there_are(url: str) -> None:
    """What no engine has is refused with those that there are."""
    with pytest.raises(StorageError, match="sqlite://"):
        open_storage(url)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite://walletsync.db", "sqlite://host/walletsync.db"])
def test_url_without_a_file_is_refused(url: str) -> None:
    """SQLite has no hosts, and needs a file."""
    with pytest.raises(StorageError, match="sqlite:///FILE"):
        open_storage(url)


def test_commits_are_told(tmp_path: Path) -> None:
    """Whoever asks learns of every commit how long it took and how many writes were in it."""
    commits: list[tuple[float, int]] = []
    storage = open_storage(f"sqlite:///{tmp_path}/w.db", on_commit=lambda *commit: commits.append(commit))
    storage.write(lambda transaction: transaction.insert_account(ALICE))
    storage.close()
    assert [(seconds >= 0, writes) for seconds, writes in commits] == [(True, 1)]


def test_name_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    """With a sentence: SQLite takes names in UTF-8 only."""
    with pytest.raises(StorageError, match="UTF-8"):
        open_storage(f"sqlite:///{tmp_path}/\udcff.db")
