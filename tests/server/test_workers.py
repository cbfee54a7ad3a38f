"""`serve --workers N`: several real processes on one address, what becomes of one that dies, and of all at the end."""

import errno
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from typing_extensions import override

import walletsync_server.workers
from tests.cheap_server import CheapServer
from tests.forks import Fork
from tests.postgres import Postgres
from tests.server.front import listen
from tests.server.helpers import (
    API,
    Account,
    HttpWire,
    KeepAliveWire,
    connect,
    free_port,
    new_account,
    one_of_many_is_accepted,
    refuses,
    sign_up,
    until,
)
from tests.server.proxies import DEPLOY
from tests.server.supervisor import PATIENCE, Supervised, serving
from tests.server.test_metrics import DASHBOARD, Scraped
from tests.valkey import Valkey
from walletsync_server.asgi.server import bind, url_of
from walletsync_server.cli.reload import TAKEN, WAITING, WRONG
from walletsync_server.cli.serve import _stop_at_the_end_of
from walletsync_server.settings import TABLE, Settings, SettingsError
from walletsync_server.testing import RunningServer, ServerDidNotStart, Value
from walletsync_server.workers import (
    HUNG_TICKS,
    LIVED_SECONDS,
    LONGEST_PAUSE_SECONDS,
    WorkerDidNotStart,
    Workers,
    pause_after,
)

WORKERS = 2


@pytest.fixture
def shared(postgres: Postgres, valkey: Valkey) -> dict[str, Value]:
    """Settings of a server of several processes."""
    return {"database": postgres.new_storage(), "live": valkey.url, "workers": WORKERS, "metrics_port": free_port()}


@pytest.fixture
def server(shared: dict[str, Value]) -> Iterator[RunningServer]:
    with CheapServer(accounts="open", settings=shared) as server:
        yield server


@pytest.fixture
def metrics(shared: dict[str, Value]) -> int:
    """The port of the metrics."""
    return int(str(shared["metrics_port"]))


def workers_of(server: RunningServer) -> list[psutil.Process]:
    return psutil.Process(server.pid).children()


@contextmanager
def one_of_each(url: str, port: int) -> Iterator[dict[str, KeepAliveWire]]:
    """Give a connection to each worker, by its label: connect until there is one."""
    found: dict[str, KeepAliveWire] = {}

    def health_checks() -> dict[str, float]:
        look = Scraped(port)
        return {n: look("requests_total", route="/healthz", worker=n) for n in map(str, range(1, WORKERS + 1))}

    with ExitStack() as undo:
        while len(found) < WORKERS:
            before, wire = health_checks(), undo.enter_context(KeepAliveWire(url))
            assert wire("GET", "/healthz").status == 200
            (moved,) = [number for number, count in health_checks().items() if count > before[number]]
            found[moved] = wire
        yield found


def test_all_serve_one_address_and_their_figures_are_together(server: RunningServer, metrics: int) -> None:
    """Each counts under its label what it answered; what the database tells is there once."""
    accounts = [new_account(HttpWire(server.url)) for _ in range(3)]
    with one_of_each(server.url, metrics) as wires:
        for sequence, wire in enumerate(wires.values(), 1):
            assert Account(wire, accounts[0].email, accounts[0].token).post(sequence).status == 200
    look = Scraped(metrics)
    assert [look("wallet_writes_total", worker=number) for number in ("1", "2")] == [1, 1]
    assert look("workers") == WORKERS
    assert look("worker_replacements_total") == 0
    assert [sample.labels for sample in look.samples if sample.name == "walletsync_accounts"] == [{}]
    assert look("accounts") == 3
    started = [sample.labels for sample in look.samples if sample.name == "process_start_time_seconds"]
    assert started == [{"worker": "1"}, {"worker": "2"}]
    named = [(sample.name, *sorted(sample.labels.items())) for sample in look.samples]
    assert len(named) == len(set(named))
    assert len({family.name for family in look.families}) == len(look.families)
    assert look.answer.headers["content-type"].startswith("text/plain; version=")


def test_lines_of_the_log_name_the_worker(server: RunningServer, metrics: int) -> None:
    """Each line of a worker, from its start on; with one process there is nobody else, and no name."""
    with one_of_each(server.url, metrics) as wires:
        ids = {number: wire("GET", "/healthz").headers["x-request-id"] for number, wire in wires.items()}
    until(lambda: all(each in server.log() for each in ids.values()))
    lines = server.log().splitlines()
    for number, request_id in ids.items():
        (line,) = [line for line in lines if line.endswith(f"request_id={request_id}")]
        assert f"Z worker={number} level=info event=request " in line
    assert all(re.match(r"timestamp=\S+ worker=[12] level=", line) for line in lines)


