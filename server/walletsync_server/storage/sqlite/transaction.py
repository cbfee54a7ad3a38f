"""What SQLite has of its own in a transaction."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from typing_extensions import override

from walletsync_server.storage.interface import Account, Token
from walletsync_server.storage.sql.queries import SqlWriteTransaction


class SqliteWriteTransaction(SqlWriteTransaction):
    """Reads and writes on one connection.

    `erased` are the accounts of which nobody may find something any more, by number, `deleted` those that are gone, and
    since when.
    """

    def __init__(self, connection: sa.Connection) -> None:
        super().__init__(connection)
        self.erased: set[int] = set()
        self.deleted: dict[int, datetime] = {}

    @staticmethod
    @override
    def _insert(table: sa.Table) -> Any:
        return insert(table)

    @override
    def delete_account(self, account_id: int, now: datetime) -> None:
        super().delete_account(account_id, now)
        self.erased.add(account_id)
        self.deleted[account_id] = now

    @override
    def discard_wallets(self, account_id: int) -> None:
        super().discard_wallets(account_id)
        self.erased.add(account_id)

    @override
    def replace_password(self, account_id: int, password_hash: str, salt_seed: bytes) -> None:
        super().replace_password(account_id, password_hash, salt_seed)
        self.erased.add(account_id)

    @override
    def lock_account_of(self, token_hash: bytes) -> tuple[Account, Token] | None:
        known = self.find_token(token_hash)  # which stays as it is: nobody else writes
        account = None if known is None else self.lock_account(known.account_id)
        return None if known is None or account is None else (account, known)
