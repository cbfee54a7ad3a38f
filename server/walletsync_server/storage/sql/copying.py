"""Copying all that a database keeps into another one, of any engine, and showing that nothing changed on the way."""

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from walletsync_server.storage.interface import StorageError
from walletsync_server.storage.sql.queries import BACKED_UP
from walletsync_server.storage.sql.schema import metadata, server_values, wallets

Progress = Callable[[int, int], None]
"""Called with how much is done, and of how much."""
_OF_A_FILE = BACKED_UP, "digest"
"""Values of the server that say something of one database's file or of a backup: they are left out."""
_AT_ONCE = {wallets.name: 8}
_OTHERWISE_AT_ONCE = 500
"""Rows in memory at a time; a wallet has up to some MiB."""


def copy_rows(source: sa.Connection, target: sa.Connection, progress: Progress) -> int:
    """Copy every row, then read all of them again from `target` and compare; return how many there are.

    Both have today's schema, and are in a transaction in which nobody else changes anything.

    Raises:
        StorageError: if `target` has any row already, or what was read from it is not what was written.
    """
    if any(_count(target, table) for table in metadata.sorted_tables):
        raise StorageError("The database to copy to holds data already; name an empty one.")
    total = 2 * sum(_count(source, table) for table in metadata.sorted_tables)
    done = 0
    for table in metadata.sorted_tables:
        read, written = _Digest(), _Digest()
        for rows in _parts(source, table):
            target.execute(sa.insert(table), rows)
            read.add(rows)
            done += len(rows)
            progress(done, total)
        for rows in _parts(target, table):
            written.add(rows)
            done += len(rows)
            progress(done, total)
        if read.value != written.value:
            raise StorageError(f"What was copied of {table.name} is not what was read; nothing is copied.")
    return total // 2


def _query(table: sa.Table) -> sa.Select[Any]:
    rows = sa.select(table)
    return rows.where(table.c.name.not_in(_OF_A_FILE)) if table is server_values else rows


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(_query(table).subquery())).scalar_one()


def _parts(connection: sa.Connection, table: sa.Table) -> Iterator[list[dict[str, Any]]]:
    """Yield all rows in the order of their keys, which is the same on every engine, some at a time."""
    at_once = _AT_ONCE.get(table.name, _OTHERWISE_AT_ONCE)
    ordered = _query(table).order_by(*table.primary_key).execution_options(yield_per=at_once)
    for part in connection.execute(ordered).mappings().partitions():
        yield [dict(row) for row in part]


class _Digest:
    """The SHA-256 of rows, of each value with its kind and its length."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()

    @property
    def value(self) -> bytes:
        return self._sum.digest()

    def add(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            for name, value in row.items():
                content = _bytes_of(value)
                self._sum.update(f"{name} {type(value).__name__} {len(content)} ".encode() + content)


def _bytes_of(value: str | bytes | datetime | int | None) -> bytes:
    if isinstance(value, bytes):
        return value
    return (value.isoformat() if isinstance(value, datetime) else str(value)).encode()
