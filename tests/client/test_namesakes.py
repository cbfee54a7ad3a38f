"""Two devices of one name, a copied folder, a restored one: named as that, and mended without losing an edit."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.insides import state_of
from tests.middle import CHANGE_PASSWORD, POST_WALLET, Middle
from walletsync import Client
from walletsync.errors import NamesakeDetected, NotReady, ServerUnreachable, UsageError

Device = Callable[..., Client]


def edit(client: Client, **values: str) -> None:
    client.set_document({**client.get_document(), **values})


def begun(client: Client) -> None:
    """Make the first version."""
    client.set_document({"a": "0"})
    client.sync()


def goes_on(one: Client, other: Client) -> None:
    """Both write, and have what both have written."""
    for writer, value in ((one, "1"), (other, "2"), (one, "3")):
        writer.sync()
        edit(writer, a=value)
        writer.sync()
    other.sync()
    assert one.get_document() == other.get_document()
    assert one.conflicts == other.conflicts == ()


def test_two_devices_of_one_name_are_told_so(device: Device) -> None:
    """Nothing of the other one's is taken, no server is accused, and under another name all edits are there."""
    one, other = device("laptop"), device("laptop")
    begun(one)
    other.sync()
    edit(other, b="other's")
    other.sync()
    edit(one, c="one's")
    before = state_of(one)
    one.get_auth_token()  # a name has one token at a time
    with pytest.raises(NamesakeDetected, match="'laptop'") as told:
        one.sync()
    assert "rename_device()" in str(told.value)
    assert one.get_document() == {"a": "0", "c": "one's"}
    assert state_of(one).synced == before.synced
    one.rename_device("desktop")
    one.get_auth_token()
    one.sync()
    assert one.device_id == "desktop"
    other.get_auth_token()
    other.sync()
    assert one.get_document() == other.get_document() == {"a": "0", "b": "other's", "c": "one's"}
    goes_on(one, other)


@pytest.mark.parametrize("name", ["original", "copy"])
def test_a_copied_folder_is_told_so(name: str, device: Device, tmp_path: Path) -> None:
    """By whichever writes later; that one takes another name."""
    file = tmp_path / "store"
    original = device("laptop", store=file)
    begun(original)
    original.close()
    shutil.copy(file, tmp_path / "copied")
    clients = {"original": device("laptop", store=file), "copy": device("laptop", store=tmp_path / "copied")}
    late = clients.pop(name)
    (early,) = clients.values()
    edit(early, b="early")
    early.get_auth_token()
    early.sync()
    edit(late, c="late")
    late.get_auth_token()
    with pytest.raises(NamesakeDetected):
        late.sync()
    late.rename_device("another")
    late.get_auth_token()
    late.sync()
    assert late.get_document() == {"a": "0", "b": "early", "c": "late"}
    early.get_auth_token()
    goes_on(early, late)


def test_a_restored_folder_is_told_so(device: Device, tmp_path: Path) -> None:
    """It has forgotten what it wrote since: that is there again, together with what is new."""
    file, phone = tmp_path / "store", device("phone")
    laptop = device("laptop", store=file)
    begun(laptop)
    laptop.close()
    shutil.copy(file, tmp_path / "backup")
    laptop = device("laptop", store=file)
    edit(laptop, b="forgotten")
    laptop.sync()
    laptop.close()
    phone.sync()
    edit(phone, d="phone's")
    phone.sync()
    shutil.copy(tmp_path / "backup", file)
    laptop = device("laptop", store=file)
    edit(laptop, c="new")
    laptop.get_auth_token()
    with pytest.raises(NamesakeDetected, match="older copy"):
        laptop.sync()
    laptop.rename_device("laptop of December")
    laptop.get_auth_token()
    laptop.sync()
    assert laptop.get_document() == {"a": "0", "b": "forgotten", "c": "new", "d": "phone's"}
    goes_on(laptop, phone)


@pytest.mark.parametrize("loses", [Middle.lose_answer, Middle.lose_request], ids=["landed", "did not land"])
@pytest.mark.parametrize(
    "then", [{"a": "1", "b": "sent"}, {"a": "1"}, {"a": "0", "b": "sent"}, {"a": "2", "b": "later"}]
)
def test_what_was_sent_under_the_earlier_name_is_this_devices(
    loses: Callable[[Middle, str], None], then: dict[str, str], device: Device, middle: Middle
) -> None:
    """What was taken back since, or changed again, stays so, whether the write has landed or not."""
    laptop = device("laptop")
    begun(laptop)
    edit(laptop, a="1", b="sent")
    loses(middle, POST_WALLET)
    with pytest.raises(ServerUnreachable):
        laptop.post_wallet()
    laptop.set_document(then)
    laptop.rename_device("desktop")
    laptop.get_auth_token()
    laptop.sync()
    assert laptop.get_document() == then
    assert laptop.conflicts == ()
    phone = device("phone")
    phone.sync()
    assert phone.get_document() == then
    goes_on(laptop, phone)


def test_a_name_is_used_once(device: Device) -> None:
    """Neither this device's own, nor an earlier one, nor another one's."""
    laptop, phone = device("laptop"), device("phone")
    begun(laptop)
    goes_on(phone, laptop)
    for name in ("laptop", "phone"):
        with pytest.raises(UsageError, match="choose another"):
            laptop.rename_device(name)
    laptop.rename_device("desktop")
    with pytest.raises(UsageError, match="choose another"):
        laptop.rename_device("laptop")


def test_a_device_that_was_renamed_goes_on_after_a_restored_server(device: Device, middle: Middle) -> None:
    """With a write under its earlier name of which nobody knows what became of it."""
    laptop = device("laptop")
    begun(laptop)
    edit(laptop, b="sent")
    middle.lose_answer(POST_WALLET)
    with pytest.raises(ServerUnreachable):
        laptop.post_wallet()
    laptop.rename_device("desktop")
    laptop.get_auth_token()
    laptop.accept_restored_server()
    assert laptop.get_document() == {"a": "0", "b": "sent"}
    goes_on(laptop, device("phone"))


def test_a_name_has_to_be_one(device: Device) -> None:
    """As where a client is made; and nothing has changed."""
    laptop = device("laptop")
    for name in ("", "x" * 129, "\ud800"):
        with pytest.raises(UsageError, match="1 to 128"):
            laptop.rename_device(name)
    assert laptop.device_id == "laptop"
    assert laptop.is_logged_in


def test_an_open_change_of_the_password_comes_first(device: Device, middle: Middle) -> None:
    """Its wallet has the earlier name, and may have landed."""
    laptop = device("laptop")
    begun(laptop)
    middle.lose_request(CHANGE_PASSWORD)
    with pytest.raises(ServerUnreachable):
        laptop.change_password("another password")
    with pytest.raises(NotReady, match="interrupted"):
        laptop.rename_device("desktop")
    assert laptop.device_id == "laptop"
