"""The command line, as an operator and a supervisor see it: one line on stdout, talk on stderr, exit codes."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import apsw
import pytest
from click.testing import CliRunner

from tests.server.helpers import HttpWire, sign_up, until
from walletsync_server import __version__
from walletsync_server.asgi.server import url_of
from walletsync_server.cli import main
from walletsync_server.settings import TABLE
from walletsync_server.storage.sqlite.opening import open_sqlite

COMMAND = [sys.executable, "-m", "walletsync_server"]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WALLETSYNC_")}
    return kept | more


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    """Run a command that is expected to end by itself."""
    return subprocess.run(
        [*COMMAND, *words],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@contextmanager
def serving(folder: Path, *words: str, **more: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Run `serve` in `folder` until it is ready; give the process and the address that it prints."""
    process = subprocess.Popen(
        [*COMMAND, "serve", "--stop-with-stdin", *words],
        cwd=folder,
        env=environment(**more),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("Listening on http://"), process.communicate()
            yield process, line.removeprefix("Listening on ").strip()
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_cleanly(tmp_path: Path, number: int) -> None:
    """SIGTERM and SIGINT end it with status 0, one line on stdout, and the database in one file."""
    with serving(tmp_path, "--port", "0", "--accounts", "open") as (process, url):
        assert HttpWire(url)("GET", "/readyz").status == 200
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert "event=stopped" in err
    assert {path.name for path in tmp_path.iterdir()} == {"walletsync.db", "walletsync.db.lock"}


def test_end_of_stdin_ends_it_cleanly(tmp_path: Path) -> None:
    """With --stop-with-stdin the end of standard input does what SIGTERM does."""
    with serving(tmp_path, "--port", "0") as (process, _):
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert "event=stopped" in err


def test_stdin_is_left_alone_otherwise(tmp_path: Path) -> None:
    """Without the option a server whose standard input is closed, as a daemon's is, goes on."""
    command = [*COMMAND, "serve", "--port", "0", "--accounts", "open"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("Listening on ").strip()
        assert HttpWire(url)("GET", "/healthz").status == 200
        process.terminate()
        assert process.wait(30) == 0


def test_default_allows_nobody_and_says_so(tmp_path: Path) -> None:
    """A server that was told nothing refuses every sign-up, and its operator reads why."""
    with serving(tmp_path, "--port", "0") as (process, url):
        assert sign_up(HttpWire(url), "alice@example.com").code == "not_allowed"
        process.terminate()
        _, err = process.communicate(timeout=30)
    assert "Only those that you allow can sign up" in err
    assert "--allow ADDRESS" in err
    assert "--accounts open" in err


@pytest.mark.parametrize(
    ("words", "warned"),
    [
        (["--host", "0.0.0.0"], True),  # noqa: S104 - it is what an operator does
        (["--host", "0.0.0.0", "--public-url", "https://sync.example.com"], False),  # noqa: S104
        (["--host", "127.0.0.1"], False),
    ],
)
def test_listening_to_the_network_without_tls_is_warned_of(tmp_path: Path, words: list[str], warned: bool) -> None:
    """Whoever opens the server to a network reads that TLS is missing, unless it says that a proxy is in front."""
    with serving(tmp_path, "--port", "0", *words) as (process, _):
        process.terminate()
        _, err = process.communicate(timeout=30)
    assert ("without TLS" in err) is warned
    assert ("--public-url https://" in err) is warned


def test_allow_may_be_repeated(tmp_path: Path) -> None:
    """Each --allow is one more address."""
    words = ["--allow", "alice@example.com", "--allow", "bob@example.com"]
    with serving(tmp_path, "--port", "0", *words) as (_, url):
        names = ("alice", "bob", "carol")
        statuses = [sign_up(HttpWire(url), f"{name}@example.com").status for name in names]
    assert statuses == [201, 201, 403]


def test_environment_sets_what_options_do_not(tmp_path: Path) -> None:
    """Every option has a variable; an option on the command line wins."""
    database = tmp_path / "elsewhere.db"
    settings = {
        "WALLETSYNC_HOST": "127.0.0.1",
        "WALLETSYNC_PORT": "1",
        "WALLETSYNC_DATABASE": f"sqlite:///{database}",
        "WALLETSYNC_ACCOUNTS": "allowlist",
        "WALLETSYNC_ALLOW": "alice@example.com bob@example.com",
    }
    with serving(tmp_path, "--port", "0", **settings) as (_, url):
        statuses = [sign_up(HttpWire(url), f"{name}@example.com").status for name in ("bob", "carol")]
    assert statuses == [201, 403]
    assert database.exists()


def test_variables_of_kubernetes_are_warned_of(tmp_path: Path) -> None:
    """In a pod beside a Service called walletsync the server starts, on its own port, and says what it ignores."""
    made = {"WALLETSYNC_SERVICE_HOST": "10.96.0.7", "WALLETSYNC_PORT": "tcp://10.96.0.7:8090"}
    with serving(tmp_path, "--port", "0", **made) as (process, url):
        assert HttpWire(url)("GET", "/readyz").status == 200
        process.terminate()
        _, err = process.communicate(timeout=30)
    assert "Kubernetes makes them for a Service: WALLETSYNC_PORT, WALLETSYNC_SERVICE_HOST." in err
    assert "enableServiceLinks: false" in err


def test_occupied_port_is_a_clear_failure(tmp_path: Path) -> None:
    """Status 1, one line that names the port, nothing on stdout, and no new database."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        database = f"sqlite:///{tmp_path}/w.db"
        ended = run("serve", "--port", port, "--database", database)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert port in ended.stderr
    assert "already in use" in ended.stderr
    assert "choose another port in the settings" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--host", "no-such-host.invalid"], "no-such-host.invalid"),
        (["--host", "192.0.2.1"], "192.0.2.1"),
        (["--host", "192.0.2.1"], "choose a host that it has in the settings"),
        (["--host", "a..b"], "'a..b': this is not a host name"),
        (["--host", "x" * 80], "not a host name"),
        (["--host", "\udcff"], "not a host name"),
        (["--database", "sqlite:////no/such/folder/w.db"], "/no/such/folder/w.db"),
    ],
)
def test_what_cannot_be_opened_is_a_clear_failure(words: list[str], hint: str) -> None:
    """Status 1 and a line that names what could not be opened."""
    ended = run("serve", "--port", "0", *words)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert hint in ended.stderr
    assert "Traceback" not in ended.stderr


@contextmanager
def started(folder: Path, *command: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a command in `folder`; it does not outlive the block."""
    with subprocess.Popen(command, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def port() -> Iterator[int]:
    """A port that nobody is given by chance, since it stays bound; a server may listen on it all the same."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_during_the_start_ends_it_cleanly(tmp_path: Path, port: int, number: int) -> None:
    """The same before it is ready: here while it waits for a database that another program has locked."""
    other = apsw.Connection(str(tmp_path / "walletsync.db"))
    other.execute("BEGIN EXCLUSIVE")
    with started(tmp_path, *COMMAND, "serve", "--port", str(port)) as process:
        until(lambda: accepts(port))
        process.send_signal(number)
        other.close()
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "event=stopped" in err


def accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("stdout", [">&-", ">/dev/full"])
def test_daemon_needs_no_stdout(tmp_path: Path, port: int, stdout: str) -> None:
    """Where nobody can be told the address, the server serves all the same and ends with status 0."""
    command = ["/bin/sh", "-c", f'exec "$@" {stdout}', "sh", *COMMAND, "serve", "--port", str(port)]
    with started(tmp_path, *command) as process:
        until(lambda: accepts(port))
        assert HttpWire(f"http://127.0.0.1:{port}")("GET", "/healthz").status == 200
        process.terminate()
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "internal" not in err


@pytest.mark.parametrize("files", [24, 64, 120])
def test_too_few_files_are_a_clear_failure(tmp_path: Path, port: int, files: int) -> None:
    """A server that could serve nobody, since it may open so few files, says so and what to do, with status 1."""
    limited = f'ulimit -n {files} && exec "$@"'
    command = ["/bin/sh", "-c", limited, "sh", *COMMAND, "serve", "--port", str(port)]
    with started(tmp_path, *command) as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"only {files} files open" in err
    assert "LimitNOFILE" in err


def test_database_that_fails_at_the_start_is_named(tmp_path: Path) -> None:
    """Status 1, with the file and what the database said."""
    file = tmp_path / "broken.db"
    open_sqlite(file).close()
    broken = apsw.Connection(str(file))
    broken.execute("CREATE TRIGGER broken BEFORE INSERT ON server_values BEGIN DELETE FROM missing; END")
    broken.close()
    ended = run("serve", "--port", "0", "--database", f"sqlite:///{file}")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"{file}: The server's database is not available" in ended.stderr
    assert "SQLITE_ERROR" in ended.stderr


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--port", "x"], "--port"),
        (["--port", "65536"], "port"),
        (["--accounts", "closed"], "--accounts must be open, allowlist or email."),
        (["--allow", "Alice@example.com"], "lower case"),
        (["--accounts", "open", "--allow", "alice@example.com"], "leave it out"),
        (["--database", "mysql://x"], "sqlite:///"),
        (["--more"], "--more"),
    ],
)
def test_bad_setting_is_bad_usage(words: list[str], hint: str) -> None:
    """Status 2 and a sentence that says which setting and why."""
    ended = CliRunner().invoke(main, ["serve", *words])
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert hint in ended.stderr


def test_password_that_cannot_be_read_is_bad_usage(tmp_path: Path) -> None:
    """`serve` does not start without the password that it was told to use, and names the setting."""
    words = ["--mail-server", "localhost", "--mail-from", "a@example.com", "--public-url", "https://sync.example.com"]
    words += ["--mail-username", "a", "--mail-password-file", str(tmp_path / "missing"), "--accounts", "email"]
    ended = run("serve", "--port", "0", "--database", f"sqlite:///{tmp_path}/w.db", *words)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "mail_password_file cannot be read: No such file" in ended.stderr
    assert "unexpected" not in ended.stderr


def test_all_bad_settings_are_told_at_once(tmp_path: Path) -> None:
    """A person mends everything in one round: each mistake has the name that was written, wherever that was."""
    file = tmp_path / "server.toml"
    file.write_text("prot = 8090\nmail_port = 25.5\n")
    words = ["serve", "--config", str(file), "--host", "", "--accounts", "email"]
    ended = CliRunner().invoke(main, words, env={"WALLETSYNC_PORT": "x", "WALLETSYNC_DATABSE": "sqlite:///w.db"})
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert sorted(ended.stderr.partition("wrong:\n")[2].splitlines()) == [
        "  --host is empty; give an address to listen on, such as 127.0.0.1.",
        "  --mail-from must be set where accounts is email.",
        "  --mail-server must be set where accounts is email.",
        "  --public-url must be set where accounts is email.",
        f"  {file}: mail_port must be a whole number.",
        f"  {file}: prot is not a setting; did you mean port?",
        "  WALLETSYNC_DATABSE is not a setting; did you mean WALLETSYNC_DATABASE?",
        "  WALLETSYNC_PORT must be a whole number.",
    ]


def test_event_loop_waits_little_for_other_threads(tmp_path: Path) -> None:
    """While the server serves, a thread that computes makes room ten times as soon as Python lets it by default."""
    program = (
        "import sys; from walletsync_server.cli import main, serve; "
        "serve.serve = lambda *_, **more: print(sys.getswitchinterval()); main()"
    )
    words = [sys.executable, "-c", program, "serve", "--port", "0", "--database", f"sqlite:///{tmp_path / 'w.db'}"]
    ended = subprocess.run(words, capture_output=True, text=True, env=environment(), timeout=60, check=True)
    assert float(ended.stdout) == pytest.approx(sys.getswitchinterval() / 10)


def test_closed_stdin_cannot_be_waited_for(tmp_path: Path) -> None:
    """--stop-with-stdin without a standard input is bad usage."""
    ended = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *COMMAND, "serve", "--stop-with-stdin"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert "standard input" in ended.stderr


def test_help_and_version() -> None:
    """Help shows every option with its variable and an example; the version is the package's."""
    ended = CliRunner().invoke(main, ["serve", "--help"])
    assert ended.exit_code == 0
    for setting in TABLE.values():
        assert setting.option in ended.stdout
        assert setting.variable in ended.stdout
    assert "Example:" in ended.stdout
    assert __version__ in run("--version").stdout  # as a process, `python -m`


def test_ipv6_address_is_printed_as_clients_write_it() -> None:
    """An IPv6 host stands in brackets, an IPv4 host does not."""
    listener = Mock(spec=socket.socket)
    listener.getsockname.return_value = ("::1", 8090, 0, 0)
    assert url_of(listener) == "http://[::1]:8090"
    listener.getsockname.return_value = ("127.0.0.1", 8090)
    assert url_of(listener) == "http://127.0.0.1:8090"


@pytest.mark.parametrize("words", [["--version"], ["accounts", "list"], ["config"], ["migrate"]], ids=" ".join)
def test_command_imports_only_what_it_needs(tmp_path: Path, words: list[str]) -> None:
    """What listens, and what migrates, takes longer to import than other commands to run."""
    file = tmp_path / "w.db"
    open_sqlite(file).close()
    database = [] if words == ["--version"] else ["--database", f"sqlite:///{file}"]
    program = (
        "import atexit, sys; from walletsync_server.cli import main; "
        "atexit.register(lambda: print(*{each.partition('.')[0] for each in sys.modules}, file=sys.stderr)); main()"
    )
    command = [sys.executable, "-c", program, *words, *database]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=60, check=True)
    loaded = set(ended.stderr.split())
    assert "walletsync_server" in loaded
    assert not loaded & {"flask", "uvicorn", "alembic", "prometheus_client"}


@pytest.mark.parametrize("words", [["-h"], ["accounts", "-h"], ["backup", "-h"]])
def test_help_has_a_short_name(words: list[str]) -> None:
    """As in `walletsync`, the program that most operators have met before."""
    ended = CliRunner().invoke(main, words)
    assert (ended.exit_code, ended.stdout.startswith("Usage:")) == (0, True)
