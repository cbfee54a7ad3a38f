"""What the server says about itself, its health, and what it answers when it is broken."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import flask
import pytest

from tests.server.helpers import FlaskWire, Wire, cheap_passwords, fresh_email, sign_up
from walletsync_server import __version__
from walletsync_server.api.dispatch import Api
from walletsync_server.api.errors import unreadable
from walletsync_server.api.http import Request, Response
from walletsync_server.app import close_app, create_app
from walletsync_server.services.errors import LEAST_PAUSE, MOST_PAUSE
from walletsync_server.services.seeds import Seeds
from walletsync_server.settings import Settings

CANARY = "canary-7f3a"


@pytest.fixture
def own_app(tmp_path: Path) -> Iterator[flask.Flask]:
    """An application that a test may break."""
    settings = Settings(
        database=f"sqlite:///{tmp_path}/own.db",
        accounts="allowlist",
        allow=["alice@example.com"],
        max_wallet_bytes=100,
    )
    app = create_app(settings, passwords=cheap_passwords())
    yield app
    close_app(app)


@pytest.mark.promise("P-40", "X-14")
def test_well_known_tells_limits_and_features(wire: Wire) -> None:
    """A client learns what the server accepts and what it does beyond the common protocol; Flask has no WebSockets."""
    live = [] if isinstance(wire, FlaskWire) else ["live-updates"]
    answer = wire("GET", "/.well-known/walletsync")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json == {
        "name": "walletsync",
        "serverVersion": __version__,
        "payloadVersions": [1],
        "limits": {"encryptedWalletBytes": 4 * 1024 * 1024, "keptVersions": 10, "devices": 100},
        "features": ["bearer-token", "devices", "wallet-history", *live, "wallet-in-answers"],
    }


@pytest.mark.promise("P-120", "P-121", "X-28")
@pytest.mark.parametrize(("path", "more"), [("/healthz", {}), ("/readyz", {"live": "process"})])
def test_healthy_server_says_so(wire: Wire, path: str, more: dict[str, str]) -> None:
    """Both health checks are 200."""
    answer = wire("GET", path)
    assert (answer.status, answer.json) == (200, {"status": "ok"} | more)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.promise("P-120", "P-127")
def test_server_without_database_is_alive_but_not_ready(own_app: flask.Flask, caplog: pytest.LogCaptureFixture) -> None:
    """If the database does not answer, `readyz` and what needs it are 503 with a line in the log, `healthz` is 200."""
    close_app(own_app)
    wire = FlaskWire(own_app)
    assert wire("GET", "/healthz").status == 200
    for answer in (wire("GET", "/readyz"), sign_up(wire, "alice@example.com")):
        assert (answer.status, answer.code) == (503, "unavailable")
        assert LEAST_PAUSE <= int(answer.headers["retry-after"]) <= MOST_PAUSE
    assert caplog.text.count('event=unavailable reason="The database is closed."') == 2


def test_only_allowed_addresses_sign_up(own_app: flask.Flask) -> None:
    """With an allow list, any other address is 403."""
    wire = FlaskWire(own_app)
    answer = sign_up(wire, fresh_email())
    assert (answer.status, answer.code) == (403, "not_allowed")
    assert sign_up(wire, "alice@example.com").status == 201


@pytest.mark.promise("X-14", "X-15")
def test_limit_of_wallets_is_a_setting(own_app: flask.Flask) -> None:
    """`.well-known` tells the limit that was set."""
    limits = FlaskWire(own_app)("GET", "/.well-known/walletsync").json["limits"]
    assert limits["encryptedWalletBytes"] == 100


def test_fault_of_the_front_door_is_500(own_app: flask.Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails outside of the handlers is a 500 in the same shape."""

    def fail(self: Api, request: Request) -> Response:
        raise RuntimeError(CANARY)

    monkeypatch.setattr(Api, "answer", fail)
    answer = FlaskWire(own_app)("GET", "/healthz")
    assert (answer.status, answer.code) == (500, "internal_error")
    assert CANARY not in answer.body.decode()


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "bad_request"), (413, "too_large"), (431, "too_large"), (500, "internal_error")],
)
def test_refusal_of_a_door_has_a_code(status: int, code: str) -> None:
    """Whatever a door refuses by itself gets the code that its status stands for."""
    response = unreadable(status)
    assert (response.status, json.loads(response.body)["code"]) == (status, code)


def test_unexpected_error_is_500_without_its_message(
    own_app: flask.Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault is a 500 in JSON; type and stack are logged, messages nowhere, since they can carry values."""

    def fail(self: Seeds, email: str, client: str) -> str:
        try:
            raise KeyError(CANARY)
        except KeyError as error:
            raise RuntimeError(CANARY) from error

    monkeypatch.setattr(Seeds, "seed_of", fail)
    with caplog.at_level(logging.INFO):
        answer = FlaskWire(own_app)("GET", "/api/3/client-salt-seed", query={"email": "YUBleGFtcGxlLmNvbQ=="})
    assert (answer.status, answer.code) == (500, "internal_error")
    assert CANARY not in answer.body.decode()
    assert CANARY not in caplog.text
    assert "builtins.RuntimeError < builtins.KeyError" in caplog.text
    assert "test_http_about" in caplog.text
    assert "status=500" in caplog.text
