"""What the tests of crashes have in common: an account with two devices in files, and what people do with them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from append_log import AppendLog, append
from tests.client.rollbacks import put_back, restore_backup, take_backup
from tests.conftest import PASSWORD
from tests.insides import known_of
from walletsync import Client
from walletsync.errors import WrongCredentials

NEW = "a new password, also a long one"
NEWEST = "a third password, longer than that"
LAPTOP, PHONE = "aaaa", "bbbb"


class World:
    """One account with a laptop and a phone, whose processes come and go. It can be put back to what it was."""

    def __init__(self, url: str, database: Path, email: str, folder: Path) -> None:
        self.url = url
        self.database = database
        self.email = email
        self._files = folder / "now"
        self._kept_files = folder / "kept"
        self._files.mkdir(exist_ok=True)

    @contextmanager
    def client(self, device: str, password: str = PASSWORD, *, accept_new_password: bool = False) -> Iterator[Client]:
        """A process of a device, on the device's file."""
        file = self._files / device
        with Client(self.url, store=file, device_id=device, format=AppendLog()) as client:
            client.set_account(self.email, password, accept_new_password=accept_new_password)
            yield client

    def keep(self) -> None:
        """Remember what server and devices have."""
        shutil.copytree(self._files, self._kept_files)
        self._kept_rows = take_backup(self.database, self.email)

    def put_back(self) -> None:
        """Put server and devices back to what they had."""
        shutil.rmtree(self._files)
        shutil.copytree(self._kept_files, self._files)
        put_back(self.database, self._kept_rows)

    def working_passwords(self, *passwords: str) -> list[str]:
        """Return those of `passwords` that a new device gets in with."""
        working = []
        for password in passwords:
            with Client(self.url, device_id="stranger") as stranger:
                stranger.set_account(self.email, password)
                with suppress(WrongCredentials):
                    stranger.get_auth_token()
                    working.append(password)
        return working


def edit(client: Client, segment: str) -> None:
    """Add a segment, unless an earlier start of the process has."""
    if client.wallet_state is None:
        client.new_wallet_state()
    if segment not in client.get_document():
        client.set_document(append(client.get_document(), segment))


def begin(world: World) -> None:
    with world.client("laptop") as laptop:
        laptop.register()
        edit(laptop, LAPTOP)
        laptop.sync()


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


def restored_before_a_password_change(world: World) -> None:
    """The laptop has changed the password and written since; then the server is set back to before."""
    begin(world)
    backup = take_backup(world.database, world.email)
    with world.client("laptop") as laptop:
        laptop.change_password(NEW)
        edit(laptop, "cccc")
        laptop.sync()
    with world.client("phone", NEW) as phone:
        phone.sync()
        edit(phone, PHONE)
    restore_backup(world.database, backup)


def accept_with_new_password(world: World) -> None:
    with world.client("laptop") as laptop:
        edit(laptop, "dddd")
        laptop.accept_restored_server(new_password=NEWEST)


def nothing_left_under_the_earlier_password(world: World) -> None:
    """Only the newest password holds, the phone follows with it, and each edit is there once."""
    assert world.working_passwords(PASSWORD, NEWEST) == [NEWEST]
    with world.client("laptop", NEWEST) as laptop, world.client("phone", NEWEST, accept_new_password=True) as phone:
        phone.sync()
        laptop.sync()
        assert laptop.get_document() == phone.get_document() == "-:aaaa:cccc:dddd:bbbb"
        assert known_of(laptop).epoch == 3
        assert laptop.sync().sequence == 3


def every_edit_is_there_once(world: World) -> None:
    with world.client("laptop") as laptop, world.client("phone") as phone:
        phone.sync()
        laptop.sync()
        assert laptop.get_document() == phone.get_document()
        log = laptop.get_document().split(":")[1:]
        assert len(log) == len(set(log))
        assert {"aaaa", "bbbb", "cccc"} <= set(log) <= {"aaaa", "bbbb", "cccc", "dddd"}
        assert laptop.sync().sequence == len(log)  # each edit was one version


def edits_offline(world: World) -> None:
    begin(world)
    with world.client("phone") as phone:
        phone.sync()
        edit(phone, PHONE)


def change_password(world: World) -> None:
    with world.client("laptop") as laptop:
        laptop.change_password(NEW)


def everyone_goes_on_with_the_new_password(world: World) -> None:
    assert world.working_passwords(PASSWORD, NEW) == [NEW]
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
        assert known_of(laptop).epoch == (2 if "bbbb" in log else 1)
