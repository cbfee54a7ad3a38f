"""Writes that a server refused and then shows to somebody all the same: no device takes one for history."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.conftest import PASSWORD
from tests.insides import email_of, known_of, state_of
from tests.middle import CHANGE_PASSWORD, GET_SEED, GET_WALLET, HISTORY, LOGIN, POST_WALLET, Answer, Middle
from walletsync import Client, abandoned
from walletsync.errors import ForkDetected, NotKept, PasswordUnchanged, ServerError
from walletsync.results import OutOfDate
from walletsync.store import DeviceState

Device = Callable[..., Client]


@pytest.fixture
def devices(device: Device) -> tuple[Client, Client, Client]:
    """Three devices at version 1."""
    clients = device("laptop"), device("phone"), device("tablet")
    clients[0].set_document({"v": 1})
    for client in clients:
        client.sync()
    return clients


def write(client: Client, value: Any) -> None:
    """Sync one more version, with an entry of this device's own."""
    client.sync()
    client.set_document(client.get_document() | {client.device_id: value})
    client.sync()


def sent(middle: Middle, what: str) -> Answer:
    """Return the wallet of the latest request of that kind, as a server presents it."""
    index = max(number for number, request in enumerate(middle.requests) if request == what)
    body = json.loads(middle.bodies[index])
    return Answer(200, {name: body[name] for name in ("encryptedWallet", "sequence", "hmac")} | {"version": 1})


def is_refused_as_out_of_date(client: Client, other: Client, middle: Middle) -> Answer:
    """POST what another device was faster than."""
    write(other, "first")
    client.set_document(client.get_document() | {"refused": True})
    assert isinstance(client.post_wallet(), OutOfDate)
    return sent(middle, POST_WALLET)


def is_refused_for_its_size(client: Client, other: Client, middle: Middle) -> Answer:
    """POST what a server says that it is too large."""
    client.set_document(client.get_document() | {"refused": True})
    middle.always(POST_WALLET, Answer(413, {"error": "No.", "code": "too_large"}))
    with pytest.raises(ServerError):
        client.post_wallet()
    middle.honest()
    return sent(middle, POST_WALLET)


@pytest.mark.promise("S-6", "T-7")
@pytest.mark.parametrize("is_refused", [is_refused_as_out_of_date, is_refused_for_its_size])
def test_a_refused_write_that_one_device_was_shown_is_a_fork(
    is_refused: Callable[[Client, Client, Middle], Answer], devices: tuple[Client, Client, Client], middle: Middle
) -> None:
    """However often its author has written since, and whoever wrote the version by which the lines are joined."""
    laptop, phone, tablet = devices
    shown = is_refused(laptop, phone, middle)
    middle.always(GET_WALLET, shown)
    tablet.get_wallet()
    assert tablet.get_document()["refused"]
    middle.honest()
    for number in range(2):
        write(laptop, number)
        write(phone, number)
    before = state_of(tablet)
    with pytest.raises(ForkDetected):
        tablet.get_wallet()
    assert state_of(tablet) is before


def test_a_refused_write_that_its_author_is_shown_is_no_namesakes(
    devices: tuple[Client, Client, Client], middle: Middle
) -> None:
    """Nobody else has this device's name: it is the server that lies."""
    laptop, phone, _ = devices
    middle.always(GET_WALLET, is_refused_as_out_of_date(laptop, phone, middle))
    with pytest.raises(ForkDetected) as told:
        laptop.get_wallet()
    assert type(told.value) is ForkDetected


@pytest.mark.promise("T-7")
def test_a_refused_password_change_that_one_device_was_shown_is_a_fork(
    devices: tuple[Client, Client, Client], middle: Middle
) -> None:
    """A server says that the password is unchanged, and shows that wallet to whoever types the new one."""
    laptop, phone, tablet = devices
    write(phone, "first")
    with pytest.raises(PasswordUnchanged):
        laptop.change_password("a new password")
    seed = json.loads(middle.bodies[-1])["clientSaltSeed"]
    middle.always(GET_SEED, Answer(200, {"clientSaltSeed": seed}))
    middle.always(LOGIN, Answer(200, {"token": "ab" * 32, "deviceId": tablet.device_id, "scope": "*", "userId": 1}))
    middle.always(GET_WALLET, sent(middle, CHANGE_PASSWORD))
    email = email_of(tablet)
    tablet.set_account(email, "a new password", accept_new_password=True)
    tablet.get_auth_token()
    tablet.get_wallet()
    middle.honest()
    laptop.sync()
    laptop.change_password("another new password")
    laptop.change_password("the last new password")
    write(laptop, "later")
    tablet.set_account(email, "the last new password", accept_new_password=True)
    tablet.get_auth_token()
    with pytest.raises(ForkDetected):
        tablet.get_wallet()


