"""Setting a wallet up, and finding it again."""

import json
import re
from pathlib import Path

import pytest

from tests.client.cli.machines import Machine, Make
from walletsync.cli.errors import failure
from walletsync.errors import OtherFormat
from walletsync_server.testing import RunningServer


@pytest.mark.promise("S-30")
def test_init_keeps_what_it_was_told(make: Make) -> None:
    """The wallet is set up in a folder that nobody else can look into; nothing needs a server yet."""
    laptop = make("laptop")
    folder = laptop.file.with_name("wallet.json.walletsync")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in folder.iterdir()} == {0o600}
    status = laptop.json("status")
    assert status == {
        "file": str(laptop.file),
        "server": laptop.url,
        "realm": laptop.url,
        "email": laptop.email,
        "format": "json",
        "device": "laptop",
        "sequence": 0,
        "edited": False,
        "conflicts": 0,
        "earlier": 0,
        "deletions": 0,
        "loggedIn": False,
        "passwordChangeIsOpen": False,
    }
    assert "edited: no" in laptop.ok("status")


def test_init_twice_is_refused_and_changes_nothing(make: Make) -> None:
    """What is set up stays as it is."""
    laptop = make("laptop")
    before = laptop.ok("status")
    told = laptop.fails(f"init {laptop.file} --server https://other.example.com --email bob@example.com", 2)
    assert "is already set up" in told
    assert laptop.ok("status") == before


@pytest.mark.parametrize(
    ("server", "email", "says"),
    [
        ("ftp://sync.example.com", "a@example.com", "URL"),
        ("http://sync.example.com", "a@example.com", "--allow-plain-http"),
        ("https://sync.example.com", "A@example.com", "account cannot be set"),
    ],
)
def test_init_refuses_what_cannot_work_and_can_be_repeated(
    server: str, email: str, says: str, tmp_path: Path, running_server: RunningServer
) -> None:
    """A mistake leaves nothing behind: the same again without it works, with another format, too."""
    machine = Machine(tmp_path / "m", running_server.url, "a@example.com")
    assert says in machine.fails(f"init {machine.file} --server {server} --email {email}", 2)
    assert not machine.file.with_name("wallet.json.walletsync").exists()
    machine.init("--format bip329")


def test_init_names_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    """It makes no folders for wallets."""
    machine = Machine(tmp_path / "m", "https://sync.example.com", "a@example.com")
    words = f"--server {machine.url} --email {machine.email}"
    assert "create it first" in machine.fails(f"init {tmp_path}/none/wallet.json {words}", 2)
    folder = machine.file.with_name("wallet.json.walletsync")
    folder.write_text("in the way")
    assert "cannot be created: File exists" in machine.fails(f"init {machine.file} {words}", 2)


