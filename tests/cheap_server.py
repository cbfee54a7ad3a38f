"""The server's real process, but it starts in milliseconds, and hashing a password costs next to nothing."""

import subprocess
from typing import cast

from typing_extensions import override

from tests.forks import Fork
from walletsync_server.testing import RunningServer


class CheapServer(RunningServer):
    """`RunningServer`, but for what a start and hashing a password cost."""

    @override
    def _spawn(self) -> "subprocess.Popen[str]":
        fork = Fork(self._words(), self._log_file, self._environment())
        return cast("subprocess.Popen[str]", fork)  # of which it has what is used
