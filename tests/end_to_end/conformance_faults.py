"""A fault for each rule of the conformance suite: what a server would do that does not keep it."""

import base64
import re
import secrets
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests import middle
from tests.faulty import (
    Guess,
    OnFrames,
    Seen,
    each,
    fields,
    first,
    frames,
    one_later,
    other_code,
    same,
    status,
    with_header,
    without,
)
from tests.middle import Answer

NOTHING = {"encryptedWallet": "", "sequence": 0, "hmac": "", "version": 1}
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
    said = answer.json
    text = {"encryptedWallet": said["encryptedWallet"].replace("%d", "%%d")}
    return Answer(200, said | text, answer.headers) if text["encryptedWallet"] != said["encryptedWallet"] else answer


def is_known(seen: Seen) -> bool:
    return seen.came_before(middle.SIGNUP, seen.fields["email"])


def is_unknown(seen: Seen) -> bool:
    return not is_known(seen)


def was_deleted(seen: Seen) -> bool:
    return seen.came_before(middle.DELETE_ACCOUNT, seen.fields["email"])


def is_asked_by_stranger(seen: Seen) -> bool:
    (address,) = parse_qs(urlsplit(seen.handler.path).query)["email"]
    return not seen.came_before(middle.SIGNUP, base64.b64decode(address).decode())


def shows_two_tokens(seen: Seen) -> bool:
    return b'"token"' in seen.body and "Authorization" in seen.handler.headers


def third_rival() -> Callable[[Seen], bool]:
    """Of wallets with one sequence that are refused, choose the third."""
    refused: Counter[tuple[str, int]] = Counter()

    def choose(seen: Seen) -> bool:
        wallet = seen.fields
        refused[wallet.get("token", ""), wallet["sequence"]] += seen.gap == 0
        return refused[wallet.get("token", ""), wallet["sequence"]] == 3

    return choose


def in_other_words(answer: Answer) -> Answer:
    return fields(401, error=f"No, for the reason {secrets.token_hex(4)}.")(answer)


def with_lower_case(body: bytes) -> bytes:
    return re.sub(rb'"[A-Z0-9@.-]+"', lambda found: found[0].lower(), body)


def after(request: str, change: OnFrames) -> OnFrames:
    """Change what is said on a WebSocket once a request came, the last one."""
    return lambda server, data: change(server, data) if server.requests[-1] == request else data


