"""What is gone for everybody, but not yet from the database: it is removed in pieces.

Removing a large wallet overwrites it, and as long as a transaction does so nobody else can write. So the one that
deletes an account, or discards versions, only says so, and others after it remove a piece each.
"""

from datetime import datetime

import sqlalchemy as sa
from typing_extensions import override

from walletsync_server.storage.interface import WriteTransaction
from walletsync_server.storage.sql.prepared import Prepared
from walletsync_server.storage.sql.schema import EVERYTHING, accounts, deletions, known_clients, mails, tokens, wallets
from walletsync_server.storage.sql.transaction import SqlWrites

PIECE_BYTES = 1024 * 1024
"""How many bytes of wallets a piece removes; a version that is larger is one by itself."""
IS_THERE = accounts.c.erase_before < sa.literal_column(str(EVERYTHING))  # no parameter: it is a part of prepared ones
IS_KEPT = (wallets.c.account_id == accounts.c.account_id) & (wallets.c.sequence >= accounts.c.erase_before)
_NO_MORE = (wallets.c.account_id == accounts.c.account_id) & (wallets.c.sequence < accounts.c.erase_before)
_BEING_ERASED = Prepared(
    # No parameter: the index serves only where the query says the same as it does.
    sa.select(accounts.c.account_id).where(accounts.c.erase_before > sa.literal_column("0"))
)


class SqlErasing(SqlWrites, WriteTransaction):
    """Part of `SqlWriteTransaction`."""

    @override
    def delete_account(self, account_id: int, now: datetime) -> None:
        email = sa.select(accounts.c.email).where(accounts.c.account_id == account_id).scalar_subquery()
        self._run(sa.delete(mails).where(mails.c.email == email))
        for table in (known_clients, tokens):
            self._run(sa.delete(table).where(table.c.account_id == account_id))
        # The row stays as long as wallets refer to it, with nothing in it: its name is that of no address.
        nothing = {"email": str(account_id), "password_hash": "", "salt_seed": None, "current_sequence": 0}
        self._run(
            sa.update(accounts).where(accounts.c.account_id == account_id).values(erase_before=EVERYTHING, **nothing)
        )
        self.note_deletion(account_id, now)

    def note_deletion(self, account_id: int, deleted_at: datetime) -> None:
        """Note that there was such an account; the first time counts."""
        noted = self._insert(deletions).on_conflict_do_nothing()
        self._run(noted, account_id=account_id, deleted_at=deleted_at)

    @override
    def discard_wallets(self, account_id: int) -> None:
        self._run(
            sa.update(accounts)
            .where(accounts.c.account_id == account_id)
            .values(erase_before=accounts.c.current_sequence + 1)
        )

    def erase_if_small(self, account_id: int) -> bool:
        """Remove all that is gone of this account if it is no more than a piece; say whether it was."""
        is_small = sum(size for _, size in self._gone(account_id)) <= PIECE_BYTES
        return is_small and not self.erase_piece(account_id)

    def erase_piece(self, account_id: int) -> bool:
        """Remove some of what is gone of this account, the oldest first; say whether any is left."""
        gone = self._gone(account_id)
        last, total = 0, 0
        for sequence, size in gone:
            total += size
            if last and total > PIECE_BYTES:
                break
            last = sequence
        self._run(sa.delete(wallets).where(wallets.c.account_id == account_id, wallets.c.sequence <= last))
        if gone and last < gone[-1][0]:
            return True
        self._run(sa.delete(accounts).where(accounts.c.account_id == account_id, ~IS_THERE))
        self._run(sa.update(accounts).where(accounts.c.account_id == account_id).values(erase_before=0))
        return False

    def _gone(self, account_id: int) -> list[tuple[int, int]]:
        """Return the sequences and sizes of the versions to be removed, the oldest first."""
        size = sa.func.length(sa.type_coerce(wallets.c.encrypted_wallet, sa.LargeBinary)).label("size")
        rows = self._rows(
            sa.select(wallets.c.sequence, size)
            .join_from(accounts, wallets, _NO_MORE)
            .where(accounts.c.account_id == account_id)
            .order_by(wallets.c.sequence)
        )
        return [(row["sequence"], row["size"]) for row in rows]

    def being_erased(self) -> int | None:
        """Return an account of which something is still to be removed; None if there is none."""
        account_id: int | None = _BEING_ERASED.value(self._driver)
        return account_id
