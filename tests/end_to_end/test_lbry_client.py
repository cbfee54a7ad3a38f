"""A client written only for LBRY's wallet-sync API 3, against a real server of ours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import websocket

from tests.end_to_end.lbry_client import LbryClient, Refused
from walletsync_server.testing import RunningServer

PASSWORD, NEW_PASSWORD = "123abc2", "456def3"
Devices = Callable[..., LbryClient]


@pytest.fixture
def device(running_server: RunningServer, address: Callable[[], str]) -> Devices:
    """Make logged-in devices of one new account, whose address fills more than a line of base64."""
    email = f"somebody-with-a-long-name-of-sixty-characters.{address()}"
    assert len(email) > 57
    seeds: list[str] = []

    def make(device_id: str) -> LbryClient:
        client = LbryClient(running_server.url, email, PASSWORD, device_id)
        if not seeds:
            client.register()
        seeds.append(client.fetch_seed())
        client.log_in()
        return client

    return make


@contextmanager
def listening(client: LbryClient) -> Iterator[websocket.WebSocket]:
    """A socket that is closed at the end, whoever said goodbye first."""
    socket = client.listen()
    try:
        yield socket
    finally:
        socket.shutdown()  # type: ignore[no-untyped-call] # the library does not type it


@pytest.mark.promise("P-145")
def test_two_devices_sync(device: Devices) -> None:
    """Register, look the seed up, log in, push, pull, run into a conflict, merge."""
    first, second = device("first"), device("second")
    assert not first.pull()
    assert first.push("milk")
    assert second.pull()
    assert second.text == "milk"
    assert first.push("milk, bread")
    assert not second.push("milk, eggs")
    assert second.pull()
    assert (second.sequence, second.text) == (2, "milk, bread")
    assert second.push("milk, bread, eggs")
    assert first.pull()
    assert (first.sequence, first.text) == (3, "milk, bread, eggs")


def test_socket_tells_of_every_wallet(device: Devices) -> None:
    """A socket with `?token=` hears of what another device pushes; a bad token gets none."""
    first, second = device("first"), device("second")
    with listening(second) as socket:
        for sequence in (1, 2):
            assert first.push(f"wallet {sequence}")
            assert socket.recv() == f"wallet-update:{sequence}"
    second._token = "bad-token"
    with pytest.raises(websocket.WebSocketBadStatusException):
        second.listen()


@pytest.mark.parametrize("with_wallet", [True, False])
def test_password_change(device: Devices, with_wallet: bool) -> None:
    """It signs everybody out and closes sockets; with new password and seed both devices go on where they were."""
    first, second = device("first"), device("second")
    if with_wallet:
        assert first.push("milk")
        assert second.pull()
    with listening(second) as socket:
        assert first.change_password(NEW_PASSWORD, with_wallet=with_wallet)
        while socket.recv_data()[0] != websocket.ABNF.OPCODE_CLOSE:
            pass  # it may tell of wallets before it says goodbye
    for each in (first, second):
        with pytest.raises(Refused, match="401"):
            each.pull()
    with pytest.raises(Refused, match="401"):
        second.log_in()
    second.use_password(NEW_PASSWORD)
    for each in (second, first):
        each.log_in()
        assert each.pull() == with_wallet
    assert second.push("milk, eggs")
    assert first.pull()
    assert (first.sequence, first.text) == (3 if with_wallet else 1, "milk, eggs")


def test_password_change_that_does_not_fit_changes_nothing(device: Devices) -> None:
    """Without the wallet that there is, with one where there is none, or with a stale one: 409, and all goes on."""
    first, second = device("first"), device("second")
    assert not first.change_password(NEW_PASSWORD, with_wallet=True)
    assert first.push("milk")
    assert not first.change_password(NEW_PASSWORD, with_wallet=False)
    assert not second.change_password(NEW_PASSWORD, with_wallet=True)
    second.log_in()
    assert second.pull()
    assert second.text == "milk"


def test_refusals_have_the_statuses_that_it_knows(
    device: Devices, running_server: RunningServer, address: Callable[[], str]
) -> None:
    """A wrong password and a bad token are 401, a taken address 409."""
    email = address()
    LbryClient(running_server.url, email, PASSWORD, "first").register()
    thief = LbryClient(running_server.url, email, "guess", "second")
    with pytest.raises(Refused, match="409"):
        thief.register()
    thief.fetch_seed()
    with pytest.raises(Refused, match="401"):
        thief.log_in()
    for verb in (thief.pull, lambda: thief.push("milk")):
        with pytest.raises(Refused, match="401"):
            verb()
