"""The black-box suite: our server keeps every rule, one of API 3 the required ones, and each rule can be broken."""

import json
import secrets
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, TypeAlias
from xml.etree import ElementTree

import pytest
import requests
from click.testing import CliRunner
from typing_extensions import override

from tests import middle
from tests.cheap_server import CheapServer
from tests.end_to_end.lbry_server import LbryServer
from tests.middle import Answer, Middle
from tests.postgres import Postgres
from walletsync.cli import main
from walletsync.conformance import Outcome, run
from walletsync.conformance.suite import RULES
from walletsync.errors import NotAllowed
from walletsync_server.testing import RunningServer

KEPT_HEADERS = ("ETag", "X-Request-Id")
Fault: TypeAlias = Callable[[Answer], Answer]


class Faulty(Middle):
    """Our real server, but for one fault in its answers to `what`, from the `nth` time on that a body comes."""

    def __init__(self, server_url: str, what: str, fault: Fault, nth: int = 1) -> None:
        super().__init__(server_url)
        self._fault = what, fault, nth

    @override
    def _ask(self, handler: BaseHTTPRequestHandler, body: bytes) -> Answer:
        headers = {name: value for name, value in handler.headers.items() if name != "Host"}
        url = self._server_url + handler.path
        got = self._session.request(handler.command, url, data=body, headers=headers, timeout=30)
        kept = {name: got.headers[name] for name in KEPT_HEADERS if name in got.headers}
        answer = Answer(got.status_code, got.content, kept)
        what, fault, nth = self._fault
        asked = f"{handler.command} {handler.path.partition('?')[0]}"
        hit = (asked.startswith(what) if what.endswith("/") else asked == what) and self.bodies.count(body) >= nth
        return fault(answer) if hit else answer


def status(old: int, new: int, **fields: Any) -> Fault:
    """Say `new` where the server says `old`, with these fields in the body."""
    return lambda answer: Answer(new, fields, answer.headers) if answer.status == old else answer


def fields(at: int, **changed: Any) -> Fault:
    """Change fields of the answers of a status."""
    return lambda answer: Answer(at, answer.json | changed, answer.headers) if answer.status == at else answer


def without(header: str) -> Fault:
    """Leave out a header."""

    def change(answer: Answer) -> Answer:
        return Answer(answer.status, answer.body, {n: v for n, v in answer.headers.items() if n != header})

    return change


def other_seed(answer: Answer) -> Answer:
    return Answer(answer.status, {"clientSaltSeed": secrets.token_hex(32)})


def reversed_history(answer: Answer) -> Answer:
    return Answer(answer.status, {"versions": answer.json["versions"][::-1]})


def escaped(answer: Answer) -> Answer:
    if answer.status != 200:
        return answer
    return Answer(200, answer.json | {"encryptedWallet": answer.json["encryptedWallet"].replace("%", "%%")})


SOMEBODY = {"encryptedWallet": "x", "sequence": 1, "hmac": "x", "version": 1}
TOKEN = {"token": "0" * 64, "deviceId": "first"}
LOGOUT = "DELETE /api/3/auth/full"
DEVICES = "GET /api/3/devices"
WEBSOCKET = "GET /api/3/websocket"
FAULTS: list[tuple[str, str, Fault, int]] = [
    ("A-1", middle.SIGNUP, status(201, 201), 1),
    ("A-2", middle.SIGNUP, status(409, 201, verified=True), 1),
    ("A-3", middle.GET_SEED, fields(200, clientSaltSeed="ab" * 32), 1),
    ("A-4", middle.LOGIN, fields(200, deviceId="another"), 1),
    ("A-5", middle.LOGIN, status(401, 200, **TOKEN), 1),
    ("A-6", middle.LOGIN, status(401, 200, **TOKEN), 1),
    ("A-7", middle.LOGIN, status(400, 200, **TOKEN), 1),
    ("A-8", middle.SIGNUP, status(400, 201, verified=True), 1),
    ("W-1", middle.GET_WALLET, status(404, 200, **SOMEBODY), 1),
    ("W-2", middle.GET_WALLET, status(401, 200, **SOMEBODY), 1),
    ("W-3", middle.GET_WALLET, fields(200, hmac="another"), 1),
    ("W-4", middle.GET_WALLET, escaped, 1),
    ("W-5", middle.POST_WALLET, status(409, 200), 1),
    ("W-6", middle.POST_WALLET, status(409, 200), 1),
    ("W-7", middle.POST_WALLET, status(409, 200), 1),
    ("W-8", middle.POST_WALLET, status(409, 200), 1),
    ("W-9", middle.POST_WALLET, status(200, 500), 1),
    ("X-1", middle.LOGIN, fields(401, code="other"), 1),
    ("X-2", middle.GET_WALLET, without("X-Request-Id"), 1),
    ("X-3", middle.SIGNUP, status(201, 409), 2),
    ("X-4", middle.GET_SEED, other_seed, 1),
    ("X-5", middle.POST_WALLET, fields(400, code="bad_request"), 1),
    ("X-6", middle.POST_WALLET, status(400, 200), 1),
    ("X-7", middle.POST_WALLET, status(200, 409), 2),
    ("X-8", middle.GET_WALLET, without("ETag"), 1),
    ("X-8", middle.GET_WALLET, status(304, 200), 1),
    ("X-9", middle.GET_WALLET, status(401, 404), 1),
    ("X-10", LOGOUT, status(204, 404), 1),
    ("X-11", middle.CHANGE_PASSWORD, status(200, 401), 2),
    ("X-12", middle.DELETE_ACCOUNT, status(204, 404), 1),
    ("B-1", middle.POST_WALLET, status(200, 401), 1),
    ("C-1", middle.POST_WALLET, status(200, 200), 1),
    ("C-2", middle.POST_WALLET, status(409, 409, error="Too late.", code="conflict"), 1),
    ("H-1", middle.HISTORY, reversed_history, 1),
    ("H-2", f"{middle.HISTORY}/", status(404, 200), 1),
    ("D-1", DEVICES, status(200, 200, devices=[]), 1),
    ("L-1", WEBSOCKET, status(426, 200), 1),
]


