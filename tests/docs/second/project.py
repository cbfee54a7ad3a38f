"""What the machine of `tools/docs/` knows of a second project, whose server only counts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tools.docs.rules import MEMORY_ADDRESS, PORTS, SECRETS, TIME

ROOT = Path(__file__).parents[2]
NOTEBOOKS = "tour"
SHOWN_WHOLE = ("01-count",)
FIRST_USE = ""
READERS_SERVER = "http://127.0.0.1:80"
WIDTH = 80
TEMPLATES = "templates"
MEND = "python -m tools.docs build"
KEEP = "python -m tools.docs keep "
LAB_AS_ROOT = "python -m tools.docs lab --allow-root"
PAGES = ("*.md",)
READ = ("templates", "tools", "answer")
LOCK = "requirements.txt"
TAKEN_IN_TURNS = ()
RULES = (*PORTS, TIME)
REFUSALS = (*SECRETS, MEMORY_ADDRESS)
HIDDEN = "(password=)[^&]*"
LEFT_BEHIND = "The server counts on from run {run}."
TRANSCRIPT = ROOT / "session.md"
TRANSCRIPT_MEND = "python -m tools.docs.transcript"
TRANSCRIPT_PORT = 8090
TRANSCRIPT_RULES = (TIME,)


def for_one_run(source: str, run: str) -> str:
    return source.replace("from zero", f"from zero, {run}")


def transcript_environment(port: int) -> dict[str, str]:
    return {"PORT": str(port)}


def plain_environment() -> dict[str, str]:
    return dict(os.environ)


@dataclass(frozen=True)
class Counter:
    """A server whose every answer is one more than the one before."""

    url: str


@contextmanager
def running_server() -> Iterator[Counter]:
    """Run one that begins with the number in the file `answer`."""
    numbers = iter(range(int((ROOT / "answer").read_text()), 1000))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = str(next(numbers)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        try:
            yield Counter(f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
