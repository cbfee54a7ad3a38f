"""`config`: what is set, and where it comes from."""

import json
from typing import Any

import click

from walletsync_server.cli.options import settings_options
from walletsync_server.configuration import Configuration
from walletsync_server.settings import TABLE, without_password


@click.command("config")
@settings_options()
@click.option("--json", "as_json", is_flag=True, help="Print JSON: for each setting its value and its origin.")
def config_command(configuration: Configuration, as_json: bool) -> None:
    """Print the settings that apply, and where each comes from.

    The output can be used as a file for --config. No secret is in it, only the name of the file that holds one; in
    place of a password in a URL are three dots.

    Example: walletsync-server config > walletsync.toml
    """
    values = {name: _plain(getattr(configuration.settings, name)) for name in TABLE}
    for name in ("database", "live"):
        values[name] = without_password(values[name])
    if as_json:
        shown = {name: {"value": value, "origin": configuration.origins[name]} for name, value in values.items()}
        click.echo(json.dumps(shown, indent=2))
        return
    for name, value in values.items():
        click.echo(f"{name} = {json.dumps(value, ensure_ascii=False)}  # {configuration.origins[name]}")


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int) else list(value)
