"""Learning of new versions the moment they are stored, over the server's WebSocket.

Only a hint: what comes is a number, and whoever gets it syncs. A server that sends none, or nonsense, costs time and
never data, so whoever listens asks from time to time as well.
"""

import logging
import random
import ssl
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Self

from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

_PREFIX = "wallet-update:"
_MAX_FRAME = 1024
_BACKOFF_SECONDS = 1.0, 60.0
"""Seconds before the first and before any later attempt to connect again; they double in between."""
_STABLE_SECONDS = 10.0
"""Seconds that a connection has to hold for the pauses to begin small again."""
_CLOSE_SECONDS = 2.0
_LOOK_SECONDS = 0.25
"""How often a listener that waits looks whether it is to stop."""
_CALM_SECONDS = 0.25
"""How long after a call the next one comes at the earliest: what a server, or a busy device, says meanwhile is one."""

_LOG = logging.getLogger("walletsync.live")

# The library's own log shows headers at its lowest level, and one of them is the token.
_SILENT = logging.getLogger("walletsync.live.silent")
_SILENT.disabled = True


class Listener:
    """Listens in a thread of its own until it is closed, and connects again when it has to.

    Args:
        url: of the WebSocket, `ws:` or `wss:`.
        token: returns the token that holds now, None if there is none; asked before each connection.
        on_news: called, in that thread, whenever there may be a version that was not there before: at a frame, or at
            many that come in a moment; when a connection has ended, since what happens from then on is not told; and
            once for each token that the server refuses, since a `sync()` gets another one. What it raises is logged.
        tls: for `wss:`.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Callable[[], str | None],
        on_news: Callable[[], None],
        tls: ssl.SSLContext | None,
    ) -> None:
        self._url = url
        self._token = token
        self._on_news = on_news
        self._tls = tls
        self._refused_token: str | None = None
        self._closing = threading.Event()
        self._connected = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="walletsync-live", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_connected(self) -> bool:
        """Whether the server would tell now if there was something new."""
        return self._connected.is_set()

    def close(self) -> None:
        """Stop listening, within two seconds. An attempt to connect that hangs is left to end by itself."""
        self._closing.set()
        self._thread.join(_CLOSE_SECONDS)

    def _listen(self) -> None:
        pause = _BACKOFF_SECONDS[0]
        while not self._closing.is_set():
            token = self._token()
            if token is not None and self._listen_once(token):
                pause = _BACKOFF_SECONDS[0]
            if self._closing.wait(pause * random.uniform(0.5, 1.0)):  # noqa: S311 - so that devices spread out
                return
            pause = min(2 * pause, _BACKOFF_SECONDS[1])

    def _listen_once(self, token: str) -> bool:
        """Listen on one connection to its end; return whether it held for a while."""
        begin, is_news = time.monotonic(), False
        try:
            with connect(
                self._url,
                additional_headers={"Authorization": f"Bearer {token}"},
                user_agent_header=None,
                compression=None,
                max_size=_MAX_FRAME,
                proxy=None,
                ssl=self._tls,
                logger=_SILENT,
                close_timeout=1,
            ) as connection:
                is_news = True
                self._connected.set()
                self._hear(connection)
        except InvalidStatus as refused:
            if refused.response.status_code == HTTPStatus.UNAUTHORIZED:
                is_news, self._refused_token = token != self._refused_token, token
        except (WebSocketException, OSError):
            pass  # it ended, or never began: there is another attempt, and who listens asks as well
        finally:
            self._connected.clear()
        if is_news and not self._closing.is_set():
            self._call_on_news()
        return time.monotonic() - begin >= _STABLE_SECONDS

    def _hear(self, connection: ClientConnection) -> None:
        """Call at what comes: at once after a calm, and else when there is one, however many have come till then."""
        is_news, calm = False, 0.0
        while not self._closing.is_set():
            wait = calm - time.monotonic()
            if is_news and wait <= 0:
                self._call_on_news()
                is_news, calm = False, time.monotonic() + _CALM_SECONDS
                continue
            try:
                frame = connection.recv(timeout=min(wait, _LOOK_SECONDS) if is_news else _LOOK_SECONDS)
            except TimeoutError:
                continue
            is_news = is_news or (isinstance(frame, str) and frame.startswith(_PREFIX))

    def _call_on_news(self) -> None:
        try:
            self._on_news()
        except Exception:  # noqa: BLE001 - it is the program's own; the next news are to be told all the same
            _LOG.exception("The function that is called about new versions raised an error; listening goes on.")
