"""`make lab`: notebooks opened in a real JupyterLab and run alone, cell by cell, as its front end does; and its end."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
import requests
import websocket

from tests.docs.trees import alive
from tools.docs.lab import open_lab
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
    temporary: Path

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


@contextmanager
def a_lab(root: Path, home: Path) -> Iterator[Lab]:
    """Do what `make lab` does, with a home that has nobody's settings in it."""
    settings = ["--no-browser", "--allow-root", "--ServerApp.port=0", f"--IdentityProvider.token={TOKEN}"]
    command = [sys.executable, "-m", "tools.docs", "lab", "--root", str(root), *settings]
    home.mkdir(exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix="of-this-test-"))
    temporary.chmod(0o711)  # a notebook starts PostgreSQL, which root may not: whoever may has to get there
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(temporary)}
    with (home / "log").open("wb") as log, subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log) as process:
        try:
            told = temporary.glob
            wait_until(lambda: process.poll() is not None or any(map(is_written, told("docs-lab-*/jpserver-*.json"))))
            assert process.poll() is None, (home / "log").read_text()
            (file,) = told("docs-lab-*/jpserver-*.json")
            url = json.loads(file.read_text())["url"]
            wait_until(lambda: takes_connections(url))  # it tells its address somewhat earlier
            yield Lab(url, psutil.Process(process.pid), temporary)
        finally:
            process.terminate()
            process.wait(PATIENCE)
            temporary.rmdir()  # nothing is left there, though a kernel that is shut down leaves what its servers have


def is_written(file: Path) -> bool:
    return file.read_text().endswith("}")


def a_copy(root: Path) -> Path:
    """A repository of the notebooks alone."""
    shutil.copytree(ROOT / "notebooks", root / "notebooks")
    return root


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with a_lab(a_copy(tmp_path_factory.mktemp("repository")), tmp_path_factory.mktemp("home")) as lab:
        yield lab


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_to_look_makes_nothing_dirty_and_nothing_is_left(tmp_path: Path, number: signal.Signals) -> None:
    """JupyterLab opens at 01, without news, and saves what is open with metadata of its own: into a copy, which is gone
    when it ends, like its processes and its temporary files. With an edited notebook, that alone stays."""
    root, home = a_copy(tmp_path / "repository"), tmp_path / "home"
    before = files(root)
    with a_lab(root, home) as lab:
        page = requests.get(f"{lab.url}lab", headers=HEADERS, timeout=PATIENCE)
        assert '"news": {"disabled": true}' in page.text
        assert (
            requests.get(lab.url, headers=HEADERS, timeout=PATIENCE)
            .url.partition("?")[0]
            .endswith("/lab/tree/01-setup.ipynb")
        )
        for name, edited in (("01-setup", "looked"), ("02-syncing", "edited")):
            notebook = lab.ask("GET", f"api/contents/{name}.ipynb")["content"]
            notebook["metadata"]["language_info"] = {"name": "python"}
            if edited == "edited":
                notebook["cells"][0]["source"] += " And more."
            lab.ask("PUT", f"api/contents/{name}.ipynb", json={"type": "notebook", "content": notebook})
        family = [lab.process, *lab.process.children(recursive=True)]
        assert len(family) > 1
        lab.process.send_signal(number)
        lab.process.wait(PATIENCE)
        assert list(lab.temporary.iterdir()) == []
    assert not [process for process in family if alive(process.pid)]
    left = files(root)
    assert sorted(left.keys() - before.keys()) == [".docs/lab/02-syncing.ipynb"]
    assert {path: left[path] for path in before} == before
    assert (
        "02-syncing was edited. To keep that: make keep NOTEBOOK=02-syncing; to drop it: rm .docs/lab/02-syncing.ipynb"
        in (home / "log").read_text()
    )


def test_root_is_told_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JupyterLab itself names an option, and not where in `make lab` it goes. Nothing is left of the attempt."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    said: list[str] = []
    assert open_lab(tmp_path, ["--no-browser"], said.append) == 1
    assert said[0].endswith(": make lab ARGS=--allow-root")
    assert list(tmp_path.iterdir()) == []


def test_what_someone_wants_to_keep_has_its_own_command(tmp_path: Path) -> None:
    """The cells come to the repository without what an editor adds, and the copy goes; an id that JupyterLab gave to a
    new cell is told, since a person has to give it another one."""
    root = a_copy(tmp_path)
    copy = root / ".docs/lab/02-syncing.ipynb"
    copy.parent.mkdir(parents=True)
    notebook = json.loads((root / "notebooks/02-syncing.ipynb").read_text())
    notebook["metadata"]["language_info"] = {"name": "python"}
    notebook["cells"][0]["source"] = ["# Edited"]
    copy.write_text(json.dumps(notebook))
    assert keep(root) == (0, "02-syncing is taken over. Run it, and write its outputs: make docs\n")
    kept = json.loads((root / "notebooks/02-syncing.ipynb").read_text())
    assert kept["cells"][0]["source"] == ["# Edited"]
    assert "language_info" not in kept["metadata"]
    assert not copy.exists()
    gone = "There is no edited 02-syncing.ipynb in .docs/lab: edit it there first, with: make lab\n"
    assert keep(root) == (1, gone)
    notebook["cells"][0]["id"] = "1f2e3d4c"
    copy.write_text(json.dumps(notebook))
    exit_code, said = keep(root)
    assert exit_code == 1
    assert said.startswith("notebooks/02-syncing.ipynb, cell `1f2e3d4c`: this id was not written by hand")


def keep(root: Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "tools.docs", "keep", "02-syncing", "--root", str(root)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE)
    return done.returncode, done.stderr


def test_cells_that_only_check_are_folded() -> None:
    """A reader of the notebook in JupyterLab sees the story; the asserts are one click away."""
    for name in NOTEBOOKS:
        notebook = without_outputs(nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4))  # type: ignore[no-untyped-call]
        checks = [cell for cell in notebook.cells if "check" in cell.metadata.get("tags", [])]
        assert checks
        assert all(cell.metadata.jupyter.source_hidden for cell in checks)
