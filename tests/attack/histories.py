"""What clients saw of two servers on one PostgreSQL and one Valkey, all of which are struck meanwhile."""

import http.client
import itertools
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

from tests.attack.register import Fault, Get, Operation, Outcome, Post, faults
from tests.cheap_server import CheapServer
from tests.postgres import Postgres
from tests.server.helpers import Account, Answer, HttpWire, new_account, until
from tests.valkey import Valkey
from walletsync_server.testing import Value

CLIENTS = 6
ACCOUNTS = 3
CALM = 25
"""POSTs that are accepted between two blows."""
SERVER_KILLED, DATABASE_KILLED, DATABASE_STOPPED, VALKEY_STOPPED = (
    "kills of a server",
    "kills of PostgreSQL",
    "stops of PostgreSQL",
    "stops of Valkey",
)
ALL = SERVER_KILLED, DATABASE_KILLED, DATABASE_STOPPED, VALKEY_STOPPED
_OUTCOMES = {200: Outcome.ACCEPTED, 404: Outcome.REFUSED, 409: Outcome.REFUSED, 503: Outcome.UNKNOWN}
"""By the status of a POST. That there is no wallet, 404, can only be a broken server's answer to what these post."""
Blow = tuple[str, Callable[[], object], Callable[[], object]]
"""What it is, how it begins, and how it ends; but it is over only when both servers are ready again."""


class Maker(Protocol):
    """Makes a server, to be started by `with`."""

    def __call__(self, *, accounts: str, settings: dict[str, Value]) -> CheapServer: ...


@dataclass(frozen=True)
class Seen:
    """What came of a run: the history of each account; how often something befell whom; how long it took."""

    histories: list[list[Operation]]
    struck: Counter[str]
    seconds: float

    def __str__(self) -> str:
        done = [f"{sum(map(len, self.histories))} operations in {self.seconds:.1f} s"]
        return ", ".join(done + [f"{count} {what}" for what, count in self.struck.items()])

    def faults(self) -> list[Fault]:
        """Return what is wrong with any of the histories, the smallest first."""
        found = [fault for history in self.histories for fault in faults(history)]
        return sorted(found, key=lambda fault: fault.size)


class Client:
    """One who reads and writes accounts at any of the servers, and writes down what came of it."""

    def __init__(self, accounts: list[list[Account]], name: str, dice: random.Random) -> None:
        self._accounts = accounts
        self._name = name
        self._dice = dice
        self._known = [0] * len(accounts)
        self.history: list[list[Operation]] = [[] for _ in accounts]
        self.acts = self.accepted = 0

    def act(self) -> bool:
        """Do the next thing; return whether a server did it."""
        self.acts += 1
        which, server = self._dice.randrange(len(self._accounts)), self._dice.randrange(len(self._accounts[0]))
        account, who = self._accounts[which][server], f"{self._name} at server {server}"
        if self._dice.random() < 0.5:
            return self._post(which, account, f"{self._name}, {self.acts}", who)
        return self._get(which, account, who)

    def _get(self, which: int, account: Account, who: str) -> bool:
        began = time.monotonic()
        answer = _answer_of(account.get)
        if answer is None or answer.status == 503:
            return False
        assert answer.status in (200, 404), answer
        self._note(which, began, answer, who)
        return True

    def _post(self, which: int, account: Account, wallet: str, who: str) -> bool:
        sequence, began, outcome = self._known[which] + 1, time.monotonic(), Outcome.UNKNOWN
        answer = _answer_of(lambda: account.post(sequence, wallet))
        if answer is not None:
            outcome = _OUTCOMES[answer.status]
        ended = time.monotonic()
        self.history[which].append(
            Post(began=began, ended=ended, sequence=sequence, wallet=wallet, outcome=outcome, who=who)
        )
        if outcome is Outcome.ACCEPTED:
            self._known[which] = sequence
            self.accepted += 1
        elif answer is not None and outcome is Outcome.REFUSED:
            self._note(which, began, answer, who)
        return outcome is not Outcome.UNKNOWN

    def _note(self, which: int, began: float, answer: Answer, who: str) -> None:
        """Write down which wallet is current."""
        current = replace(_current(answer), began=began, who=who)
        self.history[which].append(current)
        self._known[which] = current.sequence


