"""Changing the password: one request, one of two passwords afterwards, and devices that know which."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import PASSWORD
from tests.middle import LOGIN, Middle
from walletsync import Client
from walletsync.errors import (
    SeedChanged,
    WrongCredentials,
    WrongPassword,
)
from walletsync.results import PasswordChanged, Posted

Device = Callable[..., Client]
NEW = "a new password, also a long one"


@pytest.fixture
def laptop(device: Device) -> Client:
    client = device("laptop")
    client.set_document({"label": "one"})
    client.sync()
    return client


def email_of(client: Client) -> str:
    email = client._device.state.email
    assert email is not None
    return email


def epoch_of(client: Client) -> int:
    assert client._device.known is not None
    return client._device.known.epoch


def signs_in(client: Client, password: str) -> bool:
    """Tell whether a new device gets in with `password`."""
    with Client(client._api.url) as stranger:
        stranger.set_account(email_of(client), password)
        try:
            stranger.get_auth_token()
        except WrongCredentials:
            return False
        return True


def test_the_password_changes_with_the_wallet(laptop: Client) -> None:
    """One request: the next sequence, the next epoch, a new seed; this device goes on at once, without being asked."""
    seed = laptop._device.state.seed
    assert laptop.change_password(NEW) == PasswordChanged(2)
    assert epoch_of(laptop) == 2
    assert laptop._device.state.seed != seed
    assert laptop.get_document() == {"label": "one"}
    laptop.set_document({"label": "two"})
    assert laptop.post_wallet() == Posted(3)
    assert epoch_of(laptop) == 3 - 1
    assert [signs_in(laptop, password) for password in (PASSWORD, NEW)] == [False, True]
    laptop.change_password(PASSWORD, old=NEW)
    assert epoch_of(laptop) == 3


def test_another_device_takes_the_new_password_and_keeps_its_edits(
    tmp_path: Path, laptop: Client, device: Device, middle: Middle
) -> None:
    """It is told, sends no login by itself, and goes on with its unsynced edits once it has the new password."""
    file = tmp_path / "phone.wallet"
    phone = device("phone", store=file)
    phone.sync()
    phone.set_document({"label": "one", "phone": 1})
    laptop.change_password(NEW)
    middle.requests.clear()
    with pytest.raises(SeedChanged, match="accept_new_password=True"):
        phone.sync()
    assert LOGIN not in middle.requests
    phone.set_account(email_of(phone), NEW)
    with pytest.raises(WrongPassword, match="accept_new_password=True"):  # typing it is no consent
        phone.sync()
    phone.set_account(email_of(phone), NEW, accept_new_password=True)
    phone.get_auth_token()
    phone.close()
    with Client(middle.url, store=file) as phone:
        phone.set_account(email_of(phone), NEW)
        assert phone.sync().sequence == 3
        assert phone.get_document() == {"label": "one", "phone": 1}
        assert epoch_of(phone) == 2
    laptop.sync()
    assert laptop.get_document() == {"label": "one", "phone": 1}
