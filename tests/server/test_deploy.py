"""The examples for operators: each is run, or checked by the program that reads it."""

import http.client
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import trustme
import websocket

from tests.apt import require
from tests.cheap_server import CheapServer
from tests.server.helpers import API, UNKNOWN_TOKEN, Account, fresh_email, log_in, seed_of, sign_up, until
from tests.server.proxies import DEPLOY, HOST, Proxy, TlsWire, caddy, nginx
from walletsync_server.configuration import load
from walletsync_server.testing import RunningServer

Start = Callable[[Path, str, trustme.CA], AbstractContextManager[Proxy]]
UNITS = ("walletsync.service", "walletsync.socket", "walletsync-backup.service", "walletsync-backup.timer")
SETTINGS = load({}, {}, str(DEPLOY / "walletsync.toml")).settings


class Deployment:
    """A server with the example's settings, and a proxy with the example's configuration in front of it."""

    def __init__(self, server: RunningServer, proxy: Proxy, authority: trustme.CA) -> None:
        self.server = server
        self.proxy = proxy
        self.authority = authority

    def wire(self, source: str = "127.0.0.1") -> TlsWire:
        return TlsWire(self.proxy.port, self.authority, source)

    def account(self) -> Account:
        wire, email = self.wire(), fresh_email()
        assert sign_up(wire, email).status == 201
        return Account(wire, email, log_in(wire, email).json["token"])


@pytest.fixture(scope="module", params=[nginx, caddy], ids=["nginx", "caddy"])
def deployment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One for each proxy."""
    start: Start = request.param
    authority = trustme.CA()
    settings = {"public_url": SETTINGS.public_url, "trusted_proxies": SETTINGS.trusted_proxies, "rate_seed": "2/hour"}
    with (
        CheapServer(accounts="open", settings=settings) as server,
        start(tmp_path_factory.mktemp("proxy"), server.url.removeprefix("http://"), authority) as proxy,
    ):
        yield Deployment(server, proxy, authority)


def test_wallet_goes_through_the_proxy(deployment: Deployment) -> None:
    """Sign-up, login and the largest wallet both ways over TLS, with the header that keeps browsers there."""
    account = deployment.account()
    largest = "\x00" * SETTINGS.max_wallet_bytes  # six times as long in JSON
    posted = account.post(1, largest)
    assert posted.status == 200
    answer = account.get()
    assert answer.json["encryptedWallet"] == largest
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
    assert answer.headers["cache-control"] == "no-store"
    assert account.get(**{"If-None-Match": answer.headers["etag"]}).status == 304


def test_refusals_are_the_servers_own(deployment: Deployment) -> None:
    """A wallet over the limit, a conflict and a missing token have the server's codes, not a page of the proxy."""
    account = deployment.account()
    assert account.post(1, "x" * (SETTINGS.max_wallet_bytes + 1)).code == "too_large"
    assert account.post(2).code == "no_wallet"
    assert deployment.wire()("GET", f"{API}/wallet").code == "unauthorized"


def test_live_update_goes_through_the_proxy(deployment: Deployment) -> None:
    """A WebSocket hears of the current version and of the next one, with the token in the header or in the query."""
    account = deployment.account()
    assert account.post(1).status == 200
    tls = {"context": deployment.wire().context}
    url = f"wss://{HOST}:{deployment.proxy.port}{API}/websocket"
    header = [f"Authorization: Bearer {account.token}"]
    first = websocket.create_connection(url, header=header, sslopt=tls, timeout=20)
    second = websocket.create_connection(f"{url}?token={account.token}", sslopt=tls, timeout=20)
    assert [first.recv(), second.recv()] == ["wallet-update:1"] * 2
    assert account.post(2).status == 200
    assert [first.recv(), second.recv()] == ["wallet-update:2"] * 2
    first.close()
    second.close()
    assert account.token not in deployment.proxy.log() + deployment.server.log()


def test_each_client_has_its_own_limits(deployment: Deployment) -> None:
    """The server counts by the client's address as the proxy sees it, whatever the client says of itself."""
    first, second = deployment.wire("127.0.0.2"), deployment.wire("127.0.0.3")
    claims = [{"X-Forwarded-For": "192.0.2.7"}, {"Forwarded": "for=192.0.2.8"}, {}]
    target = f"{API}/client-salt-seed?email=YUBleGFtcGxlLmNvbQ=="
    assert [first("GET", target, headers=claim).status for claim in claims] == [200, 200, 429]
    assert seed_of(second, "a@example.com").status == 200


