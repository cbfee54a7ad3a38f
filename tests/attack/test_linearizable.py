"""Two servers on one PostgreSQL and one Valkey, all of which are killed meanwhile: each account is one register.

And the checker that says so, which must see what a broken server would do.
"""

import http.client
import itertools
import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.attack.register import Get, Operation, Outcome, Post, faults
from tests.cheap_server import CheapServer
from tests.postgres import Postgres
from tests.server.helpers import Account, HttpWire, new_account, until
from tests.valkey import Valkey
from walletsync_server.testing import Value

CLIENTS = 6
ACCOUNTS = 3
FEW, MANY = 500, 10_000
ACCEPTED, REFUSED, UNKNOWN = Outcome.ACCEPTED, Outcome.REFUSED, Outcome.UNKNOWN


def post(began: float, ended: float, sequence: int, wallet: str, outcome: Outcome = ACCEPTED) -> Post:
    return Post(began=began, ended=ended, sequence=sequence, wallet=wallet, outcome=outcome)


def get(began: float, ended: float, sequence: int, wallet: str = "") -> Get:
    return Get(began=began, ended=ended, sequence=sequence, wallet=wallet)


RIGHT: dict[str, list[Operation]] = {
    "nothing": [],
    "one after the other": [get(0, 1, 0), post(2, 3, 1, "a"), get(4, 5, 1, "a"), post(6, 7, 2, "b"), get(8, 9, 2, "b")],
    "a GET beside a POST sees either": [post(0, 9, 1, "a"), get(1, 2, 0), get(3, 4, 1, "a")],
    "one of two is refused": [post(0, 5, 1, "a"), post(0, 5, 1, "b", REFUSED), get(0, 5, 1, "a")],
    "an unknown POST happened": [post(0, 1, 1, "a", UNKNOWN), get(2, 3, 1, "a"), post(4, 5, 2, "b")],
    "an unknown POST happened late": [post(0, 1, 1, "a", UNKNOWN), get(2, 3, 0), get(4, 5, 1, "a")],
    "an unknown POST did not happen": [post(0, 1, 1, "a", UNKNOWN), get(2, 3, 0), post(4, 5, 1, "b")],
}
WRONG: dict[str, tuple[list[Operation], str]] = {
    "acknowledged before the commit, and lost": ([post(0, 1, 1, "a"), get(2, 3, 0)], "came after 1"),
    "acknowledged, lost, and made again": ([post(0, 1, 1, "a"), post(2, 3, 1, "b")], "accepted more than once"),
    "no lock: both accepted": ([post(0, 5, 1, "a"), post(0, 5, 1, "b")], "accepted more than once"),
    "no lock: unknown ones, both seen": (
        [post(0, 1, 1, "a", UNKNOWN), post(0, 1, 1, "b", UNKNOWN), get(2, 3, 1, "a"), get(2, 3, 1, "b")],
        "more than one wallet",
    ),
    "a GET from a replica that lags": ([post(0, 1, 1, "a"), post(2, 3, 2, "b"), get(4, 5, 1, "a")], "came after 2"),
    "time runs back between two GETs": ([post(0, 9, 1, "a"), get(1, 2, 1, "a"), get(3, 4, 0)], "came after 1"),
    "a gap": ([post(0, 1, 1, "a"), post(2, 3, 3, "c")], "came too early"),
    "made after one that follows it": ([post(0, 1, 2, "b"), post(2, 3, 1, "a", UNKNOWN)], "came too early"),
    "seen before it was posted": ([get(0, 1, 1, "a"), post(2, 3, 1, "a")], "came too early"),
    "a refused POST was stored": ([post(0, 1, 1, "a", REFUSED), get(2, 3, 1, "a")], "nobody posted"),
    "another's wallet": ([post(0, 1, 1, "a"), get(2, 3, 1, "z")], "more than one wallet"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_a_register_can_do_is_right(name: str) -> None:
    """In whichever order the operations were written down."""
    assert faults(RIGHT[name]) == faults(RIGHT[name][::-1]) == []


@pytest.mark.parametrize("name", WRONG)
def test_what_a_broken_server_does_is_seen(name: str) -> None:
    """And named."""
    history, said = WRONG[name]
    assert any(said in fault for fault in faults(history)), faults(history)
    assert faults(history[::-1])


class Client:
    """One who reads and writes an account at any of the servers, and writes down what came of it."""

    def __init__(self, accounts: list[list[Account]], name: str, dice: random.Random) -> None:
        self._accounts = accounts
        self._name = name
        self._dice = dice
        self._known = [0] * len(accounts)
        self.history: list[list[Operation]] = [[] for _ in accounts]

    def act(self, number: int) -> bool:
        """Do the next thing; return whether a server did it."""
        which = self._dice.randrange(len(self._accounts))
        account = self._dice.choice(self._accounts[which])
        if self._dice.random() < 0.5:
            return self._post(which, account, f"{self._name}, {number}")
        return self._get(which, account)

    def _get(self, which: int, account: Account) -> bool:
        began = time.monotonic()
        try:
            answer = account.get()
        except (OSError, http.client.HTTPException):
            return False
        if answer.status == 503:
            return False
        assert answer.status in (200, 404), answer
        self._note(which, began, answer.json)
        return True

    def _post(self, which: int, account: Account, wallet: str) -> bool:
        sequence, began, outcome = self._known[which] + 1, time.monotonic(), UNKNOWN
        try:
            answer = account.post(sequence, wallet)
        except (OSError, http.client.HTTPException):
            pass
        else:
            assert answer.status in (200, 409, 503), answer
            outcome = {200: ACCEPTED, 409: REFUSED, 503: UNKNOWN}[answer.status]
        self.history[which].append(post(began, time.monotonic(), sequence, wallet, outcome))
        if outcome is ACCEPTED:
            self._known[which] = sequence
        elif outcome is REFUSED:
            self._note(which, began, answer.json)
        return outcome is not UNKNOWN

    def _note(self, which: int, began: float, told: dict[str, object]) -> None:
        """Write down which wallet is current."""
        sequence, wallet = int(str(told.get("sequence", 0))), str(told.get("encryptedWallet", ""))
        self.history[which].append(get(began, time.monotonic(), sequence, wallet))
        self._known[which] = sequence


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.security)])
def test_each_account_is_one_register(count: int, valkey: Valkey) -> None:
    """Through two servers that are killed in turn, restarts of PostgreSQL, and times without Valkey."""
    seed = int(os.environ.get("SEED", 20261129))
    print(f"SEED={seed}")
    with Postgres() as postgres:
        shared: dict[str, Value] = {"database": postgres.new_storage(), "live": valkey.url}
        with (
            CheapServer(accounts="open", settings=shared) as one,
            CheapServer(accounts="open", settings=shared) as other,
        ):
            wires = [HttpWire(one.url), HttpWire(other.url)]
            made = [new_account(wires[0]) for _ in range(ACCOUNTS)]
            accounts = [[Account(wire, each.email, each.token) for wire in wires] for each in made]
            clients = [Client(accounts, f"client {n}", random.Random(f"{seed} {n}")) for n in range(CLIENTS)]
            blows = blows_of(postgres, valkey, one, other)
            strike_while_they_act(clients, count, blows)
            for which, account in enumerate(made):
                answer = account.get()
                history = [each for client in clients for each in client.history[which]]
                now = time.monotonic()
                history.append(get(now, now, answer.json["sequence"], answer.json["encryptedWallet"]))
                assert faults(history) == []
                assert any(isinstance(each, Post) and each.outcome is ACCEPTED for each in history)
            print(sum(len(each) for client in clients for each in client.history), "operations")


