"""What PostgreSQL has of its own in a transaction."""

from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from typing_extensions import override

from walletsync_server.storage.interface import Account, Mail, Token
from walletsync_server.storage.sql.erasing import IS_THERE
from walletsync_server.storage.sql.prepared import Driver, Prepared
from walletsync_server.storage.sql.queries import SqlWriteTransaction
from walletsync_server.storage.sql.schema import accounts, tokens
from walletsync_server.storage.sql.token_queries import IS_ALIVE

T = TypeVar("T")

_MAILS = 1
_ADDRESS = 2
_LOCK_NUMBER = sa.select(sa.func.pg_advisory_xact_lock(sa.bindparam("kind", type_=sa.Integer), 0))
_LOCK_TEXT = sa.select(
    sa.func.pg_advisory_xact_lock(
        sa.bindparam("kind", type_=sa.Integer), sa.func.hashtext(sa.bindparam("text", type_=sa.Text))
    )
)
_HASH: sa.BindParameter[bytes] = sa.bindparam("hash")
_LOCK_ROW_OF_TOKEN = Prepared(
    sa.select(accounts.c.account_id)
    .where(
        accounts.c.account_id == sa.select(tokens.c.account_id).where(tokens.c.token_hash == _HASH).scalar_subquery()
    )
    .with_for_update()
)
_ACCOUNT = [column for column in accounts.c if column.name != "erase_before"]
_TOKEN = list(tokens.c)
_BY_TOKEN = Prepared(
    sa.select(*(column.label(f"{column.table.name}_{column.name}") for column in (*_ACCOUNT, *_TOKEN)))
    .join_from(tokens, accounts, IS_ALIVE)
    .where(tokens.c.token_hash == _HASH, IS_THERE)
)
_LOCK_ROW = sa.select(accounts.c.account_id).where(accounts.c.account_id == sa.bindparam("account")).with_for_update()


class PostgresWriteTransaction(SqlWriteTransaction):
    """Reads and writes on one connection.

    Whoever changes several mails or sign-ups of an address has a lock on it first, since no row stands for it; whoever
    takes a mail from the queue, one on the queue before that.

    `erased` are the accounts of which nobody may find something any more, by number.
    """

    def __init__(self, connection: sa.Connection, driver: Driver) -> None:
        super().__init__(connection, driver)
        self.erased: set[int] = set()

    @staticmethod
    @override
    def _insert(table: sa.Table) -> Any:
        return insert(table)

    @override
    def lock_account_of(self, token_hash: bytes) -> tuple[Account, Token] | None:
        # Two statements, of which the second sees what there is once the first has the lock; they go in one piece.
        # Whoever knows a token got it after it was stored, so the first finds each that the second does.
        _LOCK_ROW_OF_TOKEN.run(self._driver, hash=token_hash)
        row = _BY_TOKEN.row(self._driver, hash=token_hash)
        return None if row is None else (_made(Account, _ACCOUNT, row), _made(Token, _TOKEN, row[len(_ACCOUNT) :]))

    @override
    def delete_account(self, account_id: int, now: datetime) -> None:
        email = self._connection.scalar(sa.select(accounts.c.email).where(accounts.c.account_id == account_id))
        self._lock_address(email or "")
        super().delete_account(account_id, now)
        self.erased.add(account_id)

    @override
    def discard_wallets(self, account_id: int) -> None:
        super().discard_wallets(account_id)
        self.erased.add(account_id)

    @override
    def next_mail(self, now: datetime) -> Mail | None:
        self._connection.execute(_LOCK_NUMBER, {"kind": _MAILS})
        mail = super().next_mail(now)
        if mail is not None:
            self._lock_address(mail.email)
            mail = super().next_mail(now)  # as it is now, or another of which no other is changed
        return mail

    @override
    def drop_doubles(self, mail: Mail) -> None:
        self._lock_address(mail.email)
        super().drop_doubles(mail)

    @override
    def void_links(self, email: str) -> None:
        self._lock_address(email)
        super().void_links(email)

    @override
    def delete_signups(self, email: str, password_hash: str) -> None:
        self._lock_address(email)
        super().delete_signups(email, password_hash)

    def erase(self) -> None:
        """Remove what nobody may find any more: beside others who write, so all of it at once."""
        for account_id in self.erased:
            while self.erase_piece(account_id):
                pass

    def erase_unfinished(self) -> bool:
        """Remove what an account has left that was copied amid its deletion; say whether there was one."""
        account_id = self.being_erased()
        if account_id is None:
            return False
        self._connection.execute(_LOCK_ROW, {"account": account_id})
        self.erased.add(account_id)
        return True

    def _lock_address(self, email: str) -> None:
        self._connection.execute(_LOCK_TEXT, {"kind": _ADDRESS, "text": email})


def _made(record: type[T], columns: list[sa.Column[Any]], values: list[Any]) -> T:
    """Return a record of what a row begins with."""
    return record(**{column.name: value for column, value in zip(columns, values, strict=False)})