def test_clients_with_ipv6_meet_the_server(deployment: Deployment) -> None:
    """And not what else the machine has; the server knows them by their own addresses."""
    wire = deployment.wire("::1")
    assert wire("GET", "/healthz").json == {"status": "ok"}
    account = deployment.account()
    assert Account(wire, account.email, account.token).post(1).status == 200
    target = f"{API}/client-salt-seed?email=YUBleGFtcGxlLmNvbQ=="
    assert [wire("GET", target).status for _ in range(3)] == [200, 200, 429]


def test_plain_http_leads_to_https_but_for_certbot(tmp_path: Path) -> None:
    """nginx sends browsers on, by IPv4 and IPv6, and shows what renews the certificate."""
    with nginx(tmp_path, "127.0.0.1:9", trustme.CA()) as proxy:
        shown = tmp_path / "html/.well-known/acme-challenge/word"
        shown.parent.mkdir(parents=True)
        shown.write_text("proof")
        for address in ("127.0.0.1", "::1"):
            connection = http.client.HTTPConnection(address, proxy.plain, timeout=60)
            connection.request("GET", "/docs?a", headers={"Host": HOST})
            answer = connection.getresponse()
            assert (answer.status, answer.headers["location"]) == (301, f"https://{HOST}/docs?a")
            answer.read()
            connection.request("GET", "/.well-known/acme-challenge/word", headers={"Host": HOST})
            assert connection.getresponse().read() == b"proof"
            connection.close()


def test_request_ids_are_the_proxys(deployment: Deployment) -> None:
    """A client cannot choose under which id it is logged."""
    answer = deployment.wire()("GET", "/healthz", headers={"X-Request-ID": "0123456789abcdef0123"})
    assert answer.status == 200
    assert "0123456789abcdef0123" not in deployment.server.log()


def test_proxy_logs_no_token(deployment: Deployment) -> None:
    """Not even where the server is down, and the proxy has something to complain about."""
    target = f"{API}/websocket?token={UNKNOWN_TOKEN}"
    deployment.server.stop()
    try:
        assert deployment.wire()("GET", target).status == 502
    finally:
        deployment.server.start()
    until(lambda: deployment.wire()("GET", "/healthz").status == 200)
    assert UNKNOWN_TOKEN not in deployment.proxy.log()


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example's units, which start a program that this machine has."""
    folder = tmp_path_factory.mktemp("units")
    for unit in UNITS:
        text = (DEPLOY / unit).read_text()
        (folder / unit).write_text(text.replace("/opt/walletsync/bin/walletsync-server", sys.executable))
    return folder


def analyze(*words: str | Path) -> str:
    """Return what systemd-analyze says to stdout; fail if it says anything else, or finds a fault."""
    require("systemd-analyze", package="systemd")
    ended = subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)  # noqa: S607 - wherever it is
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout + ended.stderr
    return ended.stdout


def test_units_are_all_there() -> None:
    """Those that are tested here and in the box are those of the examples, and all start the installed program."""
    assert {path.name for path in DEPLOY.glob("walletsync*.*")} == {*UNITS, "walletsync.toml"}
    assert (DEPLOY / "walletsync.service").read_text().count("/opt/walletsync/bin/walletsync-server serve") == 1


def test_units_are_right(units: Path) -> None:
    """systemd understands every line of every unit."""
    analyze("verify", *(units / unit for unit in UNITS))


@pytest.mark.parametrize(("unit", "exposure"), [("walletsync.service", 15), ("walletsync-backup.service", 6)])
def test_services_are_hardened(units: Path, unit: str, exposure: int) -> None:
    """There is little that a service could reach beyond its task, on systemd's scale to 100."""
    analyze("security", "--offline=true", f"--threshold={exposure}", units / unit)


def test_settings_are_right() -> None:
    """The example's settings are taken, and name what the other examples name."""
    assert SETTINGS.database == "sqlite:////var/lib/walletsync/walletsync.db"
    assert "StateDirectory=walletsync" in (DEPLOY / "walletsync.service").read_text()
    for proxy in ("nginx.conf", "Caddyfile"):
        text = (DEPLOY / proxy).read_text()
        assert f"127.0.0.1:{SETTINGS.port}" in text
        assert SETTINGS.public_url.removeprefix("https://") in text
    assert SETTINGS.trusted_proxies == ("127.0.0.1",)
    commented = (DEPLOY / "walletsync.toml").read_text().replace("# mail", "mail")
    file = "/run/credentials/walletsync.service/mail-password"
    assert f'mail_password_file = "{file}"' in commented
