"""The server of the page: one of this computer, on a free port, for one browser."""

from types import TracebackType
from typing import Any, Self

from typing_extensions import override
from werkzeug.serving import WSGIRequestHandler, make_server

from walletsync.cli.ui.app import make_app
from walletsync.cli.ui.desk import Desk
from walletsync.cli.ui.door import LOOPBACK, Door
from walletsync.cli.wallet import Wallet
from walletsync.client import Client

_SECONDS = 30
"""How long somebody may take who has connected and says nothing."""


class _Quiet(WSGIRequestHandler):
    """Logs nothing: an address has the key in it."""

    timeout = _SECONDS

    @override
    def log(self, type: str, message: str, *args: Any) -> None:
        pass

    @override
    def version_string(self) -> str:
        return "walletsync"


class Page:
    """The page of a wallet, from its `with` on. Threads, since browsers open connections on which nothing comes."""

    def __init__(self, wallet: Wallet, client: Client) -> None:
        self._server = make_server(LOOPBACK, 0, self._answer, threaded=True, request_handler=_Quiet)
        door = Door(self._server.port)
        self._app = make_app(Desk(wallet, client, door.session), door)
        self.address = door.address
        """What lets in whoever opens it first."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.server_close()

    def serve(self) -> None:
        """Answer until Ctrl-C, or `end`."""
        self._server.serve_forever()

    def end(self) -> None:
        """Let `serve`, in another thread, return."""
        self._server.shutdown()

    def _answer(self, environ: dict[str, Any], start: Any) -> Any:
        return self._app(environ, start)
