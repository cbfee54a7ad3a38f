"""The part `client`: bytes and requests of a wallet of labels, and how long a sync of it takes.

What passes is counted between client and server, heads included; live updates, which are a few bytes, are not. Beside
the client as it is stands one without what saves bytes, which are compression and asking only for what is new.
"""

import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from bench.report import Row
from tests.cheap_server import CheapServer
from tests.cheap_walletsync import make_cheap
from tests.labels import sparrow
from walletsync import BIP329Format, Client, payload
from walletsync.api import Api

POLLS = 10
POLLS_A_DAY = 24 * 60
"""`walletsync watch` asks once a minute, if it is not told otherwise."""
EDITS = 50
EMAIL = "ada@example.com"
PASSWORD = "correct horse battery staple"  # noqa: S105 - of an account that nobody else will ever see


@dataclass(frozen=True)
class Passed:
    """How many bytes and requests."""

    size: float
    requests: float

    def __add__(self, other: "Passed") -> "Passed":
        return Passed(self.size + other.size, self.requests + other.requests)

    def __sub__(self, other: "Passed") -> "Passed":
        return self + other.times(-1)

    def times(self, factor: float) -> "Passed":
        """Return so many times as much."""
        return Passed(self.size * factor, self.requests * factor)


class Counter(socketserver.ThreadingTCPServer):
    """Passes bytes on to a server, and counts them and the requests among them."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.server_port = port
        self.passed = Passed(0, 0)


class _Passing(socketserver.BaseRequestHandler):
    server: Counter

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.server_port)) as beyond:
            back = threading.Thread(target=self._pass, args=(beyond, self.request), daemon=True)
            back.start()
            self._pass(self.request, beyond)
            back.join()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(64 * 1024):
            # A head is sent at once, and nothing else has these words: wallets are base64.
            self.server.passed += Passed(len(data), data.count(b" HTTP/1.1\r\n"))
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def devices(count: int) -> Iterator[tuple[Counter, list[Client]]]:
    """Give so many devices of one account, and what counts all that passes between them and a server."""
    with ExitStack() as stack:
        server = stack.enter_context(CheapServer(allow=[EMAIL]))
        counter = stack.enter_context(Counter(int(server.url.rpartition(":")[2])))
        threading.Thread(target=counter.serve_forever, daemon=True).start()
        stack.callback(counter.shutdown)
        url = f"http://127.0.0.1:{counter.server_address[1]}"
        made = []
        for number in range(count):
            client = Client(url, device_id=f"device{number}", realm=server.url, format=BIP329Format())
            made.append(stack.enter_context(client))
            client.set_account(EMAIL, PASSWORD)
            if number == 0:
                client.register()
            client.get_auth_token()
        yield counter, made


def costs(labels: int) -> dict[str, Passed]:
    """Return what a version costs, a sync without news, and an edit with the sync of the other device."""
    with devices(2) as (counter, (laptop, phone)):

        def passing(run: Callable[[], object]) -> Passed:
            before = counter.passed
            run()
            return counter.passed - before

        laptop.set_document(sparrow(1, labels))
        version = passing(laptop.sync)
        phone.sync()
        idle = passing(lambda: [laptop.sync() for _ in range(POLLS)])
        edits = Passed(0, 0)
        for number in range(EDITS):
            laptop.set_document(relabelled(laptop.get_document(), number))
            edits += passing(lambda: (laptop.sync(), phone.sync()))
        return {"version": version, "idle": idle.times(1 / POLLS), "edits": edits}


def rows(few: int, many: int) -> list[Row]:
    """Return rows of bytes for a wallet of `few` labels, and of times for both."""
    make_cheap()
    now = costs(few)
    with without_savings():
        before = costs(few)
    day = {"an idle day of `watch`": POLLS_A_DAY, f"a day of `watch` with {EDITS} edits, two devices": 2 * POLLS_A_DAY}
    found = [_bytes(f"to send a version of {few:,} labels", now["version"], before["version"], "≤ 500 kB")]
    found.append(_bytes("a sync without news", now["idle"], before["idle"], "≤ 1 kB"))
    for what, polls in day.items():
        edits = float("edits" in what)
        of, beside = (each["idle"].times(polls) + each["edits"].times(edits) for each in (now, before))
        found.append(_bytes(what, of, beside, "" if edits else "≤ 3 MB"))
    return found + [row for labels in (few, many) for row in times(labels)]


def times(labels: int) -> list[Row]:
    """Return how long syncs take of a wallet of so many labels, the server's part included."""
    with devices(2) as (_, (laptop, phone)):
        laptop.set_document(sparrow(1, labels))
        taken = {"the first sync": seconds(laptop.sync), "the first sync of another device": seconds(phone.sync)}
        taken["a sync without news"] = seconds(laptop.sync)
        laptop.set_document(relabelled(laptop.get_document(), 1))
        taken["a sync of one edit"] = seconds(laptop.sync)
        phone.set_document(relabelled(phone.get_document(), 2))
        taken["a sync that merges one edit with another's"] = seconds(phone.sync)
    return [Row("client", f"{what}, {labels:,} labels", "our client", half=each * 1000) for what, each in taken.items()]


def relabelled(document: str, number: int) -> str:
    """Return a file of labels after a person gave one of its lines another label."""
    lines = document.splitlines(keepends=True)
    lines[number] = json.dumps(json.loads(lines[number]) | {"label": f"Edited {number}"}, ensure_ascii=False) + "\n"
    return "".join(lines)


def seconds(run: Callable[[], object]) -> float:
    """Return how long `run` takes by the clock."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _bytes(what: str, now: Passed, before: Passed, target: str) -> Row:
    other = f"{now.size:,.0f} bytes, {now.requests:,.0f} requests; {before.size:,.0f} without savings"
    return Row("client", what, "our client", ratio=now.size / before.size, other=other, target=target)


@contextmanager
def without_savings() -> Iterator[None]:
    """Take compression and conditions from the client."""
    get_wallet = Api.get_wallet

    def whole(self: Api, token: str, _: Any = None) -> Any:
        return get_wallet(self, token)

    with (
        patch.object(payload, "compressed", lambda document: document),  # which is never shorter
        patch.object(Api, "get_wallet", whole),
    ):
        yield
