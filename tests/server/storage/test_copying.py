"""`copy`: from SQLite to PostgreSQL and back, with nothing lost on the way."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.postgres import Postgres
from walletsync_server.cli import main
from walletsync_server.storage import Access, copy_storage, open_storage
from walletsync_server.storage.contract_tests.records import ALICE, BOB, NOW, append, token, wallet
from walletsync_server.storage.interface import Mail, Signup, Storage, StorageError

MANY = 600


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def fill(url: str) -> None:
    """Store some of everything, with what is hard to carry over: no values, U+0000, many rows and large ones."""
    storage = open_storage(url)
    mail = Mail(email=ALICE.email, mail_id=1, signup_id=b"s", created_at=NOW, due_at=NOW)
    signup = Signup(
        email="ä@example.com", signup_id=b"s", password_hash="h", salt_seed=None, created_at=NOW, expires_at=NOW
    )

    def work(transaction: Any) -> None:
        for account in (ALICE, BOB, replace(BOB, account_id=7, email="Z@example.com")):
            transaction.insert_account(account)
        transaction.set_quota(BOB.account_id, 2**40)
        transaction.put_token(token("phone\0", 1))
        transaction.put_signup(signup)
        transaction.queue_mail(mail)
        transaction.keep_secret(bytes(range(32)))
        for number in range(MANY):
            transaction.allow(f"user{number}@example.com", NOW)
            transaction.remember_client(ALICE.account_id, b"%d" % number, NOW, MANY)

    storage.write(work)
    append(storage, ALICE.account_id, *(wallet(number, "ä\0" * number, device="d\0") for number in range(1, 20)))
    append(storage, BOB.account_id, wallet(1, "x" * 1_000_000))
    storage.write(lambda transaction: transaction.delete_account(7, NOW))
    storage.close()


def seen(url: str) -> list[Any]:
    """Return all that a storage tells."""
    storage = open_storage(url, access=Access.LOOK)

    def look(transaction: Any) -> list[Any]:
        of_each = [
            (
                transaction.find_account(account.email),
                transaction.tokens_of(account.account_id),
                transaction.clients_of(account.account_id),
                [transaction.wallet_at(account.account_id, each) for each in range(20)],
            )
            for account in (ALICE, BOB)
        ]
        addresses = transaction.addresses_after("", 2 * MANY, NOW)
        others = transaction.secret(), transaction.deletions(), transaction.mails_to(ALICE.email)
        return [of_each, addresses, others, transaction.find_signup("ä@example.com", b"s")]

    told: list[Any] = storage.read(look)
    storage.close()
    return told


def test_there_and_back_again(postgres: Postgres, tmp_path: Path) -> None:
    """Each of the three tells the same, and the last is whole by `verify-backup`; what is of a file stays there."""
    first, there, back = f"sqlite:///{tmp_path}/w.db", postgres.new_database(), f"sqlite:///{tmp_path}/back.db"
    fill(first)
    assert run("backup", str(tmp_path / "b.db"), "--database", first).exit_code == 0
    told = run("copy", f"sqlite:///{tmp_path}/b.db", there)
    assert told.exit_code == 0, told.output
    assert re.search(r"has what .*b\.db has: 1\d\d\d rows, compared by digest", told.stdout)
    assert run("copy", there, back).exit_code == 0
    assert seen(first) == seen(there) == seen(back)
    assert "is whole: 2 accounts, 20 versions" in run("verify-backup", str(tmp_path / "back.db")).stdout
    storage = open_storage(there)
    assert storage.read(lambda transaction: transaction.backed_up_at()) is None
    storage.close()


def test_nothing_is_copied_over_something(postgres: Postgres, tmp_path: Path) -> None:
    """Neither over a file nor into a database that holds anything; nor where the folder is missing."""
    source, target = f"sqlite:///{tmp_path}/w.db", postgres.new_storage()
    fill(source)
    assert run("copy", source, target).exit_code == 0
    again = run("copy", source, target)
    assert (again.exit_code, "holds data already; name an empty one" in again.stderr) == (1, True)
    over = run("copy", target, source)
    assert (over.exit_code, "w.db exists already" in over.stderr) == (1, True)
    nowhere = run("copy", target, f"sqlite:///{tmp_path}/no/w.db")
    assert (nowhere.exit_code, "its folder does not exist" in nowhere.stderr) == (1, True)
    assert seen(source) == seen(target)


def test_neither_may_be_in_use(postgres: Postgres, tmp_path: Path) -> None:
    """A server, or another command, would go on writing to what was copied."""
    file, url = f"sqlite:///{tmp_path}/w.db", postgres.new_storage()
    opened: list[Storage] = [open_storage(file), open_storage(url)]
    for source, target in ((file, postgres.new_storage()), (url, f"sqlite:///{tmp_path}/new.db"), (file, url)):
        ended = run("copy", source, target)
        assert (ended.exit_code, "is in use" in ended.stderr) == (1, True)
    opened[0].close()
    ended = run("copy", file, url)
    assert (ended.exit_code, "is in use" in ended.stderr) == (1, True)
    opened[1].close()
    assert not (tmp_path / "new.db").exists()


def test_other_schemas_and_urls_are_refused(postgres: Postgres, at_first_schema: Path, tmp_path: Path) -> None:
    """An older one is to be migrated first; a password in a URL that is none is not repeated."""
    older = run("copy", f"sqlite:///{at_first_schema}", postgres.new_storage())
    assert (older.exit_code, "is 0001, not the" in older.stderr) == (1, True)
    empty = run("copy", postgres.new_database(), f"sqlite:///{tmp_path}/new.db")
    assert (empty.exit_code, "is none, not the" in empty.stderr) == (1, True)
    wrong = run("copy", "mysql://alice:secret@localhost/x", f"sqlite:///{tmp_path}/new.db")
    assert (wrong.exit_code, "must be sqlite:///FILE" in wrong.stderr, "secret" in wrong.stderr) == (2, True, False)
    assert not (tmp_path / "new.db").exists()


def test_what_changed_on_the_way_is_found(postgres: Postgres, tmp_path: Path) -> None:
    """Here by a trigger of the database that is copied to; nothing is left there."""
    source, target = f"sqlite:///{tmp_path}/w.db", postgres.new_storage()
    fill(source)
    name = target.partition("///")[2].partition("?")[0]
    postgres.execute(
        "CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.encrypted_wallet = NEW.encrypted_wallet || '!'; RETURN NEW; END $$",
        name,
    )
    postgres.execute(
        "CREATE TRIGGER changes BEFORE INSERT ON wallets FOR EACH ROW WHEN (NEW.sequence = 19)"
        " EXECUTE FUNCTION change()",
        name,
    )
    with pytest.raises(StorageError, match="copied of wallets is not what was read; nothing is copied"):
        copy_storage(source, target, lambda done, total: None)
    assert postgres.execute("SELECT count(*) FROM accounts", name) == [(0,)]


def test_progress_ends_with_all(postgres: Postgres, tmp_path: Path) -> None:
    """It never goes back, and counts both the writing and the reading again."""
    source, steps = f"sqlite:///{tmp_path}/w.db", list[tuple[int, int]]()
    fill(source)
    rows = copy_storage(source, postgres.new_storage(), lambda done, total: steps.append((done, total)))
    assert steps == sorted(steps)
    assert steps[-1] == (2 * rows, 2 * rows)
