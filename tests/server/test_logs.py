"""The log of a server process: what other libraries and unexpected faults leave in it."""

import json
import subprocess
import sys

import pytest

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
