"""Who has a database open: many at once, or one who copies it or changes its schema.

Locks of the server itself, by numbers that nothing else in it means. They end with the connection, however that ends.
"""

from typing import Any

import psycopg

from walletsync_server.storage.interface import StorageError

SPACE = 0x57616C6C
"""Apart from other locks in the same database, such as those on addresses and queues."""
MIGRATING = f"SELECT pg_advisory_xact_lock({SPACE}, 1)"
"""Waits until nobody else changes the schema, and lets nobody until the transaction ends."""
PRESENCE = f"SELECT pg_try_advisory_lock_shared({SPACE}, 2)"
"""Makes the connection one of those that have the database open; says whether nobody has it alone."""
COMPANY = """
SELECT EXISTS (
  SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = CAST(:space AS oid) AND objid = 2 AND objsubid = 2
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND pid <> pg_backend_pid()
)
"""
"""Says whether anybody else has the database open; `space` is `SPACE`."""
_ALONE = f"SELECT pg_try_advisory_lock({SPACE}, 2)"


def be_alone(connection: "psycopg.Connection[Any]", name: object) -> None:
    """Have the database alone from now on, until the connection ends.

    Raises:
        StorageError: if somebody has it open.
    """
    ((is_alone,),) = connection.execute(_ALONE).fetchall()
    if not is_alone:
        raise StorageError(f"{name} is in use: stop the server, and wait for other commands; then try again.")
