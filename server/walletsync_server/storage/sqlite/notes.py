"""What is written down in a database about its backups."""

from contextlib import closing
from datetime import datetime
from pathlib import Path

from walletsync_server.storage.sql.queries import BACKED_UP
from walletsync_server.storage.sqlite.connect import connect
from walletsync_server.storage.sqlite.failures import driver_errors_end_here


def note_backup(file: Path, now: datetime) -> None:
    """Write down in the database that a backup of it is complete.

    Raises:
        StorageError: with a sentence for the operator, if it cannot be written to.
    """
    with driver_errors_end_here(file), closing(connect(file)) as connection:
        connection.execute(
            "INSERT OR REPLACE INTO server_values (name, value) VALUES (?, ?)", (BACKED_UP, now.isoformat().encode())
        )
