"""The command line over a real server: each command, each exit code, and where passwords come from."""

import ast
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import keyring
import pytest
from click.testing import CliRunner, Result
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring

import walletsync
from tests.conftest import PASSWORD
from tests.middle import CHANGE_PASSWORD, GET_WALLET, WELL_KNOWN, Answer, Middle
from tests.server.helpers import until
from walletsync import crypto, errors, walletfile
from walletsync.cli import main
from walletsync.cli.errors import EXIT_CODES, failure, in_commands
from walletsync_server.testing import RunningServer

ROOT = Path(__file__).parents[2]
NEW_PASSWORD = "another horse, another battery"
PATIENCE = 60.0
PACKAGE = Path(walletsync.__file__).parent


class InMemory(KeyringBackend):
    """A keyring."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring has no types there
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError


@pytest.fixture(autouse=True)
def no_keyring() -> Iterator[None]:
    """The keyring of whoever runs the tests stays out of it."""
    before = keyring.get_keyring()
    keyring.set_keyring(NoKeyring())  # type: ignore[no-untyped-call]
    yield
    keyring.set_keyring(before)


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else writes the files of these tests."""
    monkeypatch.setattr(walletfile, "_REST_SECONDS", 0)


@pytest.fixture
def ring(no_keyring: None) -> InMemory:
    backend = InMemory()
    keyring.set_keyring(backend)
    return backend


class Machine:
    """A folder with a wallet's file, and a shell in it that knows the password."""

    def __init__(self, folder: Path, url: str, email: str) -> None:
        folder.mkdir()
        self.folder, self.url, self.email = folder, url, email
        self.file = folder / "wallet.json"
        self._password_file = folder / "password"
        self._new_password_file = folder / "new-password"
        self.types(PASSWORD)

    def types(self, password: str, new: str = NEW_PASSWORD) -> None:
        self._password_file.write_text(password + "\n")
        self._new_password_file.write_text(new + "\n")

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "WALLETSYNC_FILE": str(self.file),
            "WALLETSYNC_PASSWORD_FILE": str(self._password_file),
            "WALLETSYNC_NEW_PASSWORD_FILE": str(self._new_password_file),
        } | more

    def run(self, command: str, **environment: str | None) -> Result:
        return CliRunner().invoke(main, shlex.split(command), env={**self.environment(), **environment})

    def ok(self, command: str, **environment: str | None) -> str:
        result = self.run(command, **environment)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, command: str) -> Any:
        return json.loads(self.ok(f"{command} --json"))

    def fails(self, command: str, code: int, **environment: str | None) -> str:
        """Return what a command says that ends with `code`; nothing is on stdout, and it speaks of commands."""
        result = self.run(command, **environment)
        assert (result.exit_code, result.stdout) == (code, ""), result.output
        assert isinstance(result.exception, SystemExit)
        assert not re.search(r"\w\(\)|\w=[`A-Z]", result.stderr)
        return result.stderr

    def init(self, more: str = "") -> None:
        name = self.folder.name
        self.ok(f"init {self.file} --server {self.url} --email {self.email} --device {name} {more}")

    def write(self, document: Any) -> None:
        self.file.write_text(json.dumps(document))

    def read(self) -> Any:
        return json.loads(self.file.read_bytes())


Make = Callable[..., Machine]


@pytest.fixture
def make(tmp_path: Path, running_server: RunningServer, address: Callable[[], str]) -> Make:
    """Make machines of one new account."""
    email = address()

    def made(name: str, url: str = running_server.url) -> Machine:
        machine = Machine(tmp_path / name, url, email)
        machine.init()
        return machine

    return made


@pytest.fixture
def laptop(make: Make) -> Machine:
    """A machine that has synced a first version."""
    laptop = make("laptop")
    laptop.ok("register")
    laptop.write({"a": 1})
    laptop.ok("sync")
    return laptop


@pytest.fixture
def phone(laptop: Machine, make: Make) -> Machine:
    """Another one of the same account, up to date."""
    phone = make("phone")
    phone.ok("sync")
    assert phone.read() == {"a": 1}
    return phone


