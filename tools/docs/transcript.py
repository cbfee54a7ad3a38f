"""A page whose console blocks are what was typed into terminals: type it again, and put in what really came out.

A block names its terminal, and shows what stands in it:

    ```console laptop
    laptop$ ls
    notes.txt
    ```

Each terminal is one shell. A command whose output ends with `^C`, there or in a later block of its terminal, runs until
then; it is given the time to say as many lines as the page shows. A block in which it says more begins with a line that
names the terminal. Prose is left alone.

A command that fails is an error of the page, unless `? 3` stands under what it says: then it has to end with status 3.

    laptop$ cat notes
    cat: notes: No such file or directory
    ? 1

A line of a command that is longer than a reader's page is broken by its author, with a backslash; one of an output is
broken here, and goes on below, indented, but where a command is still running, since then the page's lines are counted.

`python -m tools.docs.transcript` runs the project's page and writes it anew. Exit code 1: a command did not do what the
page says, which is told with the command, and nothing is written.
"""

import itertools
import os
import re
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tools.docs.masks import Masks, refused
from tools.docs.processes import MARK, kill_marked, new_mark
from tools.docs.project import (
    ROOT,
    TRANSCRIPT,
    TRANSCRIPT_PORT,
    TRANSCRIPT_RULES,
    WIDTH,
    plain_environment,
    transcript_environment,
)
from tools.docs.terminal import SECONDS, Hangs, Terminal
from tools.docs.wrapping import pieces

