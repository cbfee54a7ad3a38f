"""A device is killed, or cut off, at every point that there is; the next start goes on, and nothing is lost or doubled.

Real server over HTTP, real store in a file. Documents are append logs, in which a doubled edit shows.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from append_log import AppendLog, append
from tests.client.crashes import Crash, Points
from tests.client.rollbacks import put_back, restore_backup, take_backup
from tests.conftest import PASSWORD
from walletsync import Client
from walletsync.errors import WrongCredentials, WrongPassword
from walletsync_server.testing import RunningServer

NEW = "a new password, also a long one"
LAPTOP, PHONE = "aaaa", "bbbb"


class World:
    """One account with a laptop and a phone, whose processes come and go. It can be put back to what it was."""

    def __init__(self, server: RunningServer, email: str, folder: Path) -> None:
        self.server = server
        self.email = email
        self._files = folder / "now"
        self._kept_files = folder / "kept"
        self._files.mkdir()

    @contextmanager
    def client(self, device: str, password: str = PASSWORD, *, accept_new_password: bool = False) -> Iterator[Client]:
        """A process of a device, on the device's file."""
        file = self._files / device
        with Client(self.server.url, store=file, device_id=device, format=AppendLog()) as client:
            client.set_account(self.email, password, accept_new_password=accept_new_password)
            yield client

    def keep(self) -> None:
        """Remember what server and devices have."""
        shutil.copytree(self._files, self._kept_files)
        self._kept_rows = take_backup(self.server, self.email)

    def put_back(self) -> None:
        """Put server and devices back to what they had."""
        shutil.rmtree(self._files)
        shutil.copytree(self._kept_files, self._files)
        put_back(self.server, self._kept_rows)

    def working_passwords(self) -> list[str]:
        """Return those that a new device gets in with."""
        working = []
        for password in (PASSWORD, NEW):
            with Client(self.server.url, device_id="stranger") as stranger:
                stranger.set_account(self.email, password)
                with suppress(WrongCredentials):
                    stranger.get_auth_token()
                    working.append(password)
        return working


@pytest.fixture
def world(running_server: RunningServer, address: Callable[[], str], tmp_path: Path) -> World:
    """A new account."""
    return World(running_server, address(), tmp_path)


def edit(client: Client, segment: str) -> None:
    """Add a segment, unless an earlier start of the process has."""
    if client.wallet_state is None:
        client.new_wallet_state()
    if segment not in client.get_document():
        client.set_document(append(client.get_document(), segment))


@dataclass(frozen=True)
class Matrix:
    """What is prepared, what is interrupted, what a person does then, and what must hold in the end."""

    prepare: Callable[[World], None]
    run: Callable[[World], None]
    resume: Callable[[World], None]
    check: Callable[[World], None]


def crashes_at_every_point(matrix: Matrix, world: World, *, writes: int, requests: int) -> None:
    """Run undisturbed once, then crash at every point of that run; there are two for each write and each request."""
    matrix.prepare(world)
    world.keep()
    undisturbed = Points()
    with undisturbed.watched():
        matrix.run(world)
    matrix.check(world)
    points = list(undisturbed.reached)
    print(f"{len(points)} points: {points}")
    saves = sum(point.endswith(" save") for point in points)
    assert (saves, len(points) - saves) == (2 * writes, 2 * requests)
    for number, point in enumerate(points):
        print(f"crash {number}: {point}")
        world.put_back()
        with pytest.raises(Crash), Points().crashing(number):
            matrix.run(world)
        matrix.resume(world)
        matrix.check(world)


# A first sync: registering, making the wallet, an edit


def begin(world: World) -> None:
    with world.client("laptop") as laptop:
        laptop.register()
        edit(laptop, LAPTOP)
        laptop.sync()


def laptop_has_begun(world: World) -> None:
    with world.client("phone") as phone:
        assert phone.sync().sequence == 1
        assert phone.get_document() == "-:aaaa"


def test_a_first_sync_survives_a_crash_at_every_point(world: World) -> None:
    """From nothing to the first version on the server, and never a second one."""
    matrix = Matrix(prepare=lambda world: None, run=begin, resume=begin, check=laptop_has_begun)
    crashes_at_every_point(matrix, world, writes=9, requests=6)


# A sync with edits on both sides


def edits_on_both_sides(world: World) -> None:
    begin(world)
    with world.client("phone") as phone:
        phone.sync()
        edit(phone, PHONE)
        phone.sync()


def sync_an_edit(world: World) -> None:
    with world.client("laptop") as laptop:
        edit(laptop, "cccc")
        laptop.sync()


def sync_after_the_phone(world: World) -> None:
    with world.client("phone") as phone:
        edit(phone, "dddd")
        phone.sync()
    sync_an_edit(world)


def every_edit_is_there_once(world: World) -> None:
    with world.client("laptop") as laptop, world.client("phone") as phone:
        phone.sync()
        laptop.sync()
        assert laptop.get_document() == phone.get_document()
        log = laptop.get_document().split(":")[1:]
        assert len(log) == len(set(log))
        assert {"aaaa", "bbbb", "cccc"} <= set(log) <= {"aaaa", "bbbb", "cccc", "dddd"}
        assert laptop.sync().sequence == len(log)  # each edit was one version


