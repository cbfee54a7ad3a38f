"""The front door for production, an ASGI application: WebSockets and the hot routes natively, the rest through Flask.

All of it ends in the same `Api`, so it and Flask alone answer alike. Bodies are read here, for both, before
anything else happens: so a thread of Flask never waits for a client, and one place knows how much memory they take.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, cast
from wsgiref.types import WSGIApplication

from a2wsgi import WSGIMiddleware

from walletsync_server.api.dispatch import Api
from walletsync_server.api.http import Request, Response
from walletsync_server.asgi.at_once import by_name, has_body
from walletsync_server.asgi.body_budget import (
    CUT,
    FREE,
    ROOMLESS,
    SMALL,
    BodyBudgets,
    ClientDisconnected,
    HeldBodies,
)
from walletsync_server.asgi.event_loop import run_on_loop
from walletsync_server.asgi.exchange import Begun
from walletsync_server.asgi.holders import HolderOf
from walletsync_server.asgi.rooms import Place, Places
from walletsync_server.asgi.websockets import WebSocket, WebSockets
from walletsync_server.observe import logs
from walletsync_server.services.coroutines import LARGE, WAITING, GeneratorCoroutine, ended, going_on
from walletsync_server.services.errors import Overloaded, ServiceError

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

THREADS = 16
"""How many requests Flask answers at once, beside those that hash a password or wait to."""
PLACES = 2048
"""How many requests may be in work at once, beyond those that are answered from memory."""
PLACES_SHARE = 128
"""How many of these one network may have."""
WAITERS = 32
"""How many requests may wait for a database that is another program."""
SLACK = 1024 * 1024
"""Bytes that a body may be over the limit and still be read to its end, so that its sender gets to see the answer."""


class FrontDoor:
    """Answers by `api`, directly or through `app`, which is Flask with the same `api` behind it.

    Args:
        api: see there.
        app: see there.
        hashing: how many requests may hash a password or wait to; they leave threads for the others.
        memory: bytes for the bodies of requests and answers.
    """

    def __init__(self, api: Api, app: WSGIApplication, *, hashing: int, memory: int) -> None:
        self._api = api
        self._flask: Any = WSGIMiddleware(cast(Any, app), workers=THREADS + hashing)
        # Reading a large wallet or its JSON takes milliseconds, for which the event loop must not stand still. A second
        # thread would do no more: both compute most of the time, and the event loop waits for each that does.
        self._large = ThreadPoolExecutor(1, "large-wallets")
        # What may wait for the database has threads, since the event loop must not wait.
        self._waiting = ThreadPoolExecutor(WAITERS, "waiting") if api.may_wait else self._large
        self._threads = {LARGE: self._large, WAITING: self._waiting}
        self.budgets = BodyBudgets(memory, api.largest_body)
        self.places = Places(PLACES, PLACES_SHARE)
        self.websockets = WebSockets()
        self.discards_up_to = api.largest_body + SLACK
        self.unreadable = api.unreadable

    @property
    def trusts_proxies(self) -> bool:
        """Whether a request's network is known only once its head is there."""
        return self._api.trusts_proxies

    def network_of(self, request: Request) -> str:
        """Return the network that a request comes from, of which perhaps only the head is there."""
        return self._api.network_of(request)

    def answer_at_once(self, request: Request, cut: Callable[[], object]) -> Response | Begun:
        """Answer a quick request that has no body, as far as nothing has to wait for that; else it needs a place.

        What an answer needs beyond what is free is held from here on: all of those that are made in one turn of the
        loop count before any of them is sent.

        Args:
            request: see there.
            cut: ends its connection at once.
        """
        answering = self._api.answering(request)
        try:
            awaited = next(answering)
        except StopIteration as end:
            response: Response = end.value
            if len(response.body) <= ROOMLESS:
                return response
            return self._begun(ended(response), request, cut)
        begun = self._begun(going_on(awaited, answering), request, cut)
        try:
            begun.enter(b"", self._api.network_of(request))
        except Overloaded as error:
            answering.close()
            request.refusal = error
            return self.answer_at_once(request, cut)
        return begun

    def begin(self, request: Request, cut: Callable[[], object]) -> Begun:
        """Begin to work on a quick request whose small body is there; `cut` is as above."""
        begun = self._begun(self._api.answering(request), request, cut)
        try:
            begun.enter(request.body, self._api.network_of(request))
        except Overloaded as error:
            request.refusal = error
        return begun

    def _begun(self, answering: GeneratorCoroutine[Response], request: Request, cut: Callable[[], object]) -> Begun:
        holder = self._holder_of(request)
        bodies, place = HeldBodies(self.budgets, holder, cut), Place(self.places)
        return Begun(answering, bodies, place, holder, self._threads, self._no_room)

    def _no_room(self) -> Response:
        return self._api.unreadable(503)

    def _holder_of(self, request: Request) -> HolderOf:
        return HolderOf(self._api, request, self._waiting)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or serve a WebSocket, as ASGI wants it."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            raise NotImplementedError("This application has no lifespan.")

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        extensions = scope.get("extensions", {})
        request, cut = _request(scope), extensions.get(CUT, _nothing)
        holder = self._holder_of(request)
        with HeldBodies(self.budgets, holder, cut) as bodies, Place(self.places) as place:
            answer = _Answer(self._api, bodies, place, holder, send)
            is_quick = self._api.is_quick(request)
            try:
                if has_body(request):
                    await holder.find_out_for(_announced(request))
                    body = await bodies.read(receive, self._api.limit_of(request), _announced(request))
                    request = replace(request, body=body)
                place.take(self._api.network_of(request))
            except ClientDisconnected:
                return
            except ServiceError as error:
                request = replace(request, refusal=error)
            if is_quick or request.refusal:
                await self._answer(request, answer.send)
            else:
                await self._through_flask(scope, request, answer)

    async def _answer(self, request: Request, send: Send) -> None:
        if len(request.body) > SMALL:
            loop = asyncio.get_running_loop()
            response = await loop.run_in_executor(self._large, self._api.answer, request)
        else:
            response = await run_on_loop(self._api.answering(request), self._threads)
        headers = _raw(response.headers.items())
        if request.refusal is not None and (_announced(request) or 0) > self.discards_up_to:
            headers.append((b"connection", b"close"))
        await _respond(send, "http.response", response, headers)

    async def _through_flask(self, scope: Scope, request: Request, answer: "_Answer") -> None:
        async def receive_read() -> dict[str, object]:
            return {"type": "http.request", "body": request.body, "more_body": False}

        length = b"%d" % len(request.body)
        headers = [each for each in scope["headers"] if each[0] not in (b"content-length", b"transfer-encoding")]
        try:
            await self._flask({**scope, "headers": [*headers, (b"content-length", length)]}, receive_read, answer.send)
        except Exception as error:  # noqa: BLE001 - the last resort, as in `Api`
            logs.unexpected(error)
            if not answer.has_begun:
                await answer.refuse(500)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # the event that says that there is a client
        socket = WebSocket(send)
        request = replace(_request(scope), wake=socket.wake)
        with Place(self.places) as place:
            try:
                place.take(self._api.network_of(request))
            except Overloaded as error:
                request.refusal = error
            response = await run_on_loop(self._api.answering(request), self._threads)
        subscription = response.subscription
        if subscription is None:
            await _respond(send, "websocket.http.response", response, _raw(response.headers.items()))
            return
        del response
        try:
            await self.websockets.run(socket, subscription.listener, subscription.seconds, receive)
        finally:
            subscription.leave()


