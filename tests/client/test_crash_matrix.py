"""A device is killed, or cut off, at every point that there is; the next start goes on, and nothing is lost or doubled.

Real server over HTTP, real store in a file. Documents are append logs, in which a doubled edit shows.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.client.crashes import Crash, Points
from tests.client.rollbacks import restore_backup, take_backup
from tests.client.worlds import (
    NEW,
    NEWEST,
    PHONE,
    World,
    accept_with_new_password,
    begin,
    change_password,
    edit,
    edits_offline,
    edits_on_both_sides,
    every_edit_is_there_once,
    everyone_goes_on_with_the_new_password,
    nothing_left_under_the_earlier_password,
    restored_before_a_password_change,
    sync_an_edit,
)
from tests.conftest import PASSWORD
from walletsync.errors import NewPasswordNeeded, ServerUnreachable, WrongCredentials, WrongPassword
from walletsync_server.testing import RunningServer

ROOT = Path(__file__).parents[2]
PATHS = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'notebooks'}"}


@pytest.fixture
def world(running_server: RunningServer, address: Callable[[], str], tmp_path: Path) -> World:
    """A new account."""
    return World(running_server.url, running_server.database, address(), tmp_path)


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


def laptop_has_begun(world: World) -> None:
    with world.client("phone") as phone:
        assert phone.sync().sequence == 1
        assert phone.get_document() == "-:aaaa"


def test_a_first_sync_survives_a_crash_at_every_point(world: World) -> None:
    """From nothing to the first version on the server, and never a second one."""
    matrix = Matrix(prepare=lambda world: None, run=begin, resume=begin, check=laptop_has_begun)
    crashes_at_every_point(matrix, world, writes=9, requests=6)


# A sync with edits on both sides


def sync_after_the_phone(world: World) -> None:
    with world.client("phone") as phone:
        edit(phone, "dddd")
        phone.sync()
    sync_an_edit(world)


@pytest.mark.promise("P-67", "P-140")
@pytest.mark.parametrize("resume", [sync_an_edit, sync_after_the_phone])
def test_a_sync_survives_a_crash_at_every_point(world: World, resume: Callable[[World], None]) -> None:
    """Merging what the phone POSTed, POSTing its own: once more, also if the phone goes on before the next start."""
    matrix = Matrix(edits_on_both_sides, run=sync_an_edit, resume=resume, check=every_edit_is_there_once)
    crashes_at_every_point(matrix, world, writes=6, requests=3)


# A change of the password


def find_out_and_change_password(world: World) -> None:
    """Begin with a sync, under whichever password holds: the device knows, and says so."""
    (holds,) = world.working_passwords(PASSWORD, NEW)
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


@pytest.mark.promise("P-83")
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
    backup = take_backup(world.database, world.email)
    with world.client("phone") as phone:
        phone.sync()
        edit(phone, PHONE)
        phone.sync()
        sync_an_edit(world)
        phone.sync()
        edit(phone, "dddd")
    restore_backup(world.database, backup)


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


def find_out_and_accept_with_new_password(world: World) -> None:
    """Begin with the password that holds now: it is the new one, or else the earlier one, and that is said."""
    (holds,) = world.working_passwords(PASSWORD, NEWEST)
    if holds == PASSWORD:
        with world.client("laptop") as laptop, pytest.raises(NewPasswordNeeded):
            laptop.accept_restored_server()
        accept_with_new_password(world)
    else:
        with world.client("laptop", NEWEST) as laptop:
            laptop.sync()


@pytest.mark.parametrize(
    "resume",
    [accept_with_new_password, pytest.param(find_out_and_accept_with_new_password, marks=pytest.mark.security)],
)
def test_consent_with_a_new_password_survives_a_crash_at_every_point(
    world: World, resume: Callable[[World], None]
) -> None:
    """The server has an earlier password again: at no point does anything leave under it, and all comes back once."""
    matrix = Matrix(
        restored_before_a_password_change,
        accept_with_new_password,
        resume,
        check=nothing_left_under_the_earlier_password,
    )
    crashes_at_every_point(matrix, world, writes=9, requests=8)


# An account that is deleted and made anew


def delete_and_register(world: World) -> None:
    with world.client("laptop") as laptop:
        laptop.delete_account()
        laptop.register()
        laptop.sync()


def register_and_sync(world: World) -> None:
    with world.client("laptop") as laptop:
        laptop.register(anew=True)
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


# A wire that is cut, while the process goes on


@pytest.mark.parametrize(
    ("prepare", "run", "check", "requests"),
    [
        (edits_on_both_sides, sync_an_edit, every_edit_is_there_once, 3),
        (edits_offline, change_password, everyone_goes_on_with_the_new_password, 2),
        (restored_before_a_password_change, accept_with_new_password, nothing_left_under_the_earlier_password, 5),
    ],
)
def test_a_request_or_an_answer_may_get_lost_at_every_point(
    world: World,
    prepare: Callable[[World], None],
    run: Callable[[World], None],
    check: Callable[[World], None],
    requests: int,
) -> None:
    """The same verb again settles it, without a restart; what was asked only to log in again may wait."""
    prepare(world)
    world.keep()
    undisturbed = Points()
    with undisturbed.watched():
        run(world)
    cuts = [number for number, point in enumerate(undisturbed.reached) if not point.endswith(" save")][: 2 * requests]
    print(f"{len(cuts)} points of {undisturbed.reached}")
    for number in cuts:
        world.put_back()
        with pytest.raises(ServerUnreachable), Points().disconnected(number):
            run(world)
        run(world)
        check(world)


# A process that is killed

KILLED = """
import sys
from pathlib import Path
from tests.client import worlds
from tests.client.crashes import Points
from walletsync import crypto

crypto._ARGON2_KIB, crypto._ARGON2_PASSES, crypto._ARGON2_LANES = 32, 1, 1  # as the fixture cheap_kdf has it
url, database, email, folder, run, number = sys.argv[1:]
with Points().killed(int(number)):
    getattr(worlds, run)(worlds.World(url, Path(database), email, Path(folder)))
"""


@pytest.mark.parametrize(
    ("prepare", "run", "check", "numbers"),
    [
        (edits_on_both_sides, sync_an_edit, every_edit_is_there_once, (11, 13, 15, 16)),
        (edits_offline, change_password, everyone_goes_on_with_the_new_password, (7, 8, 9, 11)),
    ],
)
def test_a_process_that_is_killed_leaves_what_a_crash_leaves(
    world: World,
    tmp_path: Path,
    prepare: Callable[[World], None],
    run: Callable[[World], None],
    check: Callable[[World], None],
    numbers: tuple[int, ...],
) -> None:
    """SIGKILL around what matters most: after the write was kept, after it was sent, after it was acknowledged."""
    prepare(world)
    world.keep()
    for number in numbers:
        world.put_back()
        words = [world.url, world.database, world.email, tmp_path, run.__name__, number]
        killed = subprocess.run([sys.executable, "-c", KILLED, *map(str, words)], env=PATHS, check=False)
        assert killed.returncode == -signal.SIGKILL
        run(world)
        check(world)
