"""Brings a database's schema up to date, from any earlier version of this package."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory


def migrate(connection: sa.Connection) -> tuple[str | None, str | None]:
    """Run the migrations that the database has not seen, inside the transaction of `connection`.

    Returns:
        The revision of the schema before, None for an empty database, and the one after.

    Raises:
        alembic.util.CommandError: if the database has seen a migration that this package does not know.
    """
    before = revision_of(connection)
    command.upgrade(configuration(connection), "head")
    return before, revision_of(connection)


def revision_of(connection: sa.Connection) -> str | None:
    """Return the revision of a database's schema, None if it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def is_known(connection: sa.Connection, revision: str) -> bool:
    """Say whether this package knows a revision, so that it can bring the database up to date."""
    return revision in {each.revision for each in _scripts(connection).walk_revisions()}


def newest_revision(connection: sa.Connection) -> str:
    """Return the revision that `migrate` brings a schema to."""
    newest = _scripts(connection).get_current_head()
    assert newest is not None  # noqa: S101 - for the type checker: this package has migrations
    return newest


def _scripts(connection: sa.Connection) -> ScriptDirectory:
    return ScriptDirectory.from_config(configuration(connection))


def configuration(connection: sa.Connection) -> Config:
    """Return Alembic's configuration: the migrations of this package, run on `connection`."""
    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))  # Alembic interpolates
    config.attributes["connection"] = connection
    return config
