"""A client's view of the server for its tests: requests with every byte under control, through two front doors."""

import base64
import http.client
import itertools
import json
import os
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from urllib.parse import urlencode

import flask
from argon2 import PasswordHasher

from walletsync_server.services.passwords import Passwords

API = "/api/3"
PASSWORD = "derived login password"
SEED = "0123456789abcdef" * 4
UNKNOWN_TOKEN = "0" * 64
_numbers = itertools.count()


@dataclass
class Answer:
    """What came back. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of an error, after checking that it is one as PROTOCOL.md wants it."""
        assert self.headers["content-type"] == "application/json"
        assert self.headers["cache-control"] == "no-store"
        assert self.headers["x-content-type-options"] == "nosniff"
        assert len(self.json["error"]) > 20
        return str(self.json["code"])


class Wire(ABC):
    """A way to a server where everybody may sign up. `watch` sees method, target and answer of every exchange."""

    watch: Callable[[str, str, Answer], None] | None = None

    @abstractmethod
    def send(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Send exactly this."""

    def __call__(
        self,
        method: str,
        path: str,
        body: bytes | Mapping[str, Any] = b"",
        *,
        query: Mapping[str, str] | None = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        target = f"{path}?{urlencode(query)}" if query else path
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        answer = self.send(method, target, data, sent)
        if self.watch:
            self.watch(method, target, answer)
        return answer


class FlaskWire(Wire):
    """Flask's test client, in this process."""

    def __init__(self, app: flask.Flask) -> None:
        self.app = app

    def send(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> Answer:
        response = self.app.test_client().open(target, method=method, data=body, headers=headers)
        names = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, names, response.data)


class HttpWire(Wire):
    """TCP, to a real process."""

    def __init__(self, url: str) -> None:
        self.address = url.removeprefix("http://")

    def send(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            connection.request(method, target, body or None, headers)
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()


class KeepAliveWire(Wire):
    """TCP, to a real process, over one connection for as long as the server keeps it. To be closed."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> Answer:
        self._connection.request(method, target, body or None, headers)
        response = self._connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, names, response.read())


@dataclass
class FakeClock:
    """A clock that stands until it is moved: time passes, or somebody sets it. `seconds` knows only what passed."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    passed: timedelta = timedelta()

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.passed.total_seconds()

    def move(self, step: timedelta) -> None:
        self.now += step
        self.passed += step

    def set(self, step: timedelta) -> None:
        self.now += step


@dataclass
class Account:
    """An account with one device that is logged in."""

    wire: Wire
    email: str
    token: str = field(repr=False)

    def post(self, sequence: int, wallet: str = "-", hmac: str = "h", **more: Any) -> Answer:
        body = wallet_body(sequence, wallet, hmac) | more
        return self.wire("POST", f"{API}/wallet", body, token=self.token)

    def get(self, **headers: str) -> Answer:
        return self.wire("GET", f"{API}/wallet", token=self.token, headers=headers)


def connect(url: str, source: str = "") -> socket.socket:
    """Return a TCP connection to the server at `url`, from the address `source` of this machine if it matters."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=20, source_address=(source, 0))


def refuses(url: str) -> bool:
    """Say whether nobody can connect there any more."""
    try:
        connect(url).close()
    except ConnectionRefusedError:
        return True
    return False


def free_port() -> int:
    """Return a port that nobody listens on, for a program that cannot pick one itself."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def send_raw(url: str, sent: bytes) -> Answer:
    """Send exactly these bytes; return the answer, which is a JSON object."""
    with connect(url) as connection:
        connection.sendall(sent)
        received = b""
        while not received.endswith(b"}"):
            more = connection.recv(65536)
            assert more, received
            received += more
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return Answer(int(lines[0].split()[1]), headers, body)


def wallet_body(sequence: int, wallet: str = "-", hmac: str = "h") -> dict[str, Any]:
    return {"encryptedWallet": wallet, "sequence": sequence, "hmac": hmac}


def fresh_email() -> str:
    """Return an address that nobody has used before."""
    return f"user{os.getpid()}-{next(_numbers)}@example.com"


def cheap_passwords() -> Passwords:
    """Return a password hashing that costs next to nothing."""
    return Passwords(2, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def sign_up(wire: Wire, email: str, password: str = PASSWORD, **more: Any) -> Answer:
    body = {"email": email, "password": password, "clientSaltSeed": SEED} | more
    return wire("POST", f"{API}/signup", body)


def log_in(wire: Wire, email: str, password: str = PASSWORD, device: str = "laptop") -> Answer:
    body = {"email": email, "password": password, "deviceId": device}
    return wire("POST", f"{API}/auth/full", body)


def new_account(wire: Wire) -> Account:
    email = fresh_email()
    assert sign_up(wire, email).status == 201
    answer = log_in(wire, email)
    assert answer.status == 200
    return Account(wire, email, answer.json["token"])


def seed_of(wire: Wire, email: str, headers: Mapping[str, str] | None = None) -> Answer:
    encoded = base64.b64encode(email.encode()).decode()
    return wire("GET", f"{API}/client-salt-seed", query={"email": encoded}, headers=headers)


def one_of_many_is_accepted(account: Account, devices: int, rounds: int) -> None:
    """Let so many devices post different wallets with the same next sequence, so many times; one 200 each time."""
    start = threading.Barrier(devices)

    def device(number: int) -> list[tuple[int, int]]:
        seen = []
        for sequence in range(1, rounds + 1):
            start.wait(60)
            answer = account.post(sequence, f"device {number}, sequence {sequence}")
            seen.append((answer.status, answer.json["sequence"]))
        return seen

    with ThreadPoolExecutor(devices) as pool:
        seen = list(pool.map(device, range(devices)))
    for sequence, answers in enumerate(zip(*seen, strict=True), 1):
        assert sorted(answers) == [(200, sequence)] + [(409, sequence)] * (devices - 1)
    assert account.get().json["sequence"] == rounds


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until `condition` holds; fail if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.005)
