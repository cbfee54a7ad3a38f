"""What passes between a notebook and its server is written down, and nothing about it changes."""

import json
import socket
from pathlib import Path

import pytest
import requests

from tests.docs.trees import Oracle, code, notebook
from tools.docs.records import calls_in, record
from tools.docs.relay import Call, Relay


def test_each_call_is_written_down_where_it_was_made(oracle: Oracle) -> None:
    """In order, with the place that was current; on one connection or on several."""
    place = "first"
    with Relay(f"{oracle.url}/below", lambda: place) as relay:
        answers = [requests.get(f"{relay.url}/a?b", timeout=30).content]
        place = "second"
        answers.append(requests.get(f"{relay.url}/c", timeout=30).content)
        calls = relay.calls()
    assert [(call.place, call.method, call.target, call.status) for call in calls] == [
        ("first", "GET", "/below/a?b", 200),
        ("second", "GET", "/below/c", 200),
    ]
    assert [call.answer for call in calls] == answers


def test_what_is_no_http_passes_and_is_no_call() -> None:
    """Both ways, as after an upgrade to a WebSocket; what was asked before that is written down."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Relay(f"http://127.0.0.1:{listener.getsockname()[1]}", lambda: "") as relay,
    ):
        host, port = relay.server_address[:2]
        with socket.create_connection((str(host), int(port))) as client:
            server, _ = listener.accept()
            with server:
                client.sendall(b"GET /live HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
                assert server.recv(1000).startswith(b"GET /live")
                server.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
                assert client.recv(1000).startswith(b"HTTP/1.1 101")
                for one, other in ((client, server), (server, client)):
                    one.sendall(b"\x82\xffno line\n")
                    assert other.recv(1000) == b"\x82\xffno line\n"
        (call,) = relay.calls()
    assert (call.target, call.status) == ("/live", 101)


def test_where_nothing_listens_the_client_is_told_and_nothing_is_written_down() -> None:
    """The connection ends; a call without an answer is none."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gone = listener.getsockname()[1]
    with Relay(f"http://127.0.0.1:{gone}", lambda: "") as relay:
        with pytest.raises(OSError):  # noqa: PT011 - how it ends is the system's choice
            requests.get(relay.url, timeout=30)
        assert relay.calls() == []


def test_a_record_shows_no_secret_and_masks_what_differs(tmp_path: Path) -> None:
    """It is committed. What is hidden by name, what looks like a secret all the same, and what is no text."""
    (tmp_path / "notebooks").mkdir()
    bodies = [
        b'{"email":"a@example.com","password":"one","newPassword":"two","sequence":3}',
        b'{"key":"' + b"ab" * 32 + b'"}',
        b"\xff\xfe",
        b"x" * 3000,
    ]
    answer = json.dumps({"token": "cd" * 32, "userId": 7, "expiration": "2026-12-07T04:53:25Z"}, separators=(",", ":"))
    calls = [Call(n, "ask", "POST", f"/{n}?token=t{n}", body, 200, answer.encode()) for n, body in enumerate(bodies)]
    shown = calls_in(record(tmp_path, notebook(code("ask", "1")), calls), "ask")
    assert [text.removeprefix("POST ") for text in shown[::2]] == [
        '/0?token=<hidden> {"email":"a@example.com","password":"<hidden>","newPassword":"<hidden>","sequence":3}',
        "/1 <hidden: a secret>",
        "/2?token=<hidden> <2 bytes>",
        f"/3?token=<hidden> {'x' * 2000}… <the rest: {shown[6][-13:-1]}>",
    ]
    assert set(shown[1::2]) == {'  → 200 {"token":"<hidden>","userId":<user 1>,"expiration":"<time>"}'}
