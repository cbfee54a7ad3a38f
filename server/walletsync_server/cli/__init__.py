"""The command line: one file per command, or per few that belong together.

Data goes to stdout, talk to stderr. Exit status: 0 it worked, 1 it did not, 2 it was called or set up wrongly.
"""

import click

from walletsync_server import __version__
from walletsync_server.cli.serve import serve_command


@click.group()
@click.version_option(__version__, package_name="walletsync-server")
def main() -> None:
    """The walletsync server: keeps encrypted wallets, and can read none of them."""


main.add_command(serve_command)
