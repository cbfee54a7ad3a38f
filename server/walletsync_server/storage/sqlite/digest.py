"""A digest of everything that a backup stores, which lies in the backup: `verify` tells by it whether anything changed.

SQLite's own checks look at how a file is built, not at what is in it, and what the wallets' digests cover is not all.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import apsw

_ROW = "digest"
_TABLE = "server_values"


def seal(connection: apsw.Connection) -> None:
    """Put the digest of what a database stores into it."""
    connection.execute(f"INSERT OR REPLACE INTO {_TABLE} (name, value) VALUES (?, ?)", (_ROW, _digest(connection)))  # noqa: S608 - constants


def unseal(connection: apsw.Connection) -> None:
    """Take it out again: what is stored will change."""
    connection.execute(f"DELETE FROM {_TABLE} WHERE name = ?", (_ROW,))  # noqa: S608 - constants


def is_as_sealed(connection: apsw.Connection) -> bool | None:
    """Say whether all that a database stores is as it was when it got its digest; None if it has none."""
    rows = connection.execute(f"SELECT value FROM {_TABLE} WHERE name = ?", (_ROW,)).fetchall()  # noqa: S608 - constants
    return bool(rows[0][0] == _digest(connection)) if rows else None


def _digest(connection: apsw.Connection) -> bytes:
    """Return the SHA-256 of the schema and of every value of every table, in the order of their names and keys."""
    digest = hashlib.sha256()
    for kind, name, sql in connection.execute(
        "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
    ).fetchall():
        for text in (kind, name, sql):
            digest.update(_framed(str(text).encode()))
        if kind == "table" and not str(name).startswith("sqlite_"):
            for value in _values(connection, str(name)):
                digest.update(_framed(value))
    return digest.digest()


def _values(connection: apsw.Connection, table: str) -> Iterator[bytes]:
    """Return kind and bytes of each value, whatever they are: damaged text may be none."""
    columns: list[Any] = connection.execute("SELECT name, pk FROM pragma_table_info(?)", (table,)).fetchall()
    chosen = ", ".join(f'typeof("{name}"), CAST("{name}" AS BLOB)' for name, _ in columns)
    keys = [name for name, place in sorted(columns, key=lambda column: column[1]) if place]
    # Only tables of other programs, such as litestream's, have no key; rows that are alike in all have no order.
    order = ", ".join(f'"{name}"' for name in keys or [name for name, _ in columns])
    but_the_digest = f"WHERE name IS NOT '{_ROW}'" if table == _TABLE else ""
    # The names are those of our own schema, or of a file that is found damaged for it.
    for row in connection.execute(f'SELECT {chosen} FROM "{table}" {but_the_digest} ORDER BY {order}'):  # noqa: S608
        for value in row:
            yield value.encode() if isinstance(value, str) else value or b""


def _framed(value: bytes) -> bytes:
    return len(value).to_bytes(8, "big") + value
