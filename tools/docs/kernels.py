"""Where a cell runs: this very interpreter, in an environment that is the same on every machine."""

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from tools.docs.processes import MARK
from tools.docs.project import TAKEN_IN_TURNS

STARTUP = tuple(map(Path(__file__).with_name, ("kernel_startup.py", "kernel_asserts.py")))
"""Copied into every kernel's profile, and run there before the first cell."""
_FROM_OUTSIDE = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What a kernel gets from the caller's environment; the rest would make runs differ."""
_ALWAYS = {
    "COLUMNS": "100",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "TZ": "UTC",
}


@dataclass(frozen=True)
class Room:
    """A scratch folder for the kernels of one run: their home, temporary files, sockets and logs.

    It lies in the system's temporary folder and not in the repository, because the path of a socket must be short.
    """

    folder: Path
    mark: str

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of a kernel. With a home of its own it finds no profile or settings of the user."""
        return {
            **{name: os.environ[name] for name in _FROM_OUTSIDE if name in os.environ},
            **_ALWAYS,
            "HOME": str(self.folder / "home"),
            "IPYTHONDIR": str(self.folder / "ipython"),
            "TMPDIR": str(self.folder / "tmp"),
            "DOCS_TURNS": str(self.folder / "turns.lock"),
            "DOCS_TAKEN_IN_TURNS": " ".join(TAKEN_IN_TURNS),
            MARK: self.mark,
        }


@contextlib.contextmanager
def open_room(mark: str) -> Iterator[Room]:
    """Make the scratch folder of a run, and remove it in the end."""
    with tempfile.TemporaryDirectory(prefix="docs-run-", ignore_cleanup_errors=True) as folder:
        room = Room(Path(folder).resolve(), mark)
        for name in ("home", "tmp", "ipython/profile_default/startup"):
            (room.folder / name).mkdir(parents=True)
        for passed in (room.folder, room.folder / "tmp"):
            passed.chmod(0o711)  # for programs of a notebook that run as another user, as PostgreSQL does for root
        for file in STARTUP:
            shutil.copy(file, room.folder / "ipython/profile_default/startup")
        yield room


def manager_class(room: Room) -> type[AsyncKernelManager]:
    """Return the class that starts the kernels of a run; nbclient makes its own instances, one a notebook."""
    numbers = itertools.count(1)

    class OwnKernel(AsyncKernelManager):
        """Starts a kernel in the room, whatever kernels the user has installed."""

        def __init__(self, **settings: Any) -> None:
            self.place = room.folder / f"kernel{next(numbers)}"
            # Sockets in a private folder: with ports, another process can take one between its choice and its use.
            super().__init__(transport="ipc", connection_file=f"{self.place}.json", **settings)
            self._kernel_spec = KernelSpec(
                argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                display_name="Python 3",
                language="python",
            )

        # jupyter_client's own subclass is a coroutine where its base is none, too.
        async def start_kernel(self, **settings: Any) -> None:  # type: ignore[override]
            """Start it with the room's environment; what it says outside of cells goes to a log."""
            with self.place.with_suffix(".log").open("wb") as log:
                await super().start_kernel(env=room.environment, stdout=log, stderr=subprocess.STDOUT, **settings)

    return OwnKernel
