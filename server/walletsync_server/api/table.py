"""What a row of the route table says, for the dispatcher and for the document alike, and how a path finds its row."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from walletsync.protocol import Message
from walletsync_server.api.bodies import decode
from walletsync_server.api.errors import Fault
from walletsync_server.api.http import Request, Response
from walletsync_server.services import Services
from walletsync_server.services.coroutines import GeneratorCoroutine
from walletsync_server.services.errors import (
    BadRequest,
    Overloaded,
    ServiceError,
    TooLarge,
    Unauthorized,
    UnsupportedVersion,
)

M = TypeVar("M", bound=Message)
Handler = Callable[[Services, Request], Response | GeneratorCoroutine[Response]]

PAGE = "text/html; charset=utf-8"
"""The content of an answer that is a page."""


@dataclass(frozen=True)
class Reads(Generic[M]):
    """A handler that gets the body as a message; a body that is none never reaches it."""

    message: type[M]
    handler: Callable[[Services, Request, M], Response | GeneratorCoroutine[Response]]

    def __call__(self, services: Services, request: Request) -> Response | GeneratorCoroutine[Response]:
        """Answer the request.

        Raises:
            BadRequest: if the body is not exactly this message.
            UnsupportedVersion: if the message has a version, and this is another one.
        """
        return self.handler(services, request, decode(request.body, self.message))


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """Something that a request says outside of its body. `kind` is its type, as msgspec reads it."""

    name: str
    place: Literal["path", "query", "header"]
    kind: Any = str
    says: str
    required: bool = False
    example: str | int


@dataclass(frozen=True)
class Answer:
    """An answer that is no error.

    Attributes:
        says: a sentence.
        content: the type of its JSON body, or a media type such as `PAGE`, or None if it has no body.
        headers: name → sentence, of those that it always has and that mean something here.
    """

    says: str
    content: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Route:
    """One row of the table: what answers `method` on `path` below each of `prefixes`.

    Attributes:
        path: may end in a name in braces, which stands for all that follows, at least one character. The handler finds
            it in `Request.argument`.
        quick: whether it takes microseconds but for the futures that it waits for, and for what it says must run in
            another place, so that it may run in a thread that must not stand still: an event loop's.
        summary: a sentence for the document.
        answers: status → what it means, all that are no error.
        needs_token: whether the handler asks for a live token, in the header, or in the query or body.
        refusals: what the services refuse, beyond what follows from the rest of the row (see `all_refusals`).
    """

    method: str
    path: str
    handler: Handler
    prefixes: Iterable[str]
    summary: str
    answers: Mapping[int, Answer]
    parameters: tuple[Parameter, ...] = ()
    needs_token: bool = False
    quick: bool = False
    refusals: tuple[type[ServiceError], ...] = ()

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that it answers: every GET is a HEAD, too."""
        return ("GET", "HEAD") if self.method == "GET" else (self.method,)

    @property
    def message(self) -> type[Message] | None:
        """The type of the body, None if the handler reads none."""
        return self.handler.message if isinstance(self.handler, Reads) else None

    @property
    def reads_wallet(self) -> bool:
        """Whether the body may have a wallet in it."""
        return self.message is not None and "encrypted_wallet" in self.message.__struct_fields__

    @property
    def name(self) -> str:
        """The handler's name."""
        function = self.handler.handler if isinstance(self.handler, Reads) else self.handler
        return function.__name__

    @property
    def all_refusals(self) -> tuple[type[ServiceError], ...]:
        """Everything that may be refused here: `refusals`, and what follows from the rest of the row."""
        implied: list[type[ServiceError]] = [TooLarge, Overloaded]  # bodies are measured first, whoever reads them
        wanting = self.message or any(each.required and each.place != "path" for each in self.parameters)
        if wanting and 400 not in self.answers:
            implied.append(BadRequest)
        if self.message and "version" in self.message.__struct_fields__:
            implied.append(UnsupportedVersion)
        if self.needs_token:
            implied.append(Unauthorized)
        return tuple(dict.fromkeys([*implied, *self.refusals, Fault]))


@dataclass(frozen=True)
class Match:
    """Where a path leads. `template` is the path as the table has it, safe to log."""

    template: str
    methods: Mapping[str, Handler]
    argument: str = field(default="", repr=False)


class Table:
    """Finds the rows of a path."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._methods: dict[str, dict[str, Handler]] = {}
        for route in routes:
            for prefix in route.prefixes:
                methods = self._methods.setdefault(prefix + route.path, {})
                methods.update(dict.fromkeys(route.methods, route.handler))
        self._closed = {path: Match(path, methods) for path, methods in self._methods.items() if "{" not in path}
        self._open = {path.partition("{")[0]: path for path in self._methods if "{" in path}

    def find(self, path: str) -> Match | None:
        """Return where `path` leads, None if nowhere. A path without a name in braces goes first."""
        match = self._closed.get(path)
        if match is not None:
            return match
        for start, template in self._open.items():
            if path.startswith(start) and path != start:
                return Match(template, self._methods[template], path.removeprefix(start))
        return None