def broken(url: str) -> set[str]:
    """Return the ids of the rules that a server breaks."""
    return {result.rule.id for result in run(url) if result.outcome == Outcome.BROKEN}


def test_our_server_keeps_every_rule(running_server: RunningServer) -> None:
    """Required and optional, over the database that most tests use."""
    results = list(run(running_server.url))
    assert [result.why for result in results if result.outcome != Outcome.KEPT] == []
    assert [result.rule for result in results] == list(RULES)


def test_our_server_keeps_every_rule_over_postgresql(postgres: Postgres) -> None:
    """The other engine gives no other answer."""
    with CheapServer(accounts="open", settings={"database": postgres.new_storage()}) as server:
        assert [result.why for result in run(server.url) if result.outcome != Outcome.KEPT] == []


def test_server_of_api_3_passes_the_required_part() -> None:
    """It offers nothing else, and is not blamed for that."""
    with LbryServer() as server:
        results = list(run(server.url))
    assert [result.why for result in results if result.outcome == Outcome.BROKEN] == []
    assert all(result.rule.required == (result.outcome == Outcome.KEPT) for result in results)


def test_every_rule_has_a_fault() -> None:
    """The table below breaks each, and ids are unique."""
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids)
    assert {each[0] for each in FAULTS} == set(ids)


@pytest.mark.parametrize(("id", "what", "fault", "nth"), FAULTS, ids=[f"{each[0]} {each[1]}" for each in FAULTS])
def test_rule_can_be_broken(running_server: RunningServer, id: str, what: str, fault: Fault, nth: int) -> None:
    """A server with this one fault breaks the rule."""
    with Faulty(running_server.url, what, fault, nth) as server:
        assert id in broken(server.url)


def test_command_tells_rules_and_capabilities(running_server: RunningServer, tmp_path: Path) -> None:
    """A table, and JUnit's XML; status 0, and 1 where a rule is broken, which it names."""
    file = tmp_path / "results.xml"
    done = CliRunner().invoke(main, ["conformance", running_server.url, "--junit", str(file)])
    assert done.exit_code == 0
    assert "W-5   required  kept" in done.stdout
    assert "wallet-history     yes" in done.stdout
    assert "Accounts with random names are signed up" in done.stderr
    suite = ElementTree.parse(file).getroot()  # noqa: S314 - our own
    assert (len(suite), suite.get("failures"), suite.get("skipped")) == (len(RULES), "0", "0")

    with Faulty(running_server.url, middle.POST_WALLET, status(409, 200)) as server:
        done = CliRunner().invoke(main, ["conformance", server.url, "--json", "--junit", str(file)])
    assert done.exit_code == 1
    whys = {each["id"]: each["why"] for each in json.loads(done.stdout) if each["outcome"] == "broken"}
    assert whys["W-5"] == "POST /api/3/wallet: expected status 409, came 200"
    assert ElementTree.parse(file).getroot().get("failures") == str(len(whys))  # noqa: S314 - our own


def test_accounts_are_deleted_at_the_end() -> None:
    """Nothing of the run is left in a server that can delete: no password of it opens any account."""
    with CheapServer(accounts="open") as server, Middle(server.url) as between:
        list(run(between.url))
        used = {each for each in between.bodies if b'"deviceId"' in each and b'"email"' in each}
        assert len(used) > 5
        url = f"{server.url}/api/3/auth/full"
        assert {requests.post(url, data=each, timeout=30).status_code for each in used} <= {400, 401}


def test_closed_server_is_told_apart() -> None:
    """Where nobody may sign up, the suite says so, and blames no rule."""
    with CheapServer(accounts="allowlist") as server, pytest.raises(NotAllowed, match="that is open"):
        list(run(server.url))
