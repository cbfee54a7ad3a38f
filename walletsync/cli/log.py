"""The command that tells in words what happened to the wallet: log."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from walletsync.cli.kept import LAST, Told, told
from walletsync.cli.output import as_json, one_line, show
from walletsync.cli.wallet import WalletSelector


@click.command("log")
@click.option(
    "--last",
    "-n",
    type=click.IntRange(min=1),
    default=LAST,
    show_default=True,
    metavar="NUMBER",
    help="Tell of this many versions at most; each of them is fetched.",
)
@as_json
@click.pass_obj
def log_command(selector: WalletSelector, last: int, as_json: bool) -> None:
    """Tell what the last versions changed, on which device and when, the current one first.

    What changed is worked out here. Device and time are what the server says.

    Example: walletsync log
    """
    wallet = selector.wallet()
    with wallet.logged_in() as client:
        versions = told(wallet, client, last)
    now = datetime.now(UTC)
    lines = [
        f"version {each.version.sequence}  {each.sentence(wallet.format.content)}  {one_line(each.device)}  "
        f"{one_line(each.ago(now))}"
        for each in versions
    ]
    show([_numbers(each) for each in versions], "\n".join(lines) or "The server keeps no versions.", as_json=as_json)


def _numbers(version: Told) -> dict[str, Any]:
    changes = {} if version.changes is None else {"since": version.since} | asdict(version.changes)
    return asdict(version.version) | changes
