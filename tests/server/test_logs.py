"""The log of a server process: what other libraries and unexpected faults leave in it."""

import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.server.helpers import HttpWire
from walletsync_server.observe.lines import Lines

CANARY = "canary-7f3a"
SCRIPT = f"""
import logging, threading
from walletsync_server.observe import logs

logs.configure()
logs.event("started", answer=42)
about = dict(method="GET", route="/wallet", request_id="0f0f0f0f0f0f0f0f")
logs.request(**about, status=200, code="", seconds=0.0123)
logs.request(**about, status=404, code="no_wallet", seconds=2)
other = logging.getLogger("elsewhere")
other.warning("About %s", "{CANARY}")
other.info("not shown {CANARY}")
other.warning("About %s" % "{CANARY}")
try:
    raise ValueError("{CANARY}")
except ValueError:
    other.exception("Exception when servicing %r", "{CANARY}")

def fail():
    raise KeyError("{CANARY}")

thread = threading.Thread(target=fail)
thread.start()
thread.join()
raise OSError("{CANARY}")
"""


def test_log_keeps_kinds_and_places_and_drops_words() -> None:
    """Own events are whole; of others and of faults only template or place, type and stack are kept."""
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert CANARY not in ended.stderr
    lines = ended.stderr.splitlines()
    assert len(lines) == 8
    assert lines[0].endswith("Z level=info event=started answer=42")
    about = "request_id=0f0f0f0f0f0f0f0f"
    assert lines[1].endswith(f"event=request method=GET route=/wallet status=200 ms=12.3 {about}")
    assert lines[2].endswith(f"event=request method=GET route=/wallet status=404 code=no_wallet ms=2000 {about}")
    assert lines[3].endswith('level=warning event="About %s" logger=elsewhere')
    assert lines[4].endswith("level=warning event=<string>:13 logger=elsewhere")
    assert 'level=error event="Exception when servicing %r" logger=elsewhere' in lines[5]
    assert "type=builtins.ValueError" in lines[5]
    assert "type=builtins.KeyError" in lines[6]
    assert ":fail" in lines[6]
    assert "type=builtins.OSError" in lines[7]


def test_log_in_json_says_the_same() -> None:
    """Each line is one JSON object, with the names that the other format has."""
    script = SCRIPT.replace("configure()", "configure('json')")
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert CANARY not in ended.stderr
    assert len(lines) == 8
    assert lines[0].items() >= {"level": "info", "event": "started", "answer": 42}.items()
    assert lines[1].items() >= {"event": "request", "status": 200, "ms": 12.3, "request_id": "0f" * 8}.items()
    assert all(line["timestamp"].endswith("Z") for line in lines)


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_each_line_of_a_worker_names_it(form: str) -> None:
    """Whoever wrote it: own events, requests, other libraries, and what nobody foresaw."""
    script = SCRIPT.replace("configure()", f"configure('{form}'); logs.name_worker(3)")
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    lines = ended.stderr.splitlines()
    assert len(lines) == 8
    named = re.compile(
        {"logfmt": r"timestamp=\S+ worker=3 level=", "json": r'{"timestamp":"[^"]+","worker":3,"level":'}[form]
    )
    assert all(map(named.match, lines))


