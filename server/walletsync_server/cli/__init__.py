"""The command line: one file per command, or per few that belong together.

Data goes to stdout, talk to stderr. Exit status: 0 it worked, 1 it did not, 2 it was called or set up wrongly.
"""

import errno
from importlib import import_module
from typing import Any

import click
from typing_extensions import override

from walletsync_server import __version__
from walletsync_server.services.errors import Unavailable
from walletsync_server.settings import SettingsError
from walletsync_server.storage.interface import StorageError

COMMANDS = {
    "serve": "serve:serve_command",
    "config": "config:config_command",
    "doctor": "doctor:doctor_command",
    "accounts": "accounts:accounts_group",
    "backup": "database:backup_command",
    "verify-backup": "database:verify_backup_command",
    "restore": "database:restore_command",
    "migrate": "database:migrate_command",
    "compact": "database:compact_command",
    "copy": "copying:copy_command",
}
"""Where each command is: a module beside this one, and its name there."""


class _Commands(click.Group):
    """Imports a command when it is wanted, since what `serve` needs takes longer than all that the others do.

    Ends with a sentence where settings are wrong (status 2), or the database cannot do what is needed (status 1).
    """

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"walletsync_server.cli.{module}"), name)
        return command

    @override
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            lines = "".join(f"\n  {mistake}" for mistake in error.mistakes)
            raise click.UsageError(f"These settings are wrong:{lines}") from None
        except (StorageError, Unavailable) as error:
            raise click.ClickException(_sentence(error)) from None
        except OSError as error:
            if error.errno == errno.EPIPE:  # nobody reads what is printed; click ends silently
                raise
            raise click.ClickException(_reason(error)) from None


def _sentence(error: Exception) -> str:
    return str(error.__cause__ if isinstance(error, Unavailable) else error)


def _reason(error: OSError) -> str:
    """Say what the system said, and of which file; a folder that may not be read and a full disk are no mysteries."""
    remedy = " Run this as a user who may, such as the server's." if isinstance(error, PermissionError) else ""
    return f"{f'{error.filename}: ' if error.filename else ''}{error.strerror or error}.{remedy}"


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="walletsync-server")
def main() -> None:
    """The walletsync server: keeps encrypted wallets, and can read none of them.

    Exit status: 0 it worked, 1 it did not, 2 it was called or set up wrongly.
    """
