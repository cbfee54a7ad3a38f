"""Devices of one person against a real server process: any order of edits and syncs loses nothing."""

import base64
import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from append_log import AppendLog, append
from tests.cheap_server import CheapServer
from tests.middle import Middle
from walletsync import Client, crypto
from walletsync.results import OutOfDate, Posted

Device = Callable[..., Client]


def settle(*clients: Client) -> None:
    """Sync all twice: the second round brings everybody what the first round POSTed."""
    for client in (*clients, *clients):
        client.sync()


@pytest.mark.promise("P-63", "P-143")
def test_two_devices_merge_and_converge(device: Device) -> None:
    """Each edits without the other: the second POST is refused with the wallet, merged, and accepted."""
    laptop, phone = device("laptop", format=AppendLog()), device("phone", format=AppendLog())
    laptop.set_document("-:cfF6")
    settle(laptop, phone)
    laptop.set_document("-:cfF6:565b")
    phone.set_document("-:cfF6:6De1")
    assert laptop.post_wallet() == Posted(2)
    assert phone.post_wallet() == OutOfDate(2)
    assert phone.get_document() == "-:cfF6:565b:6De1"
    assert phone.post_wallet() == Posted(3)
    settle(laptop, phone)
    assert laptop.get_document() == phone.get_document() == "-:cfF6:565b:6De1"
    assert laptop.wallet_state == phone.wallet_state


def test_five_devices_editing_at_random_converge(device: Device) -> None:
    """After any interleaving each segment is in the log of every device, exactly once."""
    seed = int.from_bytes(os.urandom(4))
    print(f"seed {seed}")
    chance = random.Random(seed)
    devices = [device(f"device-{number}", format=AppendLog()) for number in range(5)]
    devices[0].new_wallet_state()
    settle(*devices)
    segments = []
    for number in range(60):
        client = chance.choice(devices)
        if chance.random() < 0.6:
            segments.append(f"{number:04}")
            client.set_document(append(client.get_document(), segments[-1]))
        else:
            verbs: list[Callable[[], object]] = [client.get_wallet, client.post_wallet, client.sync]
            chance.choice(verbs)()
    settle(*devices)
    documents = {client.get_document() for client in devices}
    assert len(documents) == 1
    assert sorted(documents.pop().split(":")[1:]) == segments


def test_five_devices_syncing_at_once_converge(device: Device) -> None:
    """Five threads, one device each, all editing and syncing at the same time: nothing lost, nothing doubled."""
    devices = [device(f"device-{number}") for number in range(5)]
    devices[0].set_document({})
    settle(*devices)
    barrier = threading.Barrier(len(devices))

    def work(client: Client) -> None:
        for number in range(4):
            barrier.wait(60)
            client.set_document(client.get_document() | {f"{client.device_id}-{number}": number})
            client.sync()

    with ThreadPoolExecutor(len(devices)) as pool:
        list(pool.map(work, devices))
    settle(*devices)
    expected = {f"device-{device}-{number}": number for device in range(5) for number in range(4)}
    for client in devices:
        assert client.get_document() == expected
    assert {client.wallet_state for client in devices} == {devices[0].wallet_state}


@pytest.mark.promise("P-23", "S-1")
def test_nothing_that_a_device_knows_reaches_the_server_in_the_clear(
    tmp_path: Path, address: Callable[[], str]
) -> None:
    """No password, key or piece of the document is in what the server received, stored or logged."""
    secret = "hunter2 and the rest of a long password"
    document = {"label": "a very private label", "amount": 123456789}
    with CheapServer(accounts="open", database=tmp_path / "server.db") as server:
        with Middle(server.url) as middle, Client(middle.url, device_id="laptop") as client:
            client.set_account(address(), secret)
            client.register()
            token = client.get_auth_token().value
            client.set_document(document)
            client.sync()
            client.set_document(document | {"more": "of it"})
            client.sync()
            received = b"".join(middle.bodies)
            assert client._session.unlocked is not None
            keys = client._session.unlocked.keys
        server.stop()
        stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        logged = server.log().encode()
    private = [secret.encode(), b"a very private label", b"123456789", keys.encryption, keys.mac]
    for place in (received, stored, logged):
        assert place
        assert not any(form in place for value in private for form in forms(value))
    for value in (keys.login.encode(), token.encode()):
        assert not any(form in place for form in forms(value) for place in (stored, logged))


def test_the_look_for_secrets_finds_them_in_an_unencrypted_client(
    middle: Middle, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same look at a client that does not encrypt finds the document: the test above can fail."""
    client = device("laptop")
    client.set_document({"label": "a very private label"})

    def in_the_clear(_: object, __: object, *, plaintext: bytes, **___: object) -> crypto.Sealed:
        return crypto.Sealed(base64.b64encode(plaintext).decode(), "hmac")

    monkeypatch.setattr(crypto, "seal", in_the_clear)
    client.post_wallet()
    received = b"".join(middle.bodies)
    assert any(form in received for form in forms(b"a very private label"))


def forms(value: bytes) -> list[bytes]:
    """Return the ways in which `value` could hide in other bytes: raw, hex, and base64 at each offset."""
    shifted = [base64.b64encode(b"\0" * offset + value)[4:-4] for offset in range(3)]
    return [value, value.hex().encode(), *shifted]
