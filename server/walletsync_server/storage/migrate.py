"""Brings a database's schema up to date, from any earlier version of this package."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config


def migrate(connection: sa.Connection) -> None:
    """Run the migrations that the database has not seen, inside the transaction of `connection`.

    Raises:
        alembic.util.CommandError: if the database has seen a migration that this package does not know.
    """
    command.upgrade(configuration(connection), "head")


def configuration(connection: sa.Connection) -> Config:
    """Return Alembic's configuration: the migrations of this package, run on `connection`."""
    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))  # Alembic interpolates
    config.attributes["connection"] = connection
    return config