def _answer_of(ask: Callable[[], Answer]) -> Answer | None:
    """Return what is answered; None if that was cut off."""
    try:
        return ask()
    except (OSError, http.client.HTTPException):
        return None


def _current(answer: Answer) -> Get:
    """Return what an answer that just came says of the current wallet."""
    now, told = time.monotonic(), answer.json
    return Get(began=now, ended=now, sequence=told.get("sequence", 0), wallet=told.get("encryptedWallet", ""))


def seen_by_clients(
    makers: tuple[Maker, Maker], valkey: Valkey, count: int, calm: int = CALM, blows: Collection[str] = ALL
) -> Seen:
    """Have clients do `count` things or more at two servers, one of each maker, while all these blows fall.

    Between two of them at least `calm` POSTs are accepted.
    """
    seed = int(os.environ.get("SEED", "20261129"))
    print(f"SEED={seed}")
    began = time.monotonic()
    with Postgres() as postgres:
        shared: dict[str, Value] = {"database": postgres.new_storage(), "live": valkey.url}
        one, other = (make(accounts="open", settings=shared) for make in makers)
        with one, other:
            wires = [HttpWire(one.url), HttpWire(other.url)]
            made = [new_account(wires[0]) for _ in range(ACCOUNTS)]
            accounts = [[Account(wire, each.email, each.token) for wire in wires] for each in made]
            clients = [Client(accounts, f"client {n}", random.Random(f"{seed} {n}")) for n in range(CLIENTS)]
            chosen = [blow for blow in _blows(postgres, valkey, one, other) if blow[0] in blows]
            struck = _strike(clients, count, calm, chosen, _until_ready(wires))
            histories = [[each for client in clients for each in client.history[which]] for which in range(ACCOUNTS)]
            for history, account in zip(histories, made, strict=True):
                history.append(replace(_current(account.get()), who="at last"))
    return Seen(histories, struck, time.monotonic() - began)


def _blows(postgres: Postgres, valkey: Valkey, one: CheapServer, other: CheapServer) -> list[Blow]:
    return [
        (SERVER_KILLED, one.kill, one.start),
        (DATABASE_KILLED, postgres.kill, postgres.start),
        (VALKEY_STOPPED, valkey.stop, valkey.start),
        (SERVER_KILLED, other.kill, other.start),
        (DATABASE_STOPPED, postgres.stop, postgres.start),
    ]


def _until_ready(wires: Sequence[HttpWire]) -> Callable[[], None]:
    return lambda: until(lambda: all(wire("GET", "/readyz").status == 200 for wire in wires))


def _strike(
    clients: list[Client], count: int, calm: int, blows: list[Blow], until_ready: Callable[[], None]
) -> Counter[str]:
    """Let the clients act, and the blows fall in turn, each when `calm` POSTs were accepted since the last one.

    That goes on until the clients have done `count` things and each blow has fallen. Return how often each did.
    """
    struck, over, quiet = Counter[str](), threading.Event(), threading.Event()
    quiet.set()

    def live(client: Client) -> None:
        while not over.is_set():
            if not client.act():
                assert quiet.wait(60)  # whoever asks without a pause keeps the server from starting

    with ThreadPoolExecutor(len(clients)) as pool:
        lives = [pool.submit(live, client) for client in clients]
        try:
            for what, begin, end in itertools.cycle(blows):
                _until_accepted(calm, clients, lives)
                quiet.clear()
                begin()
                end()
                until_ready()
                quiet.set()
                struck[what] += 1
                if struck.total() >= len(blows) and sum(client.acts for client in clients) >= count:
                    break
        finally:
            over.set()
            quiet.set()
    for life in lives:
        life.result()
    return struck


def _until_accepted(number: int, clients: list[Client], lives: list[Future[None]]) -> None:
    """Wait until so many more POSTs are accepted; raise what ended the life of a client, if one has ended."""

    def accepted() -> int:
        for life in lives:
            if life.done():
                life.result()
        return sum(client.accepted for client in clients)

    enough = accepted() + number
    until(lambda: accepted() >= enough)
