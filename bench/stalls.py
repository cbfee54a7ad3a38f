"""The part `stalls`: how long do small requests take while somebody else does something large?

The stalls are made in processes of their own, which need a processor, too: with fewer than three cores a part of what
is seen is theirs. How much, a run tells in which they are made at another server.
"""

import asyncio
import http.client
import json
import multiprocessing
import socket
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path

from bench.load import Listeners, Tally, more_files, request, wallet
from bench.report import Row
from walletsync_server.services import build_services
from walletsync_server.services.coroutines import run_blocking
from walletsync_server.storage.sqlite.opening import open_sqlite
from walletsync_server.testing import RunningServer

SMALL, LARGE = 4096, 4 * 1024 * 1024
CLIENTS = 8
"""How many make a stall at once."""
DELETED, VERSIONS = 12, 10
TOKENS, EXPIRED = 1_000_000, 100_000
PASSWORD = "derived password"  # noqa: S105 - of accounts that nobody else will ever see
_GET_PAUSE, _POST_PAUSE = 0.002, 0.01
_PATIENCE = 60.0


@dataclass
class Accounts:
    """Tokens of those with a small wallet and with a large one, and addresses of those who leave."""

    small: list[str] = field(default_factory=list)
    large: list[str] = field(default_factory=list)
    leaving: list[str] = field(default_factory=list)


def make_accounts(database: Path) -> Accounts:
    """Make the database, with everybody's wallets in it."""
    made = Accounts()
    storage = open_sqlite(database, inline=True)
    services = build_services(storage, may_sign_up=lambda email: True, max_wallet_bytes=LARGE)

    def account(name: str, size: int, versions: int = 1) -> str:
        services.accounts.sign_up(f"{name}@example.com", PASSWORD, None)
        token = services.accounts.log_in(f"{name}@example.com", PASSWORD, "bench").token
        for sequence in range(1, versions + 1):
            text = json.loads(wallet(sequence, size))["encryptedWallet"]
            run_blocking(services.wallets.write(token, sequence=sequence, encrypted_wallet=text, hmac="h"))
        return token

    made.small = [account(f"small{number}", SMALL) for number in range(2)]
    made.large = [account(f"large{number}", LARGE) for number in range(CLIENTS)]
    for number in range(DELETED):
        account(f"leaving{number}", LARGE, VERSIONS)
        made.leaving.append(f"leaving{number}@example.com")
    storage.close()
    return made


def add_tokens(database: Path) -> None:
    """Give one account a million tokens, of which a tenth are to be purged."""
    connection = sqlite3.connect(database)
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO tokens "
        "SELECT (SELECT min(account_id) FROM accounts), CAST('d' || i AS BLOB), 1, randomblob(32), 0, "
        "CASE WHEN i % ? THEN 9000000000000000 ELSE 1 END FROM n",
        (TOKENS, TOKENS // EXPIRED),
    )
    connection.commit()
    connection.close()


Stall = Callable[[int, Accounts, Event], None]
"""Makes it until its process is killed, at the server on a port; the event says that it has begun."""


def get_large(port: int, accounts: Accounts, begun: Event) -> None:
    """Get wallets of 4 MB, on and on."""
    begun.set()
    _on_and_on(port, [request("GET", token) for token in accounts.large])


def send_large(port: int, accounts: Accounts, begun: Event) -> None:
    """Send wallets of 4 MB that another device was faster with, and get that one."""
    begun.set()
    _on_and_on(port, [request("POST", token, wallet(9, LARGE)) for token in accounts.large])


def send_as_stranger(port: int, accounts: Accounts, begun: Event) -> None:
    """Send sign-ups whose password has 24 MiB."""
    begun.set()
    body = json.dumps({"email": "a@example.com", "password": "\0" * LARGE}).encode()
    head = f"POST /signup HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    _on_and_on(port, [head + body] * CLIENTS)


def delete(port: int, accounts: Accounts, begun: Event) -> None:
    """Delete accounts, one after the other, of which each has ten versions of 4 MB."""
    begun.set()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for email in accounts.leaving:
        connection.request("POST", "/api/3/account/delete", json.dumps({"email": email, "password": PASSWORD}))
        answer = connection.getresponse()
        answer.read()
        if answer.status != 204:
            raise RuntimeError(f"A deletion was answered with {answer.status}.")


def open_sockets(port: int, accounts: Accounts, begun: Event) -> None:
    """Open as many WebSockets as there may be, as fast as the server lets them in, and hold them."""
    begun.set()
    hold_sockets(port, accounts, begun)


def hold_sockets(port: int, accounts: Accounts, begun: Event) -> None:
    """Hold as many WebSockets as there may be."""

    async def hold() -> None:
        listeners = Listeners(port)
        more_files(_SOCKETS)
        await listeners.open(accounts.large, _SOCKETS)
        begun.set()
        await asyncio.Event().wait()

    asyncio.run(hold())


def nothing(port: int, accounts: Accounts, begun: Event) -> None:
    """Do nothing: what the server does by itself is enough."""
    begun.set()


