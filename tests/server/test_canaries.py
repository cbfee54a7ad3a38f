"""A full run with a word of its own in every secret, and a search for each of them in every form in the log."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest
import requests
import websocket

from tests.canaries import forms_of
from tests.cheap_server import CheapServer
from tests.server.front import listen
from tests.server.helpers import API, HttpWire, connect, free_port, log_in, seed_of, send_raw, sign_up, until
from tests.server.smtp import HOST, USERNAME, Certificates, MailServer
from tests.server.smtp import PASSWORD as MAIL_PASSWORD
from walletsync_server.settings import STARTTLS
from walletsync_server.testing import RunningServer

PASSWORD, NEW_PASSWORD, WRONG = "canary-password-0a61", "canary-replaced-0a62", "canary-mistaken-0a63"
EMAIL, STRANGER = "canary-address-0a64@example.com", "canary-stranger-0a65@example.com"
SEED, NEW_SEED, NO_TOKEN = "c0ffee5e0a66d1ce" * 4, "c0ffee5e0a67d1ce" * 4, "c0ffee5e0a68d1ce" * 4
WALLET, HMAC, DEVICE = "canary-wallet-0a69", "canary-hmac-0a70", "canary-device-0a71"
WORD = "canary-word-0a72"
CLIENT = "203.0.113.177"
NAMES = {
    "password": PASSWORD,
    "new password": NEW_PASSWORD,
    "wrong password": WRONG,
    "address": EMAIL,
    "address of nobody": STRANGER,
    "part of an address": EMAIL.partition("@")[0],
    "seed": SEED,
    "new seed": NEW_SEED,
    "token of nobody": NO_TOKEN,
    "wallet": WALLET,
    "hmac": HMAC,
    "device": DEVICE,
    "any word": WORD,
    "client": CLIENT,
    "mail password": MAIL_PASSWORD,
}


@dataclass
class Run:
    """What a run left: the log, and the secrets that were made in it."""

    log: str
    made: dict[str, str] = field(default_factory=dict)


def act(url: str, mails: MailServer | None) -> dict[str, str]:
    """Do everything that a client can do, right and wrong; return the secrets that were made."""
    wire, made = HttpWire(url), {}
    spoof = {"X-Forwarded-For": CLIENT, "X-Request-Id": WORD, "Forwarded": f"for={WORD}", "User-Agent": WORD}

    def ask(method: str, path: str, body: bytes | Mapping[str, Any] = b"", **more: Any) -> Any:
        return wire(method, path, body, headers=spoof | more.pop("headers", {}), **more)

    sign_up(wire, EMAIL, PASSWORD, clientSaltSeed=SEED)
    if mails is not None:
        ask("POST", f"{API}/verify/resend", {"email": EMAIL})
        until(lambda: bool(mails.to(EMAIL)))
        made["link"] = mails.to(EMAIL)[0].token
        for method in ("GET", "BREW", "PUT", "POST", "POST"):
            ask(method, f"{API}/verify", query={"verifyToken": made["link"]})
    sign_up(wire, EMAIL, WRONG, clientSaltSeed=NEW_SEED)
    for email, password in ((EMAIL, WRONG), (STRANGER, PASSWORD)):
        assert log_in(wire, email, password, DEVICE).status == 401
        seed_of(wire, email)
    made["revoked token"] = log_in(wire, EMAIL, PASSWORD, DEVICE).json["token"]
    assert ask("DELETE", "/auth/full", query={"token": made["revoked token"]}).status == 204
    made["token"] = token = log_in(wire, EMAIL, PASSWORD, DEVICE).json["token"]
    wallet = {"encryptedWallet": WALLET, "hmac": HMAC}
    watching = listen(url, token, in_query=True)
    for sequence, status in ((1, 200), (1, 200), (2, 200), (9, 409)):
        assert ask("POST", "/wallet", wallet | {"sequence": sequence, "token": token}).status == status
    watching.close()
    with pytest.raises(websocket.WebSocketBadStatusException):
        listen(url, NO_TOKEN, in_query=True)
    for path in (f"{API}/wallet", f"{API}/wallet/history", f"{API}/wallet/history/1", f"{API}/devices"):
        for tokens in ({"token": token}, {"query": {"token": token}}, {"token": NO_TOKEN}, {"query": {WORD: WORD}}):
            ask("GET", path, **tokens)
    for word in (token, NO_TOKEN, EMAIL, PASSWORD, WALLET, WORD, SEED, f"%{WORD}", quote(EMAIL, safe="")):
        for path in (f"/{word}", f"{API}/wallet/history/{word}", f"{API}/devices/{word}", f"{API}/verify/{word}"):
            ask("GET", path, query={"token": word, word.replace("%", ""): word})
            ask("DELETE", path, headers={"Authorization": f"Bearer {word}", "If-None-Match": word, "Origin": word})
            ask("PUT", path, word.encode())
        ask("POST", f"{API}/signup", f'{{"{word}": "{word}'.encode())
        ask("POST", f"{API}/signup", {"email": word, "password": word, word: word})
        ask("GET", f"{API}/client-salt-seed", query={"email": word})
        ask("GET", f"{API}/wallet", headers={"Authorization": word, "Host": f"{word}..x", "Cookie": word})
        malformed = [f"GET http://[{word}/ HTTP/1.1\r\n\r\n", f"GET /?{word} HTTP/1.1\r\n{word}\r\n\r\n"]
        for each in (*malformed, f"{word}\r\n\r\n", f"GET / HTTP/1.1\r\nContent-Length: {word}\r\n\r\n"):
            assert send_raw(url, each.encode()).status == 400
        with connect(url) as half:
            half.sendall(f"POST /signup?{word} HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n{word}".encode())
    change = {"email": EMAIL, "oldPassword": PASSWORD, "newPassword": NEW_PASSWORD, "clientSaltSeed": NEW_SEED}
    assert ask("POST", f"{API}/password", change | {"oldPassword": WRONG}).status == 401
    assert ask("POST", f"{API}/password", change).status == 409
    assert ask("POST", f"{API}/password", change | wallet | {"sequence": 3}).status == 200
    made["last token"] = log_in(wire, EMAIL, NEW_PASSWORD, DEVICE).json["token"]
    assert ask("POST", f"{API}/account/delete", {"email": EMAIL, "password": WRONG}).status == 401
    assert ask("POST", f"{API}/account/delete", {"email": EMAIL, "password": NEW_PASSWORD}).status == 204
    return made


def run(server: RunningServer, port: int, mails: MailServer | None = None) -> Run:
    with server:
        made = act(server.url, mails)
        metrics = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text
        server.stop()
        return Run(server.log() + metrics, made)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run as operators have it, behind a proxy on the same machine, with limits that are reached."""
    port = free_port()
    settings: dict[str, Any] = {"trusted_proxies": ["127.0.0.1"], "metrics_port": port, "rate_seed": "2/hour"}
    return run(CheapServer(accounts="open", settings=settings), port)


