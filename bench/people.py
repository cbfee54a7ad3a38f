"""Accounts with a wallet and a token each, put into a database at once: a million by sign-up would take a day."""

import hashlib
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import sqlalchemy as sa

from bench.load import characters
from walletsync_server.storage import open_storage
from walletsync_server.storage.sql.schema import accounts, tokens, wallets

_AT_ONCE = 2000


def token(number: int) -> str:
    """Return the token of the account with this number."""
    return hashlib.sha256(f"bench {number}".encode()).hexdigest()


def fill(url: str, count: int, size: int) -> None:
    """Make an empty database one of `count` accounts, each with a wallet of `size` characters at sequence 1."""
    open_storage(url).close()
    engine = _engine(url)
    chance = random.Random(count)  # noqa: S311 - numbers of accounts are random, so that rows lie as they do in truth
    numbers = chance.sample(range(1, 2**53), count)
    with engine.connect() as connection:
        for begin in range(0, count, _AT_ONCE):
            some = list(enumerate(numbers[begin : begin + _AT_ONCE], start=begin))
            for table in (accounts, wallets, tokens):
                connection.execute(sa.insert(table), list(_rows(table, some, size)))
            connection.commit()
    if not url.startswith("sqlite"):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
    engine.dispose()


def _rows(table: sa.Table, numbered: list[tuple[int, int]], size: int) -> Iterator[dict[str, Any]]:
    now = datetime.now(UTC)
    for number, account in numbered:
        if table is accounts:
            email = f"user{number}@example.com"
            yield {
                **{"account_id": account, "email": email, "password_hash": "", "salt_seed": None},
                **{"current_sequence": 1, "epoch": 0, "created_at": now},
            }
        elif table is wallets:
            yield {
                **{"account_id": account, "sequence": 1, "digest": account.to_bytes(32, "big"), "stored_at": now},
                **{"device_id": "bench", "hmac": "0" * 64, "encrypted_wallet": characters(size)},
            }
        else:
            yield {
                **{"account_id": account, "device_id": "bench", "epoch": 0, "created_at": now},
                **{"token_hash": hashlib.sha256(token(number).encode()).digest()},
                **{"expires_at": now + timedelta(days=90)},
            }


def _engine(url: str) -> sa.Engine:
    if url.startswith("sqlite"):
        return sa.create_engine(url)
    return sa.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
