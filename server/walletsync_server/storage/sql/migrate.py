"""Brings a database's schema up to date, from any earlier version of this package.

Alembic does it. Nearly every start finds nothing to do, and to import Alembic takes longer than to see that.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from alembic.config import Config


class UnknownRevision(Exception):
    """A database has seen a migration that this package does not know."""


def migrate(connection: sa.Connection) -> tuple[str | None, str]:
    """Run the migrations that the database has not seen, inside the transaction of `connection`.

    Returns:
        The revision of the schema before, None for an empty database, and the one after.

    Raises:
        UnknownRevision: nothing was done.
    """
    before, newest = revision_of(connection), newest_revision()
    if before is not None and not is_known(before):
        raise UnknownRevision(before)
    if before != newest:
        from alembic import command

        command.upgrade(configuration(connection), "head")
    return before, newest


def revision_of(connection: sa.Connection) -> str | None:
    """Return the revision of a database's schema, None if it has none."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return revision


def needs_all_to_stop(connection: sa.Connection, before: str) -> bool:
    """Say whether a migration after the revision `before` is none that servers of then can go on beside.

    Those that only add what older servers need not know of say `beside_older = True`.
    """
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(configuration(connection))
    return any(not script.module.beside_older for script in scripts.iterate_revisions("head", before))


def is_known(revision: str) -> bool:
    """Say whether this package knows a revision, so that it can bring the database up to date."""
    return revision in _revisions()


def newest_revision() -> str:
    """Return the revision that `migrate` brings a schema to."""
    return max(_revisions())


def _revisions() -> set[str]:
    """Return the revisions that this package knows: the number that each migration's file begins with."""
    return {file.name.partition("_")[0] for file in (_folder() / "versions").glob("[0-9]*.py")}


def _folder() -> Path:
    return Path(__file__).parent / "migrations"


def configuration(connection: sa.Connection) -> "Config":
    """Return Alembic's configuration: the migrations of this package, run on `connection`."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_folder()).replace("%", "%%"))  # Alembic interpolates
    config.attributes["connection"] = connection
    return config