def test_dashboard_draws_one_line_for_all(server: RunningServer, metrics: int) -> None:
    """Each figure that every worker shows is drawn together, and so that one process is drawn as ever."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    drawn = " ".join(target["expr"] for panel in panels for target in panel["targets"])
    assert sign_up(HttpWire(server.url), "nobody").status == 400  # so that there are refusals, too
    of_workers = {sample.name for sample in Scraped(metrics).samples if "worker" in sample.labels}
    found = [name for name in of_workers if re.search(rf"\b{name}\b", drawn)]
    assert len(found) >= 10
    for name in found:
        together = rf"(?:sum|min) (?:by \((?:le|status|code)\)|without \(worker\)) \((?:rate\()?{name}\b"
        assert len(re.findall(together, drawn)) == len(re.findall(rf"\b{name}\b", drawn)), name


def test_listener_at_one_is_told_of_what_another_stored(server: RunningServer, metrics: int) -> None:
    """Several devices, spread over the processes as the kernel likes, hear of every wallet."""
    account = new_account(HttpWire(server.url))
    until(lambda: HttpWire(server.url)("GET", "/readyz").json["live"] == "servers")
    with ExitStack() as undo, one_of_each(server.url, metrics) as wires:
        sockets = [listen(server.url, account.token) for _ in range(8)]
        for socket in sockets:
            undo.callback(socket.shutdown)
        for sequence, wire in enumerate(wires.values(), 1):
            assert Account(wire, account.email, account.token).post(sequence).status == 200
            assert {socket.recv() for socket in sockets} == {f"wallet-update:{sequence}"}


def test_one_that_dies_is_replaced(server: RunningServer, metrics: int) -> None:
    """Its clients connect again, nothing that it acknowledged is lost, and log and metrics tell."""
    account = new_account(HttpWire(server.url))
    with one_of_each(server.url, metrics) as wires:
        assert Account(wires["2"], account.email, account.token).post(1).status == 200
        (second,) = [each for each in workers_of(server) if each.pid == max(map(pid_of, workers_of(server)))]
        second.kill()
        assert Account(wires["1"], account.email, account.token).post(2).status == 200  # which goes on meanwhile
    until(lambda: Scraped(metrics)("workers") == WORKERS and Scraped(metrics)("worker_replacements_total") == 1)
    assert second.pid not in map(pid_of, workers_of(server))
    with one_of_each(server.url, metrics) as wires:
        for wire in wires.values():
            assert Account(wire, account.email, account.token).get().json["sequence"] == 2
    (line,) = [line for line in server.log().splitlines() if "event=worker_ended" in line]
    assert "level=error" in line
    assert "worker=2 status=-9 seconds_until_next=0.0" in line


class Impatient(CheapServer):
    """One whose parent waits less than half a minute for a sign of life."""

    @override
    def _spawn(self) -> "subprocess.Popen[str]":
        fork = Fork(self._words(), self._log_file, self._environment(), become_impatient)
        return cast("subprocess.Popen[str]", fork)


def become_impatient() -> None:
    """Take a worker that stands still for hung at once."""
    walletsync_server.workers.HUNG_TICKS = walletsync_server.workers.STILL_TICKS


def test_one_that_hangs_is_replaced(shared: dict[str, Value], metrics: int) -> None:
    """It is killed, since it does not hear that it shall end; the log says why, and the others are those before."""
    with Impatient(accounts="open", settings=shared) as server:
        hung = workers_of(server)[0]
        hung.suspend()
        until(lambda: hung.pid not in map(pid_of, workers_of(server)))
        until(lambda: Scraped(metrics)("workers") == WORKERS)
        log = server.log()
        assert server.stop() == 0
    told = re.findall(r"level=error event=worker_stands_still worker=(\d)", log)
    assert told
    assert all(f"event=worker_ended worker={number} status=-9" in log for number in told)


def test_patience_is_what_the_manual_says() -> None:
    """Half a minute, which is less than systemd's watchdog has."""
    assert HUNG_TICKS == 30
    manual = (Path(__file__).parents[2] / "server" / "README.md").read_text()
    assert "from which its parent has heard nothing for half a minute" in manual
    assert "WatchdogSec=60\n" in (DEPLOY / "walletsync.service").read_text()


def pid_of(process: psutil.Process) -> int:
    return process.pid


