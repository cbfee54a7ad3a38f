"""What SQLite has of its own in a transaction."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from typing_extensions import override

from walletsync_server.storage.sql.queries import SqlWriteTransaction


class SqliteWriteTransaction(SqlWriteTransaction):
    """Reads and writes on one connection."""

    @staticmethod
    @override
    def _insert(table: sa.Table) -> Any:
        return insert(table)
