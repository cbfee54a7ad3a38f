"""The journal of deletions: which accounts were deleted, and when, for the day when an older backup is restored.

It lies beside the database, and `back_up` takes it along to where the backup is, so that either of the two disks may be
lost. The database itself has the same in a table, which decides: what a crash kept out of the journal comes in when the
database is opened the next time.

A line has a time and the account's number. That is random: without a backup it names nobody. Lines may be taken out by
hand, to bring back what was deleted by mistake.
"""

import fcntl
import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from walletsync_server.storage.interface import StorageError
from walletsync_server.storage.sqlite.files import DELETIONS, cannot_write, make_private, sync_folder

_LINE = re.compile(r"(?P<time>\S+) (?P<account>[0-9]{1,19})")


def journal_beside(file: Path) -> Path:
    """Return where the journal of this database, or of this backup, is or would be."""
    return file.with_name(DELETIONS)


def read_journal(journal: Path) -> dict[int, datetime]:
    """Return the numbers of the accounts, and when they were deleted; nothing if there is no journal.

    Raises:
        StorageError: with a sentence for the operator, if it cannot be read, or a line is none of a journal.
    """
    try:
        return _parsed(journal.read_bytes(), journal)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StorageError(f"{journal} cannot be read: {error.strerror}.") from error


def add_to_journal(journal: Path, deletions: Mapping[int, datetime], *, database: Path | None = None) -> None:
    """Write down those that the journal does not have yet; they are on the disk when this returns.

    Args:
        journal: which; it is made only if there is something to write. Several processes may write to it at once.
        deletions: when which account was deleted, by its number.
        database: whose owner a new journal is to have; without one it belongs to whoever runs this.

    Raises:
        StorageError: with a sentence for the operator.
    """
    if not deletions:
        return
    try:
        descriptor = make_private(journal, database)
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            there = file.read()
            known = _parsed(there, journal)
            file.truncate(there.rfind(b"\n") + 1)
            file.seek(0, os.SEEK_END)
            file.writelines(
                f"{deleted_at.isoformat()} {account_id}\n".encode()
                for account_id, deleted_at in deletions.items()
                if account_id not in known
            )
            file.flush()
            os.fsync(descriptor)
        sync_folder(journal.parent)
    except OSError as error:
        raise cannot_write(journal, error) from error


def _parsed(content: bytes, journal: Path) -> dict[int, datetime]:
    """Return what is in a journal. What follows its last line's end was cut short by a crash, and is in the table."""
    found = {}
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        fields = _LINE.fullmatch(line.decode(errors="replace"))
        try:
            found[int(fields["account"] if fields else "")] = datetime.fromisoformat(fields["time"] if fields else "")
        except ValueError:
            raise StorageError(
                f"{journal}: line {number} is none of a journal of deletions. Mend it, or take it out."
            ) from None
    return found


class Journal:
    """That of a database that is open for writing. For one thread at a time."""

    def __init__(self, database: Path, deletions: Mapping[int, datetime]) -> None:
        self._database = database
        self._untold = dict(deletions)

    def committed(self, deletions: Mapping[int, datetime]) -> None:
        """Write down what was deleted just now, and what could not be written down earlier.

        Raises:
            StorageError: if it cannot be written. Then it is tried again after the next commit.
        """
        self._untold |= deletions
        if self._untold:
            add_to_journal(journal_beside(self._database), self._untold, database=self._database)
            self._untold.clear()
