"""The notebooks in JupyterLab, to look at and to try things: a copy, so that to look makes nothing dirty.

JupyterLab saves by itself whatever is open, with metadata of its own. So it gets a scratch copy, which goes when it
ends; a notebook whose cells were edited stays, and is there again the next time. `take_over` is for what shall be kept.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat

from tools.docs.build import SCRATCH
from tools.docs.normalise import without_outputs
from tools.docs.notebooks import Problem, parse, path_of, read_all, to_text
from tools.docs.project import KEEP, LAB_AS_ROOT, NOTEBOOKS

LAB = f"{SCRATCH}/lab"
_ENDING_SECONDS = 15.0
"""For how long what kernels have left may take to end."""


def open_lab(root: Path, arguments: Sequence[str], say: Callable[[str], None]) -> int:
    """Run JupyterLab until somebody ends it, there or by Ctrl-C here, and return its exit code."""
    if os.geteuid() == 0 and not any("allow_root" in each.replace("-", "_") for each in arguments):
        say(f"JupyterLab does not run as root unless it is told to, as makes sense in a container: {LAB_AS_ROOT}")
        return 1
    with _copy(root, say) as folder, tempfile.TemporaryDirectory(prefix="docs-lab-") as own, _temporary() as temporary:
        first = min(path.name for path in folder.glob("*.ipynb") if not path.name.startswith("00-"))
        settings = [
            f"--ServerApp.root_dir={folder}",
            f"--LabApp.default_url=/lab/tree/{first}",
            "--LabApp.news_url=None",
            f"--LabApp.workspaces_dir={own}",  # what was open the last time is gone with its copy
        ]
        command = [sys.executable, "-m", "jupyterlab", *settings, *arguments]
        environment = {**os.environ, "JUPYTER_RUNTIME_DIR": own, "TMPDIR": temporary}
        with subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL) as process:
            try:
                return process.wait()
            finally:
                process.terminate()  # which it takes as a wish to end in order; nothing happens where it has ended


@contextlib.contextmanager
def _temporary() -> Iterator[str]:
    """Give a folder for the temporary files of kernels, which end without a chance to remove them."""
    folder = Path(tempfile.mkdtemp(prefix="lab-"))
    folder.chmod(0o711)  # for what a notebook runs as another user
    try:
        yield str(folder)
    finally:
        deadline = time.monotonic() + _ENDING_SECONDS
        while folder.exists() and time.monotonic() < deadline:
            shutil.rmtree(folder, ignore_errors=True)  # a server that a kernel left may still be ending there
            time.sleep(0.05)


def take_over(root: Path, name: str) -> list[Problem]:
    """Write the cells of a notebook in the scratch copy to the repository, without outputs, and drop the copy.

    Return what its author has to mend there by hand, such as the ids of new cells.

    Raises:
        FileNotFoundError: there is no such copy.
    """
    copy = root / LAB / f"{name}.ipynb"
    notebook = nbformat.reads(copy.read_text(encoding="utf-8"), as_version=4)  # type: ignore[no-untyped-call]
    text = to_text(without_outputs(notebook))
    (root / path_of(name)).write_text(text, encoding="utf-8")
    copy.unlink()
    return parse(name, text)[1]


@contextlib.contextmanager
def _copy(root: Path, say: Callable[[str], None]) -> Iterator[Path]:
    folder = root / LAB
    edited = {path.name for path in folder.glob("*.ipynb")}
    shutil.copytree(root / NOTEBOOKS, folder, dirs_exist_ok=True, ignore=lambda *_: [*edited, "records", "__pycache__"])
    try:
        yield folder
    finally:
        _clear(root, folder, say)


def _clear(root: Path, folder: Path, say: Callable[[str], None]) -> None:
    committed = {name: _source(notebook) for name, notebook in read_all(root).items()}
    edited = {
        path
        for path in folder.glob("*.ipynb")
        if _source(nbformat.read(path, as_version=4)) != committed.get(path.stem)  # type: ignore[no-untyped-call]
    }
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path not in edited:
            path.unlink()
    for path in sorted(edited):
        say(f"{path.stem} was edited. To keep that: {KEEP}{path.stem}; to drop it: rm {path.relative_to(root)}")
    if not edited:
        folder.rmdir()


def _source(notebook: Any) -> str:
    return to_text(without_outputs(notebook))