def blows_of(postgres: Postgres, valkey: Valkey, one: CheapServer, other: CheapServer) -> list[Callable[[], None]]:
    """Return what befalls the servers, one after the other; each is over when all of them are ready again."""

    def ready() -> None:
        until(lambda: all(HttpWire(server.url)("GET", "/readyz").status == 200 for server in (one, other)))

    def restarted(end: Callable[[], object], start: Callable[[], object]) -> Callable[[], None]:
        def blow() -> None:
            end()
            start()
            ready()

        return blow

    return [
        restarted(one.kill, one.start),
        restarted(postgres.kill, postgres.start),
        restarted(valkey.stop, valkey.start),
        restarted(other.kill, other.start),
        restarted(postgres.stop, postgres.start),
    ]


def strike_while_they_act(clients: list[Client], count: int, blows: list[Callable[[], None]]) -> None:
    """Have the clients do at least `count` things in all, and go on until each blow has befallen in their midst."""
    numbers, struck, over, calm = itertools.count(1), threading.Event(), threading.Event(), threading.Event()

    def act(client: Client) -> None:
        while not (over.is_set() and struck.is_set()):
            number = next(numbers)
            if number >= count:
                over.set()
            if not client.act(number):
                assert calm.wait(60)  # whoever asks without a pause keeps the server from starting

    with ThreadPoolExecutor(len(clients)) as pool:
        lives = [pool.submit(act, client) for client in clients]
        try:
            for blow in itertools.cycle(blows):
                calm.clear()
                blow()
                calm.set()
                if blow is blows[-1]:
                    struck.set()
                    if over.is_set() or any(life.done() for life in lives):
                        break
        finally:
            over.set()
            struck.set()
            calm.set()
        for life in lives:
            life.result()
