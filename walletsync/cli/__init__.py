"""`walletsync`, the command line: keeps a wallet's file in sync between the devices of one person.

Data goes to stdout, messages go to stderr.
"""

try:
    import click
except ImportError:
    raise SystemExit("The command line needs more than the library: pip install 'walletsync[cli]'") from None

from walletsync import __version__
from walletsync.cli.account import (
    delete_account_command,
    devices_command,
    init_command,
    login_command,
    logout_command,
    password_command,
    register_command,
    rename_command,
)
from walletsync.cli.bridge import bridge_group
from walletsync.cli.browser import ui_command
from walletsync.cli.conformance import conformance_command
from walletsync.cli.errors import EXIT_CODES, Commands
from walletsync.cli.log import log_command
from walletsync.cli.service import service_group
from walletsync.cli.sync import pull_command, push_command, put_command, sync_command, watch_command
from walletsync.cli.versions import (
    conflicts_command,
    diff_command,
    export_command,
    fingerprint_command,
    history_command,
    resolve_command,
    restore_command,
    status_command,
    wallets_command,
)
from walletsync.cli.wallet import WalletSelector


@click.group(
    cls=Commands,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": None},
)
@click.option(
    "--file",
    "-f",
    metavar="FILE",
    envvar="WALLETSYNC_FILE",
    show_envvar=True,
    help="The wallet's file. Not needed in a folder where only one was set up.",
)
@click.version_option(__version__, package_name="walletsync")
@click.pass_context
def main(context: click.Context, file: str | None) -> None:
    """Keep a wallet's file in sync between your devices, end-to-end encrypted.

    You are asked for the password, unless it is in a file that WALLETSYNC_PASSWORD_FILE names, or in the keyring.

    \b
    Example:
      walletsync init labels.jsonl --server https://sync.example.com --email alice@example.com
      walletsync register
      walletsync sync
    """
    context.obj = WalletSelector(file)


for command in (
    init_command,
    register_command,
    login_command,
    status_command,
    wallets_command,
    pull_command,
    push_command,
    put_command,
    sync_command,
    watch_command,
    ui_command,
    service_group,
    bridge_group,
    conflicts_command,
    resolve_command,
    log_command,
    history_command,
    diff_command,
    restore_command,
    password_command,
    devices_command,
    rename_command,
    fingerprint_command,
    export_command,
    delete_account_command,
    logout_command,
    conformance_command,
):
    main.add_command(command)
