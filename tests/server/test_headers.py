"""The table of headers: which every answer has, and which depend on who asks and on what stands in front."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cheap_server import CheapServer
from tests.server.helpers import (
    API,
    Account,
    Answer,
    FlaskWire,
    HttpWire,
    Wire,
    cheap_passwords,
    new_account,
    send_raw,
)
from walletsync_server.api.routes import ROUTES
from walletsync_server.app import close_app, create_app
from walletsync_server.settings import Settings
from walletsync_server.testing import UNLIMITED, RunningServer

ALWAYS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
NOTHING_LOADED = "default-src 'none'; frame-ancestors 'none'"
HSTS = "strict-transport-security"
CORS = ["access-control-allow-origin", "access-control-expose-headers", "access-control-allow-methods", "vary"]
PAGE, OTHER_PAGE, EVIL = "https://wallet.example.com", "https://app.example.com:8443", "https://evil.example.com"
BEHIND = {"trusted_proxies": ["127.0.0.1"], "cors_origins": [PAGE, OTHER_PAGE]}
REQUEST_ID = re.compile(r"[0-9a-f]{16}")
KINDS_OF_ANSWERS: dict[str, tuple[int, dict[str, Any]]] = {
    "about": (200, {"method": "GET", "path": "/.well-known/walletsync"}),
    "health": (200, {"method": "GET", "path": "/healthz"}),
    "head": (200, {"method": "HEAD", "path": "/readyz"}),
    "wallet": (200, {"method": "GET", "path": "/wallet", "logged_in": True}),
    "nothing new": (304, {"method": "GET", "path": "/wallet", "logged_in": True, "headers": {"If-None-Match": "*"}}),
    "bad request": (400, {"method": "POST", "path": f"{API}/signup", "body": b"{"}),
    "no token": (401, {"method": "GET", "path": "/wallet"}),
    "wrong token": (401, {"method": "POST", "path": "/wallet", "body": {"sequence": 1}, "token": "f" * 64}),
    "nowhere": (404, {"method": "GET", "path": "/nowhere"}),
    "no such method": (405, {"method": "PUT", "path": "/wallet"}),
    "no preflight": (405, {"method": "OPTIONS", "path": "/wallet"}),
    "conflict": (409, {"method": "POST", "path": "/wallet", "body": {"sequence": 9}, "logged_in": True}),
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Wire]]:
    """Both ways to a server that stands behind a proxy on this machine, and is used by two web pages."""
    file = tmp_path_factory.mktemp("app") / "walletsync.db"
    settings: dict[str, Any] = {**UNLIMITED, **BEHIND}
    app = create_app(Settings(database=f"sqlite:///{file}", accounts="open", **settings), passwords=cheap_passwords())
    with CheapServer(accounts="open", settings=BEHIND) as server:
        yield {"flask": FlaskWire(app), "process": HttpWire(server.url)}
    close_app(app)


@pytest.fixture(params=["flask", "process"])
def behind(request: pytest.FixtureRequest, servers: dict[str, Wire]) -> Wire:
    return servers[request.param]


def ask(wire: Wire, account: Account, **how: Any) -> Answer:
    """Send one of `KINDS_OF_ANSWERS`."""
    method, path, body = how["method"], how["path"], how.get("body", b"")
    if isinstance(body, Mapping) and "sequence" in body:
        body = {"encryptedWallet": "-", "hmac": "h", **body}
    token = account.token if how.get("logged_in") else how.get("token")
    return wire(method, path, body, token=token, headers=how.get("headers"))


def check_always(answer: Answer, *, policy: str = NOTHING_LOADED) -> None:
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
    assert answer.headers["content-security-policy"] == policy


@pytest.mark.parametrize("kind", KINDS_OF_ANSWERS)
def test_every_answer_is_locked_down(wire: Wire, account: Account, kind: str) -> None:
    """Right or wrong, an answer is not stored, sniffed or framed, refers to nobody, loads nothing; no page reads it."""
    account.post(1)
    status, how = KINDS_OF_ANSWERS[kind]
    answer = ask(wire, account, **how)
    assert answer.status == status
    check_always(answer)
    assert REQUEST_ID.fullmatch(answer.headers["x-request-id"])
    assert not {HSTS, *CORS, "set-cookie", "access-control-allow-credentials"} & set(answer.headers)


def test_every_route_is_locked_down(wire: Wire) -> None:
    """No route of the table forgets the headers, whatever it answers to nothing; pages bring a policy of their own."""
    for route in ROUTES:
        for prefix in route.prefixes:
            path = re.sub(r"\{.*\}", "1", prefix + route.path)
            answer = wire(route.method, path)
            is_page = answer.headers.get("content-type", "").startswith("text/html")
            policy = answer.headers["content-security-policy"] if is_page else NOTHING_LOADED
            assert policy.startswith("default-src 'none'; ")
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            check_always(answer, policy=policy)
            assert "x-request-id" in answer.headers


@pytest.mark.promise("X-18")
def test_head_is_answered_wherever_get_is(wire: Wire) -> None:
    """With the status and the headers of GET, also of an error; the time and the id are each answer's own."""
    token = new_account(wire).token
    own = {"date", "x-request-id"}
    for route in ROUTES:
        if route.method == "GET":
            path = re.sub(r"\{.*\}", "1", API + route.path if API in route.prefixes else route.path)
            got, head = (wire(method, path, token=token) for method in ("GET", "HEAD"))
            assert (head.status, head.body) == (got.status, b""), path
            assert got.body, path
            assert _without(own, head.headers) == _without(own, got.headers), path


def _without(names: set[str], headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}


