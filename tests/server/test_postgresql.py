"""A server whose database is PostgreSQL, and the commands of whoever runs it."""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from operator import gt
from pathlib import Path

import pytest
import websocket
from click.testing import CliRunner, Result

from tests.canaries import forms_of
from tests.cheap_server import CheapServer
from tests.postgres import Postgres
from tests.server.front import listen, served
from tests.server.helpers import (
    API,
    Account,
    Answer,
    HttpWire,
    cheap_passwords,
    connect,
    free_port,
    new_account,
    until,
)
from tests.server.raw import first_status
from tests.server.test_cli import run as run_program
from walletsync_server.app import close_app, create_app
from walletsync_server.asgi.front_door import PLACES_SHARE
from walletsync_server.cli import main
from walletsync_server.live.hub import Hub
from walletsync_server.observe.doctor import diagnose
from walletsync_server.observe.findings import FAIL, OK, WARN
from walletsync_server.services.errors import LEAST_PAUSE, MOST_PAUSE
from walletsync_server.settings import Settings
from walletsync_server.storage import open_storage
from walletsync_server.storage.contract_tests.records import NOW

LARGE = 200_000
ASKING = 60
"""At once: more than there are connections, and threads for those who wait."""


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words)


@pytest.fixture
def own() -> Iterator[Postgres]:
    """A PostgreSQL that the test may stop."""
    with Postgres() as server:
        yield server


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://alice:se%20cret@db.example.com/x", "postgresql://alice:…@db.example.com/x"),
        ("postgresql://db.example.com/x?user=a&password=secret", "postgresql://db.example.com/x?user=a&password=…"),
        ("postgresql:///x?sslpassword=secret&host=/run", "postgresql:///x?sslpassword=…&host=/run"),
        ("postgresql://alice@db.example.com:5433/x", "postgresql://alice@db.example.com:5433/x"),
    ],
)
def test_password_in_the_url_is_shown_to_nobody(given: str, shown: str) -> None:
    """Neither by `config`, nor in the settings' repr, nor by a server that does not start."""
    settings = Settings(database=given)
    assert settings.database_name == shown
    assert "secret" not in repr(settings)
    printed = run("config", "--json", "--database", given)
    assert json.loads(printed.stdout)["database"]["value"] == shown
    assert f'database = "{shown}"' in run("config", "--database", given).stdout


def test_server_that_cannot_reach_it_says_so(own: Postgres) -> None:
    """Status 1 and one sentence, in which there is no password."""
    url = f"postgresql://alice:secret@localhost:{own.port}/postgres"
    ended = run_program("serve", "--port", "0", "--database", url)
    assert (ended.returncode, ended.stdout, "secret" in ended.stderr) == (1, "", False)
    assert "cannot be reached" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (["backup", "b.db"], "pg_dump"),
        (["backup", "-"], "pg_dump"),
        (["restore", "b.db"], "pg_restore"),
        (["compact"], "VACUUM"),
    ],
)
def test_commands_for_files_say_what_to_use_instead(words: list[str], instead: str) -> None:
    """Status 2: the database has no file; the URL's password is not repeated."""
    ended = run(*words, "--database", "postgresql://alice:secret@localhost/x")
    assert (ended.exit_code, instead in ended.stderr, "secret" in ended.stderr) == (2, True, False)


def test_dump_is_no_backup_to_verify(postgres: Postgres, tmp_path: Path) -> None:
    """What pg_dump writes, in either format, is told from a damaged file, and how to verify it."""
    url = postgres.new_storage()
    for form in ("custom", "plain"):
        dump = tmp_path / form
        command = [str(postgres.binaries / "pg_dump"), f"--format={form}", f"--file={dump}", url]
        subprocess.run(command, check=True)
        ended = run("verify-backup", str(dump))
        assert (ended.exit_code, "is a dump of PostgreSQL" in ended.stderr) == (2, True)
        assert "walletsync-server copy" in " ".join(ended.stderr.split())


