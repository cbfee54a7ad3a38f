"""The queries about tokens."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from typing_extensions import override

from walletsync_server.storage.interface import ReadTransaction, Token, WriteTransaction
from walletsync_server.storage.sql.prepared import Prepared
from walletsync_server.storage.sql.schema import accounts, tokens
from walletsync_server.storage.sql.transaction import SqlTransaction, SqlWrites

# Built once: making a statement costs more than running it.
IS_ALIVE = (tokens.c.account_id == accounts.c.account_id) & (tokens.c.epoch == accounts.c.epoch)
_LIVE_TOKENS = sa.select(tokens).join_from(tokens, accounts, IS_ALIVE)
_TOKEN_OF_HASH = Prepared(_LIVE_TOKENS.where(tokens.c.token_hash == sa.bindparam("hash")))
_EXPIRIES = (
    sa.select(tokens.c.token_hash, tokens.c.expires_at)
    .join_from(tokens, accounts, IS_ALIVE)
    .where(tokens.c.token_hash.in_(sa.bindparam("hashes", expanding=True)))
)
_TOKENS_OF_ACCOUNT = _LIVE_TOKENS.where(tokens.c.account_id == sa.bindparam("account")).order_by(tokens.c.device_id)
_IS_OF_DEVICE = (tokens.c.account_id == sa.bindparam("account")) & (tokens.c.device_id == sa.bindparam("device"))
_TOKEN_OF_DEVICE = Prepared(sa.select(tokens.c.token_hash).where(_IS_OF_DEVICE))
_OTHER_TOKENS = Prepared(
    sa.select(sa.func.count()).where(
        tokens.c.account_id == sa.bindparam("account"),
        tokens.c.device_id != sa.bindparam("device"),
        tokens.c.expires_at > sa.bindparam("now"),
    )
)
_DELETE_TOKEN_OF_DEVICE = Prepared(sa.delete(tokens).where(_IS_OF_DEVICE))
_DELETE_EXPIRED_TOKENS = Prepared(
    sa.delete(tokens).where(tokens.c.account_id == sa.bindparam("account"), tokens.c.expires_at <= sa.bindparam("now"))
)
_INSERT_TOKEN = Prepared(sa.insert(tokens))


class SqlTokenReads(SqlTransaction, ReadTransaction):
    """Part of `SqlReadTransaction`."""

    @override
    def find_token(self, token_hash: bytes) -> Token | None:
        row = _TOKEN_OF_HASH.named(self._driver, hash=token_hash)
        return None if row is None else Token(**row)

    @override
    def expiries(self, token_hashes: Collection[bytes]) -> dict[bytes, datetime]:
        return {row["token_hash"]: row["expires_at"] for row in self._rows(_EXPIRIES, hashes=list(token_hashes))}

    @override
    def tokens_of(self, account_id: int) -> list[Token]:
        return [Token(**row) for row in self._rows(_TOKENS_OF_ACCOUNT, account=account_id)]

    @override
    def has_token(self, account_id: int, device_id: str) -> bool:
        return _TOKEN_OF_DEVICE.row(self._driver, account=account_id, device=device_id) is not None


class SqlTokenWrites(SqlTokenReads, SqlWrites, WriteTransaction):
    """Part of `SqlWriteTransaction`."""

    @override
    def put_token(self, token: Token) -> bytes | None:
        replaced: bytes | None = _TOKEN_OF_DEVICE.value(self._driver, account=token.account_id, device=token.device_id)
        _DELETE_TOKEN_OF_DEVICE.run(self._driver, account=token.account_id, device=token.device_id)
        _INSERT_TOKEN.run(self._driver, **vars(token))
        return replaced

    @override
    def delete_token(self, token: Token) -> None:
        self._run(
            sa.delete(tokens).where(tokens.c.account_id == token.account_id, tokens.c.token_hash == token.token_hash)
        )

    @override
    def delete_tokens(self, account_id: int) -> None:
        self._run(sa.delete(tokens).where(tokens.c.account_id == account_id))

    @override
    def delete_expired_tokens(self, account_id: int, now: datetime) -> None:
        _DELETE_EXPIRED_TOKENS.run(self._driver, account=account_id, now=now)

    @override
    def purge_tokens(self, moment: datetime, most: int) -> int:
        return self._delete_some(tokens, tokens.c.expires_at <= moment, most)

    @override
    def count_other_tokens(self, account_id: int, device_id: str, now: datetime) -> int:
        count: int = _OTHER_TOKENS.value(self._driver, account=account_id, device=device_id, now=now)
        return count
