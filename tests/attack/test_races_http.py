"""The races around a password change again, over HTTP: a real process, threads, and WebSockets that are open."""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import websocket

from tests.attack import steps
from tests.attack.forked import ForkedServer
from tests.attack.ledger import State, Version, is_stored, stored_accounts
from tests.attack.wires import KeptWire
from tests.postgres import Postgres
from tests.server.front import listen
from tests.server.helpers import API, Answer, Wire, log_in, wallet_body

EMAIL, OLD, SEED = "alice@example.com", "derived login password", "5e" * 32
ROUNDS = 40


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A file, or the URL of a new database of PostgreSQL."""
    if request.param == "sqlite":
        return tmp_path / "walletsync.db"
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.new_storage()


@pytest.fixture
def server(tmp_path: Path, database: Path | str) -> Iterator[ForkedServer]:
    server = ForkedServer(tmp_path / "walletsync.db", at=database if isinstance(database, str) else "")
    assert server.wait_until_ready(), server.log.read_text()
    yield server
    assert server.kill() == -9


@pytest.mark.promise("T-23")
@pytest.mark.parametrize("seed", [20261123])  # so that a failure names it
def test_nothing_of_before_outlives_a_password_change(server: ForkedServer, database: Path | str, seed: int) -> None:
    """Two changes, two posts and a login at once, beside a socket: one change is made, or a post came first."""
    moments = random.Random(seed)
    with closing(KeptWire(server.url)) as wire, ThreadPoolExecutor(5) as pool:
        state = State(OLD, SEED)
        assert steps.sign_up(EMAIL, state).send(wire).status == 201
        winners = set()
        for number in range(ROUNDS):
            state = logged_in(wire, state)
            state, winner = one_round(server, wire, pool, state, number, moments)
            winners.add(winner)
            assert is_stored(stored_accounts(database).get(EMAIL), state)
    assert len(winners) > 1, "the race is none"


def logged_in(wire: Wire, state: State) -> State:
    """Return the state after a login of two devices and a post of one."""
    for device in ("laptop", "phone"):
        after = steps.log_in(EMAIL, state, device)
        state = settled(after, after.send(wire))
    post = steps.post(state, "laptop", f"wallet {state.sequence + 1}")
    return settled(post, post.send(wire))


def settled(step: steps.Step, answer: Answer) -> State:
    assert answer.status == step.status, (step, answer)
    state = step.after(answer)
    assert state is not None
    return state


def one_round(
    server: ForkedServer, wire: Wire, pool: ThreadPoolExecutor, before: State, number: int, moments: random.Random
) -> tuple[State, str]:
    """Return what is to be stored, and what won: one change, the other, or the post that came before both."""
    changes = {
        name: steps.change_password(EMAIL, before, f"{name} password {number}", SEED, name) for name in ("one", "other")
    }
    post = steps.post(before, "laptop", "posted meanwhile")
    late = wallet_body(before.sequence + 2, "forged ahead under the old key")
    requests: dict[str, Callable[[Wire], Answer]] = {
        **{name: change.send for name, change in changes.items()},
        "post": post.send,
        "late": lambda wire: wire("POST", f"{API}/wallet", late, token=before.tokens["phone"]),
        "login": lambda wire: log_in(wire, EMAIL, before.password, "tablet"),
    }
    phone = before.tokens["phone"]
    assert phone is not None
    with ExitStack() as undo:
        socket = listen(server.url, phone)
        undo.callback(socket.shutdown)
        assert socket.recv() == f"wallet-update:{before.sequence}"
        start = threading.Barrier(len(requests))

        def send(request: Callable[[Wire], Answer], laps: int) -> Answer:
            with closing(KeptWire(server.url)) as wire:
                wire("GET", "/healthz")  # so that the connection is there
                start.wait(60)
                for _ in range(laps):  # a change takes longer than a post: without a handicap posts always win
                    wire("GET", "/healthz")
                return request(wire)

        laps = [0, 0, *(moments.randrange(10) for _ in range(3))]
        answers = dict(zip(requests, pool.map(send, requests.values(), laps), strict=True))
        won = [name for name in changes if answers[name].status == 200]
        if won:
            assert closing_code(socket) == 1008
    statuses = {name: answer.status for name, answer in answers.items()}
    tokens = [*before.tokens.values(), answers["login"].json.get("token")]
    if won:
        (winner,) = won
        assert {statuses[name] for name in changes if name != winner} == {401}
        assert {statuses["post"], statuses["late"]} <= {401, 409}
        assert statuses["login"] in (200, 401)
        assert all(wire("GET", f"{API}/wallet", token=token).status == 401 for token in tokens if token)
        return settled(changes[winner], answers[winner]), winner
    assert statuses == {"one": 409, "other": 409, "post": 200, "login": 200, "late": statuses["late"]}
    after = settled(post, answers["post"]).with_token("tablet", tokens[-1])
    if statuses["late"] == 200:
        after = after.with_version(Version(before.sequence + 2, late["encryptedWallet"], late["hmac"], "phone"))
    return after, "post"


def closing_code(socket: websocket.WebSocket) -> int:
    """Wait until the server closes it, and return the code that it says."""
    opcode, data = socket.recv_data()
    while opcode != websocket.ABNF.OPCODE_CLOSE:
        opcode, data = socket.recv_data()
    return int.from_bytes(data[:2])
