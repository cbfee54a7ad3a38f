"""What is written down in a database about its backups."""

from contextlib import closing
from datetime import datetime
from pathlib import Path

import apsw

from walletsync_server.storage.sqlite.connect import connect
from walletsync_server.storage.sqlite.failures import driver_errors_end_here

_ROW = "backed_up_at"


def note_backup(file: Path, now: datetime) -> None:
    """Write down in the database that a backup of it is complete.

    Raises:
        StorageError: with a sentence for the operator, if it cannot be written to.
    """
    with driver_errors_end_here(file), closing(connect(file)) as connection:
        connection.execute(
            "INSERT OR REPLACE INTO server_values (name, value) VALUES (?, ?)", (_ROW, now.isoformat().encode())
        )


def backed_up_at(connection: apsw.Connection) -> datetime | None:
    """Return when the last backup was complete, None if there was none."""
    rows = connection.execute("SELECT CAST(value AS TEXT) FROM server_values WHERE name = ?", (_ROW,)).fetchall()
    return datetime.fromisoformat(str(rows[0][0])) if rows else None
