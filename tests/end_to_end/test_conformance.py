"""The black-box suite: our server keeps every rule, one of API 3 the required ones, and each rule can be broken."""

import re
import secrets
from typing import Any

import pytest
import requests

from tests import middle
from tests.cheap_server import CheapServer
from tests.end_to_end.lbry_server import LbryServer
from tests.faulty import (
    Faulty,
    Guess,
    OnFrames,
    each,
    fields,
    first,
    frames,
    one_later,
    same,
    status,
    with_header,
    without,
)
from tests.middle import Answer, Middle
from tests.postgres import Postgres
from walletsync.conformance import Outcome, run
from walletsync.conformance.suite import RULES
from walletsync_server.testing import RunningServer

SOMEBODY = {"encryptedWallet": "x", "sequence": 1, "hmac": "x", "version": 1}
TOKEN = {"token": "0" * 64, "deviceId": "first"}
LOGOUT = "DELETE /api/3/auth/full"
DEVICES = "GET /api/3/devices"
REVOKE = "DELETE /api/3/devices/"
WEBSOCKET = "GET /api/3/websocket"
RESEND = "POST /api/3/verify/resend"
CLOSED_1008 = b"\x03\xf0"  # as a close frame has the number


def other_seed(answer: Answer) -> Answer:
    return Answer(answer.status, {"clientSaltSeed": secrets.token_hex(32)})


def capital_seed(answer: Answer) -> Answer:
    return Answer(answer.status, {"clientSaltSeed": answer.json["clientSaltSeed"].upper()})


def reversed_history(answer: Answer) -> Answer:
    return Answer(answer.status, {"versions": answer.json["versions"][::-1]})


def longer_history(answer: Answer) -> Answer:
    versions = answer.json["versions"]
    return Answer(answer.status, {"versions": [*versions, versions[-1] | {"sequence": 1}]})


def escaped(answer: Answer) -> Answer:
    if answer.status != 200:
        return answer
    return Answer(200, answer.json | {"encryptedWallet": answer.json["encryptedWallet"].replace("%", "%%")})


def in_other_words(answer: Answer) -> Answer:
    return fields(401, error=f"No, for the reason {secrets.token_hex(4)}.")(answer)


def with_lower_case(body: bytes) -> bytes:
    return re.sub(rb'"[A-Z0-9@.-]+"', lambda found: found[0].lower(), body)


def after(request: str, change: OnFrames) -> OnFrames:
    """Change what is said on a WebSocket once a request came, the last one."""
    return lambda server, data: change(server, data) if server.requests[-1] == request else data


