"""A page whose console blocks are a session: run them, and put in what really came out.

A block names its terminal, and shows what stands in it:

    ```console laptop
    laptop$ walletsync sync
    version 1
    ```

Each terminal is one shell. A command whose output ends with `^C`, there or in a later block of its terminal, runs until
then; it is given the time to say as many lines as the page shows. Prose is left alone.

`python -m docs.session` runs docs/session.md and writes it anew.
"""

import itertools
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from docs.masks import RULES, Masks, Rule, refused
from docs.processes import MARK, kill_marked, new_mark

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "session.md"
MEND = "make session"
_PORT = "8090"
_BLOCK = re.compile(r"^```console (\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SECONDS = 60.0
_STOP = "^C\n"
_RULES = (
    *(rule for rule in RULES if rule.name == "time"),
    Rule("fingerprint", r"\b\d{5}(?: \d{5}){5}\b", bool),
)
"""Ports and hashes are the same in every run of a session: made up by a generator, or put back."""
# A shell that Ctrl-C can end things in, even if whoever started this one ignores it, as a shell does for `… &`.
_SHELL = (
    "import os, signal; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "os.execvp('bash', ['bash', '--norc', '--noprofile'])"
)


class SessionFailed(Exception):
    """A command hangs, or says what no reader may see."""


@dataclass
class Step:
    """A command and what it says, or what the command before says next, where `command` is None.

    `stops`: it ends with Ctrl-C. `runs_on`: it is not over after this.
    """

    terminal: str
    command: str | None
    output: str
    stops: bool
    runs_on: bool = False

    @property
    def text(self) -> str:
        """The step as it stands in the page."""
        prompt = "" if self.command is None else f"{self.terminal}$ {self.command}\n"
        return f"{prompt}{self.output}{_STOP if self.stops else ''}"


def parsed(page: str) -> list[list[Step]]:
    """Return the steps of each block."""
    blocks = [_steps(terminal, body) for terminal, body in _BLOCK.findall(page)]
    for terminal in {step.terminal for block in blocks for step in block}:
        steps = [step for block in blocks for step in block if step.terminal == terminal]
        for step, following in itertools.pairwise(steps):
            step.runs_on = following.command is None
    return blocks


def rerun(page: str, *, home: Path, environment: Mapping[str, str], port: int, before: Callable[[Step], None]) -> str:
    """Run the page's commands, and return the page with what they said. Nothing is left running.

    Args:
        home: stands for the home directory; an empty folder.
        environment: in which the shells begin, at the root of the repository.
        port: where the server listens, in place of 8090.
        before: called before each step.

    Raises:
        SessionFailed: at the step where it can't go on.
    """
    blocks, mark = parsed(page), new_mark()
    steps = [step for block in blocks for step in block]
    own = {"HOME": str(home), "WALLETSYNC_PORT": str(port), MARK: mark, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    try:
        with ExitStack() as stack:
            terminals: dict[str, Terminal] = {}
            for step in steps:
                before(step)
                if step.terminal not in terminals:
                    terminals[step.terminal] = stack.enter_context(Terminal({**environment, **own}))
                said = _said(step, terminals[step.terminal], port)
                step.output = said.replace(str(home), "~").replace(f"127.0.0.1:{port}", f"127.0.0.1:{_PORT}")
                if found := list(refused(step.output)):
                    raise SessionFailed(f"{step.text}\nThis shows {', '.join(found)}.")
    finally:
        kill_marked(mark)
    masks = Masks((step.output for step in steps), _RULES)
    for step in steps:
        step.output = masks.apply(step.output)
    bodies = iter("".join(step.text for step in block) for block in blocks)
    return _BLOCK.sub(lambda block: f"```console {block[1]}\n{next(bodies)}```", page)


class Terminal:
    """A shell, and what was said in it. Programs find that nobody sits there: they neither ask nor draw."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._shell = subprocess.Popen(
            [sys.executable, "-c", _SHELL],
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._said = ""
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running():
            process.kill()
        self._shell.kill()
        self._reader.join()
        with self._shell:
            pass  # closes the pipes

    def begin(self, command: str, end: str) -> None:
        """Start a command, which sees the exit status of the one before; `end` is printed when it is over."""
        assert self._shell.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
        script = f"{{ {command}\n}} </dev/null\n_status=$?; printf %s {shlex.quote(end)}; (exit $_status)\n"
        self._shell.stdin.write(script.encode())
        self._shell.stdin.flush()

    def until(self, end: str) -> str:
        """Return what is said until `end`."""
        self._wait(lambda: end in self._said)
        said, _, self._said = self._said.partition(end)
        return said

    def lines(self, number: int) -> str:
        """Return the next so many lines."""
        self._wait(lambda: self._said.count("\n") >= number)
        lines = self._said.split("\n", number)
        self._said = lines.pop()
        return "".join(f"{line}\n" for line in lines)

    def press_ctrl_c(self) -> None:
        """Interrupt what runs."""
        for process in self._running():
            process.send_signal(signal.SIGINT)

    def _running(self) -> list[psutil.Process]:
        return psutil.Process(self._shell.pid).children(recursive=True)

    def _wait(self, condition: Callable[[], bool]) -> None:
        with self._more:
            if not self._more.wait_for(condition, _SECONDS):
                raise SessionFailed(f"It hangs. So far it said:\n{self._said}")

    def _read(self) -> None:
        assert self._shell.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        for line in self._shell.stdout:
            with self._more:
                self._said += line.decode()
                self._more.notify_all()


def _steps(terminal: str, body: str) -> list[Step]:
    """Return the steps of a block."""
    prompt = f"{terminal}$ "
    steps: list[Step] = []
    for line in body.splitlines(keepends=True):
        if line.startswith(prompt):
            steps.append(Step(terminal, line.removeprefix(prompt).rstrip("\n"), "", stops=False))
            continue
        if not steps:
            steps.append(Step(terminal, None, "", stops=False))
        if line == _STOP:
            steps[-1].stops = True
        else:
            steps[-1].output += line
    return steps


def _said(step: Step, terminal: Terminal, port: int) -> str:
    """Run a step, and return what it said."""
    end = f"<{step.terminal} is done>\n"
    if step.command is not None:
        terminal.begin(step.command.replace(f"127.0.0.1:{_PORT}", f"127.0.0.1:{port}"), end)
    if not (step.stops or step.runs_on):
        return terminal.until(end)
    said = terminal.lines(step.output.count("\n"))
    if step.stops:
        terminal.press_ctrl_c()
        said += terminal.until(end)
    return said


def main() -> int:
    """Run the page with the commands of this environment, and write what came out."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # whichever way it is stopped, nothing stays
        signal.signal(number, signal.default_int_handler)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    page = PAGE.read_text(encoding="utf-8")
    environment = plain_environment()
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    with tempfile.TemporaryDirectory() as home:
        fresh = rerun(page, home=Path(home), environment=environment, port=port, before=_tell)
    PAGE.write_text(fresh, encoding="utf-8")
    sys.stderr.write("docs/session.md was up to date\n" if page == fresh else "docs/session.md is written anew\n")
    return 0


def plain_environment() -> dict[str, str]:
    """Return this environment without settings of walletsync, and without a keyring."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WALLETSYNC_")}
    return kept | {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}


def _tell(step: Step) -> None:
    if step.command is not None:
        sys.stderr.write(f"{step.terminal}$ {step.command}\n")


if __name__ == "__main__":
    sys.exit(main())
