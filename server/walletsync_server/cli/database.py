"""`migrate`, `backup`, `restore`, `verify-backup` and `compact`: the database as a whole."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from walletsync_server.cli.options import settings_options
from walletsync_server.cli.progress import progress
from walletsync_server.configuration import Configuration
from walletsync_server.settings import Settings
from walletsync_server.storage import migrate
from walletsync_server.storage.interface import StorageError
from walletsync_server.storage.sqlite.backup import back_up, restore, stream_backup
from walletsync_server.storage.sqlite.compact import compact
from walletsync_server.storage.sqlite.notes import note_backup
from walletsync_server.storage.sqlite.verify import verify

_FILE = click.Path(path_type=Path)
_STDOUT = Path("-")
_DUMPS = b"PGDMP", b"--\n-- PostgreSQL database"
"""What a file of pg_dump begins with, by its format."""
_DUMP = "pg_dump --format=custom --file=FILE NAME writes what it holds into FILE."
_VERIFY = (
    "To verify it, restore it into an empty database with pg_restore, copy that into a file with "
    "`walletsync-server copy`, and run `verify-backup` on the file."
)
_RESTORE = (
    "pg_restore puts a dump of pg_dump into an empty database. Logins come back with it: run `accounts logout` for "
    "whoever shall log in again."
)
_VACUUM = "VACUUM, which it runs by itself, makes room for what comes; VACUUM FULL gives it back to the disk."


@click.command("migrate")
@settings_options("database")
def migrate_command(configuration: Configuration) -> None:
    """Bring the database's schema up to date, as `serve` does when it starts.

    An older version of this program cannot use the database afterwards, so make a backup first.

    Example: walletsync-server migrate --database sqlite:////var/lib/walletsync/walletsync.db
    """
    settings = configuration.settings
    before, after = migrate(settings.database)
    if before == after:
        click.echo(f"{settings.database_name} is up to date: its schema is {after}.")
    else:
        click.echo(f"{settings.database_name}: migrated from {before or 'nothing'} to {after}.")


@click.command("backup")
@settings_options("database")
@click.argument("file", type=_FILE)
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def backup_command(configuration: Configuration, file: Path, force: bool) -> None:
    """Write everything that the server keeps into FILE, while it goes on serving.

    The backup is the consistent state of one moment. It appears under its name when it is complete and on the disk,
    readable by its owner only. Protect it like the database: it holds addresses and encrypted wallets. If FILE is -,
    it goes to stdout; meanwhile it takes as much room beside the database.

    Example: walletsync-server backup "/var/backups/walletsync-$(date +%F).db"
    """
    database = _file_of(configuration.settings, _DUMP)
    if file == _STDOUT:
        _back_up_to_stdout(database)
    else:
        with progress("Backing up") as bar:
            back_up(database, file, replace=force, progress=bar)
        click.echo(
            f"{file}: {file.stat().st_size} bytes. `walletsync-server verify-backup` reads and checks all of it."
        )
    try:
        note_backup(database, datetime.now(UTC))
    except StorageError as error:  # the backup is there, and may be wanted just since the disk fails
        click.echo(f"`doctor` will not know of this backup. {error}", err=True)


def _back_up_to_stdout(database: Path) -> None:
    if sys.stdout.isatty():
        raise click.UsageError("A backup is no text for a terminal: send it to a file or to another program.")
    with progress("Backing up") as bar:
        stream_backup(database, sys.stdout.buffer, progress=bar)


@click.command("verify-backup")
@click.argument("file", type=_FILE)
def verify_backup_command(file: Path) -> None:
    """Read all of the backup FILE and say whether it is whole.

    Checks the file's structure, its schema, that each account's last versions lead without a gap up to the current
    one, that each is as it was stored, and all that is stored by the digest that lies in a backup. Needs no keys, no
    settings and no server, and writes nothing.

    Example: walletsync-server verify-backup /var/backups/walletsync-2026-01-31.db
    """
    if _is_dump(file):
        raise click.UsageError(f"{file} is a dump of PostgreSQL. {_VERIFY}")
    with progress("Checking") as bar:
        found = verify(file, progress=bar)
    for fault in found.faults:
        click.echo(fault, err=True)
    if found.faults:
        raise click.ClickException(f"{file} is damaged; faults: {len(found.faults)}. Use another backup.")
    click.echo(f"{file} is whole: {found.accounts} accounts, {found.versions} versions, schema {found.schema}.")
    if not found.has_digest:
        click.echo("It has no digest, as `backup` writes one: only the wallets were checked byte for byte.", err=True)


@click.command("restore")
@settings_options("database")
@click.argument("file", type=_FILE)
def restore_command(configuration: Configuration, file: Path) -> None:
    """Put the backup FILE in place of the database. The server must not be running.

    FILE is checked first, as `verify-backup` does. The database that was there is kept beside the new one. No login
    survives: every device has to log in again, and whoever had a newer wallet is asked before it is pushed again.
    Accounts that were deleted after the backup, by walletsync.deletions beside it or the database, are deleted again.

    Example: walletsync-server restore /var/backups/walletsync-2026-01-31.db
    """
    database = _file_of(configuration.settings, _RESTORE)
    with progress("Checking") as bar:
        restored = restore(file, database, now=datetime.now(UTC), progress=bar)
    click.echo(f"{database} is now what {file} was, with every device logged out.")
    for account_id, (email, deleted_at) in restored.deleted_again.items():
        click.echo(
            f"{email}, account {account_id}, was deleted after this backup, on {deleted_at:%Y-%m-%d}; "
            "it is deleted again."
        )
    if restored.aside:
        click.echo(f"The previous database is kept as {restored.aside}; remove it when you no longer need it.")


@click.command("compact")
@settings_options("database")
def compact_command(configuration: Configuration) -> None:
    """Give space back to the disk that the database has no more use for. The server must not be running.

    The database file never becomes smaller by itself: what deleted wallets took is kept for new ones. This writes it
    anew beside the old one, so the disk needs as much room once more for a while.

    Example: walletsync-server compact --database sqlite:////var/lib/walletsync/walletsync.db
    """
    file = _file_of(configuration.settings, _VACUUM)
    before, after = compact(file)
    click.echo(f"{file}: {after} bytes; before, it had {before}.")


def _file_of(settings: Settings, instead: str) -> Path:
    """Return the file of the database; where it has none, say what does the same for PostgreSQL."""
    if not settings.has_file:
        raise click.UsageError(
            f"{settings.database_name} is a database of PostgreSQL, which has its own means. {instead}"
        )
    return settings.database_file


def _is_dump(file: Path) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as content:
        return content.read(64).startswith(_DUMPS)
