"""The queries about addresses: which may sign up, and which have an account."""

from datetime import datetime

import sqlalchemy as sa
from typing_extensions import override

from walletsync_server.storage.interface_addresses import AddressReads, AddressSummary, AddressWrites
from walletsync_server.storage.sql.schema import accounts, allowed_addresses, tokens
from walletsync_server.storage.sql.transaction import SqlTransaction, SqlWrites

_EMAIL: sa.BindParameter[str] = sa.bindparam("email")
_MOST: sa.BindParameter[int] = sa.bindparam("most")
_NOW: sa.BindParameter[datetime] = sa.bindparam("now")


def _next(table: sa.Table) -> sa.Select[tuple[str]]:
    return sa.select(table.c.email).where(table.c.email > _EMAIL).order_by(table.c.email).limit(_MOST)


# Both halves end after `most` rows each, so that a page costs the same however many addresses there are.
_EMAILS = sa.union(*(sa.select(_next(table).subquery().c.email) for table in (accounts, allowed_addresses))).subquery()
_DEVICES = (
    sa.select(sa.func.count())
    .where(tokens.c.account_id == accounts.c.account_id, tokens.c.epoch == accounts.c.epoch, tokens.c.expires_at > _NOW)
    .scalar_subquery()
)
_ADDRESSES = (
    sa.select(
        _EMAILS.c.email,
        allowed_addresses.c.email.is_not(None).label("allowed"),
        accounts.c.created_at,
        sa.func.coalesce(accounts.c.current_sequence, 0).label("current_sequence"),
        _DEVICES.label("devices"),
    )
    .join_from(_EMAILS, accounts, accounts.c.email == _EMAILS.c.email, isouter=True)
    .join(allowed_addresses, allowed_addresses.c.email == _EMAILS.c.email, isouter=True)
    .order_by(_EMAILS.c.email)
    .limit(_MOST)
)
_IS_ALLOWED = sa.select(sa.func.count()).where(allowed_addresses.c.email == _EMAIL)


class SqlAddressReads(SqlTransaction, AddressReads):
    """Part of `SqlReadTransaction`."""

    @override
    def is_allowed(self, email: str) -> bool:
        return bool(self._connection.execute(_IS_ALLOWED, {"email": email}).scalar_one())

    @override
    def addresses_after(self, email: str, most: int, now: datetime) -> list[AddressSummary]:
        return [AddressSummary(**row) for row in self._rows(_ADDRESSES, email=email, most=most, now=now)]


class SqlAddressWrites(SqlAddressReads, SqlWrites, AddressWrites):
    """Part of `SqlWriteTransaction`."""

    @override
    def allow(self, email: str, now: datetime) -> bool:
        statement = self._insert(allowed_addresses).on_conflict_do_nothing()
        return bool(self._run(statement, email=email, allowed_at=now))

    @override
    def disallow(self, email: str) -> bool:
        return bool(self._run(sa.delete(allowed_addresses).where(allowed_addresses.c.email == email)))
