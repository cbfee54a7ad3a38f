"""Small repositories of notebooks for the machine to run, and a server with one answer for them to talk to."""

import base64
import json
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil

from tools.docs.build import Results, produce
from tools.docs.notebooks import node
from tools.docs.project import ROOT, TEMPLATES


def alive(pid: int) -> bool:
    """Whether this process is there and more than an entry that nobody has collected yet."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def markdown(cell_id: str, source: str, *tags: str) -> dict[str, Any]:
    """A Markdown cell."""
    metadata = {"tags": list(tags)} if tags else {}
    return {"cell_type": "markdown", "id": cell_id, "metadata": metadata, "source": source}


def code(cell_id: str, source: str, *tags: str, outputs: list[Any] | None = None) -> dict[str, Any]:
    """A code cell."""
    return {
        **markdown(cell_id, source, *tags),
        "cell_type": "code",
        "execution_count": None,
        "outputs": outputs or [],
    }


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    """What `print` puts out."""
    return {"output_type": "stream", "name": name, "text": text}


def result(text: str, mimetype: str = "text/plain") -> dict[str, Any]:
    """What the last expression of a cell puts out."""
    data = {mimetype: text}
    return {"output_type": "execute_result", "data": data, "metadata": {}, "execution_count": 7}


LAST = markdown("next", "That was it.")
PARAMETERS = code("parameters", 'server_url = ""\nseed = 1', "parameters")
ASK = code(
    "ask",
    "import json, urllib.request\nanswer = json.load(urllib.request.urlopen(server_url))\nprint(server_url)\nanswer",
)


def notebook(*cells: dict[str, Any]) -> Any:
    """A notebook of these cells, after the one with the parameters."""
    cells = (PARAMETERS, *cells)
    return node({"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


FRAME = """# A project

{{ first_use }}
{% for chapter in chapters %}
<a id="{{ chapter.name }}"></a>

## {{ chapter.title }}

{{ chapter.essence }}

{{ chapter.text or "" }}
{% endfor %}
"""


class Tree:
    """A repository with nothing but notebooks, and a frame for README.md."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "notebooks").mkdir(parents=True)
        shutil.copytree(ROOT / TEMPLATES / "readme", root / TEMPLATES / "readme")
        (root / TEMPLATES / "README.md.j2").write_text(FRAME)

    def add(self, name: str, *cells: dict[str, Any]) -> Path:
        """Write a notebook as its author would, without outputs."""
        path = self.root / f"notebooks/{name}.ipynb"
        path.write_text(json.dumps(notebook(*cells)), encoding="utf-8")
        return path

    def files(self) -> dict[str, bytes]:
        """Every file's bytes by its path, without the scratch folder and what is not made by a run."""
        paths = (path for path in self.root.rglob("*") if path.is_file())
        relative = {str(path.relative_to(self.root)): path for path in paths}
        return {name: path.read_bytes() for name, path in relative.items() if not name.startswith((".docs", TEMPLATES))}

    def run(self, server_url: str = "", **options: Any) -> Results:
        """Run the notebooks in this process."""
        said: list[str] = []
        return produce(self.root, server_url=server_url, report=said.append, **options)

    def produce(self, server_url: str = "", **options: Any) -> dict[str, str]:
        """Run the notebooks in this process, and return the files that this makes."""
        return self.run(server_url, **options).files(self.root)


class Oracle:
    """A server with one answer, whose `sequence` a test may change, and a path that answers when told to."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sequence = 1
        self.asked = threading.Event()
        self.may_answer = threading.Event()

    def answer(self) -> dict[str, Any]:
        """What is never the same twice, beside the sequence."""
        envelope = b"WSY1\x01" + os.urandom(200)
        return {
            "sequence": self.sequence,
            "encryptedWallet": base64.b64encode(envelope).decode(),
            "hmac": secrets.token_hex(32),
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


@contextmanager
def an_oracle() -> Iterator[Oracle]:
    """Run an `Oracle` on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/wait":
                oracle.asked.set()
                oracle.may_answer.wait(60)
            body = json.dumps(oracle.answer()).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                return  # the kernel that asked was killed

        def log_message(self, format: str, *args: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        oracle = Oracle(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield oracle
        finally:
            oracle.may_answer.set()
            server.shutdown()
            thread.join()