@pytest.mark.parametrize(
    ("lived", "last", "pause"),
    [(0.1, None, 0), (0.1, 0, 1), (0.1, 1, 2), (0.1, 16, LONGEST_PAUSE_SECONDS), (LIVED_SECONDS, 16, 0)],
)
def test_one_that_dies_again_and_again_waits_longer(lived: float, last: float | None, pause: float) -> None:
    """The first time it is replaced at once, and after that more and more rarely, until one lives for a while."""
    assert pause_after(lived, last) == pause


def test_all_end_at_a_signal_and_finish_what_they_began(server: RunningServer) -> None:
    """SIGTERM to the parent is enough: requests under way are answered, and no process is left."""
    everyone = [psutil.Process(server.pid), *workers_of(server)]
    account = new_account(HttpWire(server.url))
    body = b'{"encryptedWallet": "-", "sequence": 1, "hmac": "h"}'
    head = f"POST {API}/wallet HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {account.token}\r\n"
    with connect(server.url) as connection:
        connection.sendall(f"{head}Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        with ThreadPoolExecutor(1) as pool:
            stopped = pool.submit(server.stop)
            until(lambda: "event=stopped" in server.log())  # that of the other one
            connection.sendall(body)
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
            assert stopped.result() == 0
    assert [each for each in everyone if each.is_running() and each.status() != psutil.STATUS_ZOMBIE] == []
    assert "event=worker_ended" not in server.log()


def test_all_end_with_their_parent(server: RunningServer) -> None:
    """However that ends: nobody is left behind who holds the port."""
    workers = workers_of(server)
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in workers))
    server.kill()
    server.start()
    assert HttpWire(server.url)("GET", "/readyz").status == 200


def test_parent_that_left_words_unread_has_ended_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """To a worker its end looks like an error then: it stops as ever."""
    stopped = threading.Event()
    monkeypatch.setattr(os, "kill", lambda pid, number: stopped.set())
    parents, own = socket.socketpair()
    with own:
        own.send(b"unread")
        _stop_at_the_end_of(own.fileno())
        parents.close()
        assert stopped.wait(PATIENCE)


