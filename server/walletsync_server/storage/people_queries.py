"""The queries about people."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from walletsync_server.storage.people import PeopleReads, PeopleWrites, Person
from walletsync_server.storage.schema import accounts, allowed_addresses, tokens

_EMAIL: sa.BindParameter[str] = sa.bindparam("email")
_COUNT: sa.BindParameter[int] = sa.bindparam("count")
_NOW: sa.BindParameter[datetime] = sa.bindparam("now")


def _next(table: sa.Table) -> sa.Select[tuple[str]]:
    return sa.select(table.c.email).where(table.c.email > _EMAIL).order_by(table.c.email).limit(_COUNT)


# Both halves end after `count` rows each, so that a page costs the same however many people there are.
_EMAILS = sa.union(*(sa.select(_next(table).subquery().c.email) for table in (accounts, allowed_addresses))).subquery()
_DEVICES = (
    sa.select(sa.func.count())
    .where(tokens.c.account_id == accounts.c.account_id, tokens.c.epoch == accounts.c.epoch, tokens.c.expires_at > _NOW)
    .scalar_subquery()
)
_PEOPLE = (
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
    .limit(_COUNT)
)
_IS_ALLOWED = sa.select(sa.func.count()).where(allowed_addresses.c.email == _EMAIL)


class SqlPeopleReads(PeopleReads):
    """Part of `SqlReadTransaction`."""

    _connection: sa.Connection

    def is_allowed(self, email: str) -> bool:
        """See `PeopleReads`."""
        return bool(self._connection.execute(_IS_ALLOWED, {"email": email}).scalar_one())

    def people_after(self, email: str, count: int, now: datetime) -> list[Person]:
        """See `PeopleReads`."""
        rows = self._connection.execute(_PEOPLE, {"email": email, "count": count, "now": now})
        return [Person(**row) for row in rows.mappings()]


class SqlPeopleWrites(PeopleWrites):
    """Part of `SqlWriteTransaction`."""

    _connection: sa.Connection

    def allow(self, email: str, now: datetime) -> bool:
        """See `PeopleWrites`."""
        statement = insert(allowed_addresses).on_conflict_do_nothing()
        return bool(self._connection.execute(statement, {"email": email, "allowed_at": now}).rowcount)

    def disallow(self, email: str) -> bool:
        """See `PeopleWrites`."""
        statement = sa.delete(allowed_addresses).where(allowed_addresses.c.email == email)
        return bool(self._connection.execute(statement).rowcount)
