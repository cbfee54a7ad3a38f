"""The command that tries a server from outside: conformance."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from walletsync.cli import secrets
from walletsync.cli.output import as_json, deriving, say, show
from walletsync.errors import UsageError

if TYPE_CHECKING:
    from walletsync.conformance import Result


@click.command("conformance")
@click.argument("url")
@click.option(
    "--email",
    metavar="ADDRESS",
    help="Use this account, where nobody can sign up. It needs to have no wallet: register makes such a one.",
)
@click.option("--overwrite", is_flag=True, help="Use it even if it has a wallet, which is lost by that.")
@click.option(
    "--ca-file",
    type=click.Path(exists=True, dir_okay=False),
    help="CA certificates to trust instead of the usual ones.",
)
@click.option("--rule", "rules", multiple=True, metavar="ID", help="Try this rule alone, such as W-5. May be repeated.")
@click.option("--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write the results as JUnit's XML, too.")
@as_json
def conformance_command(
    url: str,
    email: str | None,
    overwrite: bool,
    ca_file: str | None,
    rules: tuple[str, ...],
    junit: Path | None,
    as_json: bool,
) -> None:
    """Try whether the server at URL keeps the protocol, rule by rule, as a client sees it.

    It signs up some accounts with random names at example.com, so the server has to be open to anybody, and deletes
    them where the server can do that. With --email it uses the one account that you name, and does not try the rules
    that need another. Exit status 1: a rule is broken that the server has to keep, since every server has to, or since
    it says that it has what the rule is about. What was asked then stands below the rule, and each request names its
    rule as User-Agent, for the server's log.

    Example: walletsync conformance https://sync.example.com
    """
    from walletsync.conformance import Outcome, as_junit, as_table, given_account, run

    if email is None:
        if overwrite:
            raise UsageError("--overwrite is about the account that --email names; add that, too.")
        account = None
        say("Accounts with random names are signed up for this, and deleted at the end where the server can do that.")
    else:
        password = secrets.password(f"{email} at {url}", ignore_keyring=True)
        with deriving():
            account = given_account(url, email, password, ca_file=ca_file)
        say("The rules write random bytes as the account's wallet: use it for nothing else.")
    results = list(run(url, ca_file=ca_file, account=account, overwrite=overwrite, only=rules))
    if junit is not None:
        try:
            junit.write_bytes(as_junit(results))
        except OSError as error:
            raise UsageError(f"{junit} cannot be written: {error.strerror}.") from None
    show([_told(result) for result in results], as_table(results), as_json=as_json)
    sys.exit(any(result.outcome == Outcome.BROKEN for result in results))


def _told(result: "Result") -> dict[str, object]:
    rule = result.rule
    about = {"id": rule.id, "required": rule.required, "capability": rule.capability, "sentence": rule.sentence}
    return about | {"outcome": str(result.outcome), "why": result.why or None, "asked": list(result.asked)}
