"""Two machines of one account, and no keyring but that of a test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backends.fail import Keyring as NoKeyring

from tests.client.cli.label_pairs import RENT, Pair, labels, made_pair
from tests.client.cli.machines import InMemory, Machine, Make
from walletsync import walletfile
from walletsync_server.testing import RunningServer


@pytest.fixture(autouse=True)
def no_keyring() -> Iterator[None]:
    """The keyring of whoever runs the tests stays out of it."""
    before = keyring.get_keyring()
    keyring.set_keyring(NoKeyring())  # type: ignore[no-untyped-call]  # keyring has no types there
    yield
    keyring.set_keyring(before)


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else writes the files of these tests."""
    monkeypatch.setattr(walletfile, "_STABLE_SECONDS", 0)


@pytest.fixture
def ring(no_keyring: None) -> InMemory:
    backend = InMemory()
    keyring.set_keyring(backend)
    return backend


@pytest.fixture
def make(tmp_path: Path, running_server: RunningServer, address: Callable[[], str]) -> Make:
    """Make machines of one new account."""
    email = address()

    def made(name: str, url: str = running_server.url) -> Machine:
        machine = Machine(tmp_path / name, url, email)
        machine.init()
        return machine

    return made


@pytest.fixture
def laptop(make: Make) -> Machine:
    """A machine that has synced a first version."""
    laptop = make("laptop")
    laptop.ok("register")
    laptop.write({"a": 1})
    laptop.ok("sync")
    return laptop


@pytest.fixture
def phone(laptop: Machine, make: Make) -> Machine:
    """Another one of the same account, up to date."""
    phone = make("phone")
    phone.ok("sync")
    assert phone.read() == {"a": 1}
    return phone


@pytest.fixture
def pair(tmp_path: Path, running_server: RunningServer, address: Callable[[], str]) -> Pair:
    """Two laptops with the same labels, which the program of the first one wrote."""
    return made_pair(tmp_path, running_server.url, address, labels(**RENT))
