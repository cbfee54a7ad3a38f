"""What tests look at inside a client because nothing public shows it: its state, and what it knows."""

from walletsync import Client
from walletsync.continuity import Known
from walletsync.store import DeviceState


def state_of(client: Client) -> DeviceState:
    """Return all that the device keeps; it is a new one after each change."""
    return client._device.state


def email_of(client: Client) -> str:
    """Return the address that the client was told."""
    email = state_of(client).email
    assert email is not None
    return email


def token_of(client: Client) -> str:
    """Return the token that the device holds, without asking for another one."""
    token = state_of(client).token
    assert token is not None
    return token


def known_of(client: Client) -> Known:
    """Return what the device knows of its account's history."""
    known = client._device.known
    assert known is not None
    return known