@pytest.mark.parametrize(("level", "seen"), [("debug", 2), ("info", 1), ("warning", 0)])
def test_log_tells_as_much_as_it_is_told_to(level: str, seen: int) -> None:
    """Own events are info; other libraries say what is below a warning only for developers, and never their words."""
    script = (
        f"import logging; from walletsync_server.observe import logs; logs.configure('logfmt', '{level}');"
        f"logs.event('started'); logging.getLogger('other').debug('Read %s', '{CANARY}')"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert len(ended.stderr.splitlines()) == seen
    assert CANARY not in ended.stderr


def test_values_that_are_no_plain_word_are_quoted() -> None:
    """Each line stays one line, and a program can take it apart again."""
    script = (
        "from walletsync_server.observe import logs; logs.configure();"
        "logs.event('odd', path='/a:b', said='say \"no\"', pair='a=b', back='\\\\', lines='two\\nlines', nothing=None)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    (line,) = ended.stderr.splitlines()
    expected = r'path=/a:b said="say \"no\"" pair="a=b" back="\\" lines="two\nlines" nothing='
    assert line.endswith(f"level=info event=odd {expected}")


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe with room for two pages: the end to read from, the end to write to."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 8192)
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_lines_that_nobody_reads_are_dropped_and_counted(pipe: tuple[int, int]) -> None:
    """The writer never waits; when there is room again, the next line says how many are missing, and none is half."""
    reading, writing = pipe
    lines, sent = Lines(writing), [f"{number} {'x' * 1000}" for number in range(100)]
    for line in sent:
        lines.write(line)
    kept = 100 - lines.dropped
    assert 4 <= kept <= 8
    assert os.read(reading, 10_000).decode().splitlines()[:kept] == sent[:kept]
    lines.write("later")
    assert os.read(reading, 10_000).decode().splitlines()[-2:] == [f"dropped={100 - kept}", "later"]
    lines.write("last")
    assert os.read(reading, 10_000) == b"last\n"


def test_long_line_is_written_as_far_as_there_is_room(pipe: tuple[int, int]) -> None:
    """A line longer than the pipe is cut short, counts as dropped, and the next one begins on a line of its own."""
    reading, writing = pipe
    lines = Lines(writing)
    lines.write("x" * 20_000)
    assert os.read(reading, 20_000) == b"x" * 8192
    lines.write("next")
    assert (lines.dropped, os.read(reading, 20_000)) == (1, b"\ndropped=1\nnext\n")


@pytest.fixture
def packets() -> Iterator[tuple[int, int]]:
    """A pipe where each read gets what one write wrote."""
    reading, writing = os.pipe2(os.O_DIRECT)
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_lines_of_one_turn_are_written_at_once(packets: tuple[int, int]) -> None:
    """They wait for the next turn of the loop; before whatever does not wait they are written, and at the end."""
    reading, writing = packets
    lines, turns = Lines(writing), list[Callable[[], None]]()
    lines.gather(turns.append)
    for line in "abc":
        lines.write_soon(line)
    (next_turn,) = turns
    next_turn()
    lines.write_soon("d")
    lines.write("e")
    with ThreadPoolExecutor(1) as pool:
        lines.write_soon("f")
        pool.submit(lines.write_soon, "another thread's").result()
    lines.write_soon("g")
    lines.gather(None)
    lines.write_soon("h")
    written = [os.read(reading, 4096) for _ in range(7)]
    assert written == [b"a\nb\nc\n", b"d\n", b"e\n", b"f\n", b"another thread's\n", b"g\n", b"h\n"]


def test_lines_of_one_turn_are_no_larger_than_a_pipe_keeps_together(packets: tuple[int, int]) -> None:
    """Other processes may write to the same pipe: none of their lines comes amid one of these."""
    reading, writing = packets
    lines = Lines(writing)
    lines.gather(lambda flush: None)
    for _ in range(6):
        lines.write_soon("x" * 1000)
    lines.flush()
    assert [len(os.read(reading, 10_000)) for _ in range(2)] == [4 * 1001, 2 * 1001]


def test_all_lines_of_a_turn_without_room_are_counted(pipe: tuple[int, int]) -> None:
    """What was dropped together is told one by one."""
    reading, writing = pipe
    lines = Lines(writing)
    lines.write("x" * 8191)
    lines.gather(lambda flush: None)
    for line in "abc":
        lines.write_soon(line)
    lines.flush()
    assert lines.dropped == 3
    os.read(reading, 10_000)
    lines.write("later")
    assert os.read(reading, 10_000) == b"dropped=3\nlater\n"


def test_terminal_that_is_stopped_is_not_waited_for() -> None:
    """Ctrl-S in the terminal of a server holds up nobody."""
    master, terminal = pty.openpty()
    lines = Lines(terminal)
    termios.tcflow(terminal, termios.TCOOFF)
    for _ in range(1000):
        lines.write("x" * 1000)
    assert lines.dropped > 0
    termios.tcflow(terminal, termios.TCOON)
    os.close(master)
    os.close(terminal)


def test_reader_that_is_gone_is_not_missed() -> None:
    """A broken pipe is no fault of the one who logs."""
    reading, writing = os.pipe()
    lines = Lines(writing)
    os.close(reading)
    lines.write("x")
    assert lines.dropped == 1
    os.close(writing)


def test_server_whose_log_nobody_reads_goes_on(tmp_path: Path) -> None:
    """It serves, counts the lines that it drops, says so once somebody reads, and ends when it is told to."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 8192)
    words = ["serve", "--port", "0", "--database", f"sqlite:///{tmp_path / 'w.db'}", "--accounts", "open"]
    command = [sys.executable, "-m", "walletsync_server", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=writing, text=True) as process:
        os.close(writing)
        assert process.stdout is not None
        try:
            wire = HttpWire(process.stdout.readline().split()[-1])
            assert {wire("GET", "/nowhere").status for _ in range(200)} == {404}
            os.read(reading, 100_000)
            assert wire("GET", "/nowhere").status == 404
            found = re.search(r"level=warning event=log_lines_dropped lines=(\d+)", os.read(reading, 100_000).decode())
            assert found
            assert 50 < int(found[1]) <= 200
            assert {wire("GET", "/nowhere").status for _ in range(200)} == {404}
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
    os.close(reading)
