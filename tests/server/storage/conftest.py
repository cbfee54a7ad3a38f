"""Databases for the tests of this folder."""

from pathlib import Path

import pytest
from alembic import command

from walletsync_server.storage.contract_tests.records import wallet
from walletsync_server.storage.sql.migrate import configuration
from walletsync_server.storage.sqlite.connect import engine


@pytest.fixture
def at_first_schema(tmp_path: Path) -> Path:
    """A database as the first version of the schema made it, with one account and one wallet."""
    file = tmp_path / "first.db"
    file.touch()
    made = engine(file, readonly=False, pool_size=1)
    one = wallet(1)
    with made.begin() as connection:
        command.upgrade(configuration(connection), "0001")
        connection.exec_driver_sql("INSERT INTO accounts VALUES (1, 'a@example.com', 'hash', NULL, 1, 1, 0)")
        connection.exec_driver_sql("INSERT INTO tokens VALUES (1, X'61', X'00', 0, 0)")
        connection.exec_driver_sql(
            "INSERT INTO wallets VALUES (1, 1, ?, 0, X'61', ?, ?)",
            (one.digest, one.hmac.encode(), one.encrypted_wallet.encode()),
        )
    made.dispose()
    return file
