"""Two servers on one PostgreSQL and one Valkey, as two hosts would have them, and what each does without Valkey."""

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import websocket
from click.testing import CliRunner

from tests.canaries import forms_of
from tests.cheap_server import CheapServer
from tests.postgres import Postgres
from tests.server.front import listen
from tests.server.helpers import (
    API,
    PASSWORD,
    SEED,
    Account,
    HttpWire,
    free_port,
    fresh_email,
    log_in,
    new_account,
    sign_up,
    until,
)
from tests.valkey import Valkey
from walletsync_server.cli import main
from walletsync_server.live.hub import Hub, Listener
from walletsync_server.live.valkey import Bridge
from walletsync_server.observe.doctor import diagnose
from walletsync_server.observe.findings import FAIL, OK, WARN
from walletsync_server.services import utc_now
from walletsync_server.settings import Settings, SettingsError
from walletsync_server.testing import Value


@dataclass(frozen=True)
class Host:
    """One of the servers."""

    server: CheapServer

    @property
    def wire(self) -> HttpWire:
        return HttpWire(self.server.url)

    def reach(self) -> str:
        answer = self.wire("GET", "/readyz")
        assert answer.status == 200  # whatever became of Valkey
        return str(answer.json["live"])

    @contextmanager
    def listens(self, token: str) -> Iterator[Any]:
        """Hold a WebSocket to this server open."""
        socket = listen(self.server.url, token)
        try:
            yield socket
        finally:
            socket.shutdown()

    def lends(self, account: Account) -> Account:
        """Return the same account, reached at this server."""
        return Account(self.wire, account.email, account.token)


@contextmanager
def two_hosts(postgres: Postgres, live: str, **settings: Value) -> Iterator[tuple[Host, Host]]:
    """Run two servers, each with a folder and a port of its own."""
    shared: dict[str, Value] = {"database": postgres.new_storage(), "live": live, **settings}
    with (
        CheapServer(accounts="open", settings=shared) as one,
        CheapServer(accounts="open", settings=shared) as other,
    ):
        yield Host(one), Host(other)


@pytest.fixture
def hosts(postgres: Postgres, valkey: Valkey) -> Iterator[tuple[Host, Host]]:
    with two_hosts(postgres, valkey.url) as hosts:
        until(lambda: all(host.reach() == "servers" for host in hosts))
        yield hosts


def is_hung_up(socket: Any) -> bool:
    """Read what comes until the server closes the socket; fail if it does not."""
    while True:
        opcode, _ = socket.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return True


def test_listener_is_told_of_a_wallet_at_the_other_server(hosts: tuple[Host, Host]) -> None:
    """Either way, and it may be read there at once."""
    here, there = hosts
    account = new_account(here.wire)
    for sequence, (writer, reader) in enumerate([hosts, hosts[::-1]], 1):
        with reader.listens(account.token) as socket:
            if sequence > 1:
                assert socket.recv() == f"wallet-update:{sequence - 1}"
            assert writer.lends(account).post(sequence).status == 200
            assert socket.recv() == f"wallet-update:{sequence}"
            assert reader.lends(account).get().json["sequence"] == sequence
    assert there.lends(account).get().json["sequence"] == 2


def test_revoked_device_is_hung_up_everywhere(hosts: tuple[Host, Host]) -> None:
    """A device that is logged out at one server is hung up at the other, and so are all whose password changed."""
    here, there = hosts
    account = new_account(here.wire)
    other = log_in(here.wire, account.email, device="phone").json["token"]
    with (
        there.listens(account.token) as laptop,
        there.listens(other) as phone,
    ):
        assert here.wire("DELETE", f"{API}/devices/phone", token=account.token).status in (200, 204)
        assert is_hung_up(phone)
        assert here.lends(account).post(1).status == 200
        assert laptop.recv() == "wallet-update:1"
        body: dict[str, object] = {
            "email": account.email,
            "oldPassword": PASSWORD,
            "newPassword": "n" * 64,
            "clientSaltSeed": SEED,
        }
        body |= {"encryptedWallet": "new", "sequence": 2, "hmac": "h"}
        assert here.wire("POST", f"{API}/password", body).status == 200
        assert is_hung_up(laptop)


