"""What the commands print: data on stdout, as text or as JSON; talk on stderr, a spinner while keys are derived."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from walletsync import exactjson

C = TypeVar("C", bound=Callable[..., Any])

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def say(sentence: str) -> None:
    """Tell a person something."""
    click.echo(sentence, err=True)


def show(value: Any, text: str, *, as_json: bool) -> None:
    """Print what the command is asked for, as text for people or as JSON for programs, each number as it is spelled."""
    click.echo(exactjson.dumps(value) if as_json else text)


@contextmanager
def deriving() -> Iterator[None]:
    """Show on a terminal that keys are being derived."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status("Deriving the keys from the password, which takes a second and 256 MB on purpose"):
        yield