def test_operator_administers_accounts_while_it_serves(postgres: Postgres) -> None:
    """`migrate` makes the tables; what is allowed, listed and logged out holds at once, sockets included."""
    url = postgres.new_database()
    assert "migrated from nothing to" in run("migrate", "--database", url).stdout
    assert "is up to date" in run("migrate", "--database", url).stdout
    with CheapServer(accounts="open", settings={"database": url}) as server:
        account = new_account(HttpWire(server.url))
        assert account.post(1, "x" * LARGE).status == 200
        assert account.get().json["encryptedWallet"] == "x" * LARGE
        socket = listen(server.url, account.token)
        assert socket.recv() == "wallet-update:1"
        assert account.post(2).status == 200
        assert socket.recv() == "wallet-update:2"
        assert account.email in run("accounts", "list", "--database", url).stdout
        assert run("accounts", "logout", account.email, "--database", url).exit_code == 0
        assert account.get().status == 401
        assert socket.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE
        socket.shutdown()


def test_metrics_are_those_that_there_are(postgres: Postgres, tmp_path: Path) -> None:
    """The database's size, and nothing of files, disks and backups, which are the database server's."""
    port, url = free_port(), postgres.new_storage()
    settings: dict[str, str | int | Iterable[str]] = {"database": url, "metrics_port": port}
    with CheapServer(accounts="open", settings=settings) as server:
        assert new_account(HttpWire(server.url)).post(1).status == 200
        shown = HttpWire(f"http://127.0.0.1:{port}")("GET", "/metrics").body.decode()
    assert re.search(r"^walletsync_reads_most 40\.0$", shown, re.MULTILINE)
    assert "walletsync_accounts 1.0" in shown
    found = re.search(r"^walletsync_database_bytes (.*)$", shown, re.MULTILINE)
    name = url.partition("///")[2].partition("?")[0]
    ((size,),) = postgres.execute(f"SELECT pg_database_size('{name}')")
    assert found
    assert 0 < float(found[1]) <= size
    assert "disk_free_bytes" not in shown
    assert "last_backup" not in shown


def test_dump_tells_prometheus_as_the_manual_says(postgres: Postgres, tmp_path: Path) -> None:
    """Its lines, with a folder and a database of this test: a dump, and a figure of when it was made if it was."""
    manual = (Path(__file__).parents[2] / "server" / "README.md").read_text()
    (lines,) = re.findall(r"^```sh\ncd /var/lib/prometheus/node-exporter\n(.*?)^```", manual, re.MULTILINE | re.DOTALL)
    figure, dump = tmp_path / "walletsync.prom", tmp_path / "walletsync.dump"

    def run_with(url: str) -> int:
        command = lines.replace("/var/backups/walletsync.dump walletsync", f"{dump} '{url}'")
        path = f"{postgres.binaries}:{os.environ['PATH']}"
        words = ["sh", "-c", command]
        return subprocess.run(words, cwd=tmp_path, env={**os.environ, "PATH": path}, check=False).returncode

    assert run_with(postgres.url("none")) != 0
    assert not figure.exists()
    assert run_with(postgres.new_storage()) == 0
    assert dump.read_bytes().startswith(b"PGDMP")
    assert re.fullmatch(r"walletsync_dump_timestamp_seconds [0-9]+\n", figure.read_text())


def findings_of(settings: Settings, now: datetime = NOW) -> dict[str, tuple[str, str]]:
    """Return what the doctor finds: level and sentence, by name."""
    findings = diagnose(settings, clock=lambda: now)
    return {finding.name: (finding.level, finding.sentence) for finding in findings}


