"""The one function that answers any request, by the route table."""

import time
from typing import Protocol

from walletsync_server.api import errors
from walletsync_server.api.bearer import token_in_header
from walletsync_server.api.edge import Edge
from walletsync_server.api.http import Request, Response
from walletsync_server.api.routes import ROUTES
from walletsync_server.api.table import Match, Table
from walletsync_server.observe import logs
from walletsync_server.services import Services
from walletsync_server.services.coroutines import GeneratorCoroutine, run_blocking
from walletsync_server.services.errors import ServiceError, TooLarge, Unavailable
from walletsync_server.services.throttle import network_of

_LONGEST_ESCAPE = len(r"\u0000")  # the most that JSON can make of one byte of a wallet
_BODY_ALLOWANCE = 64 * 1024  # bytes for everything but the wallet
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Those that a path can have. With any other a request is unreadable, whichever adapter it comes through."""


def body_limit(max_wallet_bytes: int) -> int:
    """Return how many bytes a body may have, so that every wallet within its limit fits, however it is escaped."""
    return _LONGEST_ESCAPE * max_wallet_bytes + _BODY_ALLOWANCE


class OnAnswer(Protocol):
    """Is told of every answer."""

    def __call__(self, *, method: str, route: str, status: int, code: str, seconds: float) -> None:
        """Note an answer. `method` and `route` are of bounded variety, `code` is that of an error, or empty."""


class Api:
    """Answers requests; every adapter hands them here. `body_limit` is in bytes."""

    def __init__(self, services: Services, edge: Edge | None = None, on_answer: OnAnswer | None = None) -> None:
        self._services = services
        self._on_answer = on_answer
        self._edge = edge or Edge()
        self._table = Table(ROUTES)
        self.body_limit = body_limit(services.about.description.limits.encrypted_wallet_bytes)

    def answer(self, request: Request) -> Response:
        """Return the answer to any request, and log that it came. Never raises."""
        return run_blocking(self.answering(request))

    def answering(self, request: Request) -> GeneratorCoroutine[Response]:
        """Do what `answer` does without holding the thread while the disk works."""
        started = time.perf_counter()
        request_id = self._edge.request_id_of(request)
        if request.method not in METHODS:  # the parser of the front door knows some more, and no others
            return self._completed(request, errors.unreadable(400), None, 0.0, request_id)
        match = self._table.find(request.path)
        response = yield from self._answer(match, request, request_id)
        return self._completed(request, response, match, time.perf_counter() - started, request_id)

    def _completed(
        self, request: Request, response: Response, match: Match | None, seconds: float, request_id: str
    ) -> Response:
        """Log and count the answer, and return it with the headers that every answer has."""
        # Both are the client's words, so only those that this server knows are repeated.
        method = request.method if request.method in METHODS else "other"
        route = match.template if match else "none"
        status, code = response.status, response.code
        logs.request(method=method, route=route, status=status, code=code, seconds=seconds, request_id=request_id)
        if self._on_answer is not None:
            self._on_answer(method=method, route=route, status=status, code=code, seconds=seconds)
        headers = {**response.headers, **self._edge.headers_for(request), "X-Request-Id": request_id}
        body = b"" if request.method == "HEAD" else response.body
        return Response(status=status, headers=headers, body=body, code=code, subscription=response.subscription)

    def unreadable(self, status: int) -> Response:
        """Return the answer to what never became a `Request`, with the adapter's own status, and log it."""
        nothing = Request(method="", path="")
        return self._completed(nothing, errors.unreadable(status), None, 0.0, self._edge.request_id_of(nothing))

    def holder_of(self, request: Request) -> int | str:
        """Return who is to answer for the memory that a request takes, asked before its body is read.

        That is the account whose live token the `Authorization` header has, else the client's network. Where the
        database cannot tell, no account does.
        """
        try:
            account = self._services.tokens.account_of(token_in_header(request))
        except Unavailable:
            account = None
        return network_of(self._edge.proxies.client_of(request)) if account is None else account

    def _answer(self, match: Match | None, request: Request, request_id: str) -> GeneratorCoroutine[Response]:
        if match is None:
            return errors.not_found()
        handler = match.methods.get(request.method)
        if handler is None:
            return self._edge.preflight(request, match.methods) or errors.method_not_allowed(match.methods)
        try:
            if request.refusal is not None:
                raise request.refusal
            if len(request.body) > self.body_limit:
                raise TooLarge
            request.argument, request.client = match.argument, self._edge.proxies.client_of(request)
            answer = handler(self._services, request)
            return answer if isinstance(answer, Response) else (yield from answer)
        except Unavailable as error:
            logs.unavailable(str(error.__cause__), request_id)
            return errors.refusal(error)
        except ServiceError as error:
            return errors.refusal(error)
        except Exception as error:  # noqa: BLE001 - the last resort: a client gets JSON and no word of the fault
            logs.unexpected(error, request_id)
            return errors.unexpected()