def commands() -> dict[str, click.Command]:
    return dict(main.commands)


# What each command does


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
        "loggedIn": False,
        "passwordChangeIsOpen": False,
    }
    assert "edited: no" in laptop.ok("status")


def test_init_twice_is_refused_and_changes_nothing(make: Make) -> None:
    """What is set up stays as it is."""
    laptop = make("laptop")
    before = laptop.ok("status")
    told = laptop.fails(f"init {laptop.file} --server https://other.example.com --email bob@example.com", 2)
    assert "is set up already" in told
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
    assert "make it first" in machine.fails(f"init {tmp_path}/none/wallet.json {words}", 2)
    folder = machine.file.with_name("wallet.json.walletsync")
    folder.write_text("in the way")
    assert "cannot be made: File exists" in machine.fails(f"init {machine.file} {words}", 2)


def test_init_says_where_nothing_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a place that takes no files, or under a name that is none; nothing is left behind."""
    machine = Machine(tmp_path / "m", "https://sync.example.com", "a@example.com")
    monkeypatch.chdir(tmp_path)
    words = f"--server {machine.url} --email {machine.email}"
    for file in ("/proc/wallet.json", "n" * 300, f"{'n' * 300}/wallet.json"):
        assert re.search(r"cannot be made: .*\. Keep the wallet's file where", machine.fails(f"init {file} {words}", 2))
    assert "needs a name" in machine.fails(f"init '' {words}", 2)
    assert list(tmp_path.iterdir()) == [tmp_path / "m"]


def test_the_format_is_guessed_from_the_name(tmp_path: Path, make: Make) -> None:
    """Labels are lines of JSON."""
    words = "--server https://sync.example.com --email a@example.com --json"
    shell = make("laptop")
    assert json.loads(shell.ok(f"init {tmp_path}/labels.jsonl {words}"))["format"] == "bip329"
    assert json.loads(shell.ok(f"init {tmp_path}/labels.json {words}"))["format"] == "json"


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


def test_two_machines_have_the_same(laptop: Machine, phone: Machine) -> None:
    """Edits of both sides meet; a second sync has nothing to do."""
    laptop.write({"a": 1, "b": 2})
    phone.write({"a": 1, "c": 3})
    assert laptop.ok("sync") == "version 2\n"
    assert phone.json("sync") == {"sequence": 3, "conflicts": []}
    assert laptop.json("sync")["sequence"] == 3
    assert laptop.read() == phone.read() == {"a": 1, "b": 2, "c": 3}
    assert phone.json("sync")["sequence"] == 3
    assert [laptop.ok("fingerprint"), laptop.json("fingerprint")] == [
        phone.ok("fingerprint"),
        phone.json("fingerprint"),
    ]


def test_pull_sends_nothing_and_push_overwrites_nothing(laptop: Machine, phone: Machine) -> None:
    """The two halves of a sync: edits come together in the file, and leave only with a push."""
    laptop.write({"a": 1, "b": 2})
    assert laptop.json("push") == {"sequence": 2}
    phone.write({"a": 1, "c": 3})
    result = phone.run("push")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "has version 2 already" in result.stderr
    assert "hint: walletsync push again" in result.stderr
    assert phone.read() == {"a": 1, "b": 2, "c": 3}
    assert laptop.json("pull") == {"sequence": 2, "newer": False}
    assert phone.ok("push") == "version 3\n"
    laptop.write({"a": 1, "b": 2, "d": 4})
    assert laptop.ok("pull") == "version 3, new\n"
    assert laptop.read() == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert laptop.json("status")["edited"]
    assert phone.json("pull") == {"sequence": 3, "newer": False}


@pytest.mark.parametrize("keep", ["mine", "theirs"])
def test_a_conflict_waits_until_it_is_decided(keep: str, laptop: Machine, phone: Machine) -> None:
    """The file gets theirs, mine is kept aside, and a decision gets into the file and to the others."""
    laptop.write({"a": "laptop", "b": "laptop"})
    laptop.ok("sync")
    phone.write({"a": "phone", "b": "phone"})
    result = phone.run("sync --json --check-conflicts")
    assert result.exit_code == 8
    assert [each["at"] for each in json.loads(result.stdout)["conflicts"]] == ["/a", "/b"]
    assert "hint: walletsync conflicts" in result.stderr
    assert phone.read() == {"a": "laptop", "b": "laptop"}
    first, _ = phone.json("conflicts")
    assert first == {"number": 1, "at": "/a", "base": 1, "mine": "phone", "theirs": "laptop"}
    assert 'mine:   "phone"' in phone.ok("conflicts")
    assert "There is no conflict 3" in phone.fails("resolve 3 mine", 2)
    assert phone.json(f"resolve 1 {keep}") == {"conflicts": 1}
    decided = {"mine": "phone", "theirs": "laptop"}[keep]
    assert phone.read() == {"a": decided, "b": "laptop"}
    assert phone.ok(f"resolve all {keep}") == "Conflicts left: 0\n"
    assert phone.ok("conflicts") == "There are none.\n"
    phone.ok("sync --check-conflicts")
    laptop.ok("sync")
    assert laptop.read() == phone.read() == {"a": decided, "b": decided}


@pytest.mark.parametrize(
    ("number", "keep", "decided", "left"),
    [
        ("1", "mine", "phone 1", ["phone 2", "phone 3"]),
        ("2", "mine", "phone 2", ["phone 1", "phone 3"]),
        ("3", "mine", "phone 3", ["phone 1", "phone 2"]),
        ("2", "theirs", "laptop 3", ["phone 1", "phone 3"]),
        ("all", "mine", "phone 3", []),
        ("all", "theirs", "laptop 3", []),
    ],
)
def test_of_several_conflicts_in_one_place_the_very_one_is_decided(
    number: str, keep: str, decided: str, left: list[str], laptop: Machine, phone: Machine
) -> None:
    """By its number in the list; of all of them, the last one of mine stays."""
    for each in (1, 2, 3):
        laptop.write({"a": f"laptop {each}"})
        laptop.ok("sync")
        phone.write({"a": f"phone {each}"})
        phone.ok("sync")
    assert [each["mine"] for each in phone.json("conflicts")] == ["phone 1", "phone 2", "phone 3"]
    phone.ok(f"resolve {number} {keep}")
    assert phone.read() == {"a": decided}
    assert [each["mine"] for each in phone.json("conflicts")] == left


def test_a_sync_decides_if_it_is_told_how(laptop: Machine, phone: Machine) -> None:
    """For scripts that nobody watches."""
    for number, keep in enumerate(("mine", "theirs")):
        laptop.write({"a": f"laptop {number}"})
        laptop.ok("sync")
        phone.write({"a": f"phone {number}"})
        phone.ok(f"sync --on-conflict {keep} --check-conflicts")
        assert phone.read() == {"a": f"{'phone' if keep == 'mine' else 'laptop'} {number}"}
        laptop.ok("sync")


def test_an_earlier_version_is_shown_exported_and_restored(laptop: Machine) -> None:
    """History is listed, a version written out without touching the file, and made the current one again."""
    laptop.write({"a": 2})
    laptop.ok("sync")
    assert [each["sequence"] for each in laptop.json("history")] == [2, 1]
    assert re.match(r"2  \S+  \d+ bytes  laptop\n1  ", laptop.ok("history"))
    assert json.loads(laptop.ok("export")) == {"a": 2}
    assert json.loads(laptop.ok("export --version 1")) == {"a": 1}
    assert json.loads(laptop.json("export --version 1")["content"]) == {"a": 1}
    output = laptop.folder / "old.json"
    assert laptop.json(f"export --version 1 --output {output}") == {"file": str(output)}
    assert json.loads(output.read_bytes()) == {"a": 1}
    assert "does not exist yet" in laptop.fails(f"export --output {output}", 2)
    assert laptop.read() == {"a": 2}
    laptop.write({"a": 3})
    assert "hint: walletsync sync" in laptop.fails("restore 1", 2)
    laptop.ok("sync")
    assert laptop.json("restore 1") == {"sequence": 4}
    assert laptop.read() == {"a": 1}
    assert "walletsync sync first" in laptop.fails("export --version 99", 2)


def test_devices_are_listed_and_logged_out(laptop: Machine, phone: Machine) -> None:
    """Also this one; each logs in again by itself at the next sync, with the password."""
    assert {each["device"] for each in phone.json("devices")} == {"laptop", "phone"}
    assert re.search(r"^phone  since \S+  \(this one\)$", phone.ok("devices"), re.MULTILINE)
    assert phone.json("devices --revoke laptop") == {"revoked": "laptop"}
    assert [each["device"] for each in phone.json("devices")] == ["phone"]
    assert "walletsync devices" in phone.fails("devices --revoke laptop", 4)
    for command in ("sync", "history", "pull", "push", "export --version 1", "devices", "restore 1"):
        assert phone.json("devices --revoke phone") == {"revoked": "phone"}
        phone.ok(command)


def test_logging_out_keeps_the_file(laptop: Machine) -> None:
    """The wallet stays as it is, and syncing goes on after the next login."""
    laptop.write({"a": 2})
    assert laptop.json("logout") == {"loggedIn": False}
    assert laptop.ok("logout") == "This device is logged out.\n"
    assert not laptop.json("status")["loggedIn"]
    assert laptop.read() == {"a": 2}
    assert laptop.json("login")["device"] == "laptop"
    assert laptop.json("status")["loggedIn"]
    assert laptop.ok("sync") == "version 2\n"


def test_a_changed_password_holds_everywhere(laptop: Machine, phone: Machine) -> None:
    """The one who changed it goes on; the other is told, takes the new one, and keeps its own edits."""
    assert laptop.json("password") == {"sequence": 2}
    phone.write({"a": 1, "b": 2})
    told = phone.fails("sync", 5)
    assert "walletsync login --new-password" in told
    phone.types(NEW_PASSWORD)
    phone.ok("login --new-password")
    assert phone.ok("sync") == "version 3\n"
    laptop.types(NEW_PASSWORD)
    laptop.ok("sync")
    assert laptop.read() == {"a": 1, "b": 2}
    laptop.types(PASSWORD)
    laptop.ok("logout")
    assert "walletsync login" in laptop.fails("login", 4)


def test_unsynced_edits_block_a_password_change(laptop: Machine) -> None:
    """They would be left behind, so the error says what to do first, before it asks for a new password."""
    laptop.write({"a": 2})
    told = laptop.fails("password", 2, WALLETSYNC_NEW_PASSWORD_FILE="/nowhere")
    assert "not synced yet" in told
    assert "hint: walletsync sync" in told
    laptop.ok("sync")
    laptop.ok("password")


@pytest.mark.parametrize("lost", ["request", "answer"])
@pytest.mark.parametrize("then", ["password", "login", "sync"])
def test_an_interrupted_password_change_is_finished(lost: str, then: str, make: Make, middle: Middle) -> None:
    """Whether it has landed or not: the same again ends it; a login says which of the two passwords holds."""
    laptop = make("laptop", middle.url)
    laptop.ok("register")
    laptop.write({"a": 1})
    laptop.ok("sync")
    if lost == "answer":
        middle.lose_answer(CHANGE_PASSWORD)
    else:
        middle.lose_request(CHANGE_PASSWORD)
    laptop.fails("password", 3)
    assert laptop.json("status")["passwordChangeIsOpen"]
    laptop.write({"a": 2})
    if then == "password":
        laptop.ok("password")
        laptop.types(NEW_PASSWORD)
    else:
        right, wrong = (NEW_PASSWORD, PASSWORD) if lost == "answer" else (PASSWORD, NEW_PASSWORD)
        laptop.types(wrong)
        told = laptop.fails(then, 4)
        assert ("has landed: type the new password" in told) == (lost == "answer")
        assert ("has not landed: the old password holds. walletsync password again" in told) == (lost == "request")
        laptop.types(right)
        laptop.ok(then)
    laptop.ok("sync")
    assert not laptop.json("status")["passwordChangeIsOpen"]
    assert laptop.read() == {"a": 2}


def test_an_account_is_deleted_and_made_anew_with_nothing_lost(laptop: Machine) -> None:
    """Deleting asks first; the file stays, and is the first version of the next account."""
    asked = CliRunner().invoke(main, ["delete-account"], input="n\n", env=laptop.environment())
    assert asked.exit_code == 1
    assert f"Delete the account of {laptop.email}" in asked.stderr
    assert laptop.json("delete-account --yes") == {"deleted": laptop.email}
    assert laptop.read() == {"a": 1}
    laptop.fails("sync", 4)
    assert laptop.json("register") == {"email": laptop.email, "verified": True}
    assert laptop.json("sync") == {"sequence": 1, "conflicts": []}
    assert laptop.read() == {"a": 1}


def test_a_restored_server_needs_consent(tmp_path: Path, address: Callable[[], str]) -> None:
    """A server that was set back is not believed, until somebody says that it is fine; then everything goes there."""
    with RunningServer(accounts="open") as server:
        laptop = Machine(tmp_path / "laptop", server.url, address())
        laptop.init()
        laptop.ok("register")
        laptop.write({"a": 1})
        laptop.ok("sync")
        server.stop()
        backup = server.database.read_bytes()
        server.start()
        laptop.write({"a": 2})
        laptop.ok("sync")
        server.stop()
        for rest in server.database.parent.glob(f"{server.database.name}-*"):
            rest.unlink()
        server.database.write_bytes(backup)
        server.start()
        told = laptop.fails("sync", 5)
        assert "walletsync sync --accept-restored-server" in told
        assert "decides no conflicts" in laptop.fails("sync --accept-restored-server --on-conflict mine", 2)
        assert laptop.ok("sync --accept-restored-server") == "version 2\n"
        assert laptop.read() == {"a": 2}
        assert laptop.ok("sync") == "version 2\n"


def test_a_sync_that_has_to_log_in_derives_the_keys_once(laptop: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a second, so once is enough; with a token it is once as well."""
    derived = []
    real = crypto.derive

    def counted(*args: Any) -> Any:
        derived.append(args)
        return real(*args)

    monkeypatch.setattr(crypto, "derive", counted)
    laptop.ok("sync")
    assert len(derived) == 1
    laptop.ok("logout")
    laptop.ok("sync")
    assert len(derived) == 2


