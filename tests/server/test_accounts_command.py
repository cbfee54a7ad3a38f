"""`accounts`: who may sign up and who has an account, changed while the server runs."""

import json
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from alembic import command
from click.testing import CliRunner, Result

from tests.cheap_server import CheapServer
from tests.server.helpers import API, Account, HttpWire, log_in, sign_up
from walletsync_server.cli import main
from walletsync_server.storage.sql.migrate import configuration
from walletsync_server.storage.sqlite.connect import engine
from walletsync_server.storage.sqlite.lock import DatabaseLock
from walletsync_server.storage.sqlite.opening import open_sqlite
from walletsync_server.testing import ServerDidNotStart

ALICE, BOB = "alice@example.com", "bob@example.com"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "walletsync.db"


def accounts(file: Path, *words: str, **options: str) -> Result:
    typed = ["accounts", words[0], "--database", f"sqlite:///{file}", *words[1:]]
    return CliRunner().invoke(main, typed, env=options)


def test_permission_holds_at_once_while_the_server_runs(file: Path) -> None:
    """Nobody, then the one who was added, then nobody again: without a restart."""
    with CheapServer(database=file) as server:
        wire = HttpWire(server.url)
        assert sign_up(wire, ALICE).status == 403
        assert accounts(file, "add", ALICE).stdout == f"{ALICE} may sign up.\n"
        assert accounts(file, "add", ALICE).stdout == f"{ALICE} was already allowed.\n"
        assert [sign_up(wire, address).status for address in (ALICE, BOB)] == [201, 403]
        assert accounts(file, "add", BOB).exit_code == 0
        assert "may no longer sign up" in accounts(file, "remove", BOB).stdout
        assert sign_up(wire, BOB).status == 403


def test_list_has_everybody(file: Path) -> None:
    """Whoever has an account or may get one, by command or by setting, in order; each as a line or as JSON."""
    with CheapServer(database=file, allow=["dora@example.com"]) as server:
        wire = HttpWire(server.url)
        for address in (BOB, "carol@example.com"):
            accounts(file, "add", address)
        for address in ("dora@example.com", BOB):
            assert sign_up(wire, address).status == 201
        bob = Account(wire, BOB, log_in(wire, BOB).json["token"])
        assert bob.post(1, "wallet").status == 200
        allowed = f"{ALICE} dora@example.com zoe@example.com"
        listed = accounts(file, "list", "--json", WALLETSYNC_ALLOW=allowed).stdout.splitlines()
        lines = accounts(file, "list", WALLETSYNC_ALLOW=allowed).stdout.splitlines()
    people = [json.loads(line) for line in listed]
    since, seen = ([person.pop(name) for person in people] for name in ("created_at", "last_seen"))
    free = {"allowed": True, "disabled_at": None, "quota": None}
    nothing = free | {"current_sequence": 0, "devices": 0, "versions": 0, "size": 0}
    something = free | {"current_sequence": 1, "devices": 1, "versions": 1, "size": len("wallet")}
    names = (ALICE, BOB, "carol@example.com", "dora@example.com", "zoe@example.com")
    assert people == [{"email": name, **(something if name == BOB else nothing)} for name in names]
    assert [moment is not None for moment in seen] == [False, True, False, False, False]
    assert [moment is not None for moment in since] == [False, True, False, True, False]
    assert lines[0] == f"{ALICE}  may sign up"
    kept = f"wallet version 1, versions kept: 1, {len('wallet')} bytes"
    assert lines[1] == f"{BOB}  account since {since[1][:10]}, {kept}, devices: 1, last seen: {seen[1][:10]}"
    assert lines[3] == f"dora@example.com  account since {since[3][:10]}, no wallet, devices: 0, last seen: not known"