@pytest.fixture(scope="module")
def verbose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run where addresses are confirmed by mail, and every library may say all it knows, in JSON."""
    port, certificates = free_port(), Certificates()
    folder = tmp_path_factory.mktemp("mail")
    (folder / "password").write_text(MAIL_PASSWORD)
    with pytest.MonkeyPatch.context() as patch, MailServer(STARTTLS, certificates, login=True) as mails:
        patch.setenv("SSL_CERT_FILE", str(certificates.write(folder)))
        mails.start()
        settings: dict[str, Any] = {
            "log_level": "debug",
            "log_format": "json",
            "log_failed_logins": "on",
            "metrics_port": port,
            "public_url": "https://sync.example.com",
            "mail_server": HOST,
            "mail_port": mails.port,
            "mail_username": USERNAME,
            "mail_password_file": str(folder / "password"),
            "mail_from": "noreply@example.com",
        }
        yield run(CheapServer(accounts="email", settings=settings), port, mails)


@pytest.mark.parametrize("kind", ["plain", "verbose"])
def test_no_secret_is_in_any_line(request: pytest.FixtureRequest, kind: str) -> None:
    """No token, password, seed, address, wallet, device or word of a client is in log or metrics, in any form."""
    ended: Run = request.getfixturevalue(kind)
    log = ended.log.lower()
    for name, secret in (NAMES | ended.made).items():
        for form in forms_of(secret):
            assert form.lower() not in log, f"{name} as {form[:4]}…"
    for text in ("canary", "0a61", "bearer", "token=", "password=", "traceback", "?", f"@{'example.com'}"):
        assert text not in re.sub(r'"?request_id"?[=:] ?"?[0-9a-f]{16}', "", log), text


@pytest.mark.parametrize("kind", ["plain", "verbose"])
def test_run_reaches_everything(request: pytest.FixtureRequest, kind: str) -> None:
    """The search means something: each route that clients use is in the log, with successes and refusals."""
    log = request.getfixturevalue(kind).log
    paths = ["/signup", "/auth/full", "/client-salt-seed", "/wallet", "/wallet/history", "/wallet/history/{sequence}"]
    for path in [*paths, "/devices", "/devices/{deviceId}", "/password", "/account/delete", "/websocket"]:
        assert path in log
    for word in ("purged", "started", "stopped", "conflict", "wrong_credentials", "unauthorized", "wallet_required"):
        assert word in log
    counted = ['walletsync_mails_total{outcome="sent"}', "walletsync_mails_waiting 0.0", "mail_sent"]
    assert all(text in log for text in (["rate_limited"] if kind == "plain" else counted))


def test_search_finds_a_secret_in_every_form() -> None:
    """A log that has a secret in it, in whatever form, would be found out."""
    around = [b"", b"x", b"xy", b"xyz"]
    for secret in NAMES.values():
        raw = secret.encode()
        texts = [f"a {secret} b", raw.hex(), raw.hex().upper(), quote(f"/{secret}"), json.dumps({"a": secret})]
        texts += [base64.b64encode(before + raw + after).decode() for before in around for after in around]
        texts += [base64.urlsafe_b64encode(before + raw).decode() for before in around]
        for text in texts:
            assert any(form.lower() in text.lower() for form in forms_of(secret)), (secret, text)
