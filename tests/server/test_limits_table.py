"""The table of limits: what is refused beyond how many, over both ways to the server."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cheap_server import CheapServer
from tests.server.helpers import (
    API,
    PASSWORD,
    SEED,
    Answer,
    FlaskWire,
    HttpWire,
    Wire,
    cheap_passwords,
    fresh_email,
    log_in,
    seed_of,
    send_raw,
    sign_up,
)
from walletsync_server.api.routes import ROUTES
from walletsync_server.app import close_app, create_app
from walletsync_server.services.errors import Busy, RateLimited
from walletsync_server.services.throttle import PAIR_RATE
from walletsync_server.settings import Settings

SIGNUPS, LOGINS, SEEDS, RESENDS = 3, 6, 4, 2
LIMITED = {
    "rate_signup": f"{SIGNUPS}/hour",
    "rate_login": f"{LOGINS}/hour",
    "rate_seed": f"{SEEDS}/hour",
    "rate_resend": f"{RESENDS}/hour",
    "trusted_proxies": ["127.0.0.1"],
}
PAIR = int(PAIR_RATE.partition("/")[0])
WRONG = "wrong password"
NEW_PASSWORD = "another derived password"


class From(Wire):
    """The same way to a server, as if from another address."""

    def __init__(self, wire: Wire, address: str, **more: str) -> None:
        self._wire = wire
        self._headers = {"X-Forwarded-For": address} | more

    def send(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> Answer:
        return self._wire.send(method, target, body, headers | self._headers)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Wire]]:
    """Both ways to a server with low limits, which believes us whatever address we say that we come from."""
    file = tmp_path_factory.mktemp("app") / "walletsync.db"
    settings: dict[str, Any] = LIMITED
    app = create_app(Settings(database=f"sqlite:///{file}", accounts="open", **settings), passwords=cheap_passwords())
    with CheapServer(accounts="open", settings=LIMITED) as server:
        yield {"flask": FlaskWire(app), "process": HttpWire(server.url)}
    close_app(app)


@pytest.fixture(params=["flask", "process"])
def limited(request: pytest.FixtureRequest, servers: dict[str, Wire]) -> Wire:
    return servers[request.param]


@pytest.fixture
def addresses() -> Iterator[str]:
    """Addresses that no test has used."""
    return (f"203.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}" for number in _numbers)


_numbers = iter(range(1, 2**24))


@pytest.fixture
def at(limited: Wire, addresses: Iterator[str]) -> Callable[[], Wire]:
    """Return the way to the server from an address of its own."""
    return lambda: From(limited, next(addresses))


def change_password(wire: Wire, email: str, old: str = WRONG) -> Answer:
    body = {"email": email, "oldPassword": old, "newPassword": NEW_PASSWORD, "clientSaltSeed": SEED}
    return wire("POST", f"{API}/password", body)


def delete_account(wire: Wire, email: str, password: str = WRONG) -> Answer:
    return wire("POST", f"{API}/account/delete", {"email": email, "password": password})


def resend(wire: Wire, email: str) -> Answer:
    return wire("POST", f"{API}/verify/resend", {"email": email})


@dataclass(frozen=True)
class Row:
    """`ask` works `times` from one network, with another address each time, and answers `status`."""

    path: str
    ask: Callable[[Wire, str], Answer]
    times: int
    status: int


TABLE = {
    "signup": Row("/signup", sign_up, SIGNUPS, 201),
    "login": Row("/auth/full", log_in, LOGINS, 401),
    "seed": Row("/client-salt-seed", seed_of, SEEDS, 200),
    "resend": Row("/verify/resend", resend, RESENDS, 200),
    "password": Row("/password", change_password, LOGINS // 2, 401),  # which tries the new one as well
    "delete": Row("/account/delete", delete_account, LOGINS, 401),
}


def check_refused(answer: Answer) -> None:
    """It is a 429 that says when to come back, to programs and to people."""
    assert (answer.status, answer.code) == (429, "rate_limited")
    assert re.fullmatch(r"[1-9]\d{0,3}", answer.headers["retry-after"])
    assert re.search(r"try again in \d+ (second|minute)s?\.", answer.json["error"])
    assert set(answer.json) == {"error", "code"}


@pytest.mark.promise("P-126", "P-128")
@pytest.mark.parametrize("name", TABLE)
def test_what_costs_is_limited(at: Callable[[], Wire], name: str) -> None:
    """Each row: so many from one network, the next is refused, and another network is not."""
    row = TABLE[name]
    here = at()
    for _ in range(row.times):
        assert row.ask(here, fresh_email()).status == row.status
    check_refused(row.ask(here, fresh_email()))
    check_refused(row.ask(here, fresh_email()))
    assert row.ask(at(), fresh_email()).status == row.status


def test_nothing_that_costs_is_forgotten() -> None:
    """Every route that hashes, mails or tells a seed is in the table above, and in the document."""
    refusing = {route.path for route in ROUTES if RateLimited in route.refusals}
    hashing = {route.path for route in ROUTES if Busy in route.refusals}
    assert refusing == {row.path for row in TABLE.values()}
    assert hashing == refusing - {"/client-salt-seed", "/verify/resend"}


def test_both_prefixes_count_together(at: Callable[[], Wire]) -> None:
    """The flat paths are no way around."""
    here = at()
    for number in range(SIGNUPS):
        path = f"{API if number % 2 else ''}/signup"
        assert here("POST", path, {"email": fresh_email(), "password": PASSWORD}).status == 201
    check_refused(here("POST", "/signup", {"email": fresh_email(), "password": PASSWORD}))
    check_refused(here("POST", f"{API}/signup", {"email": fresh_email(), "password": PASSWORD}))


@pytest.mark.promise("S-27")
def test_a_household_counts_together(limited: Wire) -> None:
    """The addresses of one IPv6 network are one client's."""
    number = next(_numbers)
    for host in range(SIGNUPS):
        assert sign_up(From(limited, f"2001:db8:{number & 0xFFFF:x}:1::{host:x}"), fresh_email()).status == 201
    check_refused(sign_up(From(limited, f"2001:db8:{number & 0xFFFF:x}:1:ffff::"), fresh_email()))
    assert sign_up(From(limited, f"2001:db8:{number & 0xFFFF:x}:2::1"), fresh_email()).status == 201


