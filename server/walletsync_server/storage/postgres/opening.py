"""Opening a PostgreSQL database: what it has to be, and which schema it has."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any, cast

import psycopg
import sqlalchemy as sa

from walletsync_server.storage.interface import OnCommit, Storage, StorageError, take_no_notice
from walletsync_server.storage.postgres.address import Address
from walletsync_server.storage.postgres.failures import failure
from walletsync_server.storage.postgres.links import Links
from walletsync_server.storage.postgres.presence import COMPANY, MIGRATING, PRESENCE, SPACE, be_alone
from walletsync_server.storage.postgres.storage import PostgresStorage
from walletsync_server.storage.sql.migrate import (
    UnknownRevision,
    is_known,
    migrate,
    needs_all_to_stop,
    newest_revision,
    revision_of,
)

OLDEST = 14
"""The oldest PostgreSQL that will do."""
_LOCK_SECONDS = 10


def open_postgres(url: str, *, create: bool = True, on_commit: OnCommit = take_no_notice) -> Storage:
    """Open the database that the URL names, and bring its schema up to date.

    Several processes may have it open, on several machines.

    Args:
        url: `postgresql://…`, as libpq takes it. The database itself must exist.
        create: make the tables if there are none.
        on_commit: see there.

    Raises:
        StorageError: with a sentence for the operator, if this cannot be done. It has no password in it.
    """
    address = Address(url)
    migrate_postgres(url, create=create)
    with connected(address) as connection:
        connection.execute(sa.text(PRESENCE))  # before looking: of two that open it now, one at least sees the other
        has_company = bool(connection.scalar(sa.text(COMPANY), {"space": SPACE}))
        storage = PostgresStorage(Links(address), on_commit, has_company=has_company)
        try:
            storage.erase_unfinished()  # over a connection that stays, by which this one is seen from here on
        except StorageError:
            storage.close()
            raise
    return storage


def read_postgres(url: str) -> Storage:
    """Open the database that the URL names to look at it: nothing is made or migrated.

    Raises:
        StorageError: with a sentence for the operator, if there is none, or not one of this version.
    """
    address = Address(url)
    with connected(address) as connection:
        refuse_other_schema(connection, address)
    return PostgresStorage(Links(address, most=1), take_no_notice)


def refuse_other_schema(connection: sa.Connection, address: Address) -> None:
    """Raise `StorageError` if the schema of a database is not today's."""
    revision = _revision(connection, address)
    if revision != newest_revision():
        raise StorageError(
            f"The schema of {address} is {revision or 'none'}, not the {newest_revision()} of this version. "
            "Make a backup, then run `migrate` or start the server."
        )


def migrate_postgres(url: str, *, create: bool = True) -> tuple[str | None, str]:
    """Bring the schema up to date, while no other process does.

    Servers of an earlier version go on meanwhile, unless a migration is none that they can go on beside: then nobody
    may have the database open.

    Returns:
        The revision of the schema before, None if there was none, and the one after.

    Raises:
        StorageError: with a sentence for the operator, if this cannot be done.
    """
    address = Address(url)
    with connected(address) as connection:
        before = _revision(connection, address)
        if before == newest_revision():
            return before, before
        if before is None and not create:
            raise StorageError(f"{address} has no data of walletsync-server; run `migrate`, or start the server.")
    with connected(address) as connection:
        connection.execute(sa.text(MIGRATING))
        connection.execute(sa.text(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"))  # nobody waits behind us for long
        before = _revision(connection, address)  # another may have done it meanwhile
        if before not in (None, newest_revision()) and needs_all_to_stop(connection, before):
            have_alone(connection, address)
        revisions = migrate(connection)
        connection.commit()
    return revisions


@contextmanager
def connected(address: Address) -> Iterator[sa.Connection]:
    """Connect to a database and look whether it will do; what was not committed is undone at the end.

    Raises:
        StorageError: with a sentence for the operator, also where the driver fails inside of the block.
    """
    try:
        with ExitStack() as undo:
            engine = sa.create_engine(
                "postgresql+psycopg://",
                # Closed here in any case: SQLAlchemy forgets one that ends while it still looks at it.
                creator=lambda: undo.enter_context(closing(connect(address))),
                poolclass=sa.NullPool,
                use_native_hstore=False,
                hide_parameters=True,
            )
            undo.callback(engine.dispose)
            connection = undo.enter_context(engine.connect())
            _refuse_unfit(connection, address)
            yield connection
    except UnknownRevision as error:
        raise StorageError(f"{address} was made by a newer version of walletsync-server; run that one.") from error
    except (sa.exc.SQLAlchemyError, psycopg.Error) as error:
        raise StorageError(f"{address} cannot be used as a database. {failure(error)}") from error


def have_alone(connection: sa.Connection, address: Address) -> None:
    """Have the database alone until the connection ends; see `be_alone`."""
    be_alone(cast("psycopg.Connection[Any]", connection.connection.driver_connection), address)


def connect(address: Address) -> "psycopg.Connection[Any]":
    """Return a new connection.

    Raises:
        StorageError: with a sentence for the operator, if there is none to be had.
    """
    try:
        return psycopg.connect(**address.parameters)
    except psycopg.Error as error:
        raise StorageError(f"{address} cannot be reached. {address.without_secrets(str(error))}") from None


def _refuse_unfit(connection: sa.Connection, address: Address) -> None:
    """Raise `StorageError` for a server that is too old, or a database that cannot keep every text."""
    version = connection.scalar(sa.text("SELECT current_setting('server_version_num')::integer / 10000"))
    if version < OLDEST:
        raise StorageError(f"{address} is PostgreSQL {version}; use {OLDEST} or a newer one.")
    encoding = connection.scalar(sa.text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise StorageError(f"{address} has the encoding {encoding}; make a database with ENCODING 'UTF8'.")


def _revision(connection: sa.Connection, address: Address) -> str | None:
    """Return the revision of the schema, None if there are no tables.

    Raises:
        StorageError: if the tables are another program's.
        UnknownRevision: if this package does not know it.
    """
    revision = revision_of(connection)
    if revision is None and sa.inspect(connection).get_table_names():
        raise StorageError(f"{address} holds the tables of another program; name another database.")
    if revision is not None and not is_known(revision):
        raise UnknownRevision(revision)
    return revision
