"""`python -m tools.docs build` and `python -m tools.docs check`, from the root of the repository.

Exit code 0: done, up to date. 1: stale, refused, or a cell failed. 2: called in a wrong way. 128 + n: signal n.
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

from tools.docs.processes import MARK, kill_marked, new_mark
from tools.docs.project import MEND, running_server

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
    command = _check if options.command == "check" else _build
    try:
        _listen()
        with _server(options.server_url) as url:
            return command(options.root, url)
    except Stopped as stopped:
        _say("stopped")
        return 128 + stopped.number
    finally:
        kill_marked(mark)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description="Run the notebooks.")
    parser.add_argument("command", choices=["build", "check"], help="write the results, or compare them")
    parser.add_argument("--root", type=Path, default=Path(), help="the repository (default: here)")
    parser.add_argument("--server-url", help="use this server instead of starting one")
    options = parser.parse_args(arguments)
    options.root = options.root.resolve()
    return options


def _listen() -> None:
    """Turn the first of the signals into `Stopped`; later ones must not disturb the clearing up."""

    def stop(number: int, _frame: FrameType | None) -> None:
        for other in _SIGNALS:
            signal.signal(other, signal.SIG_IGN)
        raise Stopped(number)

    for number in _SIGNALS:
        signal.signal(number, stop)


@contextlib.contextmanager
def _server(url: str | None) -> Iterator[str]:
    """Give the server of the run, a real process of its own; meanwhile import what the run needs."""
    imports = threading.Thread(target=import_module, args=["tools.docs.build"], daemon=True)
    imports.start()
    if url is None:
        with running_server() as server:
            imports.join()
            yield server.url
    else:
        imports.join()
        yield url


def _build(root: Path, url: str) -> int:
    from tools.docs.build import write

    files = _produce(root, url)
    if files is None:
        _say("Nothing was written.")
        return 1
    changed = write(root, files)
    _say(f"written: {', '.join(changed)}" if changed else "everything was up to date")
    return 0


def _check(root: Path, url: str) -> int:
    from tools.docs.build import keep
    from tools.docs.check import stale

    files = _produce(root, url)
    if files is None:
        return 1
    places = stale(root, files)
    if places:
        keep(root, files)
        _say("\n\n".join(["", *places, ""]))
        _say(f"The documentation is stale. This run is kept in {root / '.docs/failed'}. Mend it with: {MEND}")
        return 1
    _say("the documentation is up to date")
    return 0


def _produce(root: Path, url: str) -> dict[str, str] | None:
    """Run everything; None if that failed, which is told."""
    from tools.docs.build import RunFailed, produce
    from tools.docs.notebooks import Refused

    try:
        return produce(root, server_url=url, report=_say)
    except (Refused, RunFailed) as error:
        _say(f"\n{error}\n")
        kept = root / ".docs/failed"
        if kept.exists():
            _say(f"The run is kept in {kept}.")
        return None


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")  # in one piece: notebooks report side by side
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