def test_what_clients_say_of_themselves_is_no_way_around(limited: Wire, addresses: Iterator[str]) -> None:
    """Whatever stands before the proxy's own entry, or in a header like it, the client stays the same."""
    mine = next(addresses)
    lies = [
        {"X-Forwarded-For": f"{next(addresses)}, {mine}"},
        {"X-Forwarded-For": f"{next(addresses)}, nonsense, {mine}"},
        {"X-Forwarded-For": mine, "X-Real-IP": next(addresses)},
    ]
    for lie in lies[:SIGNUPS]:
        assert sign_up(From(limited, mine, **lie), fresh_email()).status == 201
    check_refused(sign_up(From(limited, f"{next(addresses)}, {mine}"), fresh_email()))


def test_header_with_underscores_is_not_the_proxys(servers: dict[str, Wire], addresses: Iterator[str]) -> None:
    """Behind a gateway names with `_` and `-` look alike; a client's is not taken for the proxy's."""
    mine = next(addresses)
    process = servers["process"]
    assert isinstance(process, HttpWire)

    def ask() -> int:
        lines = [
            f"GET {API}/client-salt-seed?email=YUBleGFtcGxlLmNvbQ== HTTP/1.1",
            "Host: a",
            f"X_Forwarded_For: {next(addresses)}",
            f"X-Forwarded-For: {mine}",
            f"X_Forwarded_For: {next(addresses)}",
        ]
        return send_raw(f"http://{process.address}", "\r\n".join([*lines, "", ""]).encode()).status

    assert [ask() for _ in range(SEEDS)] == [200] * SEEDS
    assert ask() == 429


@pytest.mark.promise("P-128", "S-22", "S-26")
def test_one_account_is_guessed_at_slowly(at: Callable[[], Wire]) -> None:
    """The device that its owner logged in has an allowance of its own, larger than that of its whole network."""
    email, home = fresh_email(), at()
    assert sign_up(home, email).status == 201
    assert log_in(home, email, device="laptop").status == 200
    statuses = [log_in(home, email, WRONG, "another device").status for _ in range(LOGINS)]
    assert statuses == [401] * (LOGINS - 1) + [429]  # the first login there counts
    check_refused(log_in(home, email, PASSWORD, "another device"))
    statuses = [log_in(home, email, WRONG, "laptop").status for _ in range(PAIR + 1)]
    assert statuses == [401] * PAIR + [429]


@pytest.mark.promise("S-23")
def test_known_device_gets_in_while_its_account_is_attacked(at: Callable[[], Wire]) -> None:
    """However much is guessed at an account, from everywhere and beside it, its device logs in, from anywhere."""
    email, home = fresh_email(), at()
    assert sign_up(home, email).status == 201
    assert log_in(home, email, device="laptop").status == 200
    for _ in range(110 // LOGINS):
        attacker = at()
        statuses = [log_in(attacker, email, WRONG, "other").status for _ in range(LOGINS)]
        assert set(statuses) <= {401, 429}
    for _ in range(PAIR):
        log_in(home, email, WRONG, "other")
    check_refused(log_in(at(), email, PASSWORD, "stranger"))
    check_refused(log_in(home, email, PASSWORD, "stranger"))
    for place in (home, at(), at()):
        assert log_in(place, email, device="laptop").status == 200


def test_unknown_address_is_treated_like_a_known_one(at: Callable[[], Wire]) -> None:
    """Guesses at an account and at nothing get the same answers, in the same order."""
    existing, unknown = fresh_email(), fresh_email()
    assert sign_up(at(), existing).status == 201

    def answers(email: str) -> list[tuple[int, str, bool]]:
        received = []
        for _ in range(102 // LOGINS + 1):
            here = at()
            for _ in range(LOGINS + 1):
                answer = log_in(here, email, WRONG, "stranger")
                received.append((answer.status, answer.code, "retry-after" in answer.headers))
        return received

    assert answers(existing) == answers(unknown)


def test_sign_up_is_no_way_to_guess(at: Callable[[], Wire]) -> None:
    """Signing up again tells whether the password is right, so it counts as a guess at that account."""
    email, first = fresh_email(), at()
    assert sign_up(first, email).status == 201
    for _ in range(100 // SIGNUPS + 1):
        attacker = at()
        statuses = {sign_up(attacker, email, WRONG).status for _ in range(SIGNUPS)}
        assert statuses <= {409, 429}
    check_refused(log_in(at(), email, PASSWORD, "stranger"))
