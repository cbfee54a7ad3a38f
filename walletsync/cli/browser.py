"""The command that shows the wallet on a page in the browser: ui."""

import signal
import threading
import webbrowser
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from walletsync import errors
from walletsync.cli.output import as_json, say, show
from walletsync.cli.wallet import WalletSelector
from walletsync.errors import UsageError

if TYPE_CHECKING:
    from walletsync.client import Client


@click.command("ui")
@click.option("--no-browser", is_flag=True, help="Print the address, and open no browser.")
@as_json
@click.pass_obj
def ui_command(selector: WalletSelector, no_browser: bool, as_json: bool) -> None:
    """Show the wallet on a page in your browser, until Ctrl-C: what is in sync, conflicts, versions.

    The page is on this computer alone. Its address lets in whoever opens it first, and nobody after that. Everything on
    the page is a command as well, and between two clicks other commands can be used.

    Example: walletsync ui
    """
    try:
        from walletsync.cli.ui.serving import Page
    except ImportError:
        raise UsageError("The page needs more than the command line: pip install 'walletsync[ui]'") from None

    wallet = selector.wallet()
    with wallet.with_password() as client, suppress(KeyboardInterrupt):
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        _check_password(client)
        with Page(wallet, client) as page:
            show({"address": page.address}, page.address, as_json=as_json)
            say("The page is there until Ctrl-C. The address can be opened once.")
            if not no_browser:
                # Some browsers are programs of the terminal, for which one waits until they end.
                threading.Thread(target=webbrowser.open, args=(page.address,), daemon=True).start()
            page.serve()


def _check_password(client: "Client") -> None:
    """End the command if the password is wrong, as the first sync would. Where nobody can tell yet, the page is there.

    Raises:
        WrongPassword, WrongCredentials: it is.
    """
    try:
        client.check_password()
    except (errors.WrongPassword, errors.WrongCredentials):
        raise
    except errors.WalletSyncError as error:
        say(f"The password could not be checked. {error.message}")