class _Answer:
    """An answer on its way: held until its client has read nearly all of it, or 503 where there is no room for it.

    `place` is what the request has among those in work; once the answer is there it is left.
    """

    def __init__(self, api: Api, bodies: HeldBodies, place: Place, holder: HolderOf, send: Send) -> None:
        self._api = api
        self._bodies = bodies
        self._place = place
        self._holder = holder
        self._send = send
        self._start: Any = None
        self._is_refused = False
        self.has_begun = False

    async def send(self, message: Any) -> None:
        """Send a part of it, as ASGI wants it; the beginning together with the body, or the first part of that."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        if not self.has_begun:
            self._place.leave()
            await self._holder.find_out_for(len(message["body"]) - FREE)
            try:
                self._bodies.hold_answer(len(message["body"]))
            except Overloaded:
                await self.refuse(503)
                self._is_refused = True
            else:
                self.has_begun = True
                await self._send(self._start)
        if self._is_refused:
            return
        if len(message["body"]) > FREE and not message["more_body"]:
            await self._send({**message, "more_body": True})
            message = {**message, "body": b""}  # sending waits while too much of what was sent is not read
        await self._send(message)

    async def refuse(self, status: int) -> None:
        """Send an error instead of it."""
        self.has_begun = True
        response = self._api.unreadable(status)
        await _respond(self._send, "http.response", response, _raw(response.headers.items()))


def _request(scope: Scope) -> Request:
    """Return the request without its body."""
    return Request(
        method=scope.get("method", "GET"),
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers=by_name(scope["headers"]),
        peer=_peer(scope),
    )


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _nothing() -> None:
    """Cut nothing: this server offers no way to."""


def _announced(request: Request) -> int | None:
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else None


def _raw(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


async def _respond(send: Send, kind: str, response: Response, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": f"{kind}.start", "status": response.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": response.body, "more_body": False})
