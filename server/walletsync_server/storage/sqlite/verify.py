"""Whether a database file is whole: its pages, its schema, and every version of every wallet. Needs no keys."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from walletsync.protocol import KEPT_VERSIONS, wallet_digest
from walletsync_server.storage.interface import StorageError
from walletsync_server.storage.sql.migrate import is_known, revision_of
from walletsync_server.storage.sql.schema import accounts, wallets
from walletsync_server.storage.sqlite import dbapi
from walletsync_server.storage.sqlite.connect import connect_immutable, driver_of
from walletsync_server.storage.sqlite.dialect import NAME
from walletsync_server.storage.sqlite.digest import is_as_sealed
from walletsync_server.storage.sqlite.failures import driver_errors_end_here

_BATCH = 8  # versions in memory at a time, each up to some MiB
_VERSIONS = (
    sa.select(
        accounts.c.account_id,
        accounts.c.current_sequence,
        wallets.c.sequence,
        wallets.c.digest,
        sa.type_coerce(wallets.c.hmac, sa.LargeBinary).label("hmac"),  # damaged bytes may be no text
        sa.type_coerce(wallets.c.encrypted_wallet, sa.LargeBinary).label("encrypted_wallet"),
    )
    .join_from(accounts, wallets, accounts.c.account_id == wallets.c.account_id, isouter=True)
    .order_by(accounts.c.account_id, wallets.c.sequence)
)


@dataclass
class Verification:
    """What was found. `faults` are sentences that name accounts by their number; without any the file is whole.

    `has_digest`: whether all that is stored was held against a digest of it, as every backup has one. Without one,
    damage to anything but the wallets would not be noticed.
    """

    schema: str = ""
    has_digest: bool = False
    accounts: int = 0
    versions: int = 0
    faults: list[str] = field(default_factory=list)


def verify(file: Path, *, progress: Callable[[int, int], None]) -> Verification:
    """Read every byte of a database file that no server uses, such as a backup, and say what is wrong with it.

    Nothing is written, neither to the file nor beside it.

    Args:
        file: the database.
        progress: called with how many accounts are done, and of how many.

    Raises:
        StorageError: with a sentence for the operator, if it cannot be read as a database of ours at all.
    """
    _refuse_unfinished(file)
    engine = sa.create_engine(
        f"{NAME}://",
        creator=lambda: dbapi.Connection(connect_immutable(file)),
        poolclass=sa.NullPool,
        hide_parameters=True,
    )
    with driver_errors_end_here(file), engine.connect() as connection:
        found = Verification(schema=_known_schema(connection, file))
        found.faults += _structure(connection)
        if not found.faults:  # else reading on says the same again, or nothing sensible
            _check_accounts(connection, found, progress)
        if not found.faults:
            as_sealed = is_as_sealed(driver_of(connection))
            found.has_digest = as_sealed is not None
            if as_sealed is False:
                found.faults.append("What is stored is not what was backed up: its digest is another one.")
    return found


def _refuse_unfinished(file: Path) -> None:
    if not file.is_file():
        raise StorageError(f"There is no file {file}.")
    log = file.with_name(f"{file.name}-wal")
    if log.exists() and log.stat().st_size:
        raise StorageError(
            f"{file} is not a whole database: the newest data is in {log.name} beside it. "
            "Make a copy with `walletsync-server backup` and check that."
        )


def _known_schema(connection: sa.Connection, file: Path) -> str:
    revision = revision_of(connection)
    if revision is None:
        raise StorageError(f"{file} is not a database of walletsync-server.")
    if not is_known(revision):
        raise StorageError(f"{file} was made by a newer version of walletsync-server; run that one.")
    return revision


def _structure(connection: sa.Connection) -> Iterator[str]:
    for (said,) in connection.exec_driver_sql("PRAGMA integrity_check"):
        if said != "ok":
            yield f"SQLite finds: {said}"
    for table, _, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        yield f"A row of {table} refers to a missing row of {parent}."


def _check_accounts(connection: sa.Connection, found: Verification, progress: Callable[[int, int], None]) -> None:
    total = connection.execute(sa.select(sa.func.count()).select_from(accounts)).scalar_one()
    rows = connection.execution_options(yield_per=_BATCH).execute(_VERSIONS)
    for account_id, group in groupby(rows, key=lambda row: row.account_id):
        found.faults += [f"Account {account_id}: {said}" for said in _check_account(group, found)]
        found.accounts += 1
        progress(found.accounts, total)


def _check_account(rows: Iterator[Any], found: Verification) -> Iterator[str]:
    """Say what is wrong with an account's versions: the last ones end at the current one, without a gap."""
    sequences, current = deque([0], KEPT_VERSIONS), 0
    for row in rows:
        current = row.current_sequence
        if row.sequence is None:
            break
        found.versions += 1
        sequences.append(row.sequence)
        if not _is_whole(row):
            yield f"version {row.sequence} is not as it was stored."
    for before, after in pairwise(sequences):
        if before and after != before + 1:
            yield f"after version {before} comes {after}."
    newest = sequences[-1]
    if newest != current:
        yield f"the current version is {current}, but the newest one in the file is {newest}."


def _is_whole(row: Any) -> bool:
    try:
        wallet, hmac = row.encrypted_wallet.decode(), row.hmac.decode()
    except UnicodeDecodeError:
        return False
    return bool(row.digest == wallet_digest(row.sequence, wallet, hmac))
