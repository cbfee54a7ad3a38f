"""The queries about the clients that an account knows."""

from datetime import datetime

import sqlalchemy as sa
from typing_extensions import override

from walletsync_server.storage.interface import ReadTransaction, WriteTransaction
from walletsync_server.storage.sql.prepared import Prepared
from walletsync_server.storage.sql.schema import known_clients as known
from walletsync_server.storage.sql.transaction import SqlTransaction, SqlWrites

# Built once: making a statement costs more than running it.
_OF_ACCOUNT = known.c.account_id == sa.bindparam("account")
_IS_CLIENT = _OF_ACCOUNT & (known.c.name == sa.bindparam("name"))
_KNOWS = Prepared(sa.select(sa.exists().where(_IS_CLIENT, known.c.came_at > sa.bindparam("since"))))
_CLIENTS = sa.select(known.c.name, known.c.came_at).where(_OF_ACCOUNT).order_by(known.c.came_at, known.c.name)
_FORGET = Prepared(sa.delete(known).where(_IS_CLIENT))
_REMEMBER = Prepared(sa.insert(known))
_LATEST = (
    sa.select(known.c.name)
    .where(_OF_ACCOUNT)
    .order_by(known.c.came_at.desc(), known.c.name)
    .limit(sa.bindparam("most", type_=sa.Integer))
    .offset(sa.literal_column("0"))  # which SQLite's dialect adds otherwise, as a parameter that nobody named
)
_FORGET_OTHERS = Prepared(sa.delete(known).where(_OF_ACCOUNT, known.c.name.not_in(_LATEST)))


class SqlClientReads(SqlTransaction, ReadTransaction):
    """Part of `SqlReadTransaction`."""

    @override
    def knows_client(self, account_id: int, name: bytes, since: datetime) -> bool:
        return bool(_KNOWS.value(self._driver, account=account_id, name=name, since=since))

    @override
    def clients_of(self, account_id: int) -> dict[bytes, datetime]:
        return {row["name"]: row["came_at"] for row in self._rows(_CLIENTS, account=account_id)}


class SqlClientWrites(SqlClientReads, SqlWrites, WriteTransaction):
    """Part of `SqlWriteTransaction`."""

    @override
    def remember_client(self, account_id: int, name: bytes, now: datetime, most: int) -> None:
        _FORGET.run(self._driver, account=account_id, name=name)
        _REMEMBER.run(self._driver, account_id=account_id, name=name, came_at=now)
        _FORGET_OTHERS.run(self._driver, account=account_id, most=most)

    @override
    def forget_clients(self, before: datetime, most: int) -> int:
        return self._delete_some(known, known.c.came_at <= before, most)