_SOCKETS = 10_000
STALLS: dict[str, Stall] = {
    "none": nothing,
    "get 4 MB": get_large,
    "send 4 MB": send_large,
    "strangers' 24 MiB": send_as_stranger,
    "delete 40 MB": delete,
    "open 10,000 sockets": open_sockets,
    "hold 10,000 sockets": hold_sockets,
    "purge 100,000 tokens": nothing,
}


def _on_and_on(port: int, requests: list[bytes]) -> None:
    """Send each over a connection of its own, again and again; whoever is turned away comes back."""

    def run(sent: bytes) -> None:
        while True:
            with socket.create_connection(("127.0.0.1", port)) as connection:
                try:
                    connection.sendall(sent)
                    while b"connection: close" not in _head_of_answer(connection):
                        connection.sendall(sent)
                except OSError:
                    time.sleep(0.05)

    for sent in requests[1:]:
        threading.Thread(target=run, args=(sent,), daemon=True).start()
    run(requests[0])


def _head_of_answer(connection: socket.socket) -> bytes:
    """Read a whole answer; return what stands before its body, in lower case."""
    received = bytearray()
    while (end := received.find(b"\r\n\r\n")) < 0:
        received += _some(connection)
    head = bytes(received[:end]).lower()
    left = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]) - (len(received) - end - 4)
    while left > 0:
        left -= len(_some(connection))
    return head


def _some(connection: socket.socket) -> bytes:
    received = connection.recv(1 << 20)
    if not received:
        raise ConnectionError("The server hung up.")
    return received


def probe(port: int, accounts: Accounts, seconds: float) -> tuple[Tally, Tally]:
    """Send a small GET and a small POST now and then; return how long each took."""
    gets, posts = Tally(), Tally()
    until = time.perf_counter() + seconds

    def ask(tally: Tally, pause: float, following: Iterator[bytes]) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            while time.perf_counter() < until:
                sent = next(following)
                began = time.perf_counter()
                connection.sendall(sent)
                tally.others += not _head_of_answer(connection).startswith(b"http/1.1 200")
                tally.seconds.append(time.perf_counter() - began)
                time.sleep(pause)

    post = threading.Thread(target=ask, args=(posts, _POST_PAUSE, _posts(accounts.small[1])))
    post.start()
    ask(gets, _GET_PAUSE, _gets(accounts.small[0]))
    post.join()
    return gets, posts


def _gets(token: str) -> Iterator[bytes]:
    while True:
        yield request("GET", token)


def _posts(token: str) -> Iterator[bytes]:
    """Yield POSTs that are accepted, or of which the first was accepted in another round."""
    while True:
        _POSTED[token] = _POSTED.get(token, 1) + 1
        yield request("POST", token, wallet(_POSTED[token], SMALL))


_POSTED: dict[str, int] = {}


@contextmanager
def stalled(stall: Stall, port: int, accounts: Accounts) -> Iterator[None]:
    """Let a process make a stall until the end of the block, which begins when it has begun."""
    spawning = multiprocessing.get_context("spawn")
    begun = spawning.Event()
    process = spawning.Process(target=stall, args=(port, accounts, begun), daemon=True)
    process.start()
    try:
        if not begun.wait(_PATIENCE):
            raise RuntimeError(f"{stall.__name__} did not begin.")
        yield
    finally:
        if process.exitcode:
            raise RuntimeError(f"{stall.__name__} failed.")
        process.kill()
        process.join()


@contextmanager
def server_on(database: Path) -> Iterator[int]:
    """Run a server on a database; give its port."""
    settings: dict[str, str | int] = {"sockets_per_account": _SOCKETS, "log_level": "error"}
    with RunningServer(database=database, accounts="open", settings=settings) as server:
        yield int(server.url.rpartition(":")[2])


def rows(seconds: float, names: list[str], *, elsewhere: bool = False) -> list[Row]:
    """Return a row per stall, and the ratio of its p99 to that without any.

    With `elsewhere`, the stalls are made at another server, which tells how much of them is the machine's.
    """
    found: dict[str, tuple[Tally, Tally]] = {}
    with tempfile.TemporaryDirectory() as folder:
        databases = [Path(folder) / f"{number}.db" for number in range(1 + elsewhere)]
        accounts = [make_accounts(database) for database in databases]
        for name in dict.fromkeys(["none", *(names or STALLS)]):
            if name.startswith("purge"):
                add_tokens(databases[-1])
            with ExitStack() as running:
                ports = [running.enter_context(server_on(database)) for database in databases]
                running.enter_context(stalled(STALLS[name], ports[-1], accounts[-1]))
                found[name] = probe(ports[0], accounts[0], seconds)
    return [_row(name, *found[name], found["none"][0]) for name in found]


def _row(name: str, gets: Tally, posts: Tally, none: Tally) -> Row:
    other = f"POST: p50 {posts.percentile(50) * 1000:.1f}, p99 {posts.percentile(99) * 1000:.1f} ms"
    failed = gets.others + posts.others
    return Row(
        "stalls",
        "a small GET now and then",
        f"beside: {name}",
        half=gets.percentile(50) * 1000,
        most=gets.percentile(99) * 1000,
        ratio=gets.percentile(99) / none.percentile(99),
        other=other + (f"; {failed} were not 200" if failed else ""),
        target="p99 ≤ 25 ms",
    )