FAULTS: list[tuple[str, str, dict[str, Any]]] = [
    ("A-1", middle.SIGNUP, {"answer": status(201, 201)}),
    ("A-2", middle.SIGNUP, {"answer": status(409, 201, verified=True)}),
    ("A-3", middle.GET_SEED, {"answer": fields(200, clientSaltSeed="ab" * 32)}),
    ("A-4", middle.LOGIN, {"answer": fields(200, deviceId="another")}),
    ("A-5", middle.LOGIN, {"answer": status(401, 200, **TOKEN)}),
    ("A-6", middle.LOGIN, {"answer": status(401, 200, **TOKEN)}),
    ("A-7", middle.LOGIN, {"answer": status(400, 200, **TOKEN)}),
    ("A-8", middle.SIGNUP, {"answer": status(400, 201, verified=True)}),
    ("W-1", middle.GET_WALLET, {"answer": status(404, 200, **SOMEBODY)}),
    ("W-2", middle.GET_WALLET, {"answer": status(401, 200, **SOMEBODY)}),
    ("W-3", middle.GET_WALLET, {"answer": fields(200, hmac="another")}),
    ("W-4", middle.GET_WALLET, {"answer": escaped}),
    ("W-5", middle.POST_WALLET, {"answer": same(409, 200)}),
    ("W-6", middle.POST_WALLET, {"answer": same(409, 200)}),
    ("W-7", middle.POST_WALLET, {"answer": same(409, 200)}),
    ("W-8", middle.POST_WALLET, {"answer": same(409, 200)}),
    ("W-9", middle.POST_WALLET, {"body": one_later, "nth": 2}),
    ("N-1", middle.POST_WALLET, {"answer": same(409, 200), "nth": 2}),
    ("N-2", middle.POST_WALLET, {"answer": same(200, 500), "nth": 2}),
    ("N-3", middle.POST_WALLET, {"body": Guess()}),
    ("N-4", middle.LOGIN, {"answer": status(200, 401), "nth": 2}),
    ("N-5", middle.LOGIN, {"answer": status(200, 503), "nth": 2}),
    ("N-6", middle.POST_WALLET, {"answer": same(200, 409), "nth": 2}),
    ("N-7", middle.LOGIN, {"body": first(r"doubled-\w+", "another"), "nth": 2}),
    ("N-8", middle.SIGNUP, {"answer": status(201, 409), "nth": 2}),
    ("N-9", middle.CHANGE_PASSWORD, {"answer": status(200, 401), "nth": 2}),
    ("X-1", middle.LOGIN, {"answer": fields(401, error=None)}),
    ("X-2", middle.GET_WALLET, {"answer": without("X-Request-Id")}),
    ("X-3", middle.SIGNUP, {"answer": status(201, 409), "nth": 2}),
    ("X-4", middle.GET_SEED, {"answer": other_seed}),
    ("X-5", middle.POST_WALLET, {"answer": fields(400, code="bad_request")}),
    ("X-6", middle.POST_WALLET, {"body": first('"sequence": true', '"sequence": 1')}),
    ("X-7", middle.POST_WALLET, {"answer": same(200, 409), "nth": 2}),
    ("X-8", middle.GET_WALLET, {"answer": status(304, 200)}),
    ("X-9", middle.GET_WALLET, {"answer": status(401, 404)}),
    ("X-10", LOGOUT, {"answer": status(204, 404)}),
    ("X-11", middle.CHANGE_PASSWORD, {"answer": status(200, 401)}),
    ("X-12", middle.DELETE_ACCOUNT, {"answer": status(204, 404)}),
    ("X-13", middle.GET_WALLET, {"answer": with_header("ETag", '"1"')}),
    ("X-14", middle.WELL_KNOWN, {"answer": fields(200, payloadVersions=[2])}),
    ("X-15", middle.POST_WALLET, {"body": first("A{4194304}A+", "A")}),
    ("X-16", middle.POST_WALLET, {"body": first("A{4194304}", "A" * 4194303)}),
    ("X-17", middle.LOGIN, {"answer": status(413, 400)}),
    ("X-18", "HEAD /api/3/wallet", {"answer": without("ETag")}),
    ("X-19", middle.LOGIN, {"answer": without("WWW-Authenticate")}),
    ("X-20", "GET /api/3/nothing-is-here", {"answer": status(404, 200)}),
    ("X-21", "PUT /api/3/wallet", {"answer": without("Allow")}),
    ("X-22", middle.POST_WALLET, {"body": first(r'"sequence": 1, ("sequence": \d+)', r"\1")}),
    ("X-23", "GET /api/3/signup", {"answer": same(431, 400)}),
    ("X-24", middle.GET_WALLET, {"answer": fields(200, version=None)}),
    ("X-25", middle.POST_WALLET, {"answer": fields(409, code="conflict", applied=None)}),
    ("X-26", middle.POST_WALLET, {"answer": fields(409, applied=False)}),
    ("X-27", "POST /wallet", {"answer": same(200, 404)}),
    ("X-28", "GET /healthz", {"answer": fields(200, status="well")}),
    ("X-29", middle.SIGNUP, {"answer": fields(409, code="taken")}),
    ("X-30", middle.LOGIN, {"answer": in_other_words}),
    ("X-31", middle.LOGIN, {"answer": fields(200, expiration="tomorrow")}),
    ("X-32", middle.LOGIN, {"body": with_lower_case}),
    ("X-33", middle.GET_SEED, {"answer": capital_seed}),
    ("X-34", middle.CHANGE_PASSWORD, {"answer": same(400, 200)}),
    ("X-35", middle.CHANGE_PASSWORD, {"answer": same(401, 200)}),
    ("X-36", middle.CHANGE_PASSWORD, {"answer": fields(409, code="conflict")}),
    ("X-37", middle.CHANGE_PASSWORD, {"answer": fields(409, code="wallet_required")}),
    ("X-38", middle.CHANGE_PASSWORD, {"answer": fields(409, code="wallet_required")}),
    ("X-39", middle.DELETE_ACCOUNT, {"answer": same(401, 204)}),
    ("X-40", middle.GET_WALLET, {"answer": status(404, 200, **SOMEBODY)}),
    ("X-41", RESEND, {"answer": status(200, 404)}),
    ("B-1", middle.POST_WALLET, {"answer": same(200, 401)}),
    ("B-2", middle.POST_WALLET, {"answer": same(401, 200)}),
    ("C-1", middle.POST_WALLET, {"answer": fields(200, hmac="another")}),
    ("C-2", middle.POST_WALLET, {"answer": fields(409, hmac="another")}),
    ("H-1", middle.HISTORY, {"answer": reversed_history}),
    ("H-2", f"{middle.HISTORY}/", {"answer": status(404, 200)}),
    ("H-3", middle.HISTORY, {"answer": each("versions", size=1)}),
    ("H-4", middle.HISTORY, {"answer": longer_history}),
    ("D-1", DEVICES, {"answer": status(200, 200, devices=[])}),
    ("D-2", DEVICES, {"answer": each("devices", since="today")}),
    ("D-3", REVOKE, {"answer": status(404, 204)}),
    ("L-1", WEBSOCKET, {"answer": status(426, 200)}),
    ("L-2", "", {"said": frames(b"wallet-update:", b"wallet-update ")}),
    ("L-3", "", {"said": after(middle.POST_WALLET, frames(b"wallet-update:", b"wallet-update "))}),
    ("L-4", "", {"said": frames(b"wallet-update:1", b"wallet-update:0")}),
    ("L-5", "", {"said": frames(b"HTTP/1.1 401", b"HTTP/1.1 403")}),
    ("L-6", "", {"said": after(LOGOUT, frames(CLOSED_1008, b"\x03\xe9"))}),
    ("L-7", "", {"said": after(middle.CHANGE_PASSWORD, frames(CLOSED_1008, b"\x03\xe9"))}),
    ("L-8", "", {"heard": b"\x81\x02hi"}),
]
"""The rule, what is asked, and the fault of a server there. The rest is as it should be."""