# Exit codes


def test_every_exit_code_is_documented() -> None:
    """In the help of the program, in words."""
    text = CliRunner().invoke(main, ["--help"]).stdout
    assert " ".join(EXIT_CODES.split()) in " ".join(text.split())
    assert re.findall(r"(\d) [a-z]", EXIT_CODES) == list("012345678")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.SyncGaveUp("x"), 1),
        (errors.NotReady("x"), 2),
        (errors.InvalidServerURL("x"), 2),
        (errors.ServerUnreachable("x"), 3),
        (errors.RetryLater("x", status=503, retry_after=1), 3),
        (errors.ServerError("x", status=502), 3),
        (errors.ServerError("x", status=400), 4),
        (errors.WrongCredentials("x", status=401), 4),
        (errors.WrongPassword("x"), 4),
        (errors.ProtocolError("x"), 5),
        (errors.BadWallet("x"), 5),
        (errors.DocumentError("x"), 6),
        (errors.WalletFileError("x"), 6),
        (errors.StoreUnusable("x"), 6),
        (errors.StoreLocked("x"), 7),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_error_has_its_exit_code(error: errors.WalletSyncError, code: int) -> None:
    """The table of the help, class by class."""
    assert failure(error).exit_code == code


def test_exit_codes_of_real_failures(make: Make, middle: Middle, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a script gets to see when things really go wrong."""
    laptop = make("laptop", middle.url)
    assert "walletsync register" in laptop.fails("sync", 4)
    laptop.ok("register")
    assert "make the file" in laptop.fails("sync", 4)
    assert "or makes the first from the file" in laptop.fails("push", 2)
    laptop.file.write_text('{"half')
    assert "left as it is" in laptop.fails("sync", 6)
    laptop.write({"a": 1})
    laptop.ok("sync")
    assert laptop.run("nonsense").exit_code == 2
    assert laptop.run("sync --on-conflict both").exit_code == 2
    middle.always(GET_WALLET, Answer(502, b"<html>"))
    laptop.fails("sync", 3)
    middle.honest()
    middle.always(GET_WALLET, Answer(404, {"error": "none", "code": "no_wallet"}))
    assert "--accept-restored-server" in laptop.fails("sync", 5)
    middle.honest()
    middle.always(WELL_KNOWN, Answer(200, b"<html>"))
    laptop.fails("sync", 5)
    middle.honest()
    laptop.types("wrong")
    assert "walletsync login --new-password" in laptop.fails("sync", 4)
    middle.lose_request(WELL_KNOWN)
    laptop.fails("sync", 3)


def test_the_library_speaks_of_calls_and_the_command_line_of_commands() -> None:
    """No sentence that the library can say names a call or an argument of Python once it is translated."""
    found = 0
    for file in sorted(PACKAGE.rglob("*.py")):
        if "cli" in file.relative_to(PACKAGE).parts or file.name == "testing.py":
            continue
        tree = ast.parse(file.read_text())
        docs = {
            ast.get_docstring(node, clean=False)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in docs:
                sentence = node.value
                if " " in sentence and re.search(r"\w\(\)|\w=[`A-Z]|\w=\w", sentence) and "\n" not in sentence:
                    found += 1
                    told = in_commands(sentence)
                    if "on_conflict" not in told and "function" not in told:
                        assert not re.search(r"\w\(\)|\w=[`A-Z]", told), (file.name, told)
    assert found > 15


# Passwords


def test_no_option_takes_a_password() -> None:
    """Everybody on the machine can read a command line."""
    for command in commands().values():
        for parameter in command.params:
            if "password" in (parameter.name or ""):
                assert parameter.is_flag, (command.name, parameter.name)  # type: ignore[attr-defined]


def test_a_password_file_is_read_without_its_newline(laptop: Machine) -> None:
    """With either end of line; what is no text, empty or not there is an error that names the variable."""
    file = laptop.folder / "password"
    for end in (b"", b"\n", b"\r\n"):
        file.write_bytes(PASSWORD.encode() + end)
        laptop.ok("sync")
    for content in (b"\xff", b"", b"\n"):
        file.write_bytes(content)
        assert "WALLETSYNC_PASSWORD_FILE" in laptop.fails("sync", 2)
    file.unlink()
    assert "WALLETSYNC_PASSWORD_FILE" in laptop.fails("sync", 2)


def test_without_a_terminal_nobody_is_asked(laptop: Machine) -> None:
    """A script that hangs at a prompt helps nobody."""
    for variable in (None, ""):
        told = laptop.fails("sync", 2, WALLETSYNC_PASSWORD_FILE=variable)
        assert "no terminal" in told
        assert "WALLETSYNC_PASSWORD_FILE" in told
    assert "WALLETSYNC_NEW_PASSWORD_FILE" in laptop.fails("password", 2, WALLETSYNC_NEW_PASSWORD_FILE=None)


def test_the_keyring_keeps_the_password(laptop: Machine, ring: InMemory) -> None:
    """From a login that asks for it, over a change of the password, until one logs out."""
    laptop.ok("login")
    assert not ring.kept
    laptop.ok("login --keyring")
    ((service, account),) = ring.kept
    assert (service, account) == ("walletsync", f"{laptop.email} at {laptop.url}")
    assert laptop.ok("sync", WALLETSYNC_PASSWORD_FILE=None) == "version 1\n"
    laptop.ok("password", WALLETSYNC_PASSWORD_FILE=None)
    assert set(ring.kept.values()) == {NEW_PASSWORD}
    laptop.ok("sync", WALLETSYNC_PASSWORD_FILE=None)
    ring.kept[service, account] = PASSWORD  # an old one there is no trap: a login asks, and replaces it
    laptop.fails("sync", 4, WALLETSYNC_PASSWORD_FILE=None)
    laptop.types(NEW_PASSWORD)
    laptop.ok("login")
    laptop.ok("sync", WALLETSYNC_PASSWORD_FILE=None)
    laptop.ok("logout")
    assert not ring.kept


def test_without_a_keyring_the_error_names_the_file(laptop: Machine) -> None:
    """The login itself has happened."""
    laptop.ok("logout")
    assert "no keyring here" in laptop.fails("login --keyring", 2)
    assert laptop.json("status")["loggedIn"]


class Terminal:
    """A process whose terminal a test sits at."""

    def __init__(self, words: list[str], environment: Mapping[str, str]) -> None:
        self.said = ""
        pid, self._terminal = pty.fork()
        if pid == 0:
            os.chdir(ROOT)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # who runs the tests in the background ignores it
            os.execve(sys.executable, [sys.executable, "-m", "tests.cheap_walletsync", *words], dict(environment))  # noqa: S606
        self.pid = pid

    def wait_for(self, words: str) -> None:
        while words not in self.said:
            self.said += os.read(self._terminal, 4096).decode()

    def wait_for_question(self, words: str) -> None:
        """Wait for a prompt, and until what is typed is neither shown nor, as just before that, thrown away."""
        self.wait_for(words)
        until(lambda: not termios.tcgetattr(self._terminal)[3] & termios.ECHO)

    def types(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def end(self) -> int:
        """Return the exit status; `said` is all that was on the terminal."""
        while True:
            try:
                data = os.read(self._terminal, 4096)
            except OSError:  # so Linux tells the end of a terminal
                break
            if not data:
                break
            self.said += data.decode()
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def bare(laptop: Machine, **more: str) -> dict[str, str]:
    """The environment of a process that has to ask for the password."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WALLETSYNC_", "COV_"))}
    return kept | {"WALLETSYNC_FILE": str(laptop.file), "TERM": "xterm-256color"} | more


