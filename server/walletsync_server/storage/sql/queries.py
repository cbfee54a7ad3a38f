"""Every query, in SQLAlchemy Core: what a transaction in SQL can do. Neither class begins or ends one."""

from datetime import datetime

import sqlalchemy as sa
from typing_extensions import override

from walletsync_server.storage.interface import ReadTransaction, WriteTransaction
from walletsync_server.storage.sql.account_queries import SqlAccountReads, SqlAccountWrites
from walletsync_server.storage.sql.address_queries import SqlAddressReads, SqlAddressWrites
from walletsync_server.storage.sql.client_queries import SqlClientReads, SqlClientWrites
from walletsync_server.storage.sql.erasing import IS_THERE, SqlErasing
from walletsync_server.storage.sql.prepared import Prepared
from walletsync_server.storage.sql.schema import accounts, server_values
from walletsync_server.storage.sql.signup_queries import SqlSignupReads, SqlSignupWrites
from walletsync_server.storage.sql.token_queries import SqlTokenReads, SqlTokenWrites
from walletsync_server.storage.sql.wallet_queries import SqlWalletReads, SqlWalletWrites

BACKED_UP = "backed_up_at"
_NOTED = "noted_at"
_VOID = "void"
_VALUE = Prepared(sa.select(server_values.c.value).where(server_values.c.name == sa.bindparam("name")))
_SECRET = "secret"  # noqa: S105 - the name of a row, not its value


class SqlReadTransaction(
    SqlAccountReads, SqlClientReads, SqlTokenReads, SqlWalletReads, SqlSignupReads, SqlAddressReads, ReadTransaction
):
    """Reads on one connection."""

    @override
    def ping(self) -> None:
        self._connection.execute(sa.select(sa.func.count()).select_from(server_values)).scalar_one()

    @override
    def count_accounts(self) -> int:
        return self._connection.execute(sa.select(sa.func.count()).select_from(accounts).where(IS_THERE)).scalar_one()

    @override
    def backed_up_at(self) -> datetime | None:
        noted = self._value(BACKED_UP)
        return None if noted is None else datetime.fromisoformat(noted.decode())

    @override
    def secret(self) -> bytes | None:
        return self._value(_SECRET)

    @override
    def void_mark(self) -> bytes | None:
        return self._value(_VOID)

    def _value(self, name: str) -> bytes | None:
        value: bytes | None = _VALUE.value(self._driver, name=name)
        return value


class SqlWriteTransaction(
    SqlReadTransaction,
    SqlAccountWrites,
    SqlClientWrites,
    SqlTokenWrites,
    SqlWalletWrites,
    SqlSignupWrites,
    SqlAddressWrites,
    SqlErasing,
    WriteTransaction,
):
    """Reads and writes on one connection; an engine says what its INSERT is."""

    @override
    def mark_void(self, mark: bytes) -> None:
        self._set(_VOID, mark)

    @override
    def note_time(self, now: datetime) -> None:
        self._set(_NOTED, now.isoformat().encode())

    def _set(self, name: str, value: bytes) -> None:
        added = self._insert(server_values)
        noted = added.on_conflict_do_update(index_elements=[server_values.c.name], set_={"value": added.excluded.value})
        self._run(noted, name=name, value=value)

    @override
    def keep_secret(self, fresh: bytes) -> bytes:
        self._run(self._insert(server_values).on_conflict_do_nothing(), name=_SECRET, value=fresh)
        return self.secret() or fresh
