"""What can be said about a PostgreSQL database without changing it."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from walletsync_server.storage.postgres.address import Address
from walletsync_server.storage.postgres.opening import connected
from walletsync_server.storage.sql.migrate import is_known, newest_revision, revision_of
from walletsync_server.storage.sql.schema import accounts, wallets

_NEEDED = "fsync", "full_page_writes"
"""Settings without which a crash can lose or damage what was acknowledged."""


@dataclass(frozen=True)
class ServerHealth:
    """What was found.

    Attributes:
        version: of the server, in its own words.
        revision: of the schema; None if there is none.
        newest: the revision that this package brings the schema to.
        is_known: whether this package can do so.
        off: settings that have to be on and are not.
        latest: when the newest account or wallet was stored; None if there is none.
        is_encrypted: whether the way to it is, as far as it leads over a network.
        places: how many connections it allows to all who are no superusers.
        reserved: how many it allows besides, to superusers and others whom an operator trusts.
    """

    version: str
    revision: str | None
    newest: str
    is_known: bool
    off: list[str]
    latest: datetime | None
    is_encrypted: bool
    places: int
    reserved: int


def examine_postgres(url: str) -> ServerHealth:
    """Look at the database that a URL names; servers may be using it.

    Raises:
        StorageError: if it cannot be reached or read.
    """
    with connected(Address(url)) as connection:
        revision = revision_of(connection)
        known = revision is not None and is_known(revision)
        most, reserved = connection.execute(sa.text(_PLACES)).one()
        return ServerHealth(
            version=str(connection.scalar(sa.text("SHOW server_version"))),
            revision=revision,
            newest=newest_revision(),
            is_known=known,
            off=[name for name in _NEEDED if connection.scalar(sa.text(f"SHOW {name}")) != "on"],
            latest=_latest(connection) if known else None,
            is_encrypted=bool(connection.scalar(sa.text(_IS_ENCRYPTED))),
            places=most - reserved,
            reserved=reserved,
        )


_IS_ENCRYPTED = """
SELECT coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)
       OR coalesce(inet_client_addr() <<= '127.0.0.0/8' OR inet_client_addr() = '::1', true)
"""
# Before version 16 there is no reserved_connections.
_PLACES = """
SELECT sum(setting::int) FILTER (WHERE name = 'max_connections'),
       sum(setting::int) FILTER (WHERE name IN ('superuser_reserved_connections', 'reserved_connections'))
FROM pg_settings
"""


def _latest(connection: sa.Connection) -> datetime | None:
    moments = [
        connection.execute(sa.select(sa.func.max(column))).scalar_one()
        for column in (accounts.c.created_at, wallets.c.stored_at)
    ]
    return max((moment for moment in moments if moment is not None), default=None)