def test_what_is_no_request_is_answered_locked_down(running_server: RunningServer) -> None:
    """What the front door itself refuses has the headers as well."""
    answer = send_raw(running_server.url, b"GET /wallet HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n")
    assert answer.status == 400
    check_always(answer)


@pytest.mark.promise("X-2")
def test_request_ids_are_new_each_time(wire: Wire) -> None:
    """An id names one request; a client cannot choose it."""
    chosen = "0123456789abcdef" * 2
    ids = {wire("GET", "/healthz", headers={"X-Request-Id": chosen}).headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20
    assert chosen not in ids


def test_request_id_of_a_trusted_proxy_is_kept(behind: Wire) -> None:
    """A proxy's log and ours name a request alike; an id that looks like something else is replaced."""
    chosen = "9b2d6c1e-7a54-4f0e-8d0a-3c4f5e6a7b8c"
    assert behind("GET", "/healthz", headers={"X-Request-Id": chosen}).headers["x-request-id"] == chosen
    token = "ab" * 32
    assert behind("GET", "/healthz", headers={"X-Request-Id": token}).headers["x-request-id"] != token


@pytest.mark.parametrize(
    ("headers", "secure"),
    [
        ({}, False),
        ({"X-Forwarded-Proto": "http"}, False),
        ({"X-Forwarded-Proto": "https"}, True),
        ({"Forwarded": "for=192.0.2.1;proto=https"}, True),
    ],
)
def test_hsts_behind_tls(behind: Wire, headers: dict[str, str], secure: bool) -> None:
    """Browsers are told to stay with https where a trusted proxy says that they came over it."""
    answer = behind("GET", "/wallet", headers=headers)
    assert answer.headers.get(HSTS) == ("max-age=31536000" if secure else None)


def test_hsts_is_not_for_whoever_claims_tls(wire: Wire) -> None:
    """A client that pretends to be a proxy gets nothing out of it."""
    assert HSTS not in wire("GET", "/healthz", headers={"X-Forwarded-Proto": "https"}).headers


def test_hsts_where_clients_use_https(tmp_path: Path) -> None:
    """With a public address of https, every answer says so, without a proxy that has to."""
    settings = Settings(database=f"sqlite:///{tmp_path / 'w.db'}", public_url="https://sync.example.com")
    app = create_app(settings, passwords=cheap_passwords())
    assert FlaskWire(app)("GET", "/nowhere").headers[HSTS] == "max-age=31536000"
    close_app(app)


@pytest.mark.promise("P-20", "P-21")
@pytest.mark.parametrize("origin", [PAGE, OTHER_PAGE])
def test_named_pages_may_read_answers(behind: Wire, origin: str) -> None:
    """A page that was named may read answers, errors too, and the headers that a client needs; it has no cookies."""
    account = new_account(behind)
    account.post(1)
    for answer in (account.get(Origin=origin), behind("GET", "/wallet", headers={"Origin": origin})):
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["vary"] == "Origin"
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert set(exposed) == {"ETag", "Retry-After", "X-Request-Id"}
        assert "access-control-allow-credentials" not in answer.headers
        check_always(answer)


@pytest.mark.promise("P-20")
@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "",
        "*",
        EVIL,
        "http://wallet.example.com",
        f"{PAGE}:443",
        f"{PAGE}/",
        f"{PAGE}.evil.example.com",
        PAGE.upper(),
        f"{PAGE}, {PAGE}",
    ],
)
def test_other_pages_may_not(behind: Wire, origin: str | None) -> None:
    """Whoever is not named to the letter learns nothing; a cache is told that answers differ."""
    headers = {} if origin is None else {"Origin": origin}
    asked = {"Access-Control-Request-Method": "GET"}
    for answer, status in (
        (behind("GET", "/healthz", headers=headers), 200),
        (behind("OPTIONS", "/wallet", headers=headers | asked), 405),
    ):
        assert answer.status == status
        assert [name for name in CORS if name in answer.headers] == ["vary"]


def test_browsers_may_ask_first(behind: Wire) -> None:
    """The question of a browser is answered with the methods of that address and the headers that a client sends."""
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    answer = behind("OPTIONS", f"{API}/wallet", headers=asked)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD, POST"
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type", "if-none-match"} == set(allowed)
    assert int(answer.headers["access-control-max-age"]) <= 3600
    assert "access-control-allow-credentials" not in answer.headers
    check_always(answer)
    assert behind("OPTIONS", "/nowhere", headers=asked).status == 404


@pytest.mark.promise("P-20")
def test_pages_are_nobody_by_default(wire: Wire) -> None:
    """Without a setting no page of the web may use the server."""
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    for answer in (wire("OPTIONS", "/wallet", headers=asked), wire("GET", "/healthz", headers={"Origin": PAGE})):
        assert not set(CORS) & set(answer.headers)


def test_every_page_if_the_operator_says_so(tmp_path: Path) -> None:
    """The wildcard is sent as such, never an echo, so no browser can be brought to send credentials along."""
    settings = Settings(database=f"sqlite:///{tmp_path / 'w.db'}", cors_origins=["*"])
    app = create_app(settings, passwords=cheap_passwords())
    wire = FlaskWire(app)
    answer = wire("GET", "/healthz", headers={"Origin": EVIL})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert not {"vary", "access-control-allow-credentials"} & set(answer.headers)
    asked = {"Origin": EVIL, "Access-Control-Request-Method": "GET"}
    assert wire("OPTIONS", "/wallet", headers=asked).status == 204
    assert "access-control-allow-origin" not in wire("GET", "/healthz").headers
    close_app(app)