def broken(url: str, *only: str) -> set[str]:
    """Return the ids of the rules that a server breaks."""
    return {result.rule.id for result in run(url, only=only) if result.outcome == Outcome.BROKEN}


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
    assert sorted(each[0].split()[0] for each in FAULTS) == sorted(ids)


@pytest.mark.parametrize(("ids", "what", "fault"), FAULTS, ids=[each[0] for each in FAULTS])
def test_rule_can_be_broken(running_server: RunningServer, ids: str, what: str, fault: dict[str, Any]) -> None:
    """A server with this one fault breaks the rule."""
    rule = ids.split()[0]
    with Faulty(running_server.url, what, **fault) as server:
        assert broken(server.url, rule) == {rule}


@pytest.mark.security
@pytest.mark.parametrize(("ids", "what", "fault"), FAULTS, ids=[each[0] for each in FAULTS])
def test_fault_breaks_nothing_else(running_server: RunningServer, ids: str, what: str, fault: dict[str, Any]) -> None:
    """The table names each rule that a fault breaks: what is told of a server leads to what is wrong with it."""
    with Faulty(running_server.url, what, **fault) as server:
        assert " ".join(sorted(broken(server.url))) == " ".join(sorted(ids.split()))


def test_accounts_are_deleted_at_the_end() -> None:
    """Nothing of the run is left in a server that can delete: no password of it opens any account."""
    with CheapServer(accounts="open") as server, Middle(server.url) as between:
        list(run(between.url))
        used = {each for each in between.bodies if b'"deviceId"' in each and b'"email"' in each}
        assert len(used) > 5
        url = f"{server.url}/api/3/auth/full"
        assert {requests.post(url, data=each, timeout=30).status_code for each in used} <= {400, 401, 413}