def test_devices_are_shown_and_logged_out(file: Path) -> None:
    """All of one account with its devices, as lines or JSON; who is logged out is so at once, and may log in again."""
    with CheapServer(database=file, accounts="open") as server:
        wire = HttpWire(server.url)
        sign_up(wire, ALICE)
        phone, laptop = (Account(wire, ALICE, log_in(wire, ALICE, device=name).json["token"]) for name in ("a", "b"))
        assert phone.post(1, "wallet").status == 200
        shown = json.loads(accounts(file, "show", ALICE, "--json").stdout)
        assert (shown["size"], [device["device_id"] for device in shown["devices"]]) == (6, ["a", "b"])
        lines = accounts(file, "show", ALICE).stdout.splitlines()
        assert "wallet version 1" in lines[0]
        assert [line.split("logged in")[0].strip() for line in lines[1:]] == ["'a'", "'b'"]
        missing = accounts(file, "logout", ALICE, "--device", "c")
        assert (missing.exit_code, "No such device" in missing.stderr) == (1, True)
        assert accounts(file, "logout", ALICE, "--device", "a").stdout == f"{ALICE}: devices logged out: 1.\n"
        assert [each.get().status for each in (phone, laptop)] == [401, 200]
        assert accounts(file, "logout", ALICE).stdout == f"{ALICE}: devices logged out: 1.\n"
        assert laptop.get().status == 401
        assert log_in(wire, ALICE, device="a").status == 200
    for command_ in ("show", "logout"):
        assert "no account and no permission" in accounts(file, command_, BOB).stderr


def test_removed_account_is_gone(file: Path) -> None:
    """Its token and password are of no use at once, and the address may not come back."""
    with CheapServer(database=file) as server:
        wire = HttpWire(server.url)
        accounts(file, "add", ALICE)
        sign_up(wire, ALICE)
        alice = Account(wire, ALICE, log_in(wire, ALICE).json["token"])
        assert alice.post(1, "everything that alice had").status == 200
        removed = accounts(file, "remove", "--yes", ALICE)
        assert removed.stdout == f"{ALICE}: the account is deleted, it may no longer sign up.\n"
        assert alice.get().status == 401
        assert log_in(wire, ALICE).status == 401
        assert sign_up(wire, ALICE).status == 403
    assert accounts(file, "list").stdout == ""


def test_account_can_be_kept(file: Path) -> None:
    """Only the permission is taken back: who has an account keeps it, and nobody is asked."""
    with CheapServer(database=file) as server:
        wire = HttpWire(server.url)
        accounts(file, "add", ALICE)
        sign_up(wire, ALICE)
        assert "may no longer sign up" in accounts(file, "remove", "--keep-account", ALICE).stdout
        assert log_in(wire, ALICE).status == 200
        assert wire("POST", f"{API}/account/delete", {"email": ALICE, "password": "wrong password"}).status == 401
    assert "account since" in accounts(file, "list").stdout


@pytest.mark.parametrize(("answer", "stays"), [("y\n", False), ("n\n", True), ("", True)])
def test_deletion_is_asked_for(file: Path, answer: str, stays: bool) -> None:
    """Only a yes deletes; the question says what there is. No answer is a no."""
    with CheapServer(database=file, accounts="open") as server:
        sign_up(HttpWire(server.url), ALICE)
        typed = ["accounts", "remove", "--database", f"sqlite:///{file}", ALICE]
        ended = CliRunner().invoke(main, typed, input=answer)
        assert ended.exit_code == (1 if stays else 0)
        assert "no wallet, devices: 0, last seen: not known. Delete all of it?" in ended.stderr
        assert log_in(HttpWire(server.url), ALICE).status == (200 if stays else 401)


def test_settings_that_allow_all_the_same_are_told(file: Path) -> None:
    """An operator is not left to believe that a command decides where a setting does."""
    open_sqlite(file).close()
    assert "let everybody sign up" in accounts(file, "add", ALICE, WALLETSYNC_ACCOUNTS="open").stderr
    removed = accounts(file, "remove", ALICE, WALLETSYNC_ALLOW=ALICE)
    assert (removed.exit_code, "The settings let it sign up" in removed.stderr) == (0, True)
    for word in ("remove", "show"):  # neither account nor permission is in the database now
        ended = accounts(file, word, ALICE, WALLETSYNC_ALLOW=ALICE)
        assert (ended.exit_code, "has no account. The settings let it sign up" in ended.stderr) == (1, True)