def test_doctor_finds_what_is_wrong(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """That the tests' server does not wait for its disk is a fault; the rest is well, or has a sentence."""

    def found(url: str, now: datetime = NOW) -> dict[str, tuple[str, str]]:
        return findings_of(Settings(database=url, port=0), now)

    url = postgres.new_storage()
    levels = {name: level for name, (level, _) in found(url).items()}
    well = dict.fromkeys(("settings", "PostgreSQL", "connection", "connections", "schema", "clock", "backup"), OK)
    assert levels == well | {"durability": FAIL}
    assert "fsync must be on" in found(url)["durability"][1]
    assert found(postgres.new_database())["schema"][0] == WARN
    with CheapServer(accounts="open", settings={"database": url}) as server:
        new_account(HttpWire(server.url))
    assert found(url, datetime(2020, 1, 1, tzinfo=UTC))["clock"][0] == FAIL
    assert found("postgresql://localhost:1/x")["database"][0] == FAIL
    for name in [name for name in sys.modules if "storage.postgres" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert found(url)["PostgreSQL"][0] == FAIL


def test_doctor_counts_the_connections_of_all_workers() -> None:
    """Where PostgreSQL allows fewer, it says what to set; what is reserved for superusers is none of the server's."""
    with Postgres(superuser_reserved_connections="3", reserved_connections="7") as own:
        url = own.new_storage()

        def said(workers: int) -> tuple[str, str]:
            settings = Settings(database=url, port=0, workers=workers, live="valkey://localhost:1")
            return findings_of(settings)["connections"]

        assert said(4) == (OK, "190 are allowed, and this server has at most 160.")
        level, sentence = said(5)
        assert level == WARN
        assert "190 are allowed, and this server may have 200: set max_connections to 210 or more" in sentence


def test_missing_libpq_is_told() -> None:
    """As where there is no wheel that brings it: the driver is there, and cannot do anything."""
    words = [sys.executable, "-m", "walletsync_server", "migrate", "--database", "postgresql:///x"]
    hidden = {**os.environ, "PSYCOPG_IMPL": "c"}  # the one that needs the system's; it is not installed
    ended = subprocess.run(words, env=hidden, capture_output=True, text=True, check=False)
    assert (ended.returncode, "apt install libpq5" in ended.stderr) == (1, True), ended.stderr


@pytest.mark.promise("P-127")
def test_restart_under_load_loses_nothing(own: Postgres) -> None:
    """While it is away: 503 with Retry-After, not ready, alive. Then all goes on, with all that was acknowledged."""
    with CheapServer(accounts="open", settings={"database": own.new_storage()}) as server:
        wire = HttpWire(server.url)
        accounts = [new_account(wire) for _ in range(4)]
        stopped = threading.Event()
        with ThreadPoolExecutor(len(accounts)) as pool:
            lives = [pool.submit(post_until, stopped, account) for account in accounts]
            for end in (own.kill, own.stop):
                before = sequences(accounts)
                until(lambda before=before: all(map(gt, sequences(accounts), before)))  # type: ignore[misc]
                end()
                answer = accounts[0].get()
                assert (answer.status, answer.code) == (503, "unavailable")
                assert LEAST_PAUSE <= int(answer.headers["retry-after"]) <= MOST_PAUSE
                assert [wire("GET", path).status for path in ("/readyz", "/healthz")] == [503, 200]
                own.start()
                until(lambda: wire("GET", "/readyz").status == 200)
            stopped.set()
            acknowledged = [life.result() for life in lives]
        for account, sequence in zip(accounts, acknowledged, strict=True):
            assert account.get().json["sequence"] in (sequence, sequence + 1)
        log = server.log()
    assert "event=unavailable" in log
    assert "event=unexpected" not in log


def test_hanging_server_hangs_nobody(own: Postgres) -> None:
    """503 with Retry-After in the end, for as many as ask; alive meanwhile, not ready; then it goes on as it was."""
    url = f"{own.new_storage()}&options=-c%20statement_timeout%3D1000"
    with CheapServer(accounts="open", settings={"database": url}) as server, ThreadPoolExecutor(ASKING) as pool:
        wire = HttpWire(server.url)
        account = new_account(wire)
        assert account.post(1).status == 200
        with own.hanging():
            kinds: list[Callable[[], Answer]] = [account.get, partial(account.post, 2), partial(wire, "GET", "/readyz")]
            asked = [pool.submit(kinds[number % len(kinds)]) for number in range(ASKING)]
            assert wire("GET", "/healthz").status == 200
            for answer in [each.result() for each in asked]:
                assert (answer.status, answer.code) == (503, "unavailable")
                assert LEAST_PAUSE <= int(answer.headers["retry-after"]) <= MOST_PAUSE
        until(lambda: wire("GET", "/readyz").status == 200)
        assert account.post(2).status == 200  # also where one of those before was carried out at last
        log = server.log()
    assert "event=unavailable" in log
    assert "event=unexpected" not in log


def test_questions_that_wait_for_it_are_in_work(own: Postgres) -> None:
    """One network has no more of them there than it may: those of another wait behind few, also with a WebSocket."""
    url = f"{own.new_storage()}&options=-c%20statement_timeout%3D1000"
    app = create_app(Settings(database=url, accounts="open"), passwords=cheap_passwords(), hub=Hub())
    with ExitStack() as undo:
        undo.callback(close_app, app)
        front = undo.enter_context(served(app))
        token = new_account(front.wire).token
        asked = f"GET {API}/wallet HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()

        def ask(source: str = "") -> socket.socket:
            client = undo.enter_context(connect(front.url, source))
            client.sendall(asked)
            return client

        places = front.door.places
        with own.hanging():
            for _ in range(PLACES_SHARE):
                ask()
            until(lambda: places.taken == PLACES_SHARE)
            assert first_status(ask()) == 503
            with pytest.raises(websocket.WebSocketBadStatusException, match="503"):
                listen(front.url, token)
            assert places.taken == PLACES_SHARE
            other = ask("127.1.0.1")
            until(lambda: places.taken == PLACES_SHARE + 1)
        assert first_status(other) in (404, 503)
        until(lambda: places.taken == 0)


def test_password_of_the_url_is_never_in_the_log(own: Postgres) -> None:
    """Neither while all is well, nor when the database is away, and at no level."""
    password = "canary-database-0a73"
    name = own.new_storage().partition("///")[2].partition("?")[0]
    own.execute(f"ALTER ROLE postgres PASSWORD '{password}'")
    url = f"postgresql://postgres:{password}@localhost:{own.port}/{name}"
    with CheapServer(accounts="open", settings={"database": url, "log_level": "debug"}) as server:
        account = new_account(HttpWire(server.url))
        assert account.post(1).status == 200
        own.kill()
        assert account.get().status == 503
        own.start()
        until(lambda: account.get().status == 200)
        log = server.log()
    assert "event=unavailable" in log
    assert [form for form in forms_of(password) if form in log] == []


def sequences(accounts: list[Account]) -> list[int]:
    return [account.get().json.get("sequence", 0) for account in accounts]


def post_until(stopped: threading.Event, account: Account) -> int:
    """Post one version after the other, each again until it is acknowledged; return the last."""
    sequence = 0
    while not stopped.is_set():
        answer = account.wire("POST", f"{API}/wallet", body(sequence + 1), token=account.token)
        assert answer.status in (200, 503), answer
        if answer.status == 200:
            sequence += 1
    return sequence


def body(sequence: int) -> dict[str, object]:
    return {"encryptedWallet": f"wallet {sequence}", "sequence": sequence, "hmac": "h"}


def test_folder_with_a_space_is_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where temporary files lie in a folder with a space in its name, as on somebody's machine, the URL leads there."""
    with tempfile.TemporaryDirectory(prefix="a b ") as folder:
        Path(folder).chmod(0o755)  # for who runs PostgreSQL in place of root
        monkeypatch.setattr(tempfile, "tempdir", folder)
        with Postgres() as server:
            open_storage(server.new_database()).close()
