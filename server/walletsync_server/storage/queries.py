"""Every query, in SQLAlchemy Core. One class per kind of transaction; neither begins nor ends one."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from walletsync_server.storage.interface import (
    Account,
    AddressTaken,
    KeptVersion,
    ReadTransaction,
    Token,
    Wallet,
    WriteTransaction,
)
from walletsync_server.storage.people_queries import SqlPeopleReads, SqlPeopleWrites
from walletsync_server.storage.prepared import Prepared
from walletsync_server.storage.schema import accounts, mails, server_values, signups, tokens, wallets
from walletsync_server.storage.signup_queries import SqlSignupReads, SqlSignupWrites

_SECRET = "secret"  # noqa: S105 - the name of a row, not its value

# Built once: making a statement costs more than running it.
_ACCOUNT_OF_EMAIL = Prepared(sa.select(accounts).where(accounts.c.email == sa.bindparam("email")))
_SALT_SEED = Prepared(
    sa.select(
        sa.func.coalesce(
            sa.select(accounts.c.salt_seed).where(accounts.c.email == sa.bindparam("email")).scalar_subquery(),
            sa.bindparam("otherwise", type_=sa.LargeBinary),
        )
    )
)
_ACCOUNT_LOCKED = Prepared(
    sa.select(accounts).where(accounts.c.account_id == sa.bindparam("account")).with_for_update()
)
_ALIVE = (tokens.c.account_id == accounts.c.account_id) & (tokens.c.epoch == accounts.c.epoch)
_LIVE_TOKENS = sa.select(tokens).join_from(tokens, accounts, _ALIVE)
_TOKEN_OF_HASH = Prepared(_LIVE_TOKENS.where(tokens.c.token_hash == sa.bindparam("hash")))
_TOKENS_OF_ACCOUNT = _LIVE_TOKENS.where(tokens.c.account_id == sa.bindparam("account")).order_by(tokens.c.device_id)
_IS_OF_DEVICE = (tokens.c.account_id == sa.bindparam("account")) & (tokens.c.device_id == sa.bindparam("device"))
_TOKEN_OF_DEVICE = Prepared(sa.select(tokens.c.epoch).where(_IS_OF_DEVICE))
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
_CURRENT_SEQUENCE = Prepared(
    sa.select(accounts.c.current_sequence).where(accounts.c.account_id == sa.bindparam("account"))
)
_IS_CURRENT = (wallets.c.account_id == accounts.c.account_id) & (wallets.c.sequence == accounts.c.current_sequence)
_CURRENT_DIGEST = Prepared(
    sa.select(wallets.c.digest)
    .join_from(accounts, wallets, _IS_CURRENT)
    .where(accounts.c.account_id == sa.bindparam("account"))
)
_WALLET = sa.select(*(column for column in wallets.c if column.name != "account_id"))
_CURRENT_WALLET = Prepared(
    _WALLET.join_from(accounts, wallets, _IS_CURRENT).where(accounts.c.account_id == sa.bindparam("account"))
)
_IS_AT = (wallets.c.account_id == sa.bindparam("account")) & (wallets.c.sequence == sa.bindparam("sequence"))
_DIGEST_AT = Prepared(sa.select(wallets.c.digest).where(_IS_AT))
_WALLET_AT = Prepared(_WALLET.where(_IS_AT))
_HISTORY = (
    sa.select(
        wallets.c.sequence,
        wallets.c.stored_at,
        wallets.c.device_id,
        sa.func.length(sa.type_coerce(wallets.c.encrypted_wallet, sa.LargeBinary)).label("size"),
    )
    .where(wallets.c.account_id == sa.bindparam("account"))
    .order_by(wallets.c.sequence.desc())
)


_APPEND_WALLET = Prepared(sa.insert(wallets))
_SET_SEQUENCE = Prepared(
    sa.update(accounts)
    .where(accounts.c.account_id == sa.bindparam("account"))
    .values(current_sequence=sa.bindparam("sequence"))
)
_PRUNE_WALLETS = Prepared(
    sa.delete(wallets).where(
        wallets.c.account_id == sa.bindparam("account"),
        wallets.c.sequence
        <= sa.select(accounts.c.current_sequence)
        .where(accounts.c.account_id == sa.bindparam("account"))
        .scalar_subquery()
        - sa.bindparam("kept"),
    )
)


class SqlReadTransaction(SqlPeopleReads, SqlSignupReads, ReadTransaction):
    """Reads on one connection, inside the transaction that its owner began."""

    def ping(self) -> None:
        """See `ReadTransaction`."""
        self._connection.execute(sa.select(sa.func.count()).select_from(server_values))

    def find_account(self, email: str) -> Account | None:
        """See `ReadTransaction`."""
        row = _ACCOUNT_OF_EMAIL.row(self._driver, email=email)
        return None if row is None else Account(**row)

    def salt_seed(self, email: str, otherwise: bytes) -> bytes:
        """See `ReadTransaction`."""
        seed: bytes = _SALT_SEED.value(self._driver, email=email, otherwise=otherwise)
        return seed

    def find_token(self, token_hash: bytes) -> Token | None:
        """See `ReadTransaction`."""
        row = _TOKEN_OF_HASH.row(self._driver, hash=token_hash)
        return None if row is None else Token(**row)

    def tokens_of(self, account_id: int) -> list[Token]:
        """See `ReadTransaction`."""
        return [Token(**row) for row in self._rows(_TOKENS_OF_ACCOUNT, account=account_id)]

    def has_token(self, account_id: int, device_id: str) -> bool:
        """See `ReadTransaction`."""
        return _TOKEN_OF_DEVICE.row(self._driver, account=account_id, device=device_id) is not None

    def expired_tokens(self, moment: datetime, most: int) -> list[Token]:
        """See `ReadTransaction`."""
        statement = sa.select(tokens).where(tokens.c.expires_at <= moment).limit(most)
        return [Token(**row) for row in self._connection.execute(statement).mappings()]

    def current_sequence(self, account_id: int) -> int:
        """See `ReadTransaction`."""
        return _CURRENT_SEQUENCE.value(self._driver, account=account_id) or 0

    def current_digest(self, account_id: int) -> bytes | None:
        """See `ReadTransaction`."""
        digest: bytes | None = _CURRENT_DIGEST.value(self._driver, account=account_id)
        return digest

    def current_wallet(self, account_id: int) -> Wallet | None:
        """See `ReadTransaction`."""
        row = _CURRENT_WALLET.row(self._driver, account=account_id)
        return None if row is None else Wallet(**row)

    def digest_at(self, account_id: int, sequence: int) -> bytes | None:
        """See `ReadTransaction`."""
        digest: bytes | None = _DIGEST_AT.value(self._driver, account=account_id, sequence=sequence)
        return digest

    def wallet_at(self, account_id: int, sequence: int) -> Wallet | None:
        """See `ReadTransaction`."""
        row = _WALLET_AT.row(self._driver, account=account_id, sequence=sequence)
        return None if row is None else Wallet(**row)

    def history(self, account_id: int) -> list[KeptVersion]:
        """See `ReadTransaction`."""
        return [KeptVersion(**row) for row in self._rows(_HISTORY, account=account_id)]


class SqlWriteTransaction(SqlReadTransaction, SqlPeopleWrites, SqlSignupWrites, WriteTransaction):
    """Reads and writes on one connection, inside the transaction that its owner began."""

    def lock_account(self, account_id: int) -> Account | None:
        """See `WriteTransaction`."""
        row = _ACCOUNT_LOCKED.row(self._driver, account=account_id)
        return None if row is None else Account(**row)

    def insert_account(self, account: Account) -> None:
        """See `WriteTransaction`."""
        statement = insert(accounts).on_conflict_do_nothing(index_elements=[accounts.c.email])
        if not self._connection.execute(statement, vars(account)).rowcount:
            raise AddressTaken

    def replace_password(self, account_id: int, password_hash: str, salt_seed: bytes) -> None:
        """See `WriteTransaction`."""
        self._connection.execute(
            sa.update(accounts)
            .where(accounts.c.account_id == account_id)
            .values(password_hash=password_hash, salt_seed=salt_seed, epoch=accounts.c.epoch + 1)
        )

    def delete_account(self, account_id: int) -> None:
        """See `WriteTransaction`."""
        email = sa.select(accounts.c.email).where(accounts.c.account_id == account_id).scalar_subquery()
        for table in (signups, mails):
            self._connection.execute(sa.delete(table).where(table.c.email == email))
        for table in (tokens, wallets, accounts):
            self._connection.execute(sa.delete(table).where(table.c.account_id == account_id))

    def append_wallet(self, account_id: int, wallet: Wallet) -> None:
        """See `WriteTransaction`."""
        _APPEND_WALLET.run(self._driver, account_id=account_id, **vars(wallet))
        _SET_SEQUENCE.run(self._driver, account=account_id, sequence=wallet.sequence)

    def prune_wallets(self, account_id: int, kept: int) -> None:
        """See `WriteTransaction`."""
        _PRUNE_WALLETS.run(self._driver, account=account_id, kept=kept)

    def put_token(self, token: Token) -> None:
        """See `WriteTransaction`."""
        _DELETE_TOKEN_OF_DEVICE.run(self._driver, account=token.account_id, device=token.device_id)
        _INSERT_TOKEN.run(self._driver, **vars(token))

    def delete_token(self, token: Token) -> None:
        """See `WriteTransaction`."""
        self._connection.execute(
            sa.delete(tokens).where(tokens.c.account_id == token.account_id, tokens.c.token_hash == token.token_hash)
        )

    def delete_tokens(self, account_id: int) -> None:
        """See `WriteTransaction`."""
        self._connection.execute(sa.delete(tokens).where(tokens.c.account_id == account_id))

    def delete_expired_tokens(self, account_id: int, now: datetime) -> None:
        """See `WriteTransaction`."""
        _DELETE_EXPIRED_TOKENS.run(self._driver, account=account_id, now=now)

    def count_other_tokens(self, account_id: int, device_id: str, now: datetime) -> int:
        """See `WriteTransaction`."""
        count: int = _OTHER_TOKENS.value(self._driver, account=account_id, device=device_id, now=now)
        return count

    def keep_secret(self, fresh: bytes) -> bytes:
        """See `WriteTransaction`."""
        self._connection.execute(insert(server_values).on_conflict_do_nothing(), {"name": _SECRET, "value": fresh})
        statement = sa.select(server_values.c.value).where(server_values.c.name == _SECRET)
        secret: bytes = self._connection.execute(statement).scalar_one()
        return secret
