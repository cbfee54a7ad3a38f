"""The settings as options of a command."""

import functools
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

from walletsync_server.configuration import DEFAULT, FILE_OPTION, FILE_VARIABLE, Configuration, load
from walletsync_server.settings import TABLE, Setting


def settings_options(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of these settings, and --config; its first argument becomes the configuration.

    All other settings reach it as well, from the environment and the file.

    Args:
        names: settings that have an option; by default all.

    The command raises `SettingsError` if any are wrong.
    """
    shown = [TABLE[name] for name in names or TABLE]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(config: str | None, **options: Any) -> None:
            flags = {setting.name: options.pop(setting.name) for setting in shown}
            configuration = load(flags, os.environ, config)
            _warn(configuration)
            command(configuration, **options)

        configured: Callable[..., None] = run
        for setting in reversed(shown):
            configured = _option(setting)(configured)
        return click.option(
            FILE_OPTION,
            "config",
            metavar="FILE",
            help=f"A TOML file with settings. [env: {FILE_VARIABLE}]",
        )(configured)

    return decorate


def _warn(configuration: Configuration) -> None:
    """Say on stderr, if somebody reads it, which variables are taken for Kubernetes' own."""
    if configuration.of_services:
        names = ", ".join(configuration.of_services)
        said = (
            f"Ignored, since Kubernetes makes them for a Service: {names}. "
            "In the pod's spec, enableServiceLinks: false leaves them out."
        )
        with suppress(OSError):
            click.echo(said, err=True)


def _option(setting: Setting) -> Callable[[Callable[..., None]], Callable[..., None]]:
    notes = [f"env: {setting.variable}"]
    if setting.is_list:
        notes.append("may be repeated")
    elif setting.default != "":
        notes.append(f"{DEFAULT}: {setting.default}")
    return click.option(
        setting.option,
        setting.name,
        metavar=setting.metavar,
        multiple=setting.is_list,
        help=f"{setting.help} [{'; '.join(notes)}]",
    )
