"""The queries about wallets and their versions."""

from collections.abc import Iterable

import sqlalchemy as sa
from typing_extensions import override

from walletsync_server.storage.interface import (
    Content,
    KeptVersion,
    ReadTransaction,
    Shown,
    StoredVersion,
    Wallet,
    WriteTransaction,
)
from walletsync_server.storage.sql.erasing import IS_KEPT
from walletsync_server.storage.sql.prepared import Prepared
from walletsync_server.storage.sql.schema import accounts, tokens, wallets
from walletsync_server.storage.sql.token_queries import IS_ALIVE
from walletsync_server.storage.sql.transaction import SqlTransaction, SqlWrites

_ANY_SIZE = 2**63 - 1

# Built once: making a statement costs more than running it.
_CURRENT_SEQUENCE = Prepared(
    sa.select(accounts.c.current_sequence).where(accounts.c.account_id == sa.bindparam("account"))
)
_IS_CURRENT = IS_KEPT & (wallets.c.sequence == accounts.c.current_sequence)
_CURRENT_DIGEST = Prepared(
    sa.select(wallets.c.digest)
    .join_from(accounts, wallets, _IS_CURRENT)
    .where(accounts.c.account_id == sa.bindparam("account"))
)
_SIZE = sa.func.length(sa.type_coerce(wallets.c.encrypted_wallet, sa.LargeBinary))
_CURRENT_WALLET = Prepared(
    sa.select(*(column for column in wallets.c if column.name != "account_id"))
    .join_from(accounts, wallets, _IS_CURRENT)
    .where(accounts.c.account_id == sa.bindparam("account"))
)
_SHOWN = Prepared(
    # A wallet that is too large is not read: its length stands before it.
    sa.select(
        tokens.c.expires_at,
        wallets.c.sequence,
        wallets.c.hmac,
        wallets.c.digest,
        sa.case((sa.bindparam("most", type_=sa.BigInteger) >= _SIZE, wallets.c.encrypted_wallet)).label(
            "encrypted_wallet"
        ),
    )
    .join_from(tokens, accounts, IS_ALIVE)
    .outerjoin(wallets, _IS_CURRENT)
    .where(tokens.c.token_hash == sa.bindparam("hash"))
)
_IS_AT = (wallets.c.account_id == sa.bindparam("account")) & (wallets.c.sequence == sa.bindparam("sequence"))
_DIGEST_AT = Prepared(sa.select(wallets.c.digest).join_from(wallets, accounts, IS_KEPT).where(_IS_AT))
_WALLET_AT = Prepared(
    sa.select(*(column for column in wallets.c if column.name != "account_id"))
    .join_from(wallets, accounts, IS_KEPT)
    .where(_IS_AT)
)
_HISTORY = (
    sa.select(
        wallets.c.sequence,
        wallets.c.stored_at,
        wallets.c.device_id,
        _SIZE.label("size"),
    )
    .join_from(wallets, accounts, IS_KEPT)
    .where(wallets.c.account_id == sa.bindparam("account"))
    .order_by(wallets.c.sequence.desc())
)
_STORED_VERSIONS = Prepared(
    sa.select(
        wallets.c.sequence,
        (sa.type_coerce(wallets.c.stored_at, sa.BigInteger) // sa.literal_column("3600000000", sa.BigInteger)).label(
            "hour"
        ),
        _SIZE.label("size"),
    )
    .join_from(wallets, accounts, IS_KEPT)
    .where(wallets.c.account_id == sa.bindparam("account"))
    .order_by(wallets.c.sequence.desc())
)
_APPEND_WALLET = Prepared(sa.insert(wallets))
_SET_SEQUENCE = Prepared(
    sa.update(accounts)
    .where(accounts.c.account_id == sa.bindparam("account"))
    .values(current_sequence=sa.bindparam("sequence"))
)
_DROP_WALLET = Prepared(sa.delete(wallets).where(_IS_AT))


class SqlWalletReads(SqlTransaction, ReadTransaction):
    """Part of `SqlReadTransaction`."""

    @override
    def current_sequence(self, account_id: int) -> int:
        return _CURRENT_SEQUENCE.value(self._driver, account=account_id) or 0

    @override
    def current_digest(self, account_id: int) -> bytes | None:
        digest: bytes | None = _CURRENT_DIGEST.value(self._driver, account=account_id)
        return digest

    @override
    def current_wallet(self, account_id: int) -> Wallet | None:
        row = _CURRENT_WALLET.named(self._driver, account=account_id)
        return None if row is None else Wallet(**row)

    @override
    def shown_by(self, token_hash: bytes, most: int | None = None) -> Shown | None:
        row = _SHOWN.row(self._driver, hash=token_hash, most=_ANY_SIZE if most is None else most)
        if row is None:
            return None
        expires_at, sequence, hmac, digest, encrypted_wallet = row
        read = None if encrypted_wallet is None else Content(sequence, hmac, digest, encrypted_wallet)
        return Shown(expires_at, digest, read)

    @override
    def digest_at(self, account_id: int, sequence: int) -> bytes | None:
        digest: bytes | None = _DIGEST_AT.value(self._driver, account=account_id, sequence=sequence)
        return digest

    @override
    def wallet_at(self, account_id: int, sequence: int) -> Wallet | None:
        row = _WALLET_AT.named(self._driver, account=account_id, sequence=sequence)
        return None if row is None else Wallet(**row)

    @override
    def history(self, account_id: int) -> list[KeptVersion]:
        return [KeptVersion(**row) for row in self._rows(_HISTORY, account=account_id)]


class SqlWalletWrites(SqlWalletReads, SqlWrites, WriteTransaction):
    """Part of `SqlWriteTransaction`."""

    @override
    def append_wallet(self, account_id: int, wallet: Wallet) -> None:
        _APPEND_WALLET.run(self._driver, account_id=account_id, **vars(wallet))
        _SET_SEQUENCE.run(self._driver, account=account_id, sequence=wallet.sequence)

    @override
    def stored_versions(self, account_id: int) -> list[StoredVersion]:
        return [StoredVersion(*row) for row in _STORED_VERSIONS.tuples(self._driver, account=account_id)]

    @override
    def drop_wallets(self, account_id: int, sequences: Iterable[int]) -> None:
        for sequence in sequences:
            _DROP_WALLET.run(self._driver, account=account_id, sequence=sequence)
