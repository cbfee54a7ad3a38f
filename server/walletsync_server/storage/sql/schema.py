"""The tables, as the code sees them. The migrations make them; a test compares the two."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator
from typing_extensions import override

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Moment(TypeDecorator[datetime]):
    """An aware time as microseconds since 1970 in UTC: exact, sortable, and the same on every engine."""

    impl = sa.BigInteger
    cache_ok = True

    # These two, and not `process_bind_param` and its like: between those and a value stand three more calls.
    @override
    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], int | None]:
        return _microseconds_of

    @override
    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[int | None], datetime | None]:
        return _moment_of


def _microseconds_of(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND


def _moment_of(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + microseconds * _MICROSECOND


class Utf8(TypeDecorator[str]):
    """Text of a client as UTF-8 bytes, since not every engine's text can hold U+0000."""

    impl = sa.LargeBinary
    cache_ok = True

    @override
    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], bytes | None]:
        return _utf8_of

    @override
    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[bytes | None], str | None]:
        return _text_of


def _utf8_of(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _text_of(utf8: bytes | None) -> str | None:
    return None if utf8 is None else utf8.decode()


NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Text that is looked up and sorted: everywhere in the order of its bytes, whatever the language of a database is."""

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

EVERYTHING = 2**63 - 1
"""The value of `erase_before` of an account that is gone."""

# Versions before `erase_before` are of nobody any more, and are being removed; 0 if there are none.
accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("account_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("email", NAME, nullable=False, unique=True),
    sa.Column("password_hash", sa.Text, nullable=False),
    sa.Column("salt_seed", sa.LargeBinary, nullable=True),
    sa.Column("current_sequence", sa.BigInteger, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("disabled_at", Moment, nullable=True),
    sa.Column("quota", sa.BigInteger, nullable=True),
    sa.Column("erase_before", sa.BigInteger, nullable=False, server_default="0"),
)
_IS_BEING_ERASED = accounts.c.erase_before > sa.literal_column("0")
sa.Index(
    "ix_accounts_erase_before",
    accounts.c.erase_before,
    sqlite_where=_IS_BEING_ERASED,
    postgresql_where=_IS_BEING_ERASED,
)

# The wallet comes last in its row: SQLite then reaches the columns before it without reading its pages.
wallets = sa.Table(
    "wallets",
    metadata,
    sa.Column("account_id", sa.ForeignKey(accounts.c.account_id), primary_key=True),
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("stored_at", Moment, nullable=False),
    sa.Column("device_id", Utf8, nullable=False),
    sa.Column("hmac", Utf8, nullable=False),
    sa.Column("encrypted_wallet", Utf8, nullable=False),
)

# The hash's index is not unique: 256 random bits need no help, and a sharded engine could not promise it.
tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("account_id", sa.ForeignKey(accounts.c.account_id), primary_key=True),
    sa.Column("device_id", Utf8, primary_key=True),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("token_hash", sa.LargeBinary, nullable=False, index=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False, index=True),
)

# Whoever proved an account's password lately, under a name that only the server can make.
known_clients = sa.Table(
    "known_clients",
    metadata,
    sa.Column("account_id", sa.ForeignKey(accounts.c.account_id), primary_key=True),
    sa.Column("name", sa.LargeBinary, primary_key=True),
    sa.Column("came_at", Moment, nullable=False, index=True),
)

# Which accounts were deleted, by the number that names nobody, so that no restored backup brings them back.
deletions = sa.Table(
    "deletions",
    metadata,
    sa.Column("account_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("deleted_at", Moment, nullable=False),
)

# What belongs to the server and to no account, under a name.
server_values = sa.Table(
    "server_values",
    metadata,
    sa.Column("name", NAME, primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
)

# A sign-up that waits for its address to be confirmed. It belongs to no account, and knows nothing of others.
signups = sa.Table(
    "signups",
    metadata,
    sa.Column("email", NAME, primary_key=True),
    sa.Column("signup_id", sa.LargeBinary, primary_key=True),
    sa.Column("password_hash", sa.Text, nullable=False),
    sa.Column("salt_seed", sa.LargeBinary, nullable=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False, index=True),
)

# The mails that wait, and for a while those that were sent: their links work, and an address gets only so many.
mails = sa.Table(
    "mails",
    metadata,
    sa.Column("email", NAME, primary_key=True),
    sa.Column("mail_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("signup_id", sa.LargeBinary, nullable=True),
    sa.Column("created_at", Moment, nullable=False, index=True),
    sa.Column("due_at", Moment, nullable=False),
    sa.Column("attempts", sa.BigInteger, nullable=False),
    sa.Column("sent_at", Moment, nullable=True),
    sa.Column("token_hash", sa.LargeBinary, nullable=True, index=True),
    sa.Index("ix_mails_sent_at_due_at", "sent_at", "due_at"),
)

# Who may sign up although the settings do not say so. An address belongs to no account before it has one.
allowed_addresses = sa.Table(
    "allowed_addresses",
    metadata,
    sa.Column("email", NAME, primary_key=True),
    sa.Column("allowed_at", Moment, nullable=False),
)