@pytest.mark.parametrize("resume", [sync_an_edit, sync_after_the_phone])
def test_a_sync_survives_a_crash_at_every_point(world: World, resume: Callable[[World], None]) -> None:
    """Merging what the phone POSTed, POSTing its own: once more, also if the phone goes on before the next start."""
    matrix = Matrix(edits_on_both_sides, run=sync_an_edit, resume=resume, check=every_edit_is_there_once)
    crashes_at_every_point(matrix, world, writes=6, requests=3)


# A change of the password


def edits_offline(world: World) -> None:
    begin(world)
    with world.client("phone") as phone:
        phone.sync()
        edit(phone, PHONE)


def change_password(world: World) -> None:
    with world.client("laptop") as laptop:
        laptop.change_password(NEW)


def find_out_and_change_password(world: World) -> None:
    """Begin with a sync, under whichever password holds: the device knows, and says so."""
    (holds,) = world.working_passwords()
    other = NEW if holds == PASSWORD else PASSWORD
    with world.client("laptop", other) as laptop, pytest.raises((WrongCredentials, WrongPassword)):
        laptop.sync()
    with world.client("laptop", holds) as laptop:
        if laptop.wallet_state is None:
            laptop.get_auth_token()
        else:
            edit(laptop, "cccc")
            laptop.sync()
        if holds == PASSWORD:
            laptop.change_password(NEW)


def everyone_goes_on_with_the_new_password(world: World) -> None:
    assert world.working_passwords() == [NEW]
    with world.client("laptop", NEW) as laptop, world.client("phone", NEW, accept_new_password=True) as phone:
        edit(laptop, LAPTOP)
        laptop.sync()
        assert not laptop.has_open_password_change
        phone.sync()
        laptop.sync()
        log = phone.get_document().split(":")[1:]
        assert laptop.get_document() == phone.get_document()
        assert len(log) == len(set(log))
        assert "aaaa" in log
        assert laptop._device.known is not None
        assert laptop._device.known.epoch == (2 if "bbbb" in log else 1)


@pytest.mark.parametrize("resume", [change_password, find_out_and_change_password])
def test_a_password_change_survives_a_crash_at_every_point(world: World, resume: Callable[[World], None]) -> None:
    """Exactly one password works at any time, the device knows which, and the phone's unsynced edit gets through."""
    matrix = Matrix(edits_offline, change_password, resume, check=everyone_goes_on_with_the_new_password)
    crashes_at_every_point(matrix, world, writes=5, requests=4)


def register(world: World) -> None:
    with world.client("laptop") as laptop:
        laptop.register()
        laptop.get_auth_token()


@pytest.mark.parametrize("resume", [change_password, find_out_and_change_password])
def test_a_password_change_without_a_wallet_survives_a_crash_at_every_point(
    world: World, resume: Callable[[World], None]
) -> None:
    """The same for an account that has no wallet yet: its first epoch is still to come."""
    matrix = Matrix(register, change_password, resume, check=everyone_goes_on_with_the_new_password)
    crashes_at_every_point(matrix, world, writes=5, requests=4)


# A server that was restored from a backup


def restored_server(world: World) -> None:
    begin(world)
    backup = take_backup(world.server, world.email)
    with world.client("phone") as phone:
        phone.sync()
        edit(phone, PHONE)
        phone.sync()
        sync_an_edit(world)
        phone.sync()
        edit(phone, "dddd")
    restore_backup(world.server, backup)


def accept_restored_server(world: World) -> None:
    with world.client("laptop") as laptop:
        edit(laptop, "eeee")
        laptop.accept_restored_server()


def the_phone_follows(world: World) -> None:
    with world.client("laptop") as laptop, world.client("phone") as phone:
        assert phone.sync().sequence == 3
        laptop.sync()
        assert laptop.get_document() == phone.get_document() == "-:aaaa:bbbb:cccc:eeee:dddd"


def test_accepting_a_restored_server_survives_a_crash_at_every_point(world: World) -> None:
    """Everything that was after the backup comes back once, and the phone follows without being asked."""
    matrix = Matrix(restored_server, accept_restored_server, accept_restored_server, check=the_phone_follows)
    crashes_at_every_point(matrix, world, writes=8, requests=6)


# An account that is deleted and made anew


def delete_and_register(world: World) -> None:
    with world.client("laptop") as laptop:
        laptop.delete_account()
        laptop.register()
        laptop.sync()


def register_and_sync(world: World) -> None:
    with world.client("laptop") as laptop:
        laptop.register()
        laptop.sync()


def the_document_is_there(world: World) -> None:
    for device in ("laptop", "phone"):
        with world.client(device) as client:
            assert client.sync().sequence == 1
            assert client.get_document() == "-:aaaa"


def test_deleting_and_registering_again_survives_a_crash_at_every_point(world: World) -> None:
    """The document stays on the device, and is version 1 of whichever account there is."""
    matrix = Matrix(begin, delete_and_register, register_and_sync, check=the_document_is_there)
    crashes_at_every_point(matrix, world, writes=7, requests=7)
