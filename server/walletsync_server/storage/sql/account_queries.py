"""The queries about accounts."""

from datetime import datetime

import sqlalchemy as sa
from typing_extensions import override

from walletsync_server.storage.interface import Account, AddressTaken, ReadTransaction, WriteTransaction
from walletsync_server.storage.sql.erasing import IS_THERE
from walletsync_server.storage.sql.prepared import Prepared
from walletsync_server.storage.sql.schema import accounts, deletions
from walletsync_server.storage.sql.transaction import SqlTransaction, SqlWrites

# Built once: making a statement costs more than running it.
_ACCOUNTS = sa.select(*(column for column in accounts.c if column.name != "erase_before")).where(IS_THERE)
_ACCOUNT_OF_EMAIL = Prepared(_ACCOUNTS.where(accounts.c.email == sa.bindparam("email")))
_SALT_SEED = Prepared(
    sa.select(
        sa.func.coalesce(
            sa.select(accounts.c.salt_seed).where(accounts.c.email == sa.bindparam("email")).scalar_subquery(),
            sa.bindparam("otherwise", type_=sa.LargeBinary),
        )
    )
)
_DELETIONS = sa.select(deletions).order_by(deletions.c.deleted_at, deletions.c.account_id)
_ACCOUNT_LOCKED = Prepared(_ACCOUNTS.where(accounts.c.account_id == sa.bindparam("account")).with_for_update())


class SqlAccountReads(SqlTransaction, ReadTransaction):
    """Part of `SqlReadTransaction`."""

    @override
    def find_account(self, email: str) -> Account | None:
        row = _ACCOUNT_OF_EMAIL.named(self._driver, email=email)
        return None if row is None else Account(**row)

    @override
    def deletions(self) -> dict[int, datetime]:
        return {row["account_id"]: row["deleted_at"] for row in self._rows(_DELETIONS)}

    @override
    def salt_seed(self, email: str, otherwise: bytes) -> bytes:
        seed: bytes = _SALT_SEED.value(self._driver, email=email, otherwise=otherwise)
        return seed


class SqlAccountWrites(SqlAccountReads, SqlWrites, WriteTransaction):
    """Part of `SqlWriteTransaction`."""

    @override
    def lock_account(self, account_id: int) -> Account | None:
        row = _ACCOUNT_LOCKED.named(self._driver, account=account_id)
        return None if row is None else Account(**row)

    @override
    def insert_account(self, account: Account) -> None:
        statement = self._insert(accounts).on_conflict_do_nothing(index_elements=[accounts.c.email])
        if not self._run(statement, **vars(account)):
            raise AddressTaken

    @override
    def replace_password(self, account_id: int, password_hash: str, salt_seed: bytes) -> None:
        self._run(
            sa.update(accounts)
            .where(accounts.c.account_id == account_id)
            .values(password_hash=password_hash, salt_seed=salt_seed, epoch=accounts.c.epoch + 1)
        )

    @override
    def renew_password_hash(self, account_id: int, password_hash: str) -> None:
        self._run(sa.update(accounts).where(accounts.c.account_id == account_id).values(password_hash=password_hash))

    @override
    def set_disabled(self, account_id: int, since: datetime | None) -> None:
        self._run(sa.update(accounts).where(accounts.c.account_id == account_id).values(disabled_at=since))

    @override
    def set_quota(self, account_id: int, quota: int | None) -> None:
        self._run(sa.update(accounts).where(accounts.c.account_id == account_id).values(quota=quota))
