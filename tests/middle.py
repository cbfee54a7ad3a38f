"""A real HTTP server in the middle, between a client and a real server: loses, changes and keeps what passes.

middle.lose_answer(POST_WALLET)                the next such request reaches the server, its answer is lost
middle.change(GET_WALLET, lambda answer: …)    answers to such requests are changed from now on
middle.requests, middle.bodies                 what the client sent: "POST /api/3/wallet", and the bytes
"""

import json
import ssl
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import requests

GET_SEED = "GET /api/3/client-salt-seed"
SIGNUP = "POST /api/3/signup"
LOGIN = "POST /api/3/auth/full"
GET_WALLET = "GET /api/3/wallet"
POST_WALLET = "POST /api/3/wallet"
HISTORY = "GET /api/3/wallet/history"
CHANGE_PASSWORD = "POST /api/3/password"
DELETE_ACCOUNT = "POST /api/3/account/delete"
WELL_KNOWN = "GET /.well-known/walletsync"


@dataclass(frozen=True)
class Answer:
    """An HTTP answer: `body` as bytes, or as a value to be sent as JSON."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def raw(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


Change = Callable[[Answer], Answer]


class QuietHTTPServer(ThreadingHTTPServer):
    """Does not report that a client hung up: some tests make it do so."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Middle:
    """Listens on a port of its own and passes everything on to `server_url`, but for what it was told."""

    def __init__(self, server_url: str, *, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[str] = []
        self.heads: list[str] = []
        self.answers: list[Answer] = []
        self.bodies: list[bytes] = []
        self._server_url = server_url
        self._changes: dict[str, Change] = {}
        self._instead: dict[str, Callable[[bytes], Answer]] = {}
        self._lost_answers: list[str] = []
        self._lost_requests: list[str] = []
        self._late: list[Callable[[], Answer]] = []
        self._session = requests.Session()
        self._session.trust_env = False
        middle = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # or each answer of two writes would take 40 ms

            def do_GET(self) -> None:
                middle._handle(self)

            do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self._http = QuietHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        self._session.close()

    def change(self, what: str, change: Change) -> None:
        """Change every answer to `what` from now on."""
        self._changes[what] = change

    def instead(self, what: str, answer: Callable[[bytes], Answer]) -> None:
        """Answer `what`, given its body, without asking the server."""
        self._instead[what] = answer

    def always(self, what: str, answer: Answer) -> None:
        """Give this one answer to `what`, without asking the server."""
        self.instead(what, lambda _: answer)

    def honest(self) -> None:
        """Pass everything on again."""
        self._changes.clear()
        self._instead.clear()

    def lose_answer(self, what: str) -> None:
        """Let the next `what` reach the server, and close the connection instead of answering."""
        self._lost_answers.append(what)

    def lose_request(self, what: str) -> None:
        """Close the connection at the next `what`, before the server learns of it; `deliver_late` is still possible."""
        self._lost_requests.append(what)

    def deliver_late(self) -> None:
        """Let the lost requests reach the server now."""
        for deliver in self._late:
            deliver()
        self._late.clear()

    def wallet(self, token: str) -> Answer:
        """Return the current wallet as the server presents it to whoever has none yet."""
        headers = {"Authorization": f"Bearer {token}"}
        found = self._session.get(f"{self._server_url}/api/3/wallet", headers=headers, timeout=30)
        return Answer(found.status_code, found.content)

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        what = f"{handler.command} {handler.path.partition('?')[0]}"
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        self.requests.append(what)
        self.heads.append(f"{handler.requestline}\n{handler.headers}")
        self.bodies.append(body)
        if what in self._lost_requests:
            self._lost_requests.remove(what)
            self._late.append(lambda: self._ask(handler, body))
            handler.close_connection = True
            return
        answer = self._instead[what](body) if what in self._instead else self._ask(handler, body)
        self.answers.append(answer)
        if what in self._lost_answers:
            self._lost_answers.remove(what)
            handler.close_connection = True
            return
        if what in self._changes:
            answer = self._changes[what](answer)
        handler.send_response(answer.status)
        for name, value in ({"Content-Length": str(len(answer.raw))} | answer.headers).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(answer.raw)

    def _ask(self, handler: BaseHTTPRequestHandler, body: bytes) -> Answer:
        headers = {name: value for name, value in handler.headers.items() if name != "Host"}
        answer = self._session.request(
            handler.command, self._server_url + handler.path, data=body, headers=headers, timeout=30
        )
        return Answer(answer.status_code, answer.content)
