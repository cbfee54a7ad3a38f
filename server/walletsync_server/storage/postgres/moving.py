"""A PostgreSQL database that is copied from or to another engine, by one who has it alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from walletsync_server.storage.postgres.address import Address
from walletsync_server.storage.postgres.opening import connected, have_alone, migrate_postgres, refuse_other_schema


@contextmanager
def reading_alone(url: str) -> Iterator[sa.Connection]:
    """Look at a database that nobody else of ours has open meanwhile.

    Raises:
        StorageError: with a sentence for the operator, if somebody has, or it is not one of this version; or where it
            cannot be read inside of the block.
    """
    address = Address(url)
    with connected(address) as connection:
        refuse_other_schema(connection, address)
        have_alone(connection, address)
        yield connection


@contextmanager
def filling(url: str) -> Iterator[sa.Connection]:
    """Fill a database, whose tables are made; what is written inside of the block is there when that has ended well.

    Raises:
        StorageError: with a sentence for the operator, if this cannot be done.
    """
    address = Address(url)
    migrate_postgres(url)
    with connected(address) as connection:
        have_alone(connection, address)
        yield connection
        connection.commit()
