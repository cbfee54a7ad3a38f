"""A verb that is interrupted, and the same client that goes on: nothing is lost, wherever that was."""

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PASSWORD, make_kdf_cheap
from tests.insides import email_of, state_of
from tests.middle import Middle
from tests.simulator.device import Device as SimulatedDevice
from tests.simulator.interruptions import Interruption
from tests.simulator.network import Faults, Network
from tests.simulator.server import Server
from walletsync import Client
from walletsync.errors import WrongCredentials

EMAIL = "person@example.com"
NEW = "a new password, also a long one"
NEWEST = "a third password, longer than that"
ROOT = Path(__file__).parents[2]

Device = Callable[..., Client]


class World:
    """A laptop and a phone of one account, and a server in this thread. Server and phone have an edit each."""

    def __init__(self, server: Server) -> None:
        server.begin_anew()
        self._server = server
        self._network = Network(random.Random(0), Faults(), server.answer, lambda _: None)
        self._start()
        self.laptop.register()
        self.laptop.set_document({"a": 1, "both": 0})
        self.laptop.sync()
        self.phone.sync()
        self.laptop.set_document({"a": 1, "both": 1, "laptop": 2})
        self.laptop.sync()
        self.phone.set_document({"a": 1, "both": 2, "phone": 3})
        self._first = server.back_up(), self._laptop.disk.read(), self._phone.disk.read()

    def begin_anew(self) -> None:
        """Put all of it back to this, and start both devices; that takes a third of the time."""
        self._throw_away()
        database, laptop, phone = self._first
        self._server.begin_anew(database)
        self._start(laptop, phone)

    def _start(self, *disks: bytes) -> None:
        self._laptop, self._phone = (
            SimulatedDevice(name, EMAIL, self._network, lambda _: None) for name in ("laptop", "phone")
        )
        for device, content in zip((self._laptop, self._phone), disks, strict=False):
            device.disk.put_back(content)
        self.laptop, self.phone = self._laptop.start(), self._phone.start()

    def forget_a_password_change(self, new: str) -> None:
        """Let the phone change the password and write a secret; put the server back to what it had before that."""
        self.phone.sync()
        backup = self._server.back_up()
        self.phone.change_password(new, old=PASSWORD)
        self.phone.set_document(self.phone.get_document() | {"secret": 5})
        self.phone.sync()
        self._server.restore(backup)
        backup.close()
        self.phone.set_account(EMAIL, PASSWORD)

    def read_with(self, password: str) -> Any:
        """Return what a new device reads with a password; nothing if it does not get in."""
        thief = SimulatedDevice("thief", EMAIL, self._network, lambda _: None)
        client = thief.start()
        client.set_account(EMAIL, password)
        try:
            client.sync()
            return client.get_document()
        except WrongCredentials:
            return {}
        finally:
            thief.disk.close()

    def restart_phone(self) -> Client:
        """End the phone's process and begin another one."""
        self._phone.stop()
        self.phone = self._phone.start()
        return self.phone

    def close(self) -> None:
        """Throw everything away."""
        self._throw_away()
        self._first[0].close()

    def _throw_away(self) -> None:
        self._laptop.disk.close()
        self._phone.disk.close()


@pytest.fixture(scope="module")
def only_world() -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch, Server() as server:
        make_kdf_cheap(patch)
        world = World(server)
        yield world
        world.close()


@pytest.fixture
def world(only_world: World) -> Callable[[], World]:
    """Make the same world again and again."""

    def again() -> World:
        only_world.begin_anew()
        return only_world

    return again


def go_on(phone: Client) -> None:
    """Edit once more, with the careful verb or the plain one; the phone may not have begun."""
    phone.set_document(phone.get_document() | {"later": 4})


def sync(phone: Client) -> None:
    phone.sync()


def edit(phone: Client) -> None:
    phone.set_document({"a": 1, "both": 2, "phone": 3, "more": 5})


def update(phone: Client) -> None:
    phone.update_document(lambda document: document | {"more": 5})


def decide(phone: Client) -> None:
    phone.sync(on_conflict="theirs")


def log_in(phone: Client) -> None:
    phone.set_account(EMAIL, PASSWORD, accept_new_password=True)
    phone.get_auth_token()


def change_password(phone: Client) -> None:
    phone.change_password(NEW, old=PASSWORD)


@pytest.mark.parametrize("verb", [sync, edit, update, decide, log_in])
def test_a_verb_may_be_interrupted_anywhere(world: Callable[[], World], verb: Callable[[Client], None]) -> None:
    """The client goes on, and a restart shows what it showed: the edits of both devices are there in the end."""
    moments = 0
    while True:
        moments += 1
        now = world()
        interruption = Interruption(moments)
        with suppress(KeyboardInterrupt), interruption.coming():
            verb(now.phone)
        if not now.phone.has_token or state_of(now.phone).email is None:
            now.phone.set_account(EMAIL, PASSWORD)
        go_on(now.phone)
        assert now.phone._device._store._read() == state_of(now.phone)
        before = now.phone.get_document()
        phone = now.restart_phone()
        assert phone.get_document() == before
        phone.sync()
        now.laptop.sync()
        document = now.laptop.get_document()
        assert document == phone.get_document()
        assert document["laptop"] == 2, f"lost at moment {moments}"
        assert document["phone"] == 3, f"lost at moment {moments}"
        assert document["later"] == 4, f"lost at moment {moments}"
        if interruption.passed < moments:
            break
    assert moments > 20


def test_a_password_change_that_was_interrupted_ends_when_it_is_called_again(world: Callable[[], World]) -> None:
    """With the same client and the same two passwords, wherever it was interrupted."""
    moments = 0
    while True:
        moments += 1
        now = world()
        now.phone.sync()
        interruption = Interruption(moments)
        with suppress(KeyboardInterrupt), interruption.coming():
            change_password(now.phone)
        change_password(now.phone)
        now.laptop.set_account(EMAIL, NEW, accept_new_password=True)
        now.laptop.sync()
        assert now.laptop.get_document()["phone"] == 3
        if interruption.passed < moments:
            break
    assert moments > 100


# One that comes while a generator is thrown away is told by Python, and goes no further.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_consent_with_a_new_password_that_was_interrupted_ends_when_it_is_called_again(
    world: Callable[[], World],
) -> None:
    """The server has an earlier password again. At every tenth moment: nothing leaves under it, nothing gets lost."""
    moments = random.randrange(10)
    print(f"from {moments}")
    while True:
        moments += 10
        now = world()
        now.forget_a_password_change(NEW)
        interruption = Interruption(moments)
        with suppress(KeyboardInterrupt), interruption.coming():
            now.phone.accept_restored_server(new_password=NEWEST)
        assert "secret" not in now.read_with(PASSWORD), f"read at moment {moments}"
        now.phone.set_account(EMAIL, PASSWORD)
        now.phone.accept_restored_server(new_password=NEWEST)
        assert now.read_with(NEWEST) == now.phone.get_document()
        assert now.phone.get_document().keys() == {"a", "both", "laptop", "phone", "secret"}
        if interruption.passed < moments:
            break
    assert moments > 100


def test_signals_at_random_moments_lose_nothing(device: Device, middle: Middle, tmp_path: Path) -> None:
    """A real file, a real server, real signals: each edit of both devices is there in the end."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    email = email_of(device("registered"))
    program = [sys.executable, "-m", "tests.client.alarmed_phone"]
    run = subprocess.run(
        [*program, middle.url, email, str(tmp_path / "phone.wallet"), str(seed)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 0, "no signal interrupted anything"
