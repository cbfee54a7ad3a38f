"""Requests byte by byte, as no client library sends them."""

import re
import socket
from typing import NoReturn

from tests.server.front import Front
from tests.server.helpers import connect

LIMIT = 100_000
HOST = b"Host: x\r\n"
BEHIND = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
"""A request that nobody sent, if the one before it is misunderstood."""


def exchange(front: Front, sent: bytes) -> bytes:
    """Send exactly these bytes and nothing more; return all that comes until the server closes the connection."""
    with connect(front.url) as client, client.makefile("rb") as received:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        return received.read()


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", answers)]


def is_open(front: Front, client: socket.socket) -> bool:
    """Say whether the server has not closed the connection; nothing else comes over it."""
    client.settimeout(0.01)
    try:
        return client.recv(1) != b""
    except TimeoutError:
        return True
    except OSError:
        return False


def chunked(body: bytes) -> bytes:
    return b"POST /wallet HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + body


def post(headers: bytes, body: bytes = b"{}ab", version: bytes = b"1.1") -> bytes:
    return b"POST /wallet HTTP/" + version + b"\r\n" + HOST + headers + b"\r\n" + body


def first_status(client: socket.socket) -> int:
    client.settimeout(20)
    return int(client.recv(12).split()[1])


def send_for_ever(client: socket.socket, data: bytes) -> NoReturn:
    while True:
        client.sendall(data)
