"""What can be said about a database file without changing it."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from walletsync_server.storage.sql.migrate import is_known, newest_revision, revision_of
from walletsync_server.storage.sql.queries import SqlReadTransaction
from walletsync_server.storage.sql.schema import accounts, wallets
from walletsync_server.storage.sqlite.connect import engine
from walletsync_server.storage.sqlite.failures import driver_errors_end_here


@dataclass(frozen=True)
class Health:
    """What was found.

    Attributes:
        revision: of the schema; None if the file has none.
        newest: the revision that this package brings the schema to.
        is_known: whether this package can do so.
        faults: what SQLite's quick check finds; nothing for a sound file.
        latest: when the newest account or wallet was stored; None if there is none.
        backed_up_at: when the last backup was made; None if none was.
    """

    revision: str | None
    newest: str
    is_known: bool
    faults: list[str]
    latest: datetime | None
    backed_up_at: datetime | None


def examine(file: Path) -> Health:
    """Look at the database in `file`, which exists; a server may be using it.

    Raises:
        StorageError: if it cannot be read.
    """
    reading = engine(file, readonly=True, pool_size=1)
    try:
        with driver_errors_end_here(file), reading.begin() as connection:
            revision = revision_of(connection)
            return Health(
                revision=revision,
                newest=newest_revision(),
                is_known=revision is not None and is_known(revision),
                faults=[said for (said,) in connection.exec_driver_sql("PRAGMA quick_check") if said != "ok"],
                latest=_latest(connection) if revision else None,
                backed_up_at=SqlReadTransaction(connection).backed_up_at() if revision else None,
            )
    finally:
        reading.dispose()


def _latest(connection: sa.Connection) -> datetime | None:
    moments = [
        connection.execute(sa.select(sa.func.max(column))).scalar_one()
        for column in (accounts.c.created_at, wallets.c.stored_at)
    ]
    return max((moment for moment in moments if moment is not None), default=None)