@pytest.mark.parametrize("words", [("list",), ("add", ALICE), ("remove", "--yes", ALICE), ("invite", ALICE)])
def test_no_database_is_made_in_a_wrong_place(file: Path, words: tuple[str, ...]) -> None:
    """Where no server has its database nothing is said to be done, and nothing is left there."""
    ended = accounts(file, *words, WALLETSYNC_PUBLIC_URL="https://sync.example.com")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert f"There is no database {file}. If it is elsewhere, say so with --config" in ended.stderr
    assert not list(file.parent.iterdir())


def test_unknown_address_is_told(file: Path) -> None:
    """Status 1 for an address that is not there, 2 for what is no address."""
    open_sqlite(file).close()
    missing = accounts(file, "remove", "--yes", ALICE)
    assert (missing.exit_code, "no account and no permission" in missing.stderr) == (1, True)
    assert ALICE not in missing.output
    for name in ("add", "remove"):
        wrong = accounts(file, name, "Alice@example.com")
        assert (wrong.exit_code, "lower case" in wrong.stderr) == (2, True)


def test_list_changes_nothing(file: Path) -> None:
    """It may look at a backup, or at a database while it is being replaced: nothing is made, migrated or locked."""
    open_sqlite(file).close()
    lock = file.with_name("walletsync.db.lock")
    lock.unlink()
    before = file.read_bytes()
    assert accounts(file, "list").exit_code == 0
    assert (file.read_bytes(), list(file.parent.iterdir())) == (before, [file])
    held = DatabaseLock(file, exclusive=True)
    assert accounts(file, "list").exit_code == 0
    assert "is being replaced" in accounts(file, "add", ALICE).stderr
    held.release()


def test_list_says_that_a_schema_is_older(older: Path) -> None:
    """With what to do; the database stays as it is."""
    before = older.read_bytes()
    ended = accounts(older, "list")
    assert (ended.exit_code, "The schema of" in ended.stderr, "run `migrate`" in ended.stderr) == (1, True, True)
    assert (older.read_bytes(), list(older.parent.iterdir())) == (before, [older])


def test_no_schema_changes_under_a_server(older: Path) -> None:
    """An older server that has the database open goes on with its schema: who would change that is told to stop it."""
    server = DatabaseLock(older)
    for ended in (
        accounts(older, "add", ALICE),
        CliRunner().invoke(main, ["migrate", "--database", f"sqlite:///{older}"]),
    ):
        assert (ended.exit_code, "which takes the database alone" in ended.stderr) == (1, True)
        assert "stop the server" in ended.stderr
    with closing(CheapServer(database=older)) as newer, pytest.raises(ServerDidNotStart, match="takes the database"):
        newer.start()
    assert revision(older) == "0001"
    server.release()
    migrated = CliRunner().invoke(main, ["migrate", "--database", f"sqlite:///{older}"])
    assert f"{older}: migrated from 0001 to {revision(older)}." in migrated.stdout
    assert revision(older) != "0001"
    server = DatabaseLock(older)  # with nothing to do it needs nobody's leave
    again = CliRunner().invoke(main, ["migrate", "--database", f"sqlite:///{older}"])
    assert (again.exit_code, "is up to date" in again.stdout) == (0, True)
    server.release()


def revision(file: Path) -> str:
    with closing(apsw.Connection(str(file))) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchall()[0][0])


@pytest.fixture
def older(file: Path) -> Path:
    """A database as the first version of the schema made it."""
    file.touch()
    made = engine(file, readonly=False, pool_size=1)
    with made.begin() as connection:
        command.upgrade(configuration(connection), "0001")
    made.dispose()
    return file
