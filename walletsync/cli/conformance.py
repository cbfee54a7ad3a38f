"""The command that tries a server from outside: conformance."""

import sys
from pathlib import Path

import click

from walletsync.cli.output import as_json, say, show
from walletsync.errors import UsageError


@click.command("conformance")
@click.argument("url")
@click.option("--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write the results as JUnit's XML, too.")
@as_json
def conformance_command(url: str, junit: Path | None, as_json: bool) -> None:
    """Try whether the server at URL keeps the protocol, rule by rule, as a client sees it.

    It signs up some accounts with random names at example.com, so the server has to be open to anybody, and deletes
    them where the server can do that. Exit status 1: a rule is broken that the server has to keep, since every server
    has to, or since it says that it has what the rule is about.

    Example: walletsync conformance https://sync.example.com
    """
    from walletsync.conformance import Outcome, as_junit, as_table, run

    say("Accounts with random names are signed up for this, and deleted at the end where the server can do that.")
    results = list(run(url))
    if junit is not None:
        try:
            junit.write_bytes(as_junit(results))
        except OSError as error:
            raise UsageError(f"{junit} cannot be written: {error.strerror}.") from None
    told = [
        {"id": result.rule.id, "required": result.rule.required, "capability": result.rule.capability}
        | {"outcome": str(result.outcome), "sentence": result.rule.sentence, "why": result.why or None}
        for result in results
    ]
    show(told, as_table(results), as_json=as_json)
    sys.exit(any(result.outcome == Outcome.BROKEN for result in results))
