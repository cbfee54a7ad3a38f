"""What is PostgreSQL's own: how it is opened, what it refuses, what becomes of transactions when it fails."""

import itertools
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tests.cheap_server import CheapServer
from tests.postgres import Postgres
from tests.server.helpers import HttpWire, free_port, new_account, until
from walletsync_server.storage import Access, migrate, open_storage
from walletsync_server.storage.contract_tests.records import ALICE, BOB, NOW, append, token, wallet
from walletsync_server.storage.interface import Account, AddressTaken, Mail, Storage, StorageError, WriteTransaction
from walletsync_server.storage.postgres import opening
from walletsync_server.storage.postgres.address import Address
from walletsync_server.storage.postgres.links import Links
from walletsync_server.storage.postgres.opening import connect, connected
from walletsync_server.storage.postgres.presence import PRESENCE, be_alone
from walletsync_server.storage.sql import migrate as migrating
from walletsync_server.storage.sql import migrations as sql_migrations
from walletsync_server.storage.sql.migrate import configuration, newest_revision
from walletsync_server.storage.sql.schema import metadata

SECRET = "kept for itself"
OTHERS = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'walletsync-server' AND datname = current_database()"
ADDING = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{}"
beside_older = True


def upgrade() -> None:
    op.create_table("notes", sa.Column("note", sa.Text()))
    op.add_column("accounts", sa.Column("noted_at", sa.BigInteger(), nullable=True))
"""


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.new_storage()


@pytest.fixture
def storage(url: str) -> Iterator[Storage]:
    storage = open_storage(url)
    yield storage
    storage.close()


@pytest.fixture
def own() -> Iterator[Postgres]:
    """A PostgreSQL that the test may stop."""
    with Postgres() as server:
        yield server


def sql(url: str, *statements: str) -> list[Any]:
    """Run statements in a database; return the rows of the last one."""
    rows: list[Any] = []
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
            rows = cursor.fetchall() if cursor.description else []
    return rows


def at_revision(url: str, revision: str) -> None:
    with connected(Address(url)) as connection:
        command.upgrade(configuration(connection), revision)
        connection.commit()


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://alice:{SECRET.replace(' ', '%20')}@localhost:PORT/postgres",
        f"postgresql://localhost:PORT/postgres?user=alice&password={SECRET.replace(' ', '%20')}",
        f"postgresql://alice:{SECRET}%zz@localhost/postgres",
        f"postgresql://alice:{SECRET}@localhost/postgres?unknown=1",
    ],
)
@pytest.mark.parametrize("is_up", [True, False])
def test_no_error_tells_a_password(postgres: Postgres, url: str, is_up: bool) -> None:
    """Whether it is wrong, the URL makes no sense, or nobody is there; what is wrong is told."""
    port = postgres.port if is_up else free_port()
    with pytest.raises(StorageError) as raised:
        open_storage(url.replace("PORT", str(port)))
    assert "kept" not in str(raised.value)
    assert "cannot be reached" in str(raised.value) or "is postgresql://USER@HOST" in str(raised.value)


def test_words_of_the_driver_are_told_without_passwords() -> None:
    """In one line, whichever password of the URL is in them."""
    address = Address("postgresql://alice:first@example.com/x?sslpassword=second")
    assert address.without_secrets("first\n\tand second") == "… and …"
    assert str(address) == "postgresql://example.com/x"


def test_schema_is_the_one_that_the_code_expects(url: str) -> None:
    """Tables, columns and indexes of the migrations are those of `schema.py`."""
    with connected(Address(url)) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_database_is_migrated_once_by_whoever_comes_first(postgres: Postgres) -> None:
    """Two that open an empty one at once both find today's schema; from then on there is nothing to do."""
    url = postgres.new_database()
    start = threading.Barrier(2)

    def opened() -> int:
        start.wait(30)
        storage = open_storage(url)
        count = storage.read(lambda transaction: transaction.count_accounts())
        storage.close()
        return count

    with ThreadPoolExecutor(2) as pool:
        assert [each.result() for each in [pool.submit(opened), pool.submit(opened)]] == [0, 0]
    assert migrate(url) == (newest_revision(), newest_revision())


def test_older_schema_is_brought_up_to_date(postgres: Postgres) -> None:
    """Who only looks, or finds nothing, says what to do."""
    url = postgres.new_database()
    with pytest.raises(StorageError, match="has no data of walletsync-server; run `migrate`"):
        open_storage(url, access=Access.CHANGE)
    at_revision(url, "0007")
    with pytest.raises(StorageError, match=r"is 0007, not the .* of this version"):
        open_storage(url, access=Access.LOOK)
    assert migrate(url) == ("0007", newest_revision())
    looking = open_storage(url, access=Access.LOOK)
    assert looking.read(lambda transaction: transaction.count_accounts()) == 0
    looking.close()