def test_a_person_is_asked_on_the_terminal(make: Make) -> None:
    """Twice where a typing error would make an account that nobody can open; what is typed is not shown."""
    laptop = make("laptop")
    terminal = Terminal(["register"], bare(laptop))
    terminal.wait_for_question("Password:")
    terminal.types(f"{PASSWORD}\n")
    terminal.wait_for_question("confirmation")
    terminal.types("a typing error\n")
    terminal.wait_for("do not match")
    terminal.said = terminal.said.partition("do not match")[2]
    terminal.wait_for_question("Password:")
    terminal.types(f"{PASSWORD}\n")
    terminal.wait_for_question("confirmation")
    terminal.types(f"{PASSWORD}\n")
    assert terminal.end() == 0, terminal.said
    assert PASSWORD not in terminal.said
    assert "Deriving the keys" in terminal.said
    assert "logged in" in terminal.said
    laptop.write({"a": 1})
    laptop.ok("sync")


def test_no_color_means_no_colour(make: Make) -> None:
    """The spinner has one, but not for those who do not want any."""
    laptop = make("laptop")
    laptop.ok("register")
    for no_color, coloured in ((None, True), ("1", False)):
        terminal = Terminal(["login"], bare(laptop, **({} if no_color is None else {"NO_COLOR": no_color})))
        terminal.wait_for_question("Password:")
        terminal.types(f"{PASSWORD}\n")
        assert terminal.end() == 0, terminal.said
        assert "Deriving the keys" in terminal.said
        assert bool(re.search(r"\x1b\[\d*;?3\d", terminal.said)) == coloured


