"""A notebook opened in a real JupyterLab server and run alone, cell by cell, as its front end does."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
import requests
import websocket

from tools.docs.normalise import normalise, without_outputs
from tools.docs.notebooks import to_text

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
TOKEN = "of-this-test"
HEADERS = {"Authorization": f"token {TOKEN}"}
PATIENCE = 60.0


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab."""

    url: str
    process: psutil.Process

    def ask(self, method: str, path: str, **options: Any) -> Any:
        answer = requests.request(method, self.url + path, headers=HEADERS, timeout=PATIENCE, **options)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def run(self, name: str) -> Any:
        """Open a notebook, run every cell in a kernel of its own, close it; return it with its outputs."""
        notebook = nbformat.from_dict(self.ask("GET", f"api/contents/{name}.ipynb")["content"])  # type: ignore[no-untyped-call]
        kernel = {"name": notebook.metadata.kernelspec.name}
        about = {"path": f"{name}.ipynb", "name": name, "type": "notebook", "kernel": kernel}
        session = self.ask("POST", "api/sessions", json=about)
        address = self.url.replace("http", "ws", 1) + f"api/kernels/{session['kernel']['id']}/channels"
        channel = websocket.create_connection(address, header=HEADERS, timeout=PATIENCE)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = run_cell(channel, cell.source)
        channel.close()
        self.ask("DELETE", f"api/sessions/{session['id']}")
        return notebook


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Start JupyterLab on the notebooks, as `make lab` does, with a home that has nobody's settings in it."""
    home = tmp_path_factory.mktemp("home")
    settings = ["--ServerApp.root_dir=notebooks", "--ServerApp.port=0", f"--IdentityProvider.token={TOKEN}"]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", *settings]
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "JUPYTER_RUNTIME_DIR": str(home / "runtime")}
    with (home / "log").open("wb") as log, subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log) as process:
        try:
            told = home / "runtime" / f"jpserver-{process.pid}.json"
            wait_until(lambda: process.poll() is not None or (told.exists() and told.read_text().endswith("}")))
            assert process.poll() is None, (home / "log").read_text()
            url = json.loads(told.read_text())["url"]
            wait_until(lambda: takes_connections(url))  # it tells its address somewhat earlier
            yield Lab(url, psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait(PATIENCE)


def takes_connections(url: str) -> bool:
    try:
        requests.get(f"{url}api/status", headers=HEADERS, timeout=PATIENCE)
    except requests.ConnectionError:
        return False
    return True


def run_cell(channel: websocket.WebSocket, source: str) -> list[Any]:
    """Run one cell; return its outputs once the kernel is idle again."""
    number = uuid.uuid4().hex
    header = {"msg_id": number, "msg_type": "execute_request", "session": number, "username": "", "version": "5.4"}
    content = {"code": source, "silent": False, "store_history": True, "allow_stdin": False}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    channel.send(json.dumps(message))
    outputs = []
    while True:
        reply = json.loads(channel.recv())
        if reply["parent_header"].get("msg_id") != number or reply["channel"] != "iopub":
            continue
        if reply["header"]["msg_type"] in ("stream", "execute_result", "display_data", "error"):
            outputs.append(nbformat.v4.output_from_msg(nbformat.from_dict(reply)))  # type: ignore[no-untyped-call]
        if reply["content"].get("execution_state") == "idle":
            return outputs


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_run_alone_in_jupyterlab_gives_the_committed_outputs(lab: Lab, name: str) -> None:
    """No parameters, a server of its own: the outputs are those that `make docs` wrote, and no process stays behind."""
    page = requests.get(f"{lab.url}lab/tree/{name}.ipynb", headers=HEADERS, timeout=PATIENCE)
    assert page.status_code == 200
    assert "JupyterLab" in page.text
    before = set(lab.process.children(recursive=True))
    executed = lab.run(name)
    committed = (ROOT / "notebooks" / f"{name}.ipynb").read_text()
    assert to_text(normalise(name, executed, private=[])) == committed
    wait_until(lambda: set(lab.process.children(recursive=True)) <= before)


def test_cells_that_only_check_are_folded() -> None:
    """A reader of the notebook in JupyterLab sees the story; the asserts are one click away."""
    for name in NOTEBOOKS:
        notebook = without_outputs(nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4))  # type: ignore[no-untyped-call]
        checks = [cell for cell in notebook.cells if "check" in cell.metadata.get("tags", [])]
        assert checks
        assert all(cell.metadata.jupyter.source_hidden for cell in checks)
