"""Nobody learns from an answer's time whether an address has an account: 1,000 against 1,000 requests of each kind.

Over HTTP, against a real process whose mailer is at work. The kinds are asked in a random order, so that whatever else
the machine does falls on all of them alike. Two kinds are alike if the Mann-Whitney test, which compares ranks and so
minds neither outliers nor the shape of a distribution, has no reason to think otherwise.
"""

import base64
import gc
import http.client
import itertools
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from urllib.parse import quote

import pytest

from tests.server.helpers import API, PASSWORD, HttpWire, sign_up, until
from tests.server.smtp import HOST, MailServer
from walletsync_server.testing import RunningServer

pytestmark = [pytest.mark.security, pytest.mark.timeout(1800)]

TIMES = 1000
ADDRESSES = 50
DOUBT = 0.001
"""Kinds that are alike are called different by chance this often."""
_numbers = itertools.count()


def address() -> str:
    """Return an address that nobody has used, as long as all others."""
    return f"user{next(_numbers):09}@example.com"


@dataclass(frozen=True)
class Target:
    """A server, with addresses that have an account, with a sign-up that waits, and with neither."""

    url: str
    unknown: list[str]
    taken: list[str]
    waiting: list[str]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server in e-mail mode without limits of rate, and a mail server in a process of its own."""
    database = tmp_path_factory.mktemp("timing") / "walletsync.db"
    unlimited = dict.fromkeys(("rate_signup", "rate_login", "rate_seed", "rate_resend"), "off")
    unknown, taken, waiting = ([address() for _ in range(ADDRESSES)] for _ in range(3))
    with RunningServer(database=database, accounts="open", settings=unlimited) as server:
        for email in taken:
            assert sign_up(HttpWire(server.url), email).status == 201
    with MailServer() as reserved, sink(reserved.port):
        settings: dict[str, str | int] = {
            **unlimited,
            "public_url": "https://sync.example.com",
            "mail_server": HOST,
            "mail_port": reserved.port,
            "mail_security": "none",
            "mail_from": "noreply@example.com",
        }
        with RunningServer(database=database, accounts="email", settings=settings) as server:
            for email in waiting:
                assert sign_up(HttpWire(server.url), email).status == 201
            until(lambda: server.log().count("mail_sent") >= ADDRESSES)
            yield Target(server.url, unknown, taken, waiting)


@contextmanager
def sink(port: int) -> Iterator[None]:
    """A mail server in a process of its own, which throws mails away."""
    words = [sys.executable, "-m", "aiosmtpd", "-n", "-l", f"{HOST}:{port}", "-c", "aiosmtpd.handlers.Sink"]
    with subprocess.Popen(words) as process:
        try:
            yield
        finally:
            process.terminate()


Prepared = tuple[str, str, bytes]
Ask = Callable[[str], Prepared]


def post(path: str, **fields: str) -> Ask:
    """Return what asks with these fields and the address in the body."""
    return lambda email: ("POST", API + path, json.dumps({"email": email, **fields}).encode())


def sign_up_anew(email: str) -> Prepared:
    """Sign up with a password that nobody has used."""
    return post("/signup", password=f"password {next(_numbers):9}", clientSaltSeed="5a" * 32)(email)


def seed(email: str) -> Prepared:
    return "GET", f"{API}/client-salt-seed?email={quote(base64.b64encode(email.encode()).decode())}", b""


QUESTIONS: dict[str, tuple[Ask, int]] = {
    "sign-up": (sign_up_anew, 201),
    "login": (post("/auth/full", password="wrong" + PASSWORD, deviceId="laptop"), 401),
    "seed": (seed, 200),
    "resend": (post("/verify/resend"), 200),
    "change": (
        post("/password", oldPassword="wrong" + PASSWORD, newPassword="new" + PASSWORD, clientSaltSeed="5a" * 32),
        401,
    ),
    "deletion": (post("/account/delete", password="wrong" + PASSWORD), 401),
}


@pytest.mark.promise("T-25")
@pytest.mark.parametrize("question", QUESTIONS)
def test_time_tells_nothing(target: Target, question: str) -> None:
    """New, waiting or with an account: every question takes the same time."""
    from scipy.stats import mannwhitneyu  # here, since each worker of all tests would take a second to import it

    ask, expected = QUESTIONS[question]
    number = random.randrange(2**32)
    print(f"seed {number}")
    dice = random.Random(number)
    pick: dict[str, Callable[[], str]] = {
        "unknown": address if question == "sign-up" else lambda: dice.choice(target.unknown),
        "waiting": lambda: dice.choice(target.waiting),
        "taken": lambda: dice.choice(target.taken),
    }
    order = [kind for kind in pick for _ in range(TIMES)]
    dice.shuffle(order)
    seconds: dict[str, list[float]] = {kind: [] for kind in pick}
    connection = http.client.HTTPConnection(target.url.removeprefix("http://"), timeout=60)
    for kind in dice.choices(list(pick), k=100):  # warms up
        measure(connection, ask, pick[kind](), expected)
    gc.disable()
    try:
        for kind in order:
            seconds[kind].append(measure(connection, ask, pick[kind](), expected))
    finally:
        gc.enable()
        connection.close()
    medians = {kind: statistics.median(values) * 1000 for kind, values in seconds.items()}
    found = {(a, b): float(mannwhitneyu(seconds[a], seconds[b]).pvalue) for a, b in combinations(pick, 2)}
    told = ", ".join(f"{kind} {median:.3f} ms" for kind, median in medians.items())
    told += "; " + ", ".join(f"{a}/{b} p={p:.3f}" for (a, b), p in found.items())
    print(f"{question}: {told}")
    assert min(found.values()) > DOUBT, told


def measure(connection: http.client.HTTPConnection, ask: Ask, email: str, expected: int) -> float:
    """Return how many seconds the answer takes, without what it takes here to make the request."""
    method, path, body = ask(email)
    started = time.perf_counter()
    connection.request(method, path, body)
    response = connection.getresponse()
    response.read()
    ended = time.perf_counter()
    assert response.status == expected
    return ended - started
