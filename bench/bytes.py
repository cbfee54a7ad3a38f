"""How many bytes a wallet of 5,000 labels costs: a version, and a day of a `watch` that finds nothing new.

Beside each other: the client as it is, and the same without what saves bytes, which are compression and asking only for
what is new. What passes is counted between client and server, heads included; live updates, which are a few bytes, are
not.
"""

import socket
import socketserver
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from tests.cheap_server import CheapServer
from tests.cheap_walletsync import make_cheap
from tests.labels import sparrow
from walletsync import BIP329Format, Client, payload
from walletsync.api import Api

LABELS = 5_000
POLLS = 10
POLLS_A_DAY = 24 * 60
"""`walletsync watch` asks once a minute, if it is not told otherwise."""
EMAIL = "ada@example.com"


class Counter(socketserver.ThreadingTCPServer):
    """Passes bytes on to a server and counts them."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.server_port = port
        self.passed = 0


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
            self.server.passed += len(data)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@dataclass(frozen=True)
class Bytes:
    """What one kind of client costs."""

    version: int
    poll: float


def measured(savings: Callable[[ExitStack], None]) -> Bytes:
    """Return what a client costs, once `savings` has taken from it what is not to count."""
    with ExitStack() as stack:
        savings(stack)
        server = stack.enter_context(CheapServer(allow=[EMAIL]))
        counter = stack.enter_context(Counter(int(server.url.rpartition(":")[2])))
        threading.Thread(target=counter.serve_forever, daemon=True).start()
        stack.callback(counter.shutdown)
        client = stack.enter_context(
            Client(f"http://127.0.0.1:{counter.server_address[1]}", realm=server.url, format=BIP329Format())
        )
        client.set_account(EMAIL, "correct horse battery staple")
        client.register()
        client.set_document(sparrow(1, LABELS))
        client.sync()
        client.sync()
        state, before = client.wallet_state, counter.passed
        for _ in range(POLLS):
            client.sync()
        return Bytes(len(state.encrypted_wallet) if state else 0, (counter.passed - before) / POLLS)


def without_savings(stack: ExitStack) -> None:
    """Take compression and conditions from the client."""
    get_wallet = Api.get_wallet

    def whole(self: Api, token: str, _: Any = None) -> Any:
        return get_wallet(self, token)

    stack.enter_context(patch.object(payload, "compressed", lambda document: document))  # which is never shorter
    stack.enter_context(patch.object(Api, "get_wallet", whole))


def main() -> None:
    """Print the table."""
    make_cheap()
    before, after = measured(without_savings), measured(lambda _: None)
    print(f"| {LABELS:,} labels | without | with | part |")
    print("| --- | ---: | ---: | ---: |")
    for what, was, now in (
        ("a version, bytes of `encryptedWallet`", before.version, after.version),
        ("a sync without news, bytes", before.poll, after.poll),
        ("an idle day of `watch`, bytes", before.poll * POLLS_A_DAY, after.poll * POLLS_A_DAY),
    ):
        print(f"| {what} | {was:,.0f} | {now:,.0f} | {now / was:.2%} |")


if __name__ == "__main__":
    main()
