"""The one function that answers any request, by the route table."""

import time
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from walletsync.protocol import ErrorCode
from walletsync_server.api import errors
from walletsync_server.api.bearer import token_in_header
from walletsync_server.api.edge import Edge
from walletsync_server.api.escapes import LONGEST_ESCAPE, DecodedSize
from walletsync_server.api.http import Request, Response
from walletsync_server.api.routes import ASKING, QUICK, ROUTES, WITH_WALLET
from walletsync_server.api.table import Match, Table
from walletsync_server.observe import logs
from walletsync_server.services import Services
from walletsync_server.services.coroutines import WAITING, GeneratorCoroutine, run_blocking
from walletsync_server.services.errors import ServiceError, TooLarge, Unavailable
from walletsync_server.services.throttle import neighbourhood_of

_BODY_ALLOWANCE = 64 * 1024  # bytes for everything but the wallet
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Those that a path can have. With any other a request is unreadable, whichever adapter it comes through."""


class Holder(NamedTuple):
    """Who is to answer for what a request takes: a network, and the account whose live token came, if one did."""

    network: str
    account: int | None = None


@dataclass(frozen=True)
class BodyLimit:
    """How many bytes a body may have: `raw` as it comes, `decoded` without the escapes of JSON."""

    raw: int
    decoded: int

    def allows(self, body: bytes) -> bool:
        """Say whether `body` is within the limit."""
        return len(body) <= self.decoded or (len(body) <= self.raw and DecodedSize().add(body) <= self.decoded)


WITHOUT_WALLET = BodyLimit(_BODY_ALLOWANCE, _BODY_ALLOWANCE)


def body_limit(max_wallet_bytes: int) -> BodyLimit:
    """Return the limit of a body that has a wallet: every wallet within its own fits, however it is escaped."""
    decoded = max_wallet_bytes + _BODY_ALLOWANCE
    return BodyLimit(LONGEST_ESCAPE * max_wallet_bytes + _BODY_ALLOWANCE, decoded)


class OnAnswer(Protocol):
    """Is told of every answer."""

    def __call__(self, *, method: str, route: str, status: int, code: str, seconds: float) -> None:
        """Note an answer. `method` and `route` are of bounded variety, `code` is that of an error, or empty."""


class Api:
    """Answers requests; every adapter hands them here. `largest_body` is in bytes; `edge` may be set anew.

    `log_failed_logins`: whether wrong passwords are logged with the client's address; it may be set anew, too.
    `may_wait`: whether `holder_of` may wait for the database, as other methods do anyway.
    """

    def __init__(
        self,
        services: Services,
        edge: Edge | None = None,
        on_answer: OnAnswer | None = None,
        *,
        log_failed_logins: bool = False,
    ) -> None:
        self._services = services
        self._on_answer = on_answer
        self.edge = edge or Edge()
        self.log_failed_logins = log_failed_logins
        self._table = Table(ROUTES)
        self._with_wallet = body_limit(services.about.description.limits.encrypted_wallet_bytes)
        self.largest_body = self._with_wallet.raw
        self.may_wait = services.may_wait

    @property
    def trusts_proxies(self) -> bool:
        """Whether any proxy is trusted to say where requests come from."""
        return self.edge.proxies.are_any

    def answer(self, request: Request) -> Response:
        """Return the answer to any request, and log that it came. Never raises."""
        return run_blocking(self.answering(request))

    def answering(self, request: Request) -> GeneratorCoroutine[Response]:
        """Do what `answer` does without holding the thread while the disk works."""
        started = time.perf_counter()
        request_id = self.edge.request_id_of(request)
        if request.method not in METHODS:  # the parser of the front door knows some more, and no others
            return self._completed(request, errors.unreadable(400), None, 0.0, request_id)
        match = self._table.find(request.path)
        response = yield from self._answer(match, request, request_id)
        return self._completed(request, response, match, time.perf_counter() - started, request_id)

    def _completed(
        self, request: Request, response: Response, match: Match | None, seconds: float, request_id: str
    ) -> Response:
        """Log and count the answer, and return it with the headers that every answer has besides."""
        # Both are the client's words, so only those that this server knows are repeated.
        method = request.method if request.method in METHODS else "other"
        route = match.template if match else "none"
        status, code = response.status, response.code
        logs.request(method=method, route=route, status=status, code=code, seconds=seconds, request_id=request_id)
        if self.log_failed_logins and code == ErrorCode.WRONG_CREDENTIALS:
            logs.login_failed(self.edge.proxies.address_of(request), request_id)
        if self._on_answer is not None:
            self._on_answer(method=method, route=route, status=status, code=code, seconds=seconds)
        response.headers = {**response.headers, **self.edge.headers_for(request), "X-Request-Id": request_id}
        if request.method == "HEAD":
            response.body = b""
        return response

    def is_quick(self, request: Request) -> bool:
        """Say whether `answering` a request holds nobody up, wherever that goes on; see `Route.quick`."""
        match = self._table.find(request.path)
        return match is not None and (request.method, match.template) in QUICK

    def unreadable(self, status: int) -> Response:
        """Return the answer to what never became a `Request`, with the adapter's own status, and log it."""
        nothing = Request(method="", path="")
        return self._completed(nothing, errors.unreadable(status), None, 0.0, self.edge.request_id_of(nothing))

    def network_of(self, request: Request) -> str:
        """Return the network that shares with nobody what the server gives to each, as far as it is known."""
        return neighbourhood_of(self.edge.proxies.client_of(request))

    def holder_of(self, request: Request) -> Holder:
        """Return who is to answer for the memory that a request takes, asked before its body is read.

        The account is that of the live token in the `Authorization` header. Where the database cannot tell, there is
        none.
        """
        try:
            account = self._services.tokens.account_of(token_in_header(request))
        except Unavailable:
            account = None
        return Holder(self.network_of(request), account)

    def limit_of(self, request: Request) -> BodyLimit:
        """Return the limit of the request's body, asked before that is read."""
        return self._with_wallet if (request.method, request.path) in WITH_WALLET else WITHOUT_WALLET

    def _answer(self, match: Match | None, request: Request, request_id: str) -> GeneratorCoroutine[Response]:
        if match is None:
            return errors.not_found()
        handler = match.methods.get(request.method)
        if handler is None:
            return self.edge.preflight(request, match.methods) or errors.method_not_allowed(match.methods)
        try:
            if request.refusal is not None:
                raise request.refusal
            if request.body and not self.limit_of(request).allows(request.body):
                raise TooLarge
            request.argument, request.client = match.argument, self.edge.proxies.client_of(request)
            if self.may_wait and (request.method, request.path) in ASKING:
                yield WAITING
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
