"""What is sent to each kind of server: a read, a read of what is known already, a write, a write that comes too late.

Every connection has accounts of its own, so that its writes are accepted; what was accepted is looked up afterwards.
"""

import base64
import http.client
import itertools
import json
import random
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from typing_extensions import override

from bench import people
from bench.load import Next, Request, UnexpectedStatus, characters, wallet

MIX = {"etag": 95.0, "get": 2.0, "post": 2.5, "conflict": 0.5}
"""A day in percent: a device that watches asks 1,440 times, and on a busy day 50 versions are written and read."""
_ETAG = re.compile(rb'\r\netag: *("[^"]*")', re.IGNORECASE)


class Lost(RuntimeError):
    """A write that was acknowledged is not there."""


class Traffic(Protocol):
    """Requests to a server in which there are accounts with numbers from 0 on; `kinds` are those that it can answer."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names for `following`."""

    def prepare(self, port: int, count: int) -> None:
        """Get ready for accounts below `count`."""

    def following(self, kind: str, mine: Sequence[int]) -> Next:
        """Return what makes requests of a kind, of the accounts `mine` one after the other."""

    def check(self, port: int) -> int:
        """Look up what was accepted; return how many writes these were.

        Raises:
            Lost: if one of them is not there.
        """


class Anything:
    """For the floors, which look at no request."""

    kinds = ("get",)

    def prepare(self, port: int, count: int) -> None:
        """Do nothing."""

    def following(self, kind: str, mine: Sequence[int]) -> Next:
        """Return what makes the smallest request."""
        return lambda: Request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    def check(self, port: int) -> int:
        """Return 0: it accepts nothing."""
        return 0


class _Versions(ABC):
    """What keeps versions under ETags, as both of these do."""

    kinds = ("get", "etag", "post", "conflict", "day")

    def __init__(self, authorization: Callable[[int], str], place: Callable[[int], str], write: str) -> None:
        self._authorization, self._place, self._write = authorization, place, write
        self._sequences: dict[int, int] = {}
        self._etags: dict[int, bytes] = {}
        self._heads: dict[tuple[str, int], bytes] = {}

    def prepare(self, port: int, count: int) -> None:
        """Learn the ETags of so many accounts."""
        for number in range(count):
            self._etags[number] = self._look(port, number)[0].encode()

    def following(self, kind: str, mine: Sequence[int]) -> Next:
        """Return what makes requests of a kind, of the accounts `mine` one after the other."""
        if kind == "day":
            chance = random.Random(mine[0])  # noqa: S311 - the same day each time
            made = {name: self.following(name, mine) for name in MIX}
            names, weights = list(MIX), list(MIX.values())
            return lambda: made[chance.choices(names, weights)[0]]()
        turns = itertools.cycle(mine)
        make = {"get": self.get, "etag": self.etag, "post": self.post, "conflict": self.conflict}[kind]
        return lambda: make(next(turns))

    def get(self, number: int) -> Request:
        """Read an account's wallet."""
        return self._request("GET", number, 200)

    def etag(self, number: int) -> Request:
        """Read it, if it is not what is known already."""
        return self._request("GET", number, 304, headers=b"If-None-Match: %s\r\n" % self._etags[number])

    def post(self, number: int) -> Request:
        """Write the next version."""
        self._sequences[number] = self._sequences.get(number, 1) + 1
        asked = self._request(self._write, number, 200, self._body(self._sequences[number]))
        return asked._replace(told=lambda head: self._learn(number, head))

    def check(self, port: int) -> int:
        """Look up what was accepted; return how many writes these were."""
        for number, sequence in self._sequences.items():
            found = self._look(port, number)[1]
            if found != sequence:
                raise Lost(f"Account {number} is at {found}, and {sequence} was acknowledged.")
        return sum(self._sequences.values()) - len(self._sequences)

    @abstractmethod
    def conflict(self, number: int) -> Request:
        """Write a version that another device has written before."""

    @abstractmethod
    def _body(self, sequence: int) -> bytes:
        """Return what is written as version `sequence`."""

    def _look(self, port: int, number: int) -> tuple[str, int]:
        etag, found = ask(port, "GET", self._place(number), self._authorization(number))
        return etag, found.get("data", found)["sequence"]

    def _learn(self, number: int, head: bytes) -> None:
        found = _ETAG.search(head)
        if found is None:
            raise Lost(f"The write of account {number} was acknowledged without an ETag.")
        self._etags[number] = found[1]

    def _request(self, method: str, number: int, status: int, body: bytes = b"", headers: bytes = b"") -> Request:
        length = b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body) if body else b""
        return Request(b"%s%s%s\r\n%s" % (self._head(method, number), headers, length, body), status)

    def _head(self, method: str, number: int) -> bytes:
        made = self._heads.get((method, number))
        if made is None:
            lines = (
                f"{method} {self._place(number)} HTTP/1.1",
                "Host: x",
                f"Authorization: {self._authorization(number)}",
            )
            made = self._heads[method, number] = "\r\n".join([*lines, ""]).encode()
        return made


class Wallets(_Versions):
    """Ours."""

    def __init__(self, size: int) -> None:
        super().__init__(lambda number: f"Bearer {people.token(number)}", lambda number: "/api/3/wallet", "POST")
        self._template = wallet(0, size)

    @override
    def conflict(self, number: int) -> Request:
        return self._request("POST", number, 409, self._body(1))

    @override
    def _body(self, sequence: int) -> bytes:
        return self._template.replace(b'"sequence": 0', b'"sequence": %d' % sequence)


class Records(_Versions):
    """Kinto's: a record each in one collection. Its writes name no version before, which is less for it to look at."""

    _BUCKET = "/v1/buckets/bench"
    _BASIC = "Basic " + base64.b64encode(b"bench:bench").decode()

    def __init__(self, size: int) -> None:
        place = f"{self._BUCKET}/collections/wallets/records/account"
        super().__init__(lambda number: self._BASIC, lambda number: f"{place}{number}", "PUT")
        self._wallet = characters(size)

    @override
    def prepare(self, port: int, count: int) -> None:
        for place in (self._BUCKET, f"{self._BUCKET}/collections/wallets"):
            ask(port, "PUT", place, self._BASIC, b"{}")
        for number in range(count):
            ask(port, "PUT", self._place(number), self._BASIC, self._body(1))
        super().prepare(port, count)

    @override
    def conflict(self, number: int) -> Request:
        return self._request("PUT", number, 412, self._body(1), headers=b'If-Match: "1"\r\n')

    @override
    def _body(self, sequence: int) -> bytes:
        return json.dumps({"data": {"wallet": self._wallet, "sequence": sequence}}).encode()


def ask(port: int, method: str, path: str, authorization: str, body: bytes | None = None) -> tuple[str, Any]:
    """Send one request; return the answer's ETag, and its JSON.

    Raises:
        UnexpectedStatus: if it is not answered with 200 or 201.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body, {"Authorization": authorization, "Content-Type": "application/json"})
    answer = connection.getresponse()
    received = answer.read()
    connection.close()
    if answer.status not in (200, 201):
        raise UnexpectedStatus(f"{method} {path} was answered with {answer.status}.")
    return answer.headers["ETag"], json.loads(received)


def shares(count: int, connections: int) -> list[range]:
    """Return each connection's accounts, of `count`."""
    return [range(begin, count, connections) for begin in range(connections)]
