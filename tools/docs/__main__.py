"""The machine's commands, from the root of the repository:

python -m tools.docs build           run the notebooks, and write their outputs, their records and README.md
python -m tools.docs check           run them, and say where what is committed differs
python -m tools.docs lab [OPTIONS]   open a copy of them in JupyterLab, which gets the options
python -m tools.docs keep NOTEBOOK   take over what was edited in that copy
python -m tools.docs try URL         run copies of them on somebody else's server, and publish nothing

Exit code 0: done, up to date. 1: stale, wrong, flaky, refused, a cell failed, or the server did not start. 2: called in
a wrong way. 128 + n: signal n.
"""

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType

from tools.docs.processes import MARK, NoServer, kill_marked, new_mark
from tools.docs.project import MEND, running_server
from tools.docs.unchanged import is_unchanged

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit code."""
    options = _options(arguments)
    mark = os.environ[MARK] = new_mark()
    try:
        _listen()
        return _do(options)
    except Stopped as stopped:
        say("stopped")
        return 128 + stopped.number
    except NoServer as error:
        say(str(error))
        return 1
    finally:
        kill_marked(mark)


def say(text: str) -> None:
    """Tell the person who waits."""
    sys.stderr.write(f"{text}\n")  # in one piece: notebooks report side by side
    sys.stderr.flush()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description="Run the notebooks.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (("build", "run them, and write the results"), ("check", "run them, and compare the results")):
        command = commands.add_parser(name, help=what)
        command.add_argument("--server-url", help="use this server instead of starting one")
    commands.add_parser("lab", help="open a copy of them in JupyterLab")
    commands.add_parser("keep", help="take over what was edited there").add_argument("notebook", help="as 02-syncing")
    commands.add_parser("try", help="run copies of them on another server").add_argument("url", help="the server's")
    for command in commands.choices.values():
        command.add_argument("--root", type=Path, default=Path(), help="the repository (default: here)")
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command != "lab":
        parser.error(f"unknown arguments: {' '.join(rest)}")
    options.root, options.rest = options.root.resolve(), rest
    return options


def _listen() -> None:
    """Turn the first of the signals into `Stopped`; later ones must not disturb the clearing up."""

    def stop(number: int, _frame: FrameType | None) -> None:
        for other in _SIGNALS:
            signal.signal(other, signal.SIG_IGN)
        raise Stopped(number)

    for number in _SIGNALS:
        signal.signal(number, stop)


def _do(options: argparse.Namespace) -> int:
    root: Path = options.root
    if options.command == "lab":
        from tools.docs.lab import open_lab

        return open_lab(root, options.rest, say)
    if options.command == "keep":
        return _keep(root, options.notebook)
    if options.command == "try":
        from tools.docs.trial import try_on

        return try_on(root, options.url, say)
    if options.command == "build" and options.server_url is None and is_unchanged(root):
        say("nothing has changed since the last run")
        return 0
    with _server(options.server_url) as url:
        from tools.docs.gate import Servers, build, check

        servers = Servers(url, another=running_server if options.server_url is None else None)
        return (build if options.command == "build" else check)(root, servers, say)


def _keep(root: Path, name: str) -> int:
    from tools.docs.lab import LAB, take_over

    try:
        problems = take_over(root, name)
    except FileNotFoundError:
        say(f"There is no edited {name}.ipynb in {LAB}: edit it there first, with: make lab")
        return 1
    say("\n".join(map(str, problems)) or f"{name} is taken over. Run it, and write its outputs: {MEND}")
    return 1 if problems else 0


@contextlib.contextmanager
def _server(url: str | None) -> Iterator[str]:
    """Give the server of the run, a real process of its own; meanwhile import what the run needs."""
    imports = threading.Thread(target=import_module, args=["tools.docs.gate"], daemon=True)
    imports.start()
    if url is None:
        with running_server() as server:
            imports.join()
            yield server.url
    else:
        imports.join()
        yield url


if __name__ == "__main__":
    sys.exit(main())
