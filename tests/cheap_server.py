"""The server's real process, but hashing a password costs next to nothing, for tests that ask a lot."""

from pathlib import Path

from walletsync_server.cli import main
from walletsync_server.services.passwords import PASSWORD_HASHER
from walletsync_server.testing import RunningServer


class CheapServer(RunningServer):
    """`RunningServer`, but for what hashing a password costs."""

    def _command(self) -> list[str]:
        python, _, _, *options = super()._command()
        return [python, "-P", str(Path(__file__)), *options]  # -P: the folder of tests is none of modules


if __name__ == "__main__":
    PASSWORD_HASHER.__init__(time_cost=1, memory_cost=8, parallelism=1)  # type: ignore[misc]  # the one that all use
    main()