def test_who_connects_while_all_stop_is_refused(server: RunningServer) -> None:
    """At once, so that a proxy takes another server; not when the last request has ended."""
    account = new_account(HttpWire(server.url))
    head = f"POST {API}/wallet HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {account.token}\r\n"
    with connect(server.url) as connection, ThreadPoolExecutor(1) as pool:
        connection.sendall(f"{head}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        stopped = pool.submit(server.stop)
        until(lambda: refuses(server.url))
        assert not stopped.done()
        connection.sendall(b"{}")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")
        assert stopped.result() == 0


def nothing() -> None:
    """Take no notice."""


def test_signal_that_came_early_ends_all_before_they_start() -> None:
    """One that came before there was somebody to pass it on to."""
    stopping, told = threading.Event(), list[str]()
    stopping.set()
    workers = Workers(
        2, on_ready=nothing, on_stopping=lambda: told.append("stopping"), on_tick=nothing, on_hangup=nothing
    )
    assert workers.run(stopping) is None
    assert told == ["stopping"]


def test_system_without_room_for_a_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do; and no half of the workers goes on alone."""

    def no_room() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", no_room)
    workers = Workers(2, on_ready=nothing, on_stopping=nothing, on_tick=nothing, on_hangup=nothing)
    with pytest.raises(WorkerDidNotStart, match=r"Resource temporarily unavailable. Set fewer workers"):
        workers.run(threading.Event())


def test_room_that_comes_too_late_starts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there was none for the first one, the second is not tried: all were told to end."""
    tried: list[int] = []

    def no_room_at_first() -> int:
        tried.append(len(tried))
        if tried == [0]:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        pytest.fail("the second one was started")

    monkeypatch.setattr(os, "fork", no_room_at_first)
    workers = Workers(2, on_ready=nothing, on_stopping=nothing, on_tick=nothing, on_hangup=nothing)
    with pytest.raises(WorkerDidNotStart):
        workers.run(threading.Event())


def test_first_one_that_is_killed_ends_all_and_nobody_is_told_that_they_serve(
    tmp_path: Path, shared: dict[str, Value]
) -> None:
    """Neither the operator nor the supervisor: the start has failed, and the log says how."""
    with supervised(tmp_path, shared) as server:
        until(lambda: len(psutil.Process(server.process.pid).children()) == WORKERS)
        psutil.Process(server.process.pid).children()[0].kill()
        assert server.process.wait(PATIENCE) == 1
        assert url_printed(server) == ""
        assert server.said() == ["STOPPING=1"]
        server.ear.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.said()
        assert "event=worker_ended worker=1 status=-9" in server.log()


def test_settings_that_only_a_worker_finds_wrong_have_their_exit_status(
    tmp_path: Path, shared: dict[str, Value]
) -> None:
    """As with one process, so that a supervisor does not start the server again and again."""
    mail = {"accounts": "email", "mail_server": "localhost", "mail_from": "sync@example.com", "mail_username": "x"}
    more = {"public_url": "https://sync.example.com", "mail_password_file": str(tmp_path / "none")}
    with supervised(tmp_path, {**shared, **mail, **more}) as server:
        assert server.process.wait(PATIENCE) == 2
        assert "mail_password_file cannot be read" in server.log()


def test_first_one_that_cannot_start_ends_all(shared: dict[str, Value]) -> None:
    """With the sentence that says why, and the exit status of a start that failed."""
    gone = {**shared, "database": f"postgresql://walletsync@127.0.0.1:{free_port()}/none"}
    server = CheapServer(accounts="open", settings=gone)
    with pytest.raises(ServerDidNotStart) as failed:
        server.start()
    server.close()
    told = str(failed.value).splitlines()
    assert any(line.startswith("Error: postgresql://") for line in told)
    assert told[-1] == "Error: A worker did not start, and the others were stopped: see above why."
    assert "event=worker_ended" not in str(failed.value)


def test_of_many_writes_with_one_sequence_one_is_accepted(server: RunningServer) -> None:
    """As with one process: of ten devices that post the same next sequence, 30 times, one is accepted."""
    one_of_many_is_accepted(new_account(HttpWire(server.url)), devices=10, rounds=30)


def options_of(settings: dict[str, Value]) -> list[str]:
    return [word for name, value in settings.items() for word in (TABLE[name].option, str(value))]


@contextmanager
def supervised(
    folder: Path, shared: dict[str, Value], *words: str, sockets: tuple[socket.socket, ...] = (), **variables: str
) -> Iterator[Supervised]:
    """Start `serve` as systemd does, with the settings of several workers."""
    with serving(folder, *options_of(shared), *words, sockets=sockets, **variables) as server:
        yield server


def url_printed(server: Supervised) -> str:
    assert server.process.stdout is not None
    return server.process.stdout.readline().removeprefix("Listening on ").strip()


def test_supervisor_hears_of_all_from_the_parent(tmp_path: Path, shared: dict[str, Value]) -> None:
    """READY=1 once, when all serve; signs of life as long as none stands still; STOPPING=1 once."""
    with supervised(tmp_path, shared, WATCHDOG_USEC="30000000") as server:
        assert server.said() == ["READY=1"]
        assert HttpWire(url_printed(server))("GET", "/readyz").status == 200
        assert server.said() == ["WATCHDOG=1"]
        assert server.said() == ["WATCHDOG=1"]
        still = psutil.Process(server.process.pid).children()[0]
        still.suspend()
        server.ear.settimeout(10)
        assert set(map(tuple, said_until_silence(server))) <= {("WATCHDOG=1",)}
        still.resume()
        server.ear.settimeout(PATIENCE)
        assert server.said() == ["WATCHDOG=1"]
        server.process.terminate()
        while (said := server.said()) == ["WATCHDOG=1"]:
            pass
        assert said == ["STOPPING=1"]
        assert server.process.wait(PATIENCE) == 0


def said_until_silence(server: Supervised) -> list[list[str]]:
    """Return what was said before nothing was for as long as the ear waits."""
    said = []
    with suppress(TimeoutError):
        while True:
            said.append(server.said())
    return said


def test_passed_socket_is_served_by_all(tmp_path: Path, shared: dict[str, Value]) -> None:
    """On the supervisor's address, and after a restart again."""
    with bind("127.0.0.1", 0) as listener:
        for _ in range(2):
            with supervised(tmp_path, shared, sockets=(listener,)) as server:
                assert url_printed(server) == url_of(listener)
                assert HttpWire(url_of(listener))("GET", "/readyz").status == 200
                assert len(psutil.Process(server.process.pid).children()) == WORKERS
                server.process.terminate()
                assert server.process.wait(PATIENCE) == 0
            (tmp_path / "notify").unlink()


def test_new_settings_are_those_of_all(tmp_path: Path, shared: dict[str, Value]) -> None:
    """SIGHUP to the parent reaches each worker, and one that is started later begins with them; wrong ones reach none.

    Only those of their start that need a restart hold for all until then.
    """
    file = tmp_path / "walletsync.toml"
    file.write_text('allow = ["alice@example.com"]')
    port = int(str(shared["metrics_port"]))
    with supervised(tmp_path, shared, "--config", str(file), "--rate-signup", "off") as server:
        assert server.said() == ["READY=1"]
        url = url_printed(server)

        def reload(text: str) -> str:
            file.write_text(text)
            server.process.send_signal(signal.SIGHUP)
            assert server.said()[0] == "RELOADING=1"
            return server.said()[1]

        def may_sign_up(email: str) -> list[bool]:
            """Ask each worker."""
            with one_of_each(url, port) as wires:
                return [sign_up(wire, email).status != 403 for wire in wires.values()]

        assert may_sign_up("bob@example.com") == [False, False]
        assert reload('allow = ["bob@example.com"]') == f"STATUS={TAKEN}"
        until(lambda: server.log().count("event=reloaded") == 1 + WORKERS)
        assert may_sign_up("bob@example.com") == [True, True]
        assert reload('allow = "nobody"') == f"STATUS={WRONG}"
        assert reload('allow = ["carol@example.com"]\nmax_wallet_bytes = 5') == f"STATUS={WAITING}"
        psutil.Process(server.process.pid).children()[0].kill()
        until(lambda: Scraped(port)("worker_replacements_total") == 1 and Scraped(port)("workers") == WORKERS)
        assert may_sign_up("bob@example.com") == [True, True]
        assert server.log().count("event=reloaded") == 1 + WORKERS


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT], ids=["closed", "Ctrl-C"])
def test_end_of_the_terminal_ends_all(tmp_path: Path, shared: dict[str, Value], number: signal.Signals) -> None:
    """Such a signal reaches the parent and each worker at once: all stop in order, and none is replaced."""
    there, here = pty.openpty()
    command = [sys.executable, "-m", "walletsync_server", "serve", "--port", "0", *options_of(shared)]
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Listening on ")
        os.killpg(process.pid, number)
        _, err = process.communicate(timeout=PATIENCE)
    os.close(there)
    os.close(here)
    assert process.returncode == 0
    assert err.count("event=stopped") == WORKERS
    assert "event=worker_ended" not in err


