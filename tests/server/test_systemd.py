"""What the server and its supervisor say to each other, with a real process and real sockets."""

import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.helpers import HttpWire
from tests.server.supervisor import PATIENCE, Supervised, serving
from walletsync_server.asgi.server import bind, url_of


def url_printed(server: Supervised) -> str:
    assert server.process.stdout is not None
    return server.process.stdout.readline().removeprefix("Listening on ").strip()


@pytest.mark.parametrize("abstract", [False, True], ids=["file", "abstract"])
def test_ready_is_said_when_it_answers_and_stopping_when_it_stops(tmp_path: Path, abstract: bool) -> None:
    """READY=1 comes when clients are answered, STOPPING=1 when a signal told it to stop, and nothing else."""
    address = f"@walletsync-{uuid.uuid4()}" if abstract else ""
    with serving(tmp_path, address=address) as server:
        assert server.said() == ["READY=1"]
        assert HttpWire(url_printed(server))("GET", "/readyz").status == 200
        server.process.terminate()
        assert server.said() == ["STOPPING=1"]
        assert server.process.wait(PATIENCE) == 0


def test_start_that_fails_says_nothing(tmp_path: Path) -> None:
    """A server that cannot listen never says that it is ready."""
    with bind("127.0.0.1", 0) as taken, serving(tmp_path, "--port", str(taken.getsockname()[1])) as server:
        assert server.process.wait(PATIENCE) == 1
        server._ear.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.said()


def test_supervisor_that_is_gone_is_none_of_its_business(tmp_path: Path) -> None:
    """Where nobody listens to what it says, it serves and stops as ever."""
    with serving(tmp_path) as server:
        assert server.said() == ["READY=1"]
        server._ear.close()
        assert HttpWire(url_printed(server))("GET", "/readyz").status == 200
        server.process.terminate()
        assert server.process.wait(PATIENCE) == 0


def test_signs_of_life_are_given_to_who_watches(tmp_path: Path) -> None:
    """With a watchdog it says again and again that its event loop turns; without one, never."""
    with serving(tmp_path, WATCHDOG_USEC="30000000") as server:
        assert server.said() == ["READY=1"]
        server.next_sign_of_life()
        server.next_sign_of_life()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with bind("127.0.0.1", 0) as listener:
        yield listener


def test_passed_socket_is_served(tmp_path: Path, listener: socket.socket) -> None:
    """Whoever connects before the server runs is answered by it, on the supervisor's address; so after a restart."""
    for _ in range(2):
        with socket.create_connection(listener.getsockname(), timeout=PATIENCE) as early:
            early.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            with serving(tmp_path, sockets=(listener,)) as server:
                assert early.recv(12) == b"HTTP/1.1 200"
                assert url_printed(server) == url_of(listener)
                server.process.terminate()
                assert server.process.wait(PATIENCE) == 0
        (tmp_path / "notify").unlink()


def test_socket_for_another_process_is_left_alone(tmp_path: Path, listener: socket.socket) -> None:
    """Variables that a wrapper inherited and passed on are not for the server: it listens by itself."""
    with serving(tmp_path, LISTEN_FDS="1", LISTEN_PID="1") as server:
        assert server.said() == ["READY=1"]
        assert url_printed(server) != url_of(listener)


@pytest.mark.parametrize("kind", ["two", "unix", "udp", "deaf"])
def test_socket_that_cannot_be_served_is_refused(tmp_path: Path, listener: socket.socket, kind: str) -> None:
    """Anything but one socket that listens over TCP ends the start with a sentence that says what to change."""
    with (
        socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET) as deaf,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        if kind == "unix":
            deaf.bind(str(tmp_path / "unix"))
            deaf.listen()
        sockets = {"two": (listener, deaf), "udp": (datagrams,)}.get(kind, (deaf,))
        with serving(tmp_path, sockets=sockets) as server:
            assert server.process.wait(PATIENCE) == 1
            assert "ListenStream" in server.log()
            assert "Traceback" not in server.log()
