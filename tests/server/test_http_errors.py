"""Every kind of bad input: a 4xx with a code, never a 5xx, nothing stored, and no value repeated."""

import json
from typing import Any

import pytest

from tests.server.helpers import (
    API,
    PASSWORD,
    Account,
    Answer,
    FlaskWire,
    Wire,
    fresh_email,
    log_in,
    new_account,
    send_raw,
    sign_up,
    wallet_body,
)
from walletsync.protocol import MAX_WALLET_BYTES
from walletsync_server.testing import RunningServer

CANARY = "canary-7f3a"

NOT_A_MESSAGE: dict[str, bytes] = {
    "nothing": b"",
    "white space": b" \r\n\t ",
    "null": b"null",
    "array": b"[]",
    "string": b'"canary-7f3a"',
    "number": b"1",
    "true": b"true",
    "no JSON": b"canary-7f3a",
    "form": b"email=alice%40example.com&password=canary-7f3a",
    "truncated": b'{"hmac":"canary-7f3a',
    "single quotes": b"{'hmac':'canary-7f3a'}",
    "UTF-16": '{"hmac":"x"}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "NUL bytes": b"\0\0\0",
    "deep arrays": b"[" * 60_000,
    "deep objects": b'{"hmac":' * 7_000,
    "deep in a field": b'{"hmac":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "deep in an unknown field": b'{"more":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
}

GOOD: dict[str, dict[str, Any]] = {
    "/signup": {"password": PASSWORD, "clientSaltSeed": "ab" * 32},
    "/auth/full": {"password": PASSWORD, "deviceId": "laptop"},
    "/wallet": wallet_body(2, "new", "h"),
}
"""What would be accepted; the address is added to the first two."""

BAD_TEXT: list[Any] = [None, True, 1, 1.5, [], {}, ["x"], ""]
BAD_SEQUENCES: list[Any] = [None, True, False, "1", 0, -1, 1.5, 1.0, [], {}, 2**32, 2**63, 2**64, 10**30]
BAD_TOKENS: list[Any] = [None, True, 1, []]
BAD_FIELDS: list[tuple[str, str, Any]] = [
    *(("/wallet", "encryptedWallet", value) for value in BAD_TEXT),
    *(("/wallet", "hmac", value) for value in [*BAD_TEXT, "h" * 257]),
    *(("/wallet", "sequence", value) for value in BAD_SEQUENCES),
    *(("/wallet", "token", value) for value in BAD_TOKENS),
    *(("/signup", "email", value) for value in [*BAD_TEXT, "a@", "x" * 255]),
    *(("/signup", "password", value) for value in [*BAD_TEXT, "1234567", "x" * 1025]),
    *(
        ("/signup", "clientSaltSeed", value)
        for value in [*BAD_TEXT, "a" * 63, "a" * 65, "g" * 64, "a" * 64 + "\n", " " + "a" * 63]
    ),
    *(("/auth/full", "email", value) for value in [*BAD_TEXT, "a@", "x" * 255]),
    *(("/auth/full", "password", value) for value in [*BAD_TEXT, "1234567", "x" * 1025]),
    *(("/auth/full", "deviceId", value) for value in [*BAD_TEXT, "x" * 129]),
]

# Written by hand, since `json` would not write them.
BAD_SEQUENCE_TEXTS = ["NaN", "Infinity", "-Infinity", "1e400", "1e0", "01", "0x1", "9" * 5000, "-"]
BAD_STRING_BYTES = {
    "escaped lone surrogate": rb'"\ud800"',
    "escaped low surrogate": rb'"\udc00"',
    "encoded surrogate": b'"\xed\xa0\x80"',
    "overlong": b'"\xc0\xaf"',
    "latin-1": b'"\xe4"',
    "raw line break": b'"a\nb"',
    "raw NUL": b'"a\0b"',
    "bad escape": rb'"\x41"',
}


@pytest.fixture(scope="module")
def holders() -> dict[type[Wire], Account]:
    """One account per front door for all tests here: none of their requests may change it."""
    return {}


@pytest.fixture
def holder(wire: Wire, holders: dict[type[Wire], Account]) -> Account:
    """An account that has a wallet at sequence 1."""
    if type(wire) not in holders:
        holders[type(wire)] = new_account(wire)
        assert holders[type(wire)].post(1, "old").status == 200
    return holders[type(wire)]


def assert_refused(answer: Answer, status: int = 400, code: str = "bad_request") -> str:
    """Check that it is a clean refusal that repeats nothing; return its sentence."""
    assert (answer.status, answer.code) == (status, code)
    assert set(answer.json) == {"error", "code"}
    assert CANARY not in answer.body.decode()
    return str(answer.json["error"])


def assert_unchanged(holder: Account) -> None:
    """Check that the wallet is what it was, and the token is alive."""
    answer = holder.get()
    assert (answer.json["sequence"], answer.json["encryptedWallet"]) == (1, "old")


def good(holder: Account, path: str) -> dict[str, Any]:
    return GOOD[path] if path == "/wallet" else {"email": holder.email} | GOOD[path]


@pytest.mark.promise("P-6")
@pytest.mark.parametrize("path", GOOD)
@pytest.mark.parametrize("body", NOT_A_MESSAGE.values(), ids=NOT_A_MESSAGE.keys())
def test_body_that_is_no_json_object(holder: Account, path: str, body: bytes) -> None:
    """What is no JSON object, or nested absurdly, is 400."""
    assert_refused(holder.wire("POST", API + path, body, token=holder.token))
    assert_unchanged(holder)


@pytest.mark.promise("P-23", "P-25", "P-29", "X-6", "X-33")
@pytest.mark.parametrize(("path", "name", "value"), BAD_FIELDS)
def test_bad_field(holder: Account, path: str, name: str, value: Any) -> None:
    """A field of a wrong type, length or range is 400, and the sentence names the field."""
    body = good(holder, path) | {name: value}
    sentence = assert_refused(holder.wire("POST", API + path, body, token=holder.token))
    assert name in sentence
    assert_unchanged(holder)


@pytest.mark.promise("A-7")
@pytest.mark.parametrize(
    ("path", "name"),
    [
        *((path, "email") for path in ("/signup", "/auth/full")),
        *((path, name) for path in GOOD for name in GOOD[path] if name != "clientSaltSeed"),
    ],
)
def test_missing_field(holder: Account, path: str, name: str) -> None:
    """A missing field is 400, and the sentence names the field."""
    body = good(holder, path)
    without = {key: value for key, value in body.items() if key != name}
    assert name in assert_refused(holder.wire("POST", API + path, without, token=holder.token))
    assert_unchanged(holder)


@pytest.mark.promise("A-8")
@pytest.mark.parametrize("path", GOOD)
@pytest.mark.parametrize("name", ["more", CANARY, "Email", "", "x" * 10_000])
def test_unknown_field(holder: Account, path: str, name: str) -> None:
    """A field that the message does not know is 400, and its name, which may be anything, is not repeated."""
    body = good(holder, path) | {name: 1}
    sentence = assert_refused(holder.wire("POST", API + path, body, token=holder.token))
    assert "unknown field" in sentence
    assert len(sentence) < 300
    assert_unchanged(holder)


@pytest.mark.promise("P-28", "X-22")
@pytest.mark.parametrize("text", BAD_SEQUENCE_TEXTS)
def test_number_that_is_no_sequence(holder: Account, text: str) -> None:
    """NaN, infinities, numbers of other kinds and absurd lengths are 400."""
    body = f'{{"encryptedWallet":"new","sequence":{text},"hmac":"h"}}'.encode()
    assert_refused(holder.wire("POST", f"{API}/wallet", body, token=holder.token))
    assert_unchanged(holder)


@pytest.mark.promise("P-6", "X-22")
@pytest.mark.parametrize("text", BAD_STRING_BYTES.values(), ids=BAD_STRING_BYTES.keys())
@pytest.mark.parametrize("name", ["encryptedWallet", "hmac", "token"])
def test_string_that_is_no_text(holder: Account, name: str, text: bytes) -> None:
    """Bad UTF-8, lone surrogates and broken escapes are 400."""
    fields = {"encryptedWallet": b'"new"', "sequence": b"2", "hmac": b'"h"', name: text}
    body = b"{" + b",".join(b'"%s":%s' % (k.encode(), v) for k, v in fields.items()) + b"}"
    assert_refused(holder.wire("POST", f"{API}/wallet", body, token=holder.token))
    assert_unchanged(holder)


@pytest.mark.promise("X-32")
@pytest.mark.parametrize(
    "email",
    [
        "Alice@example.com",
        "alice",
        "alice@",
        "@example.com",
        "alice@example.com\n",
        " alice@example.com",
        "älice@example.com",
        "alice@exämple.com",
        "\u212alice@example.com",
        "alice@-example.com",
        "a b@example.com",
        "alice@example.com\0",
        "x" * 65 + "@example.com",
    ],
)
def test_address_that_is_not_canonical(wire: Wire, email: str) -> None:
    """Anything but the canonical form is 400 at sign-up and login; nothing is folded."""
    assert "email" in assert_refused(sign_up(wire, email))
    assert "email" in assert_refused(log_in(wire, email))


@pytest.mark.promise("P-6")
@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_content_type_does_not_matter(account: Account, content_type: str | None) -> None:
    """A body is JSON whatever the Content-Type says."""
    headers = {"Content-Type": content_type} if content_type else {}
    body = wallet_body(1)
    answer = account.wire("POST", "/wallet", body, token=account.token, headers=headers)
    assert answer.status == 200


@pytest.mark.promise("X-15", "X-16")
def test_limit_of_the_wallet_counts_bytes(account: Account) -> None:
    """`encryptedWallet` may have 4 MiB of UTF-8, and not a byte more."""
    limit = MAX_WALLET_BYTES
    assert_refused(account.post(1, "x" * (limit + 1)), 413, "too_large")
    assert account.get().code == "no_wallet"
    body = json.dumps(wallet_body(1, "é" * (limit // 2 + 1)), ensure_ascii=False).encode()
    answer = account.wire("POST", "/wallet", body, token=account.token)
    assert_refused(answer, 413, "too_large")
    assert account.post(1, "x" * limit).status == 200
    assert len(account.get().json["encryptedWallet"]) == limit


LIMITS = {
    "/signup": 64 * 1024,
    "/auth/full": 64 * 1024,
    f"{API}/account/delete": 64 * 1024,
    "/wallet": MAX_WALLET_BYTES + 64 * 1024,
    f"{API}/password": MAX_WALLET_BYTES + 64 * 1024,
}


@pytest.mark.promise("X-17")
@pytest.mark.parametrize(("path", "limit"), LIMITS.items())
def test_body_over_the_limit(wire: Wire, path: str, limit: int) -> None:
    """Each route has a limit of its own: without escapes a body may be as long as a wallet and 64 KiB, or 64 KiB."""
    assert_refused(wire("POST", path, b" " * limit), 400, "bad_request")
    assert_refused(wire("POST", path, b" " * (limit + 1)), 413, "too_large")


def test_no_escapes_make_a_body_endless(wire: Wire) -> None:
    """Six times as many bytes as a wallet may have and 64 KiB more are too many, however few are decoded from them."""
    body = b'"' + rb"\u0041" * (MAX_WALLET_BYTES + 11 * 1024) + b'"'
    assert_refused(wire("POST", "/wallet", body), 413, "too_large")


@pytest.mark.promise("P-16")
def test_wallet_is_measured_without_its_escapes(account: Account) -> None:
    """A wallet within the limit is accepted although JSON writes it six times as long."""
    text = "\0" * 1024 * 1024
    answer = account.post(1, text)
    assert (answer.status, answer.json["encryptedWallet"] == text) == (200, True)
    assert account.get().body == answer.body


@pytest.mark.promise("P-16")
def test_largest_body_holds_the_largest_wallet(account: Account) -> None:
    """4 MiB in the longest escapes, with all there may be beside it, is a body within the limit."""
    body = wallet_body(1, "\0" * MAX_WALLET_BYTES, "\0" * 256) | {"version": 1, "token": account.token}
    assert account.wire("POST", "/wallet", body).status == 200


@pytest.mark.promise("X-20")
@pytest.mark.parametrize(
    "path",
    [
        *("/api/3", "/api/3/", "/index.html", "/api/2/wallet", "/wallet/", "/Wallet", "/client-salt-seed"),
        *("/api/3/healthz", "/api/3/.well-known/walletsync", "/%00", "/%0A", "/%ff", "/static/x", "/a/../b"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_path_is_404(wire: Wire, method: str, path: str) -> None:
    """What is not in the table is 404 in JSON; flat paths are only those of the original clients."""
    assert_refused(wire(method, path), 404, "not_found")


def test_slashes_count(app: Any) -> None:
    """A path that begins with two slashes is another one."""
    assert_refused(FlaskWire(app)("GET", "/%2Fhealthz"), 404, "not_found")


@pytest.mark.promise("X-21")
@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/wallet", "GET, HEAD, POST"),
        (f"{API}/wallet", "GET, HEAD, POST"),
        ("/signup", "POST"),
        ("/auth/full", "DELETE, POST"),
        (f"{API}/client-salt-seed", "GET, HEAD"),
        ("/healthz", "GET, HEAD"),
        ("/.well-known/walletsync", "GET, HEAD"),
    ],
)
def test_other_methods_are_405(wire: Wire, path: str, allowed: str) -> None:
    """A method that a path does not know is 405 with `Allow`, also OPTIONS."""
    for method in {"GET", "POST", "PUT", "PATCH", "OPTIONS", "DELETE"}:
        if method not in allowed.split(", "):
            answer = wire(method, path)
            assert_refused(answer, 405, "method_not_allowed")
            assert answer.headers["allow"] == allowed


@pytest.mark.promise("P-119")
@pytest.mark.parametrize("method", ["BREW", "PROPFIND", "TRACE"])
@pytest.mark.parametrize("path", ["/healthz", f"{API}/wallet", "/nowhere"])
def test_unknown_methods_are_400(wire: Wire, method: str, path: str) -> None:
    """A method that HTTP does not have, or not here, cannot be read, whatever the path and whichever the door."""
    assert_refused(wire(method, path), 400, "bad_request")


def test_host_that_is_none_is_400(app: Any) -> None:
    """What Flask itself refuses has the shape of every other error."""
    answer = FlaskWire(app)("GET", "/healthz", headers={"Host": "a..b"})
    assert_refused(answer)


RAW = {
    "no HTTP": (b"\x16\x03\x01\r\n\r\n", 400, "bad_request"),
    "small letters": (b"get /healthz HTTP/1.1\r\n\r\n", 400, "bad_request"),
    "brackets around no address": (
        b"GET http://[alice@example.com]/wallet?token=x HTTP/1.1\r\n\r\n",
        400,
        "bad_request",
    ),
    "bracket that stays open": (b"GET http://[/healthz HTTP/1.1\r\n\r\n", 400, "bad_request"),
    "absurd length": (
        b"POST /wallet HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        400,
        "bad_request",
    ),
    "bad length": (b"POST /wallet HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400, "bad_request"),
    "bad chunks": (
        b"POST /wallet HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        400,
        "bad_request",
    ),
    "unknown method": (b"BREW /healthz HTTP/1.1\r\n\r\n", 400, "bad_request"),
    "unknown coding": (
        b"POST /wallet HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        400,
        "bad_request",
    ),
    "huge body announced": (
        b"POST /wallet HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        413,
        "too_large",
    ),
    "huge header": (b"GET / HTTP/1.1\r\nX: " + b"x" * 300_000 + b"\r\n\r\n", 431, "too_large"),
    "bad host": (b"GET /readyz HTTP/1.1\r\nHost: a..b\r\n\r\n", 400, "bad_request"),
    "chunked body": (
        b"POST /signup HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        400,
        "bad_request",
    ),
}


@pytest.mark.promise("X-23")
@pytest.mark.parametrize(("sent", "status", "code"), RAW.values(), ids=RAW.keys())
def test_malformed_http(running_server: RunningServer, sent: bytes, status: int, code: str) -> None:
    """What is hardly HTTP is answered in JSON with a code, too."""
    assert_refused(send_raw(running_server.url, sent), status, code)


def test_nobody_is_signed_up_by_a_refused_request(wire: Wire) -> None:
    """A sign-up that was refused leaves no account behind."""
    email = fresh_email()
    assert_refused(sign_up(wire, email, more=1))
    assert log_in(wire, email).code == "wrong_credentials"