def test_migration_waits_until_no_older_server_is_there(postgres: Postgres) -> None:
    """One that a server of before cannot go on beside is refused while one has the database open; nothing changes."""
    url = postgres.new_database()
    at_revision(url, "0007")
    with connect(Address(url)) as older:
        older.execute(PRESENCE)
        with pytest.raises(StorageError, match="is in use: stop the server"):
            migrate(url)
        assert sql(url, "SELECT version_num FROM alembic_version") == [("0007",)]
    until(lambda: not sql(url, OTHERS))
    assert migrate(url) == ("0007", newest_revision())


def test_servers_go_on_beside_a_migration_that_only_adds(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As today's does beside the next version's; what both write is there."""
    migrations = tmp_path / "migrations"
    shutil.copytree(Path(sql_migrations.__file__).parent, migrations)
    (migrations / "versions" / "9999_notes.py").write_text(ADDING.format(newest_revision()))
    with CheapServer(accounts="open", settings={"database": url}) as server:
        account = new_account(HttpWire(server.url))
        assert account.post(1).status == 200
        before = newest_revision()
        monkeypatch.setattr(migrating, "_folder", lambda: migrations)
        assert migrate(url) == (before, "9999")
        assert account.post(2).status == 200
        newer = open_storage(url)
        assert newer.read(lambda transaction: transaction.count_accounts()) == 1
        newer.close()
        assert account.get().json["sequence"] == 2


def test_newer_schema_and_other_tables_are_left_alone(postgres: Postgres) -> None:
    """Each with a sentence, and nothing is made."""
    newer, foreign = postgres.new_storage(), postgres.new_database()
    sql(newer, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageError, match="newer version of walletsync-server"):
        open_storage(newer)
    sql(foreign, "CREATE TABLE other (id integer)")
    with pytest.raises(StorageError, match="tables of another program"):
        open_storage(foreign)
    assert sql(foreign, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(1,)]


def test_unfit_database_is_refused(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that cannot keep every text, one of a server that is too old, and one that may not be changed."""
    with pytest.raises(StorageError, match="encoding SQL_ASCII"):
        open_storage(postgres.new_database("ENCODING 'SQL_ASCII' TEMPLATE template0"))
    url = postgres.new_database()
    sql(url, "CREATE ROLE reader LOGIN")
    with pytest.raises(StorageError, match="InsufficientPrivilege: its user may not do this"):
        open_storage(url.replace("user=postgres", "user=reader"))
    monkeypatch.setattr(opening, "OLDEST", 99)
    with pytest.raises(StorageError, match="use 99 or a newer one"):
        open_storage(url)


def test_missing_driver_is_told(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """With what to install, since most need none."""
    for name in [name for name in sys.modules if "storage.postgres" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for use in (open_storage, migrate):
        with pytest.raises(StorageError, match=r"install walletsync-server with \[postgresql\]"):
            use(url)


def test_what_was_being_erased_when_it_was_copied_is_gone(postgres: Postgres) -> None:
    """As soon as it is opened."""
    url = postgres.new_storage()
    storage = open_storage(url)
    storage.write(lambda transaction: transaction.insert_account(ALICE))
    append(storage, ALICE.account_id, wallet(1), wallet(2))
    storage.close()
    sql(url, "UPDATE accounts SET erase_before = 2")
    open_storage(url).close()
    assert sql(url, "SELECT sequence, erase_before FROM wallets NATURAL JOIN accounts") == [(2, 0)]


def test_of_two_that_open_it_at_once_one_sees_the_other(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever in opening it the second one comes in between; who is alone sees nobody."""
    opened: list[Storage] = []

    def opening_another_first(address: Address) -> Links:
        monkeypatch.undo()
        opened.append(open_storage(url))
        return Links(address)

    alone = open_storage(url)
    assert not alone.has_company
    alone.close()
    until(lambda: not sql(url, OTHERS))
    monkeypatch.setattr(opening, "Links", opening_another_first)
    opened.append(open_storage(url))
    assert any(each.has_company for each in opened)
    for each in opened:
        each.close()


def test_one_that_somebody_has_alone_is_not_opened(url: str, storage: Storage) -> None:
    """And nobody has one alone that is open."""
    address = Address(url)
    with connect(address) as connection, pytest.raises(StorageError, match="is in use: stop the server"):
        be_alone(connection, address)
    storage.close()
    with connect(address) as connection:
        until(lambda: not sql(url, OTHERS)[1:])
        be_alone(connection, address)
        with pytest.raises(StorageError, match="cannot be reached, or has no connection left"):
            open_storage(url)


def test_acknowledged_is_on_the_disk_whatever_the_database_says(url: str) -> None:
    """`synchronous_commit = off` holds for others."""
    name = sql(url, "SELECT current_database()")[0][0]
    sql(url, f"ALTER DATABASE {name} SET synchronous_commit = off")
    storage = open_storage(url)

    def setting(transaction: Any) -> object:
        return transaction._connection.scalar(sa.text("SHOW synchronous_commit"))

    assert storage.read(setting) == "on"
    storage.close()


def test_failure_that_work_hides_is_none_the_less_one(storage: Storage) -> None:
    """PostgreSQL does not commit a transaction of which a statement failed, and says nothing."""

    def work(transaction: WriteTransaction) -> None:
        transaction.insert_account(ALICE)
        with suppress(psycopg.Error):
            transaction.append_wallet(BOB.account_id, wallet(1))

    with pytest.raises(StorageError, match="InFailedSqlTransaction"):
        storage.write(work)
    assert storage.read(lambda transaction: transaction.count_accounts()) == 0


def test_error_that_nobody_knows_is_one(url: str, storage: Storage) -> None:
    """As an extension, or a newer server, may have."""
    sql(
        url,
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$"
        " BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'XY123'; END $$",
        "CREATE TRIGGER fails BEFORE INSERT ON wallets EXECUTE FUNCTION fail()",
    )
    storage.write(lambda transaction: transaction.insert_account(ALICE))
    with pytest.raises(StorageError, match=r"The database failed \(DatabaseError\)\."):
        append(storage, ALICE.account_id, wallet(1))


# With the time to wait for it, since whom it ends later, on a busy machine, is somebody else.
CUT = "SELECT pg_terminate_backend({number}, 20000)"
CUT_ALL = (
    f"{CUT.format(number='pid')} FROM pg_stat_activity WHERE datname = current_database() AND pid != pg_backend_pid()"
)


ASK: list[Callable[[Any], object]] = [
    lambda transaction: transaction.count_accounts(),
    lambda transaction: transaction.secret(),
]


def backend(transaction: Any) -> object:
    """Return the server's number of the connection that a transaction has."""
    return transaction._connection.scalar(sa.text("SELECT pg_backend_pid()"))


@pytest.mark.parametrize("ask", ASK, ids=["by SQLAlchemy", "prepared"])
def test_lost_connection_fails_one_transaction(url: str, storage: Storage, ask: Callable[[Any], object]) -> None:
    """The next ones have another, also where those that were idle are dead, too."""

    def work(transaction: Any) -> object:
        number = backend(transaction)
        sql(url, cuts.pop() if cuts else CUT.format(number=number))  # a read tries once more
        return ask(transaction)

    storage.read(lambda transaction: storage.read(ask))  # so that there are several
    for use in (storage.read, storage.write):
        cuts = [CUT_ALL]
        with pytest.raises(StorageError, match="The database failed"):
            use(work)
        assert storage.read(ask) in (0, None)


def test_server_that_takes_no_writes_is_left(storage: Storage) -> None:
    """As one that became a standby amid a transaction: the next one has a new connection, perhaps to another server."""
    numbers = []

    def work(transaction: Any) -> None:
        numbers.append(backend(transaction))
        transaction._connection.execute(sa.text("SET TRANSACTION READ ONLY"))
        transaction.insert_account(ALICE)

    with pytest.raises(StorageError, match="ReadOnlySqlTransaction: it takes no writes, as a standby does"):
        storage.write(work)
    assert storage.read(backend) not in numbers


@pytest.mark.parametrize("ask", ASK, ids=["by SQLAlchemy", "prepared"])
def test_server_that_says_nothing_is_given_up(own: Postgres, ask: Callable[[Any], object]) -> None:
    """After the time that it has for a statement and a little; then each fails soon, and in the end all goes on."""
    storage = open_storage(f"{own.new_storage()}&options=-c%20statement_timeout%3D100")
    storage.write(lambda transaction: transaction.insert_account(ALICE))
    storage.read(lambda transaction: storage.read(ask))  # so that there are several
    with own.hanging():
        with pytest.raises(StorageError, match="Silence: it said nothing for too long"):
            storage.read(ask)
        for use in (storage.ask, storage.read, storage.write):
            with pytest.raises(StorageError, match="cannot be reached"):
                use(ask)
    until(lambda: answers(storage))
    assert storage.write(lambda transaction: transaction.find_account(ALICE.email)) == ALICE
    storage.close()


def test_statement_that_takes_too_long_is_ended_by_the_server(url: str) -> None:
    """As one that waits for what another transaction has; the connection is of use afterwards."""
    storage = open_storage(f"{url}&options=-c%20statement_timeout%3D100")
    storage.write(lambda transaction: transaction.insert_account(ALICE))
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE accounts")
        with pytest.raises(StorageError, match="QueryCanceled: something took too long"):
            storage.write(lambda transaction: transaction.lock_account(ALICE.account_id))
    assert storage.write(lambda transaction: transaction.lock_account(ALICE.account_id)) == ALICE
    storage.close()


def answers(storage: Storage) -> bool:
    with suppress(StorageError):
        return bool(storage.read(lambda transaction: transaction.count_accounts()))
    return False


def test_restart_is_survived(own: Postgres) -> None:
    """While it is away each transaction fails, soon; when it is back, all goes on with what was committed."""
    storage = open_storage(own.new_storage())
    storage.write(lambda transaction: transaction.insert_account(ALICE))
    own.kill()
    for _ in range(5):
        with pytest.raises(StorageError):
            storage.write(lambda transaction: transaction.insert_account(BOB))
    own.start()

    def has_alice() -> bool:
        with suppress(StorageError):
            return storage.read(lambda transaction: transaction.find_account(ALICE.email)) == ALICE
        return False

    until(has_alice)
    assert storage.read(lambda transaction: transaction.find_account(BOB.email)) is None
    until(lambda: storage.readers()[0] == 0)
    storage.close()


def test_token_that_goes_while_its_account_is_waited_for_is_gone(url: str, storage: Storage) -> None:
    """What is told of it is as of when the lock is there, not of when it was asked for."""
    storage.write(lambda transaction: transaction.insert_account(ALICE))
    mine = token("laptop")
    storage.write(lambda transaction: transaction.put_token(mine))
    waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with ThreadPoolExecutor(1) as pool:

        def revoke(transaction: WriteTransaction) -> Future[Any]:
            transaction.lock_account(ALICE.account_id)
            waiting = pool.submit(storage.write, lambda other: other.lock_account_of(mine.token_hash))
            until(lambda: bool(sql(url, waits)))
            transaction.delete_token(mine)
            return waiting

        assert storage.write(revoke).result() is None


def test_no_two_transactions_wait_for_each_other(url: str) -> None:
    """Whatever several servers do at once about the same accounts, addresses and mails, and purge besides."""
    servers = [open_storage(url) for _ in range(2)]
    people = [ALICE, BOB]
    ids = itertools.count(1)  # no two accounts ever have one, in life as here
    rounds = 40

    def locked(transaction: WriteTransaction, person: Account) -> Account | None:
        found = transaction.find_account(person.email)
        return transaction.lock_account(found.account_id) if found else None

    def mails(transaction: WriteTransaction) -> None:
        mail = transaction.next_mail(NOW)
        if mail is not None:
            transaction.drop_doubles(mail)
            transaction.mark_mail_sent(mail, NOW)

    def life(storage: Storage, number: int) -> None:
        for turn in range(rounds):
            person = people[(number + turn) % 2]

            def log_in(transaction: WriteTransaction, person: Account = person, turn: int = turn) -> None:
                account = locked(transaction, person)
                if account is None:
                    account = replace(person, account_id=next(ids))
                    transaction.insert_account(account)
                for device in ("laptop", "phone")[:: 1 if turn % 2 else -1]:
                    transaction.put_token(token(device, turn, account.account_id))
                    transaction.remember_client(account.account_id, device.encode(), NOW, 2)
                transaction.mark_void(b"%d" % turn)

            def delete(transaction: WriteTransaction, person: Account = person) -> None:
                account = locked(transaction, person)
                if account is not None:
                    transaction.delete_account(account.account_id, NOW)
                transaction.void_links(person.email)
                transaction.mark_void(b"deleted")

            def queue(transaction: WriteTransaction, email: str = person.email, turn: int = turn) -> None:
                mail_id = number * 1000 + turn
                transaction.queue_mail(Mail(email=email, mail_id=mail_id, signup_id=None, created_at=NOW, due_at=NOW))

            for work in (log_in, queue, mails, delete):
                with suppress(AddressTaken):
                    storage.write(work)
            storage.write(lambda transaction: transaction.purge_tokens(NOW.replace(year=2027), 100))
            storage.write(lambda transaction: transaction.forget_clients(NOW, 100))
            storage.write(lambda transaction: transaction.purge_mails(NOW, 100))

    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(life, servers[number % 2], number) for number in range(4)]:
            each.result()
    for server in servers:
        server.close()
    assert sql(url, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == [(0,)]