_BLOCK = re.compile(r"^```console (\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_STOP = "^C\n"


_STATUS = re.compile(r"\? (\d+)\n")


class Unfit(Exception):
    """A command says what no reader may see, ends otherwise than the page says, or does not fit into it."""


@dataclass
class Step:
    """A command and what it says, or what the command before says next, where `command` is None.

    `stops`: it ends with Ctrl-C. `runs_on`: it is not over after this. `status` is the one that it has to end with.
    """

    terminal: str
    command: str | None
    output: str
    stops: bool
    runs_on: bool = False
    status: int = 0

    @property
    def first(self) -> str:
        """The line or lines that say what goes on, and in which terminal."""
        return _still_running(self.terminal) if self.command is None else f"{self.terminal}$ {self.command}\n"

    @property
    def text(self) -> str:
        """The step as it stands in the page."""
        status = f"? {self.status}\n" if self.status else ""
        return f"{self.first}{self.output}{_STOP if self.stops else ''}{status}"


def parsed(page: str) -> list[list[Step]]:
    """Return the steps of each block."""
    blocks = [_steps(terminal, body) for terminal, body in _BLOCK.findall(page)]
    for terminal in {step.terminal for block in blocks for step in block}:
        steps = [step for block in blocks for step in block if step.terminal == terminal]
        for step, following in itertools.pairwise(steps):
            step.runs_on = following.command is None
    return blocks


def rerun(
    page: str,
    *,
    home: Path,
    environment: Mapping[str, str],
    port: int,
    before: Callable[[Step], None],
    seconds: float = SECONDS,
) -> str:
    """Run the page's commands, and return the page with what they said. Nothing is left running.

    Args:
        page: its text.
        home: stands for the home directory; an empty folder.
        environment: in which the shells begin, at the root of the repository.
        port: where the server listens, in place of the one in the page.
        before: called before each step.
        seconds: how long to wait for what a command should say.

    Raises:
        Unfit: a command hangs, ends with another status than the page says, or says what no reader may see.
    """
    blocks, mark = parsed(page), new_mark()
    steps = [step for block in blocks for step in block]
    for step in steps:
        if max(map(len, step.first.splitlines())) > WIDTH:
            raise Unfit(f"{step.first}\nThis is longer than {WIDTH} characters: break it with a backslash.")
    own = {"HOME": str(home), MARK: mark, "LC_ALL": "C.UTF-8", "TZ": "UTC"} | transcript_environment(port)
    with ExitStack() as stack:
        terminals: dict[str, Terminal] = {}
        try:
            for step in steps:
                before(step)
                if step.terminal not in terminals:
                    terminal = Terminal(ROOT, {**environment, **own}, seconds=seconds)
                    terminals[step.terminal] = stack.enter_context(terminal)
                step.output = _as_in_the_page(_said(step, terminals[step.terminal], port), home, port)
                if found := list(refused(step.output)):
                    raise Unfit(f"{step.text}\nThis shows {', '.join(found)}.")
        finally:
            kill_marked(mark)  # before the terminals close, which wait for whatever can still write to them
    return _with_outputs(page, blocks)


def _as_in_the_page(said: str, home: Path, port: int) -> str:
    return said.replace(str(home), "~").replace(_address(port), _address(TRANSCRIPT_PORT))


def _address(port: int) -> str:
    return f"127.0.0.1:{port}"


def _with_outputs(page: str, blocks: list[list[Step]]) -> str:
    """Return the page with the steps in place of those that stand in it, masked."""
    steps = [step for block in blocks for step in block]
    masks = Masks((step.output for step in steps), TRANSCRIPT_RULES)
    for step in steps:
        step.output = masks.apply(step.output)
        if not (step.stops or step.runs_on):
            step.output = "".join(f"{piece}\n" for line in step.output.splitlines() for piece in pieces(line))
    bodies = iter("".join(step.text for step in block) for block in blocks)
    return _BLOCK.sub(lambda block: f"```console {block[1]}\n{next(bodies)}```", page)


def _steps(terminal: str, body: str) -> list[Step]:
    """Return the steps of a block."""
    prompt = f"{terminal}$ "
    steps: list[Step] = []
    lines = iter(body.splitlines(keepends=True))
    for line in lines:
        if line.startswith(prompt):
            while line.endswith("\\\n") and (more := next(lines, "")):
                line += more
            steps.append(Step(terminal, line.removeprefix(prompt).rstrip("\n"), "", stops=False))
            continue
        if not steps:
            steps.append(Step(terminal, None, "", stops=False))
        if line == _STOP:
            steps[-1].stops = True
        elif match := _STATUS.fullmatch(line):
            steps[-1].status = int(match[1])
        elif line != _still_running(terminal):
            steps[-1].output += line
    return steps


def _still_running(terminal: str) -> str:
    return f"({terminal}, still running)\n"


def _said(step: Step, terminal: Terminal, port: int) -> str:
    """Run a step, and return what it said."""
    try:
        if step.command is not None:
            terminal.begin(step.command.replace(_address(TRANSCRIPT_PORT), _address(port)))
        said = terminal.lines(step.output.count("\n")) if step.stops or step.runs_on else ""
        if step.runs_on:
            return said
        if step.stops:
            terminal.press_ctrl_c()
        rest, status = terminal.rest()
    except Hangs as error:
        raise Unfit(f"{step.first}{error}") from error
    if status != step.status:
        shown = f"{step.first}{said}{rest}"
        raise Unfit(
            f"{shown}\nThis ended with status {status}; the page says {step.status}, by `? {step.status}` or none."
        )
    return said + rest


def main() -> int:
    """Run the page with the commands of this environment, and write what came out."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # whichever way it is stopped, nothing stays
        signal.signal(number, signal.default_int_handler)
    page = TRANSCRIPT.read_text(encoding="utf-8")
    environment = plain_environment()
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    with tempfile.TemporaryDirectory() as home:
        try:
            fresh = rerun(page, home=Path(home), environment=environment, port=_free_port(), before=_tell)
        except Unfit as error:
            sys.stderr.write(f"\n{error}\nNothing was written.\n")
            return 1
    TRANSCRIPT.write_text(fresh, encoding="utf-8")
    name = TRANSCRIPT.relative_to(ROOT)
    sys.stderr.write(f"{name} was up to date\n" if page == fresh else f"{name} is written anew\n")
    return 0


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _tell(step: Step) -> None:
    if step.command is not None:
        sys.stderr.write(f"{step.terminal}$ {step.command}\n")


if __name__ == "__main__":
    sys.exit(main())