@pytest.mark.promise("T-7")
def test_a_refused_write_is_no_version_of_the_history(devices: tuple[Client, Client, Client], middle: Middle) -> None:
    """It is neither shown nor restored under its number, also after its author wrote again."""
    laptop, phone, tablet = devices
    refused = is_refused_as_out_of_date(laptop, phone, middle)
    write(laptop, "later")
    write(phone, "later")
    tablet.sync()
    middle.always(f"{HISTORY}/2", refused)
    for look in (tablet.version, tablet.restore):
        with pytest.raises(ForkDetected, match="not in the history"):
            look(2)
    middle.honest()
    assert tablet.version(2) == {"v": 1, "phone": "first"}


def test_where_versions_are_missing_the_writes_of_each_device_tell(
    devices: tuple[Client, Client, Client], middle: Middle
) -> None:
    """Servers keep few versions of long ago: what came before is shown, and what was refused in its place is not."""
    laptop, phone, tablet = devices
    for number in range(3):
        write(phone, number)
    tablet.sync()
    assert tablet.version(2) == {"v": 1, "phone": 0}
    middle.always(f"{HISTORY}/3", Answer(404, {"error": "No.", "code": "no_wallet"}))
    with pytest.raises(NotKept):
        tablet.version(3)
    assert tablet.version(2) == {"v": 1, "phone": 0}
    assert laptop.sync().sequence == 4


def test_a_refused_write_is_no_version_before_missing_ones(
    devices: tuple[Client, Client, Client], middle: Middle
) -> None:
    """Its author's later write says that it was given up, however many versions the server does not show."""
    laptop, phone, tablet = devices
    refused = is_refused_as_out_of_date(laptop, phone, middle)
    write(laptop, "later")
    write(phone, "later")
    tablet.sync()
    for number in (3, 4):
        middle.always(f"{HISTORY}/{number}", Answer(404, {"error": "No.", "code": "no_wallet"}))
    assert tablet.version(2) == {"v": 1, "phone": "first"}
    middle.always(f"{HISTORY}/2", refused)
    with pytest.raises(ForkDetected, match="not in the history"):
        tablet.version(2)


def test_what_was_given_up_is_remembered_by_the_device_and_by_the_line(
    device: Device, tmp_path: Path, middle: Middle
) -> None:
    """Over a restart, and by whoever uses the device's name with a new store."""
    file = tmp_path / "laptop.wallet"
    laptop, phone = device("laptop", store=file), device("phone")
    laptop.set_document({"v": 1})
    laptop.sync()
    is_refused_as_out_of_date(laptop, phone, middle)
    (refused,) = state_of(laptop).abandoned
    email = email_of(laptop)
    laptop.close()
    for store in (file, tmp_path / "new.wallet"):
        with Client(middle.url, store=store, device_id="laptop") as laptop:
            laptop.set_account(email, PASSWORD)
            write(laptop, str(store))
            assert known_of(laptop).entries["laptop"].abandoned == (refused,)
            phone.sync()
            assert known_of(phone).entries["laptop"].abandoned == (refused,)


def test_a_write_that_landed_is_not_given_up(devices: tuple[Client, Client, Client], middle: Middle) -> None:
    """Neither where its answer got lost, nor where others have written since."""
    laptop, phone, _ = devices
    laptop.set_document({"v": 2})
    middle.lose_answer(POST_WALLET)
    with pytest.raises(Exception, match="server"):
        laptop.sync()
    write(phone, "later")
    laptop.sync()
    assert laptop.get_document() == {"v": 2, "phone": "later"}
    assert state_of(laptop).abandoned == ()


@pytest.mark.promise("S-12")
def test_a_version_names_the_latest_that_were_given_up() -> None:
    """So that a wallet does not grow for ever; each once."""
    assert abandoned.MAX_ABANDONED == 32
    names = [str(number) for number in range(abandoned.MAX_ABANDONED + 3)]
    assert abandoned.latest([*names, names[5]]) == tuple(names[3:])


def test_a_state_that_lets_go_of_nothing_stays_as_it_is() -> None:
    """The very same tuple, so that nothing is written anew."""
    state = DeviceState(device_id="laptop", format="json", abandoned=("a",))
    assert abandoned.after(state, replace(state, document=b"{}")) is state.abandoned
