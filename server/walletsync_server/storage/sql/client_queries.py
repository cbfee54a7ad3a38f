"""The queries about the clients that an account knows."""

from datetime import datetime

import sqlalchemy as sa
from typing_extensions import override

from walletsync_server.storage.interface import ReadTransaction, WriteTransaction
from walletsync_server.storage.sql.prepared import Prepared
from walletsync_server.storage.sql.schema import known_clients as known
from walletsync_server.storage.sql.transaction import SqlTransaction, SqlWrites

# Built once: making a statement costs more than running it.
_KNOWS = Prepared(
    sa.select(
        sa.exists().where(
            known.c.account_id == sa.bindparam("account"),
            known.c.name == sa.bindparam("name"),
            known.c.came_at > sa.bindparam("since"),
        )
    )
)


class SqlClientReads(SqlTransaction, ReadTransaction):
    """Part of `SqlReadTransaction`."""

    @override
    def knows_client(self, account_id: int, name: bytes, since: datetime) -> bool:
        return bool(_KNOWS.value(self._driver, account=account_id, name=name, since=since))


class SqlClientWrites(SqlClientReads, SqlWrites, WriteTransaction):
    """Part of `SqlWriteTransaction`."""

    @override
    def remember_client(self, account_id: int, name: bytes, now: datetime, most: int) -> None:
        statement = self._insert(known)
        again = statement.on_conflict_do_update(
            index_elements=[known.c.account_id, known.c.name], set_={"came_at": statement.excluded.came_at}
        )
        self._run(again, account_id=account_id, name=name, came_at=now)
        of_account = known.c.account_id == account_id
        kept = sa.select(known.c.name).where(of_account).order_by(known.c.came_at.desc(), known.c.name).limit(most)
        self._run(sa.delete(known).where(of_account, known.c.name.not_in(kept)))

    @override
    def forget_clients(self, before: datetime) -> int:
        return self._run(sa.delete(known).where(known.c.came_at <= before))