def test_who_changes_the_mind_at_the_prompt_gets_out(laptop: Machine) -> None:
    """Ctrl-C ends the question, in watch as well."""
    for command in ("sync", "watch"):
        terminal = Terminal([command], bare(laptop))
        terminal.wait_for_question("Password:")
        terminal.types("\x03")
        assert terminal.end() == 1
        assert "Aborted" in terminal.said


# For programs, shells and those who are in a hurry


def test_every_command_has_an_example_and_speaks_json() -> None:
    """In its help; the example is one that the program itself understands."""
    for name, command in commands().items():
        text = CliRunner().invoke(main, [name, "--help"]).stdout
        assert "--json" in text, name
        (example,) = re.findall(r"Example: (walletsync .*?)(?:\n\n|\Z)", text, re.DOTALL)
        words = shlex.split(" ".join(example.split()))
        assert words[:2] == ["walletsync", name]
        command.make_context(name, words[2:], obj=None)
    assert "Example:" in CliRunner().invoke(main, ["--help"]).stdout


def test_json_is_all_there_is_on_stdout(laptop: Machine, phone: Machine) -> None:
    """Each command, with whatever it has to say on stderr."""
    runs = {
        "init": f"init {laptop.folder}/other.json --server https://sync.example.com --email a@example.com",
        "resolve": "resolve all mine",
        "restore": "restore 1",
        "delete-account": "delete-account --yes",
    }
    for name in commands():
        if name not in ("watch", "delete-account", "logout", "register"):
            json.loads(laptop.ok(f"{runs.get(name, name)} --json"))
            if name == "login":
                laptop.write({"a": 1, "of": name})
            if name == "password":
                laptop.types(NEW_PASSWORD)
    for name in ("logout", "delete-account", "register"):
        json.loads(laptop.ok(f"{runs.get(name, name)} --json"))


