"""`make profile`: where the time of a GET and of a POST goes, in our server, by rooms and by functions.

py-spy looks many times a second at what each of the server's threads does while the load of the part `http` runs. What
a library in C does counts for the function that called it; a thread that waits for work counts for nothing, one that
waits for the disk does. Beside the table, .bench/ gets a flame graph of each.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.hot import KINDS, measure
from bench.servers import ACCOUNTS, Measured, ours

_FRAME = re.compile(r"(?:.+\.)?(?P<function>[^.]+) \((?P<file>.+?)(?::\d+)?\)$")
_ROOM = re.compile(r"walletsync(?:_server)?/\w+|\w+")
_WAITING = {"_stop_after_stdin", "sigwait", "wait"}
_RATE = 200
Stacks = Counter[tuple[str, ...]]
"""How often each stack was seen, from the thread's beginning to what it did."""


@contextmanager
def watching(server: Measured, seconds: float, output: Path, form: str) -> Iterator[None]:
    """Let py-spy watch the server for so long, which is at the end of the block at the latest."""
    program = Path(sys.executable).with_name("py-spy")
    words = ["record", f"--pid={server.process.pid}", f"--duration={seconds:.0f}", f"--rate={_RATE}", "--function"]
    command = [str(program), *words, f"--format={form}", f"--output={output}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        yield
        said = process.communicate()[0]
    if process.returncode:
        raise SystemExit(f"py-spy could not watch the server, for which some machines want root. It said:\n{said}")


def stacks_of(recorded: str) -> Stacks:
    """Return what py-spy's format `raw` says."""
    found: Stacks = Counter()
    for line in recorded.splitlines():
        frames, _, count = line.rpartition(" ")
        found[tuple(frames.split(";"))] += int(count)
    return found


def room_of(frame: str) -> str:
    """Return whose a frame is: a room of ours, a library, or Python's own."""
    frame_of, room = _FRAME.match(frame), None
    if frame_of:
        room = _ROOM.match(frame_of["file"])
    return room[0] if room and room[0] not in sys.stdlib_module_names else "Python"


def shares(stacks: Stacks, most: int) -> list[tuple[str, float]]:
    """Return lines of the table: each room, then the `most` largest functions, with their own part of the time."""
    rooms, functions = Counter[str](), Counter[str]()
    for stack, count in stacks.items():
        last = _FRAME.match(stack[-1])
        if last is None or last["function"] not in _WAITING:
            rooms[room_of(stack[-1])] += count
            functions[stack[-1]] += count
    total = rooms.total()
    lines = [*rooms.most_common(), *((f"– {name}", count) for name, count in functions.most_common(most))]
    return [(name, count / total) for name, count in lines]


def main() -> None:
    """Print a table for each kind of request."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.profile", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(KINDS)}; by default get and post")
    parser.add_argument("--engine", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--functions", type=int, default=15, help="how many functions are listed")
    options = parser.parse_args()
    folder = Path(".bench")
    folder.mkdir(exist_ok=True)
    with ours(options.engine) as server, tempfile.TemporaryDirectory() as temporary:
        server.traffic.prepare(server.port, ACCOUNTS)
        for kind in options.kinds or ["get", "post"]:
            work = measure(server, kind, options.seconds / 2).work
            recorded = Path(temporary) / "stacks"
            with watching(server, options.seconds, recorded, "raw"):
                measure(server, kind, options.seconds + 1)
            with watching(server, options.seconds, folder / f"{kind}.svg", "flamegraph"):
                measure(server, kind, options.seconds + 1)
            print(f"| {KINDS[kind]}, {work:.0f} µs of a processor | part |\n| --- | ---: |")
            for name, part in shares(stacks_of(recorded.read_text()), options.functions):
                print(f"| {name} | {part:.1%} |")
            print()


if __name__ == "__main__":
    main()
