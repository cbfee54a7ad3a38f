"""Requests that the OpenAPI document allows or just forbids, in many guises, from somebody who has accounts here."""

import base64
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote, urlencode

import requests

from tests.server import described
from tests.server.helpers import PASSWORD, Account, Answer, KeepAliveWire, fresh_email, log_in, sign_up
from walletsync_server.api.dispatch import body_limit

if TYPE_CHECKING:
    from schemathesis import Case

DEVICE = "fuzzed laptop"
MAX_WALLET_BYTES = 1000
BODY_LIMIT = body_limit(MAX_WALLET_BYTES).raw
TIMES = 2
"""How often every guise is worn; making a request takes longer than sending it."""
NAMES = ["Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Content-Type", "Cookie", "Forwarded"]
NAMES += ["If-Match", "If-Modified-Since", "If-None-Match", "Origin", "Range", "Referer", "User-Agent", "X-Custom"]
NAMES += ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-HTTP-Method-Override", "X-Request-Id"]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    1.5,
    2**31,
    2**32,
    2**64,
    "",
    "0",
    "\0",
    "é",
    "😀",
    "%00",
    "../..",
    [],
    {},
]
PIECES = [b"\0", b"\xff", b'"', b"{", b"]", b"\\ud800", b"1e999", b"NaN", b"\xed\xa0\x80", b"\xef\xbb\xbf"]


Guise: TypeAlias = "Callable[[random.Random, Person, Shot], Shot]"


