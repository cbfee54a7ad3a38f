"""The log of a server process: what other libraries and unexpected faults leave in it."""

import subprocess
import sys

CANARY = "canary-7f3a"
SCRIPT = f"""
import logging, threading
from walletsync_server import logs

logs.configure()
logs.event("started", answer=42)
logs.request(method="GET", route="/wallet", status=200, seconds=0.0123)
other = logging.getLogger("waitress")
other.warning("About %s", "{CANARY}")
other.info("not shown {CANARY}")
other.warning("About %s" % "{CANARY}")
logging.getLogger("waitress.queue").warning("not shown either")
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
    assert len(lines) == 7
    assert lines[0].endswith("level=info event=started answer=42")
    assert lines[1].endswith("event=request method=GET route=/wallet status=200 ms=12.3")
    assert lines[2] == 'level=warning event="About %s" logger=waitress'
    assert lines[3] == "level=warning event=<string>:11 logger=waitress"
    assert lines[4].startswith('level=error event="Exception when servicing %r" logger=waitress')
    assert "type=builtins.ValueError" in lines[4]
    assert "type=builtins.KeyError" in lines[5]
    assert ":fail" in lines[5]
    assert "type=builtins.OSError" in lines[6]
