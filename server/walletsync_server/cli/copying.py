"""`copy`: from one database to another, of any engine."""

import click

from walletsync_server.cli.progress import progress
from walletsync_server.settings import TABLE, without_password
from walletsync_server.storage import copy_storage


class _Url(click.ParamType[str]):
    """The URL of a database."""

    name = "url"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if mistake := TABLE["database"].check(value):
            self.fail(f"this {mistake}", param, ctx)
        return value


@click.command("copy")
@click.argument("source", metavar="FROM", type=_Url())
@click.argument("target", metavar="TO", type=_Url())
def copy_command(source: str, target: str) -> None:
    """Copy all that the database FROM keeps into the database TO, between SQLite and PostgreSQL either way.

    No server may have either of them open. FROM stays as it is; TO is a file that does not exist yet, or an empty
    database of PostgreSQL. Logins stay valid, so let no server use FROM afterwards. All of it is read again from TO and
    compared; if anything fails, TO has nothing.

    Example: walletsync-server copy sqlite:////var/lib/walletsync/walletsync.db postgresql://walletsync@db/walletsync
    """
    with progress("Copying") as bar:
        rows = copy_storage(source, target, bar)
    click.echo(f"{without_password(target)} has what {without_password(source)} has: {rows} rows, compared by digest.")
