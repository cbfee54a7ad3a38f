"""`doctor`: whether what is set works."""

import dataclasses
import json

import click

from walletsync_server.cli.options import settings_options
from walletsync_server.configuration import Configuration
from walletsync_server.observe.doctor import diagnose
from walletsync_server.observe.findings import FAIL, OK, WARN
from walletsync_server.services import utc_now

_COLORS = {OK: "green", WARN: "yellow", FAIL: "red"}


@click.command("doctor")
@settings_options()
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of findings.")
def doctor_command(configuration: Configuration, as_json: bool) -> None:
    """Find what is wrong, or soon will be, and say what to do about it.

    Looks at settings, SQLite or PostgreSQL, owners and modes of files, file system, disk, database, schema, clock, the
    age of the last backup, the server itself and the mail server; with public_url also at what comes through the proxy:
    certificate, requests, WebSockets. Run it as the server's user or root, with the same settings. Changes nothing;
    the server may be running. Status 1 if anything failed.

    Example: walletsync-server doctor --config /etc/walletsync/walletsync.toml
    """
    findings = []
    for finding in diagnose(configuration.settings, clock=utc_now):
        findings.append(finding)
        if not as_json:
            level = click.style(f"{finding.level:4}", fg=_COLORS[finding.level])
            click.echo(f"{level}  {finding.name}: {finding.sentence}")
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    if any(finding.level == FAIL for finding in findings):
        raise click.exceptions.Exit(1)
