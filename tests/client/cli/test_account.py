"""The account: devices, the password, the end."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.client.cli.machines import NEW_PASSWORD, Machine, Make
from tests.conftest import PASSWORD
from tests.middle import CHANGE_PASSWORD, LOGIN, SIGNUP, Answer, Middle
from walletsync.cli import main
from walletsync_server.testing import RunningServer


def test_devices_are_listed_and_logged_out(laptop: Machine, phone: Machine) -> None:
    """Also this one; each logs in again by itself at the next sync, with the password."""
    assert {each["device"] for each in phone.json("devices")} == {"laptop", "phone"}
    assert re.search(r"^phone  since \S+  \(this one\)$", phone.ok("devices"), re.MULTILINE)
    assert phone.json("devices --revoke laptop") == {"revoked": "laptop"}
    assert [each["device"] for each in phone.json("devices")] == ["phone"]
    assert "walletsync devices" in phone.fails("devices --revoke laptop", 4)
    for command in ("sync", "history", "pull", "push", "export --version 1", "devices", "restore 1"):
        assert phone.json("devices --revoke phone") == {"revoked": "phone"}
        phone.ok(command)


def test_an_address_that_is_not_confirmed_yet_waits_for_its_mail(make: Make, middle: Middle) -> None:
    """There is no login before the link was opened; each answer says that it is what is missing."""
    laptop = make("laptop", middle.url)
    middle.always(SIGNUP, Answer(201, {"verified": False}))
    middle.always(LOGIN, Answer(401, {"error": "not yet", "code": "not_verified"}))
    assert "Open the link in the mail" in laptop.ok("register")
    assert laptop.json("register") == {"email": laptop.email, "verified": False}
    assert LOGIN not in middle.requests
    assert "hint: open the link in the mail, then: walletsync login" in laptop.fails("login", 4)
    middle.honest()
    laptop.ok("register")
    assert laptop.json("status")["loggedIn"]


def test_logging_out_keeps_the_file(laptop: Machine) -> None:
    """The wallet stays as it is, and syncing goes on after the next login."""
    laptop.write({"a": 2})
    assert laptop.json("logout") == {"loggedIn": False}
    assert laptop.ok("logout") == "This device is logged out.\n"
    assert not laptop.json("status")["loggedIn"]
    assert laptop.read() == {"a": 2}
    assert laptop.json("login")["device"] == "laptop"
    assert laptop.json("status")["loggedIn"]
    assert laptop.ok("sync") == "version 2\n"


def test_a_changed_password_holds_everywhere(laptop: Machine, phone: Machine) -> None:
    """The one who changed it goes on; the other is told, takes the new one, and keeps its own edits."""
    assert laptop.json("password") == {"sequence": 2}
    phone.write({"a": 1, "b": 2})
    told = phone.fails("sync", 5)
    assert "walletsync login --new-password" in told
    phone.types(NEW_PASSWORD)
    phone.ok("login --new-password")
    assert phone.ok("sync") == "version 3\n"
    laptop.types(NEW_PASSWORD)
    laptop.ok("sync")
    assert laptop.read() == {"a": 1, "b": 2}
    laptop.types(PASSWORD)
    laptop.ok("logout")
    assert "walletsync login" in laptop.fails("login", 4)


def test_unsynced_edits_block_a_password_change(laptop: Machine) -> None:
    """They would be left behind, so the error says what to do first, before it asks for a new password."""
    laptop.write({"a": 2})
    told = laptop.fails("password", 2, WALLETSYNC_NEW_PASSWORD_FILE="/nowhere")
    assert "not synced yet" in told
    assert "hint: walletsync sync" in told
    laptop.ok("sync")
    laptop.ok("password")


@pytest.mark.parametrize("lost", ["request", "answer"])
@pytest.mark.parametrize("then", ["password", "login", "sync"])
def test_an_interrupted_password_change_is_finished(lost: str, then: str, make: Make, middle: Middle) -> None:
    """Whether it has landed or not: the same again ends it; a login says which of the two passwords holds."""
    laptop = make("laptop", middle.url)
    laptop.ok("register")
    laptop.write({"a": 1})
    laptop.ok("sync")
    if lost == "answer":
        middle.lose_answer(CHANGE_PASSWORD)
    else:
        middle.lose_request(CHANGE_PASSWORD)
    laptop.fails("password", 3)
    assert laptop.json("status")["passwordChangeIsOpen"]
    laptop.write({"a": 2})
    if then == "password":
        laptop.ok("password")
        laptop.types(NEW_PASSWORD)
    else:
        right, wrong = (NEW_PASSWORD, PASSWORD) if lost == "answer" else (PASSWORD, NEW_PASSWORD)
        laptop.types(wrong)
        told = laptop.fails(then, 4)
        assert ("took effect.\nhint: type the new password" in told) == (lost == "answer")
        assert ("did not take effect: the old password holds.\nhint: walletsync password again" in told) == (
            lost == "request"
        )
        laptop.types(right)
        laptop.ok(then)
    laptop.ok("sync")
    assert not laptop.json("status")["passwordChangeIsOpen"]
    assert laptop.read() == {"a": 2}


def test_an_account_is_deleted_and_made_anew_with_nothing_lost(laptop: Machine) -> None:
    """Deleting asks first; the file stays, and is the first version of the next account."""
    asked = CliRunner().invoke(main, ["delete-account"], input="n\n", env=laptop.environment())
    assert asked.exit_code == 1
    assert f"Delete the account of {laptop.email}" in asked.stderr
    assert laptop.json("delete-account --yes") == {"deleted": laptop.email}
    assert laptop.read() == {"a": 1}
    laptop.fails("sync", 4)
    assert laptop.json("register") == {"email": laptop.email, "verified": True}
    assert laptop.json("sync") == {"sequence": 1, "conflicts": []}
    assert laptop.read() == {"a": 1}


def test_two_laptops_of_one_name_are_told_so(
    tmp_path: Path, running_server: RunningServer, address: Callable[[], str]
) -> None:
    """Whoever syncs second learns it, and what to type; then nothing of either is lost."""
    email = address()
    one, other = (Machine(tmp_path / name, running_server.url, email) for name in ("one", "other"))
    one.init("--device laptop")
    one.ok("register")
    one.write({"a": 1})
    one.ok("sync")
    other.init("--device laptop")
    other.ok("sync")
    other.write({"a": 1, "b": 2})
    other.ok("sync")
    one.write({"a": 1, "c": 3})
    told = one.fails("sync", 5)
    assert "another device has the same name, or the folder of this one was copied" in told
    assert "hint: walletsync rename NAME" in told
    assert "the original of a copied folder too" in told
    renamed = one.run("rename desktop")
    assert renamed.stdout == "This device is desktop now, and logs in as that with its next sync.\n"
    assert "walletsync devices --revoke laptop" in renamed.stderr
    one.ok("sync")
    other.ok("sync")
    assert one.read() == other.read() == {"a": 1, "b": 2, "c": 3}
    assert {each["device"] for each in one.json("devices")} == {"laptop", "desktop"}
