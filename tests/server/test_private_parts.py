"""What the server uses of its dependencies beyond what they document: a release that changes it fails here, by name.

Each bound in `server/pyproject.toml` ends at the next release that nobody has tried. To lift it, run this and
`test_arrival`, `test_serving` and `test_websocket`, which try what these parts do.
"""

import asyncio
import inspect
from collections import deque
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
import uvicorn
import wsproto
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from uvicorn.server import ServerState
from wsproto.connection import Connection

CALLBACKS: list[tuple[type, str, str]] = [
    # asgi/http_protocol.py
    (HttpToolsProtocol, "__init__", "self, config, server_state, app_state, _loop"),
    (HttpToolsProtocol, "connection_made", "self, transport"),
    (HttpToolsProtocol, "connection_lost", "self, exc"),
    (HttpToolsProtocol, "data_received", "self, data"),
    (HttpToolsProtocol, "eof_received", "self"),
    (HttpToolsProtocol, "on_message_begin", "self"),
    (HttpToolsProtocol, "on_url", "self, url"),
    (HttpToolsProtocol, "on_header", "self, name, value"),
    (HttpToolsProtocol, "on_headers_complete", "self"),
    (HttpToolsProtocol, "on_body", "self, body"),
    (HttpToolsProtocol, "on_message_complete", "self"),
    (HttpToolsProtocol, "on_response_complete", "self"),
    (HttpToolsProtocol, "send_400_response", "self, msg"),
    (HttpToolsProtocol, "_start_asgi_task", "self, cycle, app"),
    (HttpToolsProtocol, "_should_upgrade", "self"),
    (HttpToolsProtocol, "handle_websocket_upgrade", "self"),
    (HttpToolsProtocol, "shutdown", "self"),
    # asgi/websocket_protocol.py
    (WSProtocol, "__init__", "self, config, server_state, app_state, _loop"),
    (WSProtocol, "handle_ping", "self, event"),
    (WSProtocol, "send", "async self, message"),
    (Connection, "send", "self, event"),
    (Connection, "receive_data", "self, data"),
    (Connection, "events", "self"),
    # asgi/server.py
    (uvicorn.Server, "capture_signals", "self"),
    (uvicorn.Server, "startup", "async self, sockets"),
    (uvicorn.Server, "main_loop", "async self"),
    (uvicorn.Server, "on_tick", "async self, counter"),
    (uvicorn.Server, "shutdown", "async self, sockets"),
]
"""Methods that ours override, or that take the place of others: the names of their parameters, in order."""

ATTRIBUTES = {
    "HttpToolsProtocol": {
        *("app", "loop", "parser", "transport", "connections", "flow"),
        *("url", "headers", "cycle", "pipeline"),
        *("client", "server_state", "timeout_keep_alive"),
    },
    "RequestResponseCycle": {
        *("response_started", "response_complete", "more_body"),
        *("keep_alive", "disconnected", "message_event", "transport"),
    },
    "WSProtocol": {"transport", "writable", "close_sent", "close_timeout", "handshake_complete", "conn"},
    "Server": {"server_state"},
    "ServerState": {"connections", "default_headers"},
    "WSConnection": {"connection", "state"},
    "Connection": {"state"},
}
"""What ours read or set, by class."""


def told(owner: type, what: str) -> str:
    package = owner.__module__.partition(".")[0]
    return f"{package} {version(package)}: {owner.__qualname__} {what}; `server/walletsync_server/asgi/` relies on it."


@pytest.mark.parametrize(("owner", "name", "expected"), CALLBACKS, ids=[f"{o.__name__}.{n}" for o, n, _ in CALLBACKS])
def test_method_is_what_ours_overrides(owner: type, name: str, expected: str) -> None:
    """It is there, with these parameters."""
    method = getattr(owner, name, None)
    assert method is not None, told(owner, f"has no method {name} any more")
    found = ", ".join(inspect.signature(method).parameters)
    found = f"async {found}" if inspect.iscoroutinefunction(method) else found
    assert found == expected, told(owner, f"has {name}({found}), not {name}({expected})")


@pytest.fixture
def objects() -> Iterator[dict[str, Any]]:
    """An object of each class, as it is before the first request."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Answer nothing."""

    config = uvicorn.Config(app, http=HttpToolsProtocol, ws=WSProtocol, lifespan="off", log_config=None)
    loop = asyncio.new_event_loop()
    state = ServerState()
    http = HttpToolsProtocol(config, state, {}, _loop=loop)
    http.on_message_begin()
    cycle: Any = RequestResponseCycle
    nothing = dict.fromkeys([*inspect.signature(cycle).parameters])
    found = [
        http,
        cycle(**nothing),
        WSProtocol(config, state, {}, _loop=loop),
        uvicorn.Server(config),
        state,
        wsproto.WSConnection(wsproto.ConnectionType.SERVER),
        Connection(wsproto.ConnectionType.SERVER),
    ]
    yield {type(each).__name__: each for each in found}
    loop.close()


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attribute_is_where_ours_looks(objects: dict[str, Any], name: str) -> None:
    """It is there from the beginning."""
    missing = {each for each in ATTRIBUTES[name] if not hasattr(objects[name], each)}
    assert not missing, told(type(objects[name]), f"has no {', '.join(sorted(missing))} any more")


def test_kinds_of_what_is_shared(objects: dict[str, Any]) -> None:
    """Waiting requests are a deque, connections a set; a status has its line; a client that is gone is an OSError."""
    assert isinstance(objects["HttpToolsProtocol"].pipeline, deque)
    assert isinstance(objects["ServerState"].connections, set)
    assert objects["HttpToolsProtocol"].connections is objects["ServerState"].connections
    assert [STATUS_LINE[status][:13] for status in (400, 414, 431, 503)] == [
        *(b"HTTP/1.1 400 ", b"HTTP/1.1 414 ", b"HTTP/1.1 431 ", b"HTTP/1.1 503 "),
    ]
    assert issubclass(ClientDisconnected, OSError)
