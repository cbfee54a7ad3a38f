"""Containers: what podman builds and runs here, as the files in deploy/ say, with a storage of its own."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.apt import require

_LIMITS = ("--ulimit=nofile=4096:4096", "--ulimit=nproc=1024:1024")
"""Lower than podman's own, which a machine may not allow."""


class Podman:
    """podman as root, whose images, containers and volumes are in `folder`; `close` removes all of it."""

    def __init__(self, folder: Path) -> None:
        assert os.geteuid() == 0, "Containers are run as root here: run these tests in a machine of their own."
        program = require("podman", "podman", "--no-install-recommends")
        runtime = require("runc")  # crun refuses some machines' control groups
        self._run = tempfile.TemporaryDirectory(prefix="podman-", dir="/run")  # podman takes 50 characters at most
        self._command = [program, f"--root={folder}/root", f"--runroot={self._run.name}", f"--runtime={runtime}"]

    def __call__(self, *words: str) -> str:
        """Run a command of podman; return its stdout."""
        ended = subprocess.run([*self._command, *words], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{words}: {ended.stdout}{ended.stderr}"
        return ended.stdout

    def is_healthy(self, name: str) -> bool:
        """Run the health check of a container's image, and say whether it passes."""
        words = [*self._command, "healthcheck", "run", name]
        return subprocess.run(words, capture_output=True, check=False).returncode == 0

    def import_tree(self, tree: Path, name: str) -> None:
        """Make an image of a folder."""
        words = ["tar", "--create", f"--directory={tree}", "."]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as tar:
            subprocess.run([*self._command, "import", "-", name], stdin=tar.stdout, check=True, capture_output=True)

    @contextmanager
    def running(self, image: str, *options: str) -> Iterator[str]:
        """Run a container until the end of the block, without any network but its own; give its name."""
        name = self("run", "--detach", "--network=none", *_LIMITS, *options, image).strip()
        try:
            yield name
        finally:
            self("rm", "--force", name)

    def run(self, image: str, *options: str, command: tuple[str, ...] = ()) -> str:
        """Run a container to its end; return its stdout."""
        return self("run", "--rm", "--network=none", *_LIMITS, *options, image, *command)

    def close(self) -> None:
        """Remove all images, containers and volumes."""
        for what in ("rm", "rmi", "volume rm"):
            self(*what.split(), "--all", "--force")
        self._run.cleanup()
