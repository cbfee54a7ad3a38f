"""One account in the database of a running server, put back to an earlier state, as `restore` puts back all of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import apsw

_ACCOUNT = "(SELECT account_id FROM accounts WHERE email = ?)"
_TABLES = ("accounts", "wallets", "tokens")


class Backup(NamedTuple):
    """The rows of one account."""

    email: str
    rows: dict[str, list[tuple[Any, ...]]]


def take_backup(database: Path, email: str) -> Backup:
    """Copy what the server has of an account."""
    with _opened(database) as connection:
        select = {table: f"SELECT * FROM {table} WHERE account_id = {_ACCOUNT}" for table in _TABLES}  # noqa: S608
        return Backup(email, {table: connection.execute(query, (email,)).fetchall() for table, query in select.items()})


def restore_backup(database: Path, backup: Backup) -> None:
    """Put an account back to what it was; nobody is logged in afterwards, as after `walletsync-server restore`."""
    put_back(database, backup._replace(rows=backup.rows | {"tokens": []}))


def put_back(database: Path, backup: Backup) -> None:
    """Put an account back to what it was, as if nothing had happened since."""
    with _opened(database) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for table in reversed(_TABLES):
            connection.execute(f"DELETE FROM {table} WHERE account_id = {_ACCOUNT}", (backup.email,))  # noqa: S608
        for table in _TABLES:
            for row in backup.rows[table]:
                marks = ", ".join("?" * len(row))
                connection.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # noqa: S608
        connection.execute("COMMIT")


@contextmanager
def _opened(database: Path) -> Iterator[apsw.Connection]:
    connection = apsw.Connection(str(database))
    connection.set_busy_timeout(30_000)
    try:
        yield connection
    finally:
        connection.close()
