"""The queries about addresses: which may sign up, and which have an account."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from typing_extensions import override

from walletsync_server.storage.interface_addresses import AddressReads, AddressSummary, AddressWrites
from walletsync_server.storage.sql.erasing import IS_KEPT, IS_THERE
from walletsync_server.storage.sql.schema import accounts, allowed_addresses, known_clients, tokens, wallets
from walletsync_server.storage.sql.transaction import SqlTransaction, SqlWrites

_EMAIL: sa.BindParameter[str] = sa.bindparam("email")
_MOST: sa.BindParameter[int] = sa.bindparam("most")
_NOW: sa.BindParameter[datetime] = sa.bindparam("now")


def _next(emails: sa.Select[tuple[str]], email: sa.Column[str]) -> sa.Select[tuple[str]]:
    return emails.where(email > _EMAIL).order_by(email).limit(_MOST)


_KNOWN = (
    (sa.select(accounts.c.email).where(IS_THERE), accounts.c.email),
    (sa.select(allowed_addresses.c.email), allowed_addresses.c.email),
)
# Both halves end after `most` rows each, so that a page costs the same however many addresses there are.
_EMAILS = sa.union(*(sa.select(_next(*known).subquery().c.email) for known in _KNOWN)).subquery()
_ONE = sa.union(*(emails.where(email == _EMAIL) for emails, email in _KNOWN)).subquery()


def _of_account(what: sa.ColumnElement[Any], table: sa.Table, *where: sa.ColumnElement[bool]) -> Any:
    return sa.select(what).where(table.c.account_id == accounts.c.account_id, *where).scalar_subquery()


def _summaries(emails: sa.Subquery) -> sa.Select[Any]:
    wallet = sa.type_coerce(wallets.c.encrypted_wallet, sa.LargeBinary)  # its length is known without reading it
    is_alive = tokens.c.epoch == accounts.c.epoch, tokens.c.expires_at > _NOW
    return (
        sa.select(
            emails.c.email,
            allowed_addresses.c.email.is_not(None).label("allowed"),
            accounts.c.created_at,
            accounts.c.disabled_at,
            accounts.c.quota,
            sa.func.coalesce(accounts.c.current_sequence, 0).label("current_sequence"),
            _of_account(sa.func.count(), tokens, *is_alive).label("devices"),
            _of_account(sa.func.count(), wallets, IS_KEPT).label("versions"),
            sa.func.coalesce(_of_account(sa.func.sum(sa.func.length(wallet)), wallets, IS_KEPT), 0).label("size"),
            _of_account(sa.func.max(wallets.c.stored_at), wallets, IS_KEPT).label("stored_at"),
            _of_account(sa.func.max(known_clients.c.came_at), known_clients).label("came_at"),
        )
        .join_from(emails, accounts, accounts.c.email == emails.c.email, isouter=True)
        .join(allowed_addresses, allowed_addresses.c.email == emails.c.email, isouter=True)
        .order_by(emails.c.email)
    )


_ADDRESSES = _summaries(_EMAILS).limit(_MOST)
_ADDRESS = _summaries(_ONE)
_IS_ALLOWED = sa.select(sa.func.count()).where(allowed_addresses.c.email == _EMAIL)


class SqlAddressReads(SqlTransaction, AddressReads):
    """Part of `SqlReadTransaction`."""

    @override
    def is_allowed(self, email: str) -> bool:
        return bool(self._connection.execute(_IS_ALLOWED, {"email": email}).scalar_one())

    @override
    def addresses_after(self, email: str, most: int, now: datetime) -> list[AddressSummary]:
        return [_summary(**row) for row in self._rows(_ADDRESSES, email=email, most=most, now=now)]

    @override
    def address_summary(self, email: str, now: datetime) -> AddressSummary | None:
        row = self._row(_ADDRESS, email=email, now=now)
        return None if row is None else _summary(**row)


def _summary(*, stored_at: datetime | None, came_at: datetime | None, **others: Any) -> AddressSummary:
    seen = [moment for moment in (stored_at, came_at) if moment is not None]
    return AddressSummary(last_seen=max(seen, default=None), **others)


class SqlAddressWrites(SqlAddressReads, SqlWrites, AddressWrites):
    """Part of `SqlWriteTransaction`."""

    @override
    def allow(self, email: str, now: datetime) -> bool:
        statement = self._insert(allowed_addresses).on_conflict_do_nothing()
        return bool(self._run(statement, email=email, allowed_at=now))

    @override
    def disallow(self, email: str) -> bool:
        return bool(self._run(sa.delete(allowed_addresses).where(allowed_addresses.c.email == email)))