@dataclass(frozen=True)
class Shot:
    """One request."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path


def shot_of(case: "Case[Any]") -> Shot:
    """Return what Schemathesis generated as it goes over the wire."""
    request = requests.Request(**case.as_transport_kwargs(base_url="http://example.com")).prepare()
    path, _, query = str(request.path_url).partition("?")
    body = request.body or b""
    headers = {name: value for name, value in request.headers.items() if name not in ("Content-Length", "Connection")}
    return Shot(str(request.method), path, query, headers, body.encode() if isinstance(body, str) else body)


class Person:
    """Somebody with an account, who keeps track of it as far as the answers tell."""

    def __init__(self, wire: KeepAliveWire) -> None:
        self.wire = wire
        self.move_in()

    def move_in(self) -> None:
        """Get a new account, without a wallet."""
        self.email, self.password, self.sequence = fresh_email(), PASSWORD, 0
        assert sign_up(self.wire, self.email).status == 201
        self.log_in()

    def settle(self) -> None:
        """Have a wallet."""
        while not self.sequence:
            answer = Account(self.wire, self.email, self.token).post(1)
            self.sequence = answer.json.get("sequence", 0)
            if answer.status == 401:
                self.log_in()

    def log_in(self) -> None:
        """Get a new token, in a new account if this one is gone or its password has become another."""
        answer = log_in(self.wire, self.email, self.password, DEVICE)
        if answer.status == 200:
            self.token = answer.json["token"]
        else:
            self.move_in()

    def notice(self, shot: Shot, answer: Answer) -> None:
        """Learn from an answer to a request that was made with this account."""
        if answer.status == 200 and shot.path.endswith("/password"):
            changed = json.loads(shot.body)
            self.password, self.sequence = changed["newPassword"], changed.get("sequence", 0)
            self.log_in()
        elif answer.status == 200 and shot.path.endswith("/auth/full"):
            self.token = answer.json["token"]
        elif answer.status in (200, 409) and shot.path.endswith("/wallet") and shot.method == "POST":
            self.sequence = answer.json.get("sequence", 0)
        elif answer.status == 204 or (answer.status == 401 and self._is_out(shot, answer)):
            self.log_in()
        elif answer.status == 403:  # too many devices
            self.move_in()

    def _is_out(self, shot: Shot, answer: Answer) -> bool:
        """Return whether the token is void by now."""
        sent_it = self.token in shot.headers.get("Authorization", "")
        return sent_it and (shot.method == "HEAD" or answer.code == "unauthorized")


class Fuzzer:
    """Sends shots in guises, and holds the answers against the document. `seen` counts operation, status and code."""

    def __init__(self, wire: KeepAliveWire, seed: int) -> None:
        self.random = random.Random(seed)
        self.wire = wire
        self.sent = 0
        self.seen: Counter[tuple[str, int, str]] = Counter()
        self._people = [Person(wire), Person(wire)]
        self._newcomer = Person(wire)

    def fire(self, shot: Shot) -> None:
        """Send a request as it is, and in guises as somebody might who knows this server."""
        self._send(shot)
        for guise in self.random.sample(GUISES * TIMES, len(GUISES) * TIMES):
            person = self.random.choice(self._people)
            dressed = guise(self.random, person, shot)
            person.notice(dressed, self._send(dressed))
        settled = self.random.choice(self._people)
        settled.settle()
        if self._newcomer.sequence:
            self._newcomer.move_in()
        for person in (settled, self._newcomer):
            for shape in (*mistaken(person, shot), with_token(person, known_to(person, example_for(shot)))):
                person.notice(shape, self._send(shape))

    def _send(self, shot: Shot) -> Answer:
        self.sent += 1
        try:
            answer = self.wire.send(shot.method, shot.target, shot.body, dict(shot.headers))
            assert answer.status < 500, answer
            described.check(shot.method, shot.target, answer)
        except Exception as error:
            error.add_note(f"request {self.sent}: {shot}")
            raise
        operation = described.operation(shot.method, shot.target)
        if operation and shot.method != "HEAD":
            is_error = answer.status >= 400 and answer.headers["content-type"] == "application/json"
            self.seen[operation["operationId"], answer.status, answer.code if is_error else ""] += 1
        return answer


def known_to(person: Person, shot: Shot) -> Shot:
    """Say truly what the server knows of a person: the address, the password, the device, the next sequence."""
    truth: dict[str, Any] = {
        "email": person.email,
        "password": person.password,
        "oldPassword": person.password,
        "newPassword": person.password[::-1],
        "deviceId": DEVICE,
        "sequence": person.sequence + 1,
        "token": person.token,
        "version": 1,
    }
    start, brace, name = described.template(shot.path).partition("{")
    path = start + quote(str(truth[name[:-1]]), safe="") if brace else shot.path
    if "/wallet/history/" in path:
        path = f"{start}{max(1, person.sequence)}"
    query = shot.query
    if path.endswith("/client-salt-seed"):
        query = urlencode({"email": base64.encodebytes(person.email.encode())})
    fields = fields_of(shot)
    if fields is None:
        return replace(shot, path=path, query=query)
    fields = fields | {name: value for name, value in truth.items() if name in fields}
    return replace(shot, path=path, query=query, body=json.dumps(fields).encode())


def fields_of(shot: Shot) -> dict[str, Any] | None:
    """Return the JSON object in the body, None if it is none."""
    try:
        found = json.loads(shot.body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def example_for(shot: Shot) -> Shot:
    """Return the request with a body that fits the document."""
    operation = described.operation(shot.method, shot.target)
    if operation is None or "requestBody" not in operation:
        return shot
    name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    return replace(shot, body=json.dumps(described.DOCUMENT["components"]["schemas"][name]["examples"][0]).encode())


def with_token(person: Person, shot: Shot) -> Shot:
    return replace(shot, headers=dict(shot.headers) | {"Authorization": f"Bearer {person.token}"})


def mistaken(person: Person, shot: Shot) -> list[Shot]:
    """Return the requests of clients that go by old news about the wallet, or are wrong about a limit or password."""
    right = with_token(person, known_to(person, example_for(shot)))
    fields = fields_of(right) or {}
    wallet = {"encryptedWallet", "sequence", "hmac", "version"} & set(fields)
    passwords = {"password", "oldPassword"} & set(fields)
    mistakes: list[dict[str, Any]] = []
    if wallet:
        mistakes += [{"sequence": person.sequence + 2}, {"sequence": max(1, person.sequence)}, {"version": 2}]
        mistakes.append({"encryptedWallet": "x" * (MAX_WALLET_BYTES + 1)})
    if passwords:
        mistakes.append(dict.fromkeys(passwords, "a wrong guess"))
    if wallet and passwords:
        mistakes.append(dict.fromkeys(wallet))
    if not fields:
        no_sequence = right.path.rpartition("/")[0] + "/0"
        return [replace(right, headers=dict(right.headers) | {"If-None-Match": "*"}), replace(right, path=no_sequence)]
    bodies = [{name: value for name, value in (fields | each).items() if value is not None} for each in mistakes]
    return [replace(right, body=json.dumps(body).encode()) for body in bodies]


# Guises. Each takes the randomness, a person, and the shot as it was generated.


def logged_in(randomness: random.Random, person: Person, shot: Shot) -> Shot:
    return with_token(person, shot)


def insider(randomness: random.Random, person: Person, shot: Shot) -> Shot:
    return with_token(person, known_to(person, shot))


def client(randomness: random.Random, person: Person, shot: Shot) -> Shot:
    """A request that fits the document in every part, but for the query that was generated."""
    return with_token(person, known_to(person, example_for(shot)))


def client_with_odd_field(randomness: random.Random, person: Person, shot: Shot) -> Shot:
    dressed = client(randomness, person, shot)
    fields = fields_of(dressed) or {}
    name = randomness.choice([*fields, "more"])
    body = json.dumps(fields | {name: randomness.choice(VALUES)}, ensure_ascii=randomness.random() < 0.5)
    return replace(dressed, body=body.encode())


def client_without_field(randomness: random.Random, person: Person, shot: Shot) -> Shot:
    dressed = client(randomness, person, shot)
    fields = fields_of(dressed) or {}
    kept = {name: value for name, value in fields.items() if randomness.random() < 0.7}
    return replace(dressed, body=json.dumps(kept).encode())


def token_elsewhere(randomness: random.Random, person: Person, shot: Shot) -> Shot:
    """The token in the query, as existing clients send it, twice or cut short at times."""
    dressed = known_to(person, example_for(shot))
    tokens = [person.token, person.token[: randomness.randint(0, 64)]]
    randomness.shuffle(tokens)
    query = urlencode([("token", token) for token in tokens[: randomness.randint(1, 2)]])
    return replace(dressed, query="&".join(filter(None, [query, dressed.query])))


def damaged(randomness: random.Random, person: Person, shot: Shot) -> Shot:
    """A body with bytes lost or put in."""
    dressed = client(randomness, person, shot)
    body = bytearray(dressed.body)
    for _ in range(randomness.randint(1, 3)):
        start = randomness.randint(0, len(body))
        body[start : start + randomness.randint(0, 3)] = randomness.choice([b"", *PIECES])
    return replace(dressed, body=bytes(body))


def too_large(randomness: random.Random, person: Person, shot: Shot) -> Shot:
    """A body over every limit."""
    return replace(client(randomness, person, shot), body=b" " * (BODY_LIMIT + 1))


def odd_headers(randomness: random.Random, person: Person, shot: Shot) -> Shot:
    dressed = insider(randomness, person, shot)
    names = randomness.sample(NAMES, 3)
    values = {name: odd_text(randomness, "latin-1") for name in names}
    return replace(dressed, headers=dict(dressed.headers) | values)


def odd_query(randomness: random.Random, person: Person, shot: Shot) -> Shot:
    dressed = insider(randomness, person, shot)
    names = ["email", "token", "verifyToken", odd_text(randomness, "utf-8")]
    pairs = [(randomness.choice(names), odd_text(randomness, "utf-8")) for _ in range(randomness.randint(1, 4))]
    return replace(
        dressed, query=urlencode(pairs) if randomness.random() < 0.7 else quote(odd_text(randomness, "utf-8"))
    )


def odd_path(randomness: random.Random, person: Person, shot: Shot) -> Shot:
    """A path with something put in, twice, or lost."""
    dressed = insider(randomness, person, shot)
    parts = dressed.path.split("/")
    place = randomness.randrange(1, len(parts))
    parts[place : place + randomness.randint(0, 1)] = randomness.choice(
        [[], ["."], [".."], ["%2e%2e"], ["%00"], ["%ff"], [quote(odd_text(randomness, "utf-8"))]]
    )
    return replace(dressed, path="/" + "/".join(parts[1:]).lstrip("/"))


def odd_method(randomness: random.Random, person: Person, shot: Shot) -> Shot:
    return replace(insider(randomness, person, shot), method=randomness.choice(METHODS))


GUISES: list[Guise] = [
    logged_in,
    insider,
    client,
    client_with_odd_field,
    client_without_field,
    token_elsewhere,
    damaged,
    too_large,
    odd_headers,
    odd_query,
    odd_path,
    odd_method,
]


def odd_text(randomness: random.Random, encoding: str) -> str:
    """Return a text that fits the encoding and a header's value."""
    ranges = [(0x20, 0x7E), (0x20, 0x7E), (0xA0, 0xFF)]
    ranges += [] if encoding == "latin-1" else [(0x00, 0x1F), (0x100, 0xD7FF), (0xE000, 0x10FFFF)]
    length = randomness.choice([0, 1, 2, 5, 20, 200])
    return "".join(chr(randomness.randint(*randomness.choice(ranges))) for _ in range(length)).strip(" ")
