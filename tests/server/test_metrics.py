"""What an operator's Prometheus sees of a real process, and what it can never see."""

import json
import math
import random
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
import requests
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from tests.cheap_server import CheapServer
from tests.server.helpers import API, HttpWire, free_port, log_in, new_account, seed_of
from tests.server.proxies import DEPLOY
from walletsync_server import __version__
from walletsync_server.cli import main
from walletsync_server.observe.metrics import CannotServeMetrics, Metrics
from walletsync_server.observe.together import Together
from walletsync_server.storage.sqlite.opening import READERS
from walletsync_server.testing import RunningServer, ServerDidNotStart

ALERTS, DASHBOARD = DEPLOY / "alerts.yml", DEPLOY / "dashboard.json"
Labels = tuple[tuple[str, str], ...]


class Scraped:
    """The figures of one look, and the texts that explain them."""

    def __init__(self, port: int) -> None:
        self.answer = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=30)
        self.families = list(text_string_to_metric_families(self.answer.text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def __call__(self, name: str, **labels: str) -> float:
        """Return the sum of all samples of this name that have these labels."""
        return sum(
            sample.value
            for sample in self.samples
            if sample.name == f"walletsync_{name}" and labels.items() <= sample.labels.items()
        )


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(port: int) -> Iterator[RunningServer]:
    with CheapServer(accounts="open", settings={"metrics_port": port, "rate_resend": "1/hour"}) as server:
        yield server


def test_figures_move_with_what_happens(server: RunningServer, port: int) -> None:
    """Requests, refusals, accepted writes, conflicts and commits are counted where they happen."""
    wire = HttpWire(server.url)
    before = Scraped(port)
    account = new_account(wire)
    assert [account.post(sequence).status for sequence in (1, 2, 2, 9)] == [200, 200, 200, 409]
    assert wire("GET", "/wallet").status == 401
    after = Scraped(port)

    def moved(name: str, **labels: str) -> float:
        return after(name, **labels) - before(name, **labels)

    wallet = f"{API}/wallet"
    assert moved("requests_total", route=wallet, method="POST") == 4
    assert moved("requests_total", route=wallet, method="POST", status="409") == 1
    assert moved("request_seconds_count", route=f"{API}/auth/full", method="POST") == 1
    assert moved("request_seconds_sum", route=f"{API}/auth/full", method="POST") > 0.001
    assert moved("wallet_writes_total") == 3
    assert moved("wallet_conflicts_total") == 1
    assert moved("refusals_total", route=wallet, code="conflict") == 1
    assert moved("refusals_total", route="/wallet", code="unauthorized") == 1
    assert moved("commit_seconds_count") >= 5
    assert moved("commit_jobs_sum") >= 6
    assert after("password_hashes_running") == 0
    assert after("password_hashes_waiting") == 0
    assert after("mails_waiting") == 0


def test_every_figure_is_explained(server: RunningServer, port: int) -> None:
    """Each figure has a sentence, a name with the unit in it, and the process tells when it started."""
    scraped = Scraped(port)
    ours = [family for family in scraped.families if family.name.startswith("walletsync_")]
    assert len(ours) >= 9
    assert all(len(family.documentation) > 20 and family.documentation.endswith(".") for family in ours)
    started = [sample.value for sample in scraped.samples if sample.name == "process_start_time_seconds"]
    assert len(started) == 1
    assert 0 < started[0] <= time.time()


def test_operating_figures_are_true(server: RunningServer, port: int) -> None:
    """Version, accounts, sizes on the disk, the last backup and the last purge are what they are."""
    before = Scraped(port)
    new_account(HttpWire(server.url))
    database = server.database
    words = ["backup", "--database", f"sqlite:///{database}", "--force", str(database.with_name("backup.db"))]
    since = time.time()
    assert CliRunner().invoke(main, words).exit_code == 0
    after = Scraped(port)
    assert after("build_info", version=__version__) == 1
    assert after("accounts") == before("accounts") + 1
    assert math.isnan(before("last_backup_timestamp_seconds"))
    assert since - 1 < after("last_backup_timestamp_seconds") <= time.time()
    assert process_started(after) - 1 < after("last_purge_timestamp_seconds") <= time.time()
    assert after("database_bytes") == database.stat().st_size
    assert after("log_bytes") == database.with_name(f"{database.name}-wal").stat().st_size
    assert (after("reads_running"), after("reads_most")) == (0, READERS)
    assert 0 < after("disk_free_bytes") <= shutil.disk_usage(database.parent).total


def process_started(scraped: Scraped) -> float:
    (started,) = [sample.value for sample in scraped.samples if sample.name == "process_start_time_seconds"]
    return started


def test_alerts_and_dashboard_show_figures_that_exist(server: RunningServer, port: int) -> None:
    """Every name in the rules, in the dashboard's panels and in docs/large.md is one that the server shows."""
    wire = HttpWire(server.url)
    new_account(wire)
    assert wire("GET", "/wallet").status == 401
    of_workers = Together(dict, int).collect()  # which a server of one process does not show
    shown = {sample.name for family in (*Scraped(port).families, *of_workers) for sample in family.samples}
    panels = json.loads(DASHBOARD.read_text())["panels"]
    drawn = [target["expr"] for panel in panels for target in panel["targets"]]
    for asked, least in ((re.findall("expr: (.*)", ALERTS.read_text()), 8), (drawn, 16)):
        watched = set(re.findall(r"\b(?:walletsync|process)_\w+", " ".join(asked)))
        assert len(watched) >= least
        assert watched <= shown
    told = set(re.findall(r"`((?:walletsync|process)_\w+)`", (DEPLOY.parent / "docs" / "large.md").read_text()))
    assert len(told) >= 8
    assert told <= shown | {name.removesuffix("_bucket") for name in shown}


@pytest.fixture(scope="module")
def promtool(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Prometheus's own tool; it is fetched, and not installed, where it is missing."""
    tool = shutil.which("promtool")
    if tool is None:
        folder = tmp_path_factory.mktemp("prometheus")
        subprocess.run(["apt-get", "download", "prometheus"], cwd=folder, check=True)  # noqa: S607 - wherever Debian has it
        (package,) = folder.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)  # noqa: S607 - likewise
        tool = str(folder / "usr/bin/promtool")
    return tool


@pytest.mark.security
def test_alerts_are_right_for_prometheus(promtool: str) -> None:
    """Prometheus takes all rules, and has nothing to say against any."""
    words = [promtool, "check", "rules", "--lint-fatal", str(ALERTS)]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (ended.returncode, f"{len(rules())} rules found" in ended.stdout) == (0, True), ended.stdout + ended.stderr


@pytest.mark.security
@pytest.mark.parametrize(
    ("alert", "series", "fires"),
    [
        ("WalletsyncBackupTooOld", {"last_backup_timestamp_seconds": "0x6000"}, True),
        ("WalletsyncBackupTooOld", {"last_backup_timestamp_seconds": "NaN " * 6001}, True),
        ("WalletsyncBackupTooOld", {"last_backup_timestamp_seconds": "300000x6000"}, False),
        ("WalletsyncBackupTooOld", {"accounts": "1x6000"}, False),
        ("WalletsyncNoWorker", {"workers": "0x6000"}, True),
        ("WalletsyncNoWorker", {"accounts": "1x6000"}, False),
    ],
    ids=["old", "none", "new", "PostgreSQL", "no worker", "one process"],
)
def test_alerts_fire_when_they_should(
    promtool: str, tmp_path: Path, alert: str, series: dict[str, str], fires: bool
) -> None:
    """By what a server shows for a hundred hours; one whose backups are not its own shows no time of them."""
    found = [{"exp_labels": {"job": "walletsync"}, "exp_annotations": {"summary": summary_of(alert)}}] if fires else []
    case = {
        "interval": "1m",
        "input_series": [
            {"series": f'walletsync_{name}{{job="walletsync"}}', "values": values} for name, values in series.items()
        ],
        "alert_rule_test": [{"eval_time": "100h", "alertname": alert, "exp_alerts": found}],
    }
    file = tmp_path / "cases.yml"
    file.write_text(json.dumps({"rule_files": [str(ALERTS)], "tests": [case]}))
    ended = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def summary_of(alert: str) -> str:
    (rule,) = [each for each in rules() if each["alert"] == alert]
    return str(rule["annotations"]["summary"])


def rules() -> list[dict[str, Any]]:
    (group,) = msgspec.yaml.decode(ALERTS.read_bytes())["groups"]
    return list(group["rules"])


def test_labels_are_bounded(server: RunningServer, port: int) -> None:
    """Whatever paths and methods clients make up, the figures stay the same in number, and repeat nothing."""
    wire = HttpWire(server.url)
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    prefixes = ["", API, "/wallet", f"{API}/wallet/history", f"{API}/devices", "/.well-known"]

    def word() -> str:
        return "canary" + "".join(chance.choices("abcdef0123456789", k=8))

    def known() -> set[tuple[str, Labels]]:
        return {(sample.name, tuple(sorted(sample.labels.items()))) for sample in Scraped(port).samples}

    for prefix in prefixes:
        for method in ("GET", "POST", "DELETE", "BREW"):
            wire(method, f"{prefix}/x")
    before = known()
    for _ in range(200):
        method = chance.choice(["GET", "POST", "DELETE", word().upper()])
        wire(method, f"{chance.choice(prefixes)}/{word()}?{word()}={word()}", headers={word(): word()})
    assert known() == before
    assert "canary" not in Scraped(port).answer.text.lower()
    methods = {dict(labels)["method"] for _, labels in before if "method" in dict(labels)}
    assert methods <= {"GET", "POST", "DELETE", "other"}


def test_figures_name_no_account(server: RunningServer, port: int) -> None:
    """No figure has an address, a device or an account in it."""
    wire = HttpWire(server.url)
    account = new_account(wire)
    user = log_in(wire, account.email, device="canary device").json["userId"]
    seed_of(wire, account.email)
    text = Scraped(port).answer.text
    assert not any(word in text for word in (account.email, "canary", str(user), account.token, "127.0.0.1"))
    assert {name for sample in Scraped(port).samples for name in sample.labels} <= {
        *("method", "route", "status", "code", "le", "version")
    }


def test_metrics_are_not_on_the_servers_own_port(server: RunningServer) -> None:
    """Clients cannot ask for them."""
    assert HttpWire(server.url)("GET", "/metrics").status == 404


def test_port_that_is_taken_is_told() -> None:
    """A server whose metrics cannot be shown does not start, and says why in a sentence."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        server = CheapServer(settings={"metrics_port": port})
        with pytest.raises(ServerDidNotStart, match=f"Cannot serve metrics on 127.0.0.1, port {port}: Address already"):
            server.start()
        server.close()


def test_nothing_is_shown_unless_asked_for() -> None:
    """Without a port for metrics the process listens on one port only."""
    with CheapServer() as server:
        listening = [each for each in psutil.Process(server.pid).net_connections() if each.status == "LISTEN"]
        assert [each.laddr.port for each in listening] == [int(server.url.rpartition(":")[2])]


def test_port_is_free_again_afterwards() -> None:
    """Showing ends with the server: the port can be taken again at once, also in the same process."""
    port = free_port()
    for count in range(2):
        metrics = Metrics()
        metrics.watch("answer", "The answer to everything.", lambda: 42)
        with metrics.served("127.0.0.1", port):
            assert Scraped(port)("answer") == 42
            if not count:
                with pytest.raises(CannotServeMetrics):
                    Metrics().served("127.0.0.1", port).__enter__()
    with pytest.raises(requests.ConnectionError):
        Scraped(port)