def test_revoked_device_is_hung_up_without_valkey(hosts: tuple[Host, Host], valkey: Valkey) -> None:
    """The servers look into the database for it, again and again as long as they cannot tell each other."""
    here, there = hosts
    account = new_account(here.wire)
    other = log_in(here.wire, account.email, device="phone").json["token"]
    with there.listens(other) as phone:
        valkey.stop()
        until(lambda: {host.reach() for host in hosts} == {"cut off"})
        assert here.wire("DELETE", f"{API}/devices/phone", token=account.token).status in (200, 204)
        assert is_hung_up(phone)


def test_hanging_valkey_hangs_nobody(hosts: tuple[Host, Host], valkey: Valkey) -> None:
    """Connections stay, and nobody answers: the servers go on alone, and together again when it does."""
    here, there = hosts
    account = new_account(here.wire)
    with there.listens(account.token) as socket:
        with valkey.hanging():
            assert here.lends(account).post(1).status == 200
            assert log_in(there.wire, account.email, device="phone").status == 200
            assert sign_up(here.wire, fresh_email()).status == 201
            until(lambda: {host.reach() for host in hosts} == {"cut off"})
        until(lambda: {host.reach() for host in hosts} == {"servers"})
        assert socket.recv() == "wallet-update:1"
    for host in hosts:
        assert "event=unexpected" not in host.server.log()


def test_limits_count_together(postgres: Postgres, valkey: Valkey) -> None:
    """What one server counted, the other has counted; without Valkey each goes on with what it counted itself."""
    with two_hosts(postgres, valkey.url, rate_signup="3/hour") as (here, there):
        assert [sign_up(host.wire, fresh_email()).status for host in (here, there, here)] == [201] * 3
        refused = sign_up(there.wire, fresh_email())
        assert (refused.status, refused.code) == (429, "rate_limited")
        assert 0 < int(refused.headers["retry-after"]) <= 3600
        valkey.stop()
        assert [sign_up(there.wire, fresh_email()).status for _ in range(2)] == [201, 429]  # had 2, one refused
        assert sign_up(here.wire, fresh_email()).status == 201
        assert sign_up(here.wire, fresh_email()).status == 429


@pytest.mark.promise("P-121")
def test_all_goes_on_without_valkey_and_again_with_it(hosts: tuple[Host, Host], valkey: Valkey) -> None:
    """Writes are accepted meanwhile; whoever listened is told afterwards what it missed, and log and readyz say it."""
    here, there = hosts
    account = new_account(here.wire)
    assert here.lends(account).post(1).status == 200
    with there.listens(account.token) as socket:
        assert socket.recv() == "wallet-update:1"
        valkey.stop()
        until(lambda: {host.reach() for host in hosts} == {"cut off"})
        assert here.lends(account).post(2).status == 200
        assert there.lends(account).get().json["sequence"] == 2
        valkey.start()
        until(lambda: {host.reach() for host in hosts} == {"servers"})
        assert socket.recv() == "wallet-update:2"
        assert here.lends(account).post(3).status == 200
        assert socket.recv() == "wallet-update:3"
    for host in hosts:
        log = host.server.log()
        assert "event=live_lost" in log
        assert log.rindex("event=live_connected") > log.rindex("event=live_lost")
        assert "event=unexpected" not in log


def test_server_starts_without_valkey(postgres: Postgres, valkey: Valkey) -> None:
    """It serves, says that it is alone, and joins when Valkey comes."""
    valkey.stop()
    with two_hosts(postgres, valkey.url) as (here, there):
        account = new_account(here.wire)
        assert here.reach() == "cut off"
        valkey.start()
        until(lambda: {here.reach(), there.reach()} == {"servers"})
        with there.listens(account.token) as socket:
            assert here.lends(account).post(1).status == 200
            assert socket.recv() == "wallet-update:1"


def test_metric_says_whether_others_are_reached(postgres: Postgres, valkey: Valkey) -> None:
    """1 as long as Valkey is there, and again when it is back; 0 meanwhile."""
    port = free_port()
    settings: dict[str, Value] = {"database": postgres.new_storage(), "live": valkey.url, "metrics_port": port}
    with CheapServer(accounts="open", settings=settings):

        def is_shown(value: int) -> bool:
            return (
                f"\nwalletsync_live_reached {value}.0\n"
                in requests.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text
            )

        until(lambda: is_shown(1))
        valkey.stop()
        until(lambda: is_shown(0))
        valkey.start()
        until(lambda: is_shown(1))