FAULTS: list[tuple[str, str, dict[str, Any]]] = [
    ("A-1", middle.SIGNUP, {"answer": status(201, 201)}),
    ("A-2 X-29", middle.SIGNUP, {"answer": status(409, 201, verified=True)}),
    ("A-3 X-11 X-33", middle.GET_SEED, {"answer": fields(200, clientSaltSeed="ab" * 32)}),
    ("A-4", middle.LOGIN, {"answer": fields(200, deviceId="another")}),
    ("A-5 X-11 X-12 X-30", middle.LOGIN, {"answer": status(401, 404), "when": is_known}),
    ("A-6 X-1 X-19 X-30", middle.LOGIN, {"answer": status(401, 404), "when": is_unknown}),
    ("A-7", middle.LOGIN, {"answer": status(400, 200, **TOKEN), "when": lambda seen: b'"password"' not in seen.body}),
    ("A-8", middle.SIGNUP, {"answer": status(400, 201, verified=True)}),
    ("W-1 W-7 X-25 X-38 X-40", middle.GET_WALLET, {"answer": status(404, 200, **NOTHING)}),
    ("W-2 B-2 D-1 N-7 X-1 X-10 X-11 X-12 X-18 X-19 X-9", middle.GET_WALLET, {"answer": status(401, 200, **SOMEBODY)}),
    (
        "W-3 B-1 N-1 N-2 N-3 N-9 W-4 W-5 W-6 W-8 W-9 X-11 X-16 X-18 X-27 X-7",
        middle.GET_WALLET,
        {"answer": fields(200, hmac="another")},
    ),
    ("W-4", middle.GET_WALLET, {"answer": escaped}),
    ("W-5 C-2 W-8", middle.POST_WALLET, {"answer": same(409, 200), "when": lambda seen: seen.gap == 0}),
    ("W-6", middle.POST_WALLET, {"answer": same(409, 200), "when": lambda seen: (seen.gap or 0) > 1}),
    ("W-7 X-25", middle.POST_WALLET, {"answer": same(409, 200), "when": lambda seen: seen.gap is None}),
    ("W-8", middle.POST_WALLET, {"answer": same(409, 200), "when": third_rival()}),
    ("W-9 N-2 X-26 X-7", middle.POST_WALLET, {"body": one_later, "nth": 2}),
    ("N-1 X-26", middle.POST_WALLET, {"answer": same(409, 200), "nth": 2}),
    ("N-2 N-6 W-9 X-7", middle.POST_WALLET, {"answer": same(200, 500), "nth": 2}),
    ("N-3", middle.POST_WALLET, {"body": Guess()}),
    ("N-4 N-5 N-7 X-31 X-34 X-9", middle.LOGIN, {"answer": status(200, 401), "nth": 2}),
    ("N-5", middle.LOGIN, {"answer": status(200, 503), "nth": 3}),
    ("N-6 X-7", middle.POST_WALLET, {"answer": same(200, 409), "nth": 2}),
    ("N-7", middle.LOGIN, {"body": first(r"doubled-\w+", "another"), "nth": 2}),
    ("N-8 X-3", middle.SIGNUP, {"answer": status(201, 409), "nth": 2}),
    ("N-9", middle.CHANGE_PASSWORD, {"answer": status(200, 401), "nth": 2}),
    ("X-1", middle.LOGIN, {"answer": fields(401, error=None)}),
    ("X-2", middle.GET_WALLET, {"answer": without("X-Request-Id")}),
    ("X-3 N-8", middle.SIGNUP, {"answer": status(201, 409), "nth": 2}),
    ("X-4", middle.GET_SEED, {"answer": status(200, 404), "when": is_asked_by_stranger}),
    ("X-5", middle.POST_WALLET, {"answer": fields(400, code="bad_request")}),
    ("X-6", middle.POST_WALLET, {"body": first('"sequence": true', '"sequence": 1')}),
    ("X-7 N-6", middle.POST_WALLET, {"answer": same(200, 409), "nth": 2}),
    ("X-8", middle.GET_WALLET, {"answer": status(304, 200)}),
    ("X-9", middle.LOGIN, {"body": first("replaced-", "another-"), "nth": 2}),
    ("X-10 L-6", LOGOUT, {"answer": status(204, 404)}),
    ("X-11 H-4 L-7 N-9", middle.CHANGE_PASSWORD, {"answer": status(200, 401)}),
    ("X-12", middle.LOGIN, {"answer": status(401, 403), "when": was_deleted}),
    ("X-13", middle.POST_WALLET, {"answer": with_header("ETag", '"1"')}),
    ("X-14", middle.WELL_KNOWN, {"answer": fields(200, payloadVersions=[2])}),
    ("X-15", middle.POST_WALLET, {"body": first("A{4194304}A+", "A")}),
    ("X-16", middle.POST_WALLET, {"body": first('"A{4194304}"', '"A"')}),
    ("X-17", middle.LOGIN, {"answer": status(413, 400)}),
    ("X-18", "HEAD /api/3/wallet", {"answer": without("ETag")}),
    ("X-19", middle.LOGIN, {"answer": without("WWW-Authenticate")}),
    ("X-20", "GET /api/3/nothing-is-here", {"answer": status(404, 200)}),
    ("X-21", "PUT /api/3/wallet", {"answer": without("Allow")}),
    ("X-22", middle.POST_WALLET, {"body": first(r'"sequence": 1, ("sequence": \d+)', r"\1")}),
    ("X-23", "GET /api/3/signup", {"answer": same(431, 400)}),
    ("X-24 X-18", middle.GET_WALLET, {"answer": fields(200, version=None)}),
    ("X-25", middle.POST_WALLET, {"answer": fields(409, code="conflict", applied=None)}),
    ("X-26", middle.POST_WALLET, {"answer": fields(409, applied=False)}),
    ("X-27", "POST /wallet", {"answer": same(200, 404)}),
    ("X-28", "GET /healthz", {"answer": fields(200, status="well")}),
    ("X-29", middle.SIGNUP, {"answer": fields(409, code="taken")}),
    ("X-30", middle.LOGIN, {"answer": in_other_words}),
    ("X-31", middle.LOGIN, {"answer": fields(200, expiration="tomorrow")}),
    ("X-32", middle.LOGIN, {"body": with_lower_case}),
    ("X-33", middle.SIGNUP, {"body": first("ABCDEF01", "GBCDEF01")}),
    ("X-34", middle.CHANGE_PASSWORD, {"answer": same(400, 200)}),
    ("X-35", middle.CHANGE_PASSWORD, {"answer": same(401, 200)}),
    ("X-36", middle.CHANGE_PASSWORD, {"answer": other_code("wallet_required", "conflict")}),
    ("X-37", middle.CHANGE_PASSWORD, {"answer": other_code("conflict", "wallet_required")}),
    ("X-38", middle.CHANGE_PASSWORD, {"answer": other_code("no_wallet", "wallet_required")}),
    ("X-39", middle.DELETE_ACCOUNT, {"answer": status(401, 204)}),
    ("X-40", middle.SIGNUP, {"answer": status(201, 409), "when": was_deleted}),
    ("X-41", RESEND, {"answer": status(200, 404)}),
    ("B-1", middle.POST_WALLET, {"answer": same(200, 401), "when": lambda seen: b'"token"' not in seen.body}),
    ("B-2", middle.POST_WALLET, {"answer": same(401, 200), "when": shows_two_tokens}),
    ("C-1", middle.POST_WALLET, {"answer": fields(200, hmac="another")}),
    ("C-2", middle.POST_WALLET, {"answer": fields(409, hmac="another")}),
    ("H-1", middle.HISTORY, {"answer": reversed_history}),
    ("H-2", f"{middle.HISTORY}/", {"answer": fields(404, code="no_such_version")}),
    ("H-3", middle.HISTORY, {"answer": each("versions", size=1)}),
    ("H-4", middle.HISTORY, {"answer": longer_history}),
    ("D-1", DEVICES, {"answer": status(200, 200, devices=[])}),
    ("D-2", DEVICES, {"answer": each("devices", since="today")}),
    ("D-3", REVOKE, {"answer": fields(404, code="no_such_device")}),
    ("L-1", WEBSOCKET, {"answer": status(426, 200)}),
    ("L-2 L-3 L-4 L-6 L-8", "", {"said": frames(b"wallet-update:", b"wallet-update ")}),
    ("L-3 L-4", "", {"said": after(middle.POST_WALLET, frames(b"wallet-update:", b"wallet-update "))}),
    ("L-4", "", {"said": frames(b"wallet-update:1", b"wallet-update:0")}),
    ("L-5", "", {"said": frames(b"HTTP/1.1 401", b"HTTP/1.1 403")}),
    ("L-6", "", {"said": after(LOGOUT, frames(CLOSED_1008, b"\x03\xe9"))}),
    ("L-7", "", {"said": after(middle.CHANGE_PASSWORD, frames(CLOSED_1008, b"\x03\xe9"))}),
    ("L-8", "", {"heard": b"\x81\x02hi"}),
]
"""The rule that a fault is made for, and those that it breaks as well; what is asked; and the fault of a server there.

The rest is as it should be.
"""