def test_init_says_where_nothing_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a place that takes no files, or under a name that is none; nothing is left behind."""
    machine = Machine(tmp_path / "m", "https://sync.example.com", "a@example.com")
    monkeypatch.chdir(tmp_path)
    words = f"--server {machine.url} --email {machine.email}"
    for file in ("/proc/wallet.json", "n" * 300, f"{'n' * 300}/wallet.json"):
        assert re.search(
            r"cannot be created: .*\. Keep the wallet's file in a folder", machine.fails(f"init {file} {words}", 2)
        )
    assert "needs a name" in machine.fails(f"init '' {words}", 2)
    assert list(tmp_path.iterdir()) == [tmp_path / "m"]


def test_the_format_is_guessed_from_the_name(tmp_path: Path, make: Make) -> None:
    """Labels are lines of JSON."""
    words = "--server https://sync.example.com --email a@example.com --json"
    shell = make("laptop")
    assert json.loads(shell.ok(f"init {tmp_path}/labels.jsonl {words}"))["format"] == "bip329"
    assert json.loads(shell.ok(f"init {tmp_path}/labels.json {words}"))["format"] == "json"


def test_a_document_of_another_format_is_told_with_both_ways_out(make: Make) -> None:
    """What the hint says works: a file of that format for the document, a name for what is in this file."""
    laptop, phone = make("laptop"), make("phone")
    laptop.write({"a": 1})
    laptop.ok("register")
    laptop.ok("sync")
    folder = phone.file.with_name("wallet.json.walletsync")
    folder.rename(folder.with_name("away"))
    phone.init("--format bip329")
    phone.file.write_text('{"type":"tx","ref":"a","label":"rent"}\n')
    told = phone.fails("sync", 6)
    assert "walletsync init ANOTHER_FILE --format json" in told
    assert "move FILE.walletsync away, then: walletsync init FILE --wallet NAME" in told
    another = phone.folder / "another.json"
    phone.ok(f"init {another} --format json --server {phone.url} --email {phone.email}")
    phone.ok(f"--file {another} sync")
    assert json.loads(another.read_bytes()) == {"a": 1}
    folder.rename(folder.with_name("away too"))
    phone.init("--format bip329 --wallet labels")
    assert phone.ok("sync") == "version 2\n"
    laptop.ok("sync")
    assert laptop.read() == {"a": 1}


def test_a_document_of_a_format_that_is_no_file_has_one_way_out() -> None:
    """The command line offers only formats that it has."""
    told = failure(OtherFormat("x", format="append-log"))
    told_of_json = failure(OtherFormat("x", format="json"))
    assert ("--format" in (told.hint or ""), "--format json" in (told_of_json.hint or "")) == (False, True)


def test_the_wallet_is_found_in_the_folder(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Just one needs no name; with none or two, the error says so."""
    laptop = make("laptop")
    monkeypatch.chdir(laptop.folder)
    assert "device: laptop" in laptop.ok("status", WALLETSYNC_FILE=None)
    assert "device: laptop" in laptop.ok("--file wallet.json status", WALLETSYNC_FILE=None)
    monkeypatch.chdir(laptop.folder.parent)
    assert "No wallet is set up" in laptop.fails("status", 2, WALLETSYNC_FILE=None)
    monkeypatch.chdir(laptop.folder)
    laptop.ok("init other.json --server https://sync.example.com --email a@example.com")
    assert "More than one wallet" in laptop.fails("status", 2, WALLETSYNC_FILE=None)


def test_a_wrong_file_is_named(make: Make) -> None:
    """A file that was not set up, and a set-up that is damaged or foreign."""
    laptop = make("laptop")
    told = laptop.fails("--file nothing.json sync", 2)
    assert "nothing.json is not set up" in told
    assert "hint" not in told
    settings = laptop.file.with_name("wallet.json.walletsync") / "settings.json"
    settings.write_text('{"server": 1}')
    assert "is damaged" in laptop.fails("sync", 6)
    settings.unlink()
    settings.mkdir()
    assert "cannot be read: Is a directory" in laptop.fails("sync", 6)


def test_login_takes_over_the_format_of_an_account_for_a_file_that_is_not_there(make: Make) -> None:
    """Where nobody has named one, and the file's name says nothing: an LBRY wallet's has no ending."""
    lbry = '{"version":1,"name":"w","preferences":{},"accounts":[]}'
    laptop = make("laptop")
    laptop.file = laptop.folder / "default_wallet"
    laptop.file.write_text(lbry)
    laptop.init()
    laptop.ok("register")
    laptop.ok("sync")
    phone = make("phone")
    phone.file = phone.folder / "default_wallet"
    phone.init()
    assert phone.json("status")["format"] == "json"
    assert "will be a file of the format lbry" in phone.run("login").stderr
    assert phone.json("status")["format"] == "lbry"
    phone.ok("sync")
    assert phone.read() == laptop.read()
    assert "will be a file" not in phone.run("login").stderr


@pytest.mark.parametrize("options", ["--format json", "--key /accounts=id", ""])
def test_login_takes_over_no_format_where_one_is_known(make: Make, options: str) -> None:
    """It was named, be it by keys, or the file is there: the sync says what is wrong, and the file stays as it is."""
    laptop = make("laptop")
    laptop.file = laptop.folder / "labels.jsonl"
    laptop.file.write_text('{"type":"tx","ref":"aa","label":"rent"}\n')
    laptop.init()
    laptop.ok("register")
    laptop.ok("sync")
    phone = make("phone")
    phone.file = phone.folder / "other"
    if not options:
        phone.file.write_text("{}")
    phone.init(options)
    phone.run("login")
    assert "'bip329'" in phone.run("sync").stderr
    assert phone.json("status")["format"] == "json"


def test_login_takes_over_nothing_from_an_account_without_a_wallet(make: Make) -> None:
    laptop = make("laptop")
    laptop.ok("register")
    laptop.ok("login")
    assert laptop.json("status")["format"] == "json"
