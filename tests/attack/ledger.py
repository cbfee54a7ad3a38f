"""The outside log: what may be stored of an account after any accident, and what is."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import apsw
import psycopg
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from walletsync.protocol import KEPT_VERSIONS, wallet_digest

T = TypeVar("T")
_HOUR = 3600 * 1_000_000


@dataclass(frozen=True)
class Version:
    """One wallet as the device posted it."""

    sequence: int
    wallet: str = field(repr=False)
    hmac: str
    device: str

    @property
    def row(self) -> tuple[int, bytes, bytes, bytes, bytes]:
        """Its columns in the order in which `stored_accounts` reads them."""
        digest = wallet_digest(self.sequence, self.wallet, self.hmac)
        return self.sequence, digest, self.device.encode(), self.hmac.encode(), self.wallet.encode()


@dataclass(frozen=True)
class State:
    """All that is to be stored of one address. A token is None if its answer got lost, so that nobody knows it."""

    password: str
    seed: str
    epoch: int = 1
    versions: tuple[Version, ...] = ()
    tokens: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def sequence(self) -> int:
        return self.versions[-1].sequence if self.versions else 0

    def with_version(self, version: Version) -> "State":
        return replace(self, versions=_first_and_last((*self.versions, version)))

    def with_token(self, device: str, token: str | None) -> "State":
        return replace(self, tokens={**self.tokens, device: token})

    def without_token(self, device: str) -> "State":
        return replace(self, tokens={name: token for name, token in self.tokens.items() if name != device})


@dataclass(frozen=True)
class Stored:
    """All that a database holds of one address."""

    password_hash: str = field(repr=False)
    seed: bytes = field(repr=False)
    epoch: int
    sequence: int
    versions: tuple[tuple[int, bytes, bytes, bytes, bytes], ...] = field(repr=False)
    tokens: Mapping[str, tuple[int, bytes]] = field(repr=False)  # epoch and hash of each device's

    def is_exactly(self, state: State) -> bool:
        """Say whether this is the whole of `state` and nothing else, byte for byte."""
        return (
            (self.seed.hex(), self.epoch, self.sequence) == (state.seed, state.epoch, state.sequence)
            and self.versions == tuple(version.row for version in state.versions)
            and self.tokens.keys() == state.tokens.keys()
            and all(epoch == state.epoch for epoch, _ in self.tokens.values())
            and all(token is None or _hash(token) == self.tokens[device][1] for device, token in state.tokens.items())
            and _matches(self.password_hash, state.password)
        )


def is_stored(stored: Stored | None, state: State | None) -> bool:
    """Say whether `stored` is the whole of `state`; None is the absence of an account."""
    return state is None if stored is None else state is not None and stored.is_exactly(state)


Ask = Callable[..., list[Any]]
"""Returns the rows of a query, in which question marks stand for the values."""


def stored_accounts(database: Path | str) -> dict[str, Stored]:
    """Return what is stored of each address, after checking that the file is sound and no row belongs to nobody.

    `database` is the file of a SQLite database, or the URL of one of PostgreSQL, which keeps itself sound.
    """
    with _asking(database) as ask:
        columns = "account_id, email, password_hash, salt_seed, epoch, current_sequence"
        return {
            email: Stored(password_hash, seed, epoch, sequence, _versions(ask, account), _tokens(ask, account))
            for account, email, password_hash, seed, epoch, sequence in ask(f"SELECT {columns} FROM accounts")  # noqa: S608 - no input
        }


@contextmanager
def _asking(database: Path | str) -> Iterator[Ask]:
    if isinstance(database, str):
        with psycopg.connect(database) as there:
            there.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            yield lambda query, *values: there.execute(query.replace("?", "%s"), values).fetchall()
        return
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.execute("BEGIN")
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        yield lambda query, *values: connection.execute(query, values).fetchall()
    finally:
        connection.close()


def _first_and_last(versions: tuple[T, ...]) -> tuple[T, ...]:
    """Return those that are kept whenever they came: the first and the last ten."""
    return versions[:1] + versions[1:][-KEPT_VERSIONS:]


def _versions(ask: Ask, account: int) -> tuple[tuple[int, bytes, bytes, bytes, bytes], ...]:
    """Return the first and the last ten, after checking that each in between was the first or the last of its hour."""
    query = (
        "SELECT sequence, digest, device_id, hmac, encrypted_wallet, stored_at "
        "FROM wallets WHERE account_id = ? ORDER BY sequence"
    )
    rows = ask(query, account)
    hours = [row[-1] // _HOUR for row in rows]
    for place in range(1, len(rows) - KEPT_VERSIONS):
        assert not hours[place - 1] == hours[place] == hours[place + 1]
    return _first_and_last(tuple(row[:-1] for row in rows))


def _tokens(ask: Ask, account: int) -> dict[str, tuple[int, bytes]]:
    rows = ask("SELECT device_id, epoch, token_hash FROM tokens WHERE account_id = ?", account)
    return {device.decode(): (epoch, token) for device, epoch, token in rows}


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _matches(stored: str, password: str) -> bool:
    try:
        return PasswordHasher().verify(stored, password)
    except VerifyMismatchError:
        return False