def test_metrics_skip_one_that_stands_still(server: RunningServer, metrics: int) -> None:
    """Whoever looks gets the figures of the others, and afterwards those of all again."""
    still = workers_of(server)[0]
    still.suspend()
    try:
        assert Scraped(metrics)("workers") == WORKERS - 1
    finally:
        still.resume()
    assert Scraped(metrics)("workers") == WORKERS


def test_database_that_hangs_costs_only_its_own_figures(valkey: Valkey) -> None:
    """However often one looks meanwhile, each worker tells its own and answers what needs no database."""
    port = free_port()
    with Postgres() as own:
        settings: dict[str, Value] = {"live": valkey.url, "workers": WORKERS, "metrics_port": port}
        with (
            CheapServer(accounts="open", settings={**settings, "database": own.new_storage()}) as server,
            one_of_each(server.url, port) as wires,
        ):
            with own.hanging():
                for count in range(1, 2 * WORKERS + 1):
                    for wire in wires.values():
                        assert wire("GET", "/healthz").status == 200
                        assert wire("GET", f"{API}/wallet").status == 401
                    look = Scraped(port)
                    assert look("workers") == WORKERS
                    for number in wires:
                        assert look("refusals_total", code="unauthorized", worker=number) == count
                    assert "walletsync_accounts" not in look.answer.text
            until(lambda: "walletsync_accounts 0.0" in Scraped(port).answer.text)


def test_nobody_holds_up_the_parent(server: RunningServer, metrics: int) -> None:
    """One who connects to the metrics and says nothing keeps neither others from them nor the server from its end."""
    with ExitStack() as undo:
        for _ in range(3):
            undo.enter_context(connect(f"http://127.0.0.1:{metrics}"))
        assert Scraped(metrics)("workers") == WORKERS
    assert server.stop() == 0


def test_port_of_the_metrics_that_is_taken_is_told(shared: dict[str, Value]) -> None:
    """Before anything is served."""
    with bind("127.0.0.1", 0) as taken:
        server = CheapServer(accounts="open", settings={**shared, "metrics_port": taken.getsockname()[1]})
        with pytest.raises(ServerDidNotStart, match="Another program listens there"):
            server.start()
        server.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"workers": 2}, "workers must be 1 with SQLite"),
        ({"workers": 2, "database": "postgresql://localhost/x"}, "live must be set where there are several workers"),
        ({"workers": 0}, "workers must be from 1 to 64"),
    ],
)
def test_what_cannot_work_is_refused(settings: dict[str, Any], said: str) -> None:
    """With what is missing."""
    with pytest.raises(SettingsError, match=said):
        Settings(**settings)