def test_numbers_keep_their_spelling(tmp_path: Path, running_server: RunningServer, address: Callable[[], str]) -> None:
    """What is shown of a conflict has them as the file of labels has them, however large or exact they are."""
    email = address()
    laptop, phone = (Machine(tmp_path / name, running_server.url, email) for name in ("laptop", "phone"))
    for machine, large, exact in ((laptop, "1e999", "1.50"), (phone, "-1e999", "0.10")):
        machine.init("--format bip329")
        machine.file.write_text(f'{{"type":"tx","ref":"{64 * "a"}","label":"","a":{large},"b":{exact}}}\n')
    laptop.ok("register")
    laptop.ok("sync")
    synced = phone.ok("sync --json")
    for told in (synced, phone.ok("conflicts --json")):
        numbers = re.findall(r'"(mine|theirs)": ?([^,}]+)', told)
        assert numbers == [("mine", "-1e999"), ("theirs", "1e999"), ("mine", "0.10"), ("theirs", "1.50")]
    assert "theirs: 1.50" in phone.ok("conflicts")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands(shell: str) -> None:
    """The script for the shell is there, and asked for what begins with `fi`, there is the fingerprint."""
    program = "from walletsync.cli import main; main(prog_name='walletsync')"
    environment = os.environ | {"_WALLETSYNC_COMPLETE": f"{shell}_source"}
    script = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert "_WALLETSYNC_COMPLETE" in script.stdout
    environment |= {"_WALLETSYNC_COMPLETE": f"{shell}_complete", "COMP_WORDS": "walletsync fi", "COMP_CWORD": "1"}
    if shell == "fish":
        environment["COMP_CWORD"] = "fi"
    answer = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert "fingerprint" in answer.stdout, answer.stderr


@pytest.mark.parametrize("words", [["--help"], ["sync", "--help"], ["--version"]], ids=" ".join)
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    """Neither network nor keys nor keyring: help comes at once."""
    program = (
        "import sys\n"
        "from walletsync.cli import main\n"
        f"main({words!r}, standalone_mode=False)\n"
        "print(*sorted(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "walletsync.cli" in loaded
    names = "requests urllib3 keyring rich cryptography websockets sqlite3 ssl asyncio walletsync.client"
    assert loaded.isdisjoint(names.split())


def test_the_library_without_the_extra_says_what_is_missing() -> None:
    """`pip install walletsync` has no click."""
    program = "import sys; sys.modules['click'] = None; import walletsync.cli"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "walletsync[cli]" in done.stderr
    assert "Traceback" not in done.stderr
