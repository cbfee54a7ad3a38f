"""The doctor beside a server that runs, and at the address that clients use."""

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from tests.cheap_server import CheapServer
from tests.middle import WELL_KNOWN, Answer, Middle
from tests.server.helpers import API, HttpWire, new_account
from tests.server.proxies import HOST, Proxy, nginx
from walletsync_server.observe.doctor import diagnose
from walletsync_server.observe.findings import FAIL, OK, WARN
from walletsync_server.observe.reach import EXPIRES_SOON, look_at_public_url, look_at_server
from walletsync_server.services import utc_now
from walletsync_server.settings import Settings
from walletsync_server.testing import RunningServer

Levels = dict[str, str]


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with CheapServer(accounts="open") as server:
        yield server


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def proxy(server: RunningServer, authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with nginx(tmp_path_factory.mktemp("proxy"), server.url.removeprefix("http://"), authority) as proxy:
        yield proxy


@pytest.fixture
def middle(server: RunningServer) -> Iterator[Middle]:
    """A proxy that passes on no header of an upgrade."""
    target = f"{API}/websocket"

    def without_upgrade(_: bytes) -> Answer:
        answer = HttpWire(server.url)("GET", target)
        return Answer(answer.status, answer.body)

    with Middle(server.url) as middle:
        middle.instead(f"GET {target}", without_upgrade)
        yield middle


def levels(url: str, now: datetime | None = None) -> Levels:
    return {finding.name: finding.level for finding in look_at_public_url(url, lambda: now or utc_now())}


def trust(authority: trustme.CA, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Let this process trust the authority, as a machine does on which it is installed."""
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    patch.setenv("SSL_CERT_FILE", str(folder / "authority.pem"))


def test_what_passes_the_proxy_is_well(
    proxy: Proxy, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Certificate, requests and WebSockets through the nginx of the examples."""
    trust(authority, tmp_path, monkeypatch)
    assert levels(f"https://{HOST}:{proxy.port}") == {"certificate": OK, "public_url": OK, "websocket": OK}


def test_certificate_that_ends_soon_is_warned_of(
    proxy: Proxy, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In time to see why it was not renewed."""
    trust(authority, tmp_path, monkeypatch)
    made = ssl.create_default_context()
    url = f"https://{HOST}:{proxy.port}"
    (said,) = [each.sentence for each in look_at_public_url(url, utc_now) if each.name == "certificate"]
    end = datetime.strptime(said.split()[-1], "%Y-%m-%d.").replace(tzinfo=UTC)
    assert made.verify_mode == ssl.CERT_REQUIRED
    assert levels(url, end - EXPIRES_SOON - timedelta(days=1))["certificate"] == OK
    assert levels(url, end - EXPIRES_SOON + timedelta(days=2))["certificate"] == WARN


def test_certificate_that_nobody_trusts_fails(proxy: Proxy) -> None:
    """Of an unknown authority, or for another name; nothing else is asked then."""
    (finding,) = look_at_public_url(f"https://{HOST}:{proxy.port}", utc_now)
    assert (finding.name, finding.level, "unable to get local issuer" in finding.sentence) == (
        "certificate",
        FAIL,
        True,
    )


def test_websocket_that_does_not_pass_fails(middle: Middle) -> None:
    """A proxy that passes requests on but no upgrades; the server's own answer tells the two apart."""
    assert levels(middle.url) == {"public_url": OK, "websocket": FAIL}
    assert middle.answers[-1].status == 426


@pytest.mark.parametrize(("status", "body"), [(502, b"<html>"), (200, {"name": "another"}), (200, []), (404, b"")])
def test_another_server_fails(middle: Middle, status: int, body: object) -> None:
    """A page of the proxy, or a site that is not this server."""
    middle.change(WELL_KNOWN, lambda answer: Answer(status, body))
    assert levels(middle.url) == {"public_url": FAIL}


def test_address_where_nobody_is_fails() -> None:
    """With the reason that the system gives."""
    (finding,) = look_at_public_url("http://127.0.0.1:1", utc_now)
    assert (finding.name, finding.level, "Connection refused" in finding.sentence) == ("public_url", FAIL, True)


@pytest.mark.parametrize(
    ("status", "body", "level"),
    [(200, {"status": "ok"}, OK), (503, {}, FAIL), (200, b"it works!", FAIL), (404, {}, FAIL)],
)
def test_server_is_asked_whether_it_is_ready(middle: Middle, status: int, body: object, level: str) -> None:
    """Ready, not ready, and another program on its port."""
    middle.change("GET /readyz", lambda answer: Answer(status, body))
    assert look_at_server("0.0.0.0", int(middle.url.rpartition(":")[2])).level == level  # noqa: S104 - a setting


def test_server_that_does_not_run_is_told() -> None:
    """A warning, since the doctor may be asked before the start."""
    finding = look_at_server("127.0.0.1", 1)
    assert (finding.level, "Is it running?" in finding.sentence) == (WARN, True)
    assert "[::1]:1" in look_at_server("::", 1).sentence


def test_no_false_alarm_beside_a_busy_server(server: RunningServer) -> None:
    """While it stores version after version nothing fails: the clock is asked last, and no file is missed."""
    account, stopping = new_account(HttpWire(server.url)), threading.Event()
    settings = Settings(database=f"sqlite:///{server.database}", port=int(server.url.rpartition(":")[2]))
    stored: list[int] = []

    def write() -> None:
        while not stopping.is_set():
            stored.append(account.post(len(stored) + 1).status)

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for _ in range(10):
            before = len(stored)
            findings = {finding.name: finding for finding in diagnose(settings, clock=utc_now)}
            assert [each for each in findings.values() if each.level == FAIL] == []
            assert findings["server"].level == OK
            while len(stored) == before:
                assert writing.is_alive()
    finally:
        stopping.set()
        writing.join()
    assert set(stored) == {200}