def test_databases_on_one_valkey_count_apart(postgres: Postgres, valkey: Valkey) -> None:
    """Each counts the sign-ups of a network for itself."""
    with (
        two_hosts(postgres, valkey.url, rate_signup="1/hour") as (here, _),
        two_hosts(postgres, valkey.url, rate_signup="1/hour") as (elsewhere, _),
    ):
        assert [sign_up(host.wire, fresh_email()).status for host in (here, elsewhere)] == [201, 201]


def test_channels_hear_nothing_of_each_other(valkey: Valkey) -> None:
    """What one database's account is told, that of the same number in another is not."""
    with ExitStack() as undo:

        def bridge(channel: str) -> tuple[Bridge, Listener]:
            hub, stands = Hub(), threading.Event()
            made = Bridge(valkey.url, channel, hub, on_change=lambda is_up: stands.set() if is_up else None)
            undo.enter_context(made)
            assert stands.wait(20)
            return made, hub.listen(1, b"token", 1, lambda: None)

        (mine, _), (_, other), (theirs, _), (_, far) = (bridge(name) for name in ("a", "a", "b", "b"))
        mine.publish(1, 5)
        until(lambda: other.take() == 5)
        theirs.publish(1, 3)
        until(lambda: far.take() == 3)  # which would be 5, had it heard what came before


def test_second_server_that_is_not_joined_is_told_so(postgres: Postgres, valkey: Valkey) -> None:
    """The first one is alone; of those that come later only one without `live` hears nothing of the others."""
    database = postgres.new_storage()
    with ExitStack() as undo:
        first, second, joined = (
            undo.enter_context(CheapServer(accounts="open", settings={"database": database, **more}))
            for more in ({}, {}, {"live": valkey.url})
        )
        told = ["Somebody else has this database open." in each.log() for each in (first, second, joined)]
    assert told == [False, True, False]


def test_password_of_the_url_is_shown_to_nobody(postgres: Postgres) -> None:
    """Neither by the log of a server whose Valkey comes and goes, nor by `config` or the settings' repr."""
    password = "canary-valkey-77b1"
    with Valkey(password) as valkey, two_hosts(postgres, valkey.url, log_level="debug") as (here, there):
        until(lambda: {here.reach(), there.reach()} == {"servers"})
        valkey.stop()
        until(lambda: here.reach() == "cut off")
        log = here.server.log()
    assert "event=live_lost" in log
    assert [form for form in forms_of(password) if form in log] == []
    url = f"redis://:{password}@db.example.com"
    words = ["config", "--json", "--database", "postgresql://db.example.com/x", "--live", url]
    assert json.loads(CliRunner().invoke(main, words).stdout)["live"]["value"] == "redis://:…@db.example.com"
    assert password not in repr(Settings(database="postgresql://db.example.com/x", live=url))


def test_doctor_looks_at_valkey(postgres: Postgres, valkey: Valkey) -> None:
    """Whether it answers, and whether others can read the connection."""

    def found(live: str) -> dict[str, str]:
        settings = Settings(database=postgres.new_storage(), live=live, port=0)
        return {finding.name: finding.level for finding in diagnose(settings, clock=utc_now) if "live" in finding.name}

    assert found(valkey.url) == {"live": OK}
    everywhere = f"valkey://0.0.0.0:{valkey.port}"  # which is no loopback, though it leads there
    assert found(everywhere) == {"live": OK, "live connection": WARN}
    valkey.stop()
    assert found(valkey.url) == {"live": FAIL}


WRONG: Iterable[str] = (
    "localhost",
    "http://localhost",
    "valkey://",
    "valkey://localhost:0",
    "valkey://localhost:x",
    "valkey://localhost/name",
    "valkey://localhost/0?a=b",
    "valkey://local host",
    f"valkey://{64 * 'x'}.example.com",
    "valkey://live..example.com",
)


@pytest.mark.parametrize("live", WRONG)
def test_other_urls_are_refused(live: str) -> None:
    """With a sentence that says what would be right, and has no word of the URL in it."""
    with pytest.raises(SettingsError, match=r"live must be a URL such as valkey://HOST:6379/0") as refused:
        Settings(database="postgresql://localhost/x", live=live)
    assert live not in str(refused.value).replace("valkey://HOST", "")


def test_live_is_for_postgresql() -> None:
    """A file has one server, which needs nobody to reach others."""
    with pytest.raises(SettingsError, match="leave it out with SQLite"):
        Settings(live="valkey://localhost")
