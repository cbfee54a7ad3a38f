"""What the commands print: data on stdout, as text or as JSON; messages on stderr, a spinner while keys are derived."""

import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from walletsync import exactjson

if TYPE_CHECKING:
    from walletsync.formats.base import FileFormat
    from walletsync.merge import Conflict

C = TypeVar("C", bound=Callable[..., Any])

_WANTS_JSON = f"{__name__}.wants_json"


def _take_note(context: click.Context, _: click.Parameter, value: bool) -> bool:
    context.meta[_WANTS_JSON] = value  # of all contexts of this command line
    return value


as_json = click.option(
    "--json",
    "as_json",
    is_flag=True,
    callback=_take_note,
    help="Print JSON, for programs; an error too, as the last line of stderr.",
)


def wants_json() -> bool:
    """Say whether the command that runs, or just ran, was given --json."""
    context = click.get_current_context(silent=True)
    return bool(context and context.meta.get(_WANTS_JSON))


def printable(text: str) -> str:
    """Return a text in which nothing but the ends of lines steers a terminal: all else is escaped as in JSON."""
    return "".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text)


def one_line(text: str) -> str:
    """Return a text that somebody else has chosen so that it can neither steer a terminal nor pass for another line."""
    return printable(text).replace("\n", "\\n")


def addressed(text: str) -> str:
    """Return a text in which the commands to type name the wallet's file, if the one that runs had to name it."""
    context = click.get_current_context(silent=True)
    root = None if context is None else context.find_root()
    if root is None or root.get_parameter_source("file") is not ParameterSource.COMMANDLINE:
        return text
    names = "|".join(getattr(root.command, "commands", {}).keys() - {"init"})
    start = f"walletsync --file {shlex.quote(root.params['file'])} "
    return re.sub(rf"(?<![\w./-])walletsync (?=({names})\b)", lambda _: start, text)


def say(sentence: str) -> None:
    """Print a message for a person, on stderr."""
    click.echo(printable(addressed(sentence)), err=True)


def show(value: Any, text: str, *, as_json: bool) -> None:
    """Print what was asked for: as text for people, or as JSON for programs, in which numbers keep their spelling."""
    click.echo(printable(exactjson.dumps(value) if as_json else text))


def conflict_as_json(format: "FileFormat[Any]", conflict: "Conflict") -> dict[str, Any]:
    """Return a conflict for programs, without secrets; a side that has nothing there is left out."""
    sides = {"base": conflict.base, "mine": conflict.mine, "theirs": conflict.theirs}
    shown = {name: format.shown(conflict.path, side) for name, side in sides.items()}
    return {"name": conflict.name, "at": conflict.at} | present(shown)


def present(sides: dict[str, Any]) -> dict[str, Any]:
    """Return the sides that have something there."""
    from walletsync.merge import MISSING

    return {name: side for name, side in sides.items() if side is not MISSING}


@contextmanager
def deriving() -> Iterator[None]:
    """Show on a terminal that keys are being derived."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status("Deriving the keys from the password; this takes a second and 256 MiB on purpose"):
        yield
