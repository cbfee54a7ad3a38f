"""A backup that is older than a change of the password: the consent asks for a new one, and takes it in one step."""

from collections.abc import Callable

import pytest

from tests.client.cli.machines import NEW_PASSWORD, InMemory, Machine, Make, Terminal, bare
from tests.client.rollbacks import restore_backup, take_backup
from tests.conftest import PASSWORD
from tests.middle import CHANGE_PASSWORD, POST_WALLET, Middle
from walletsync_server.testing import RunningServer

NEWEST = "a third horse, a third battery"
CONSENT = "sync --accept-restored-server"

SetBack = Callable[[], Machine]


@pytest.fixture
def set_back(make: Make, middle: Middle, running_server: RunningServer) -> SetBack:
    """Make a laptop with a secret since a change of the password; then set its server back to before."""

    def made() -> Machine:
        laptop = make("laptop", middle.url)
        laptop.ok("register")
        laptop.write({"a": 1})
        laptop.ok("sync")
        backup = take_backup(running_server.database, laptop.email)
        laptop.ok("password")
        laptop.types(NEW_PASSWORD)
        laptop.write({"a": 1, "secret": 2})
        laptop.ok("sync")
        restore_backup(running_server.database, backup)
        return laptop

    return made


@pytest.mark.promise("S-39")
def test_the_consent_asks_for_a_new_password(set_back: SetBack, middle: Middle) -> None:
    """Where there is none, nothing of the wallet is sent; with one, the change of the password leaves first."""
    laptop = set_back()
    middle.requests.clear()
    assert f"hint: if so: walletsync {CONSENT}" in laptop.fails("sync", 5)
    laptop.types(PASSWORD)
    told = laptop.fails(CONSENT, 2, WALLETSYNC_NEW_PASSWORD_FILE=None)
    assert "from before a change that this device knows of" in told
    assert "WALLETSYNC_NEW_PASSWORD_FILE" in told
    assert "walletsync sync --accept-restored-server" in laptop.fails("sync", 5)
    assert not {POST_WALLET, CHANGE_PASSWORD} & set(middle.requests)
    laptop.types(PASSWORD, NEWEST)
    result = laptop.run(CONSENT)
    assert (result.exit_code, result.stdout) == (0, "version 2\n")
    assert "The new password is in force" in result.stderr
    assert [each for each in middle.requests if each in (POST_WALLET, CHANGE_PASSWORD)] == [CHANGE_PASSWORD]
    laptop.types(NEWEST)
    assert laptop.json("sync") == {"sequence": 2, "conflicts": []}
    assert laptop.read() == {"a": 1, "secret": 2}


@pytest.mark.parametrize("then", ["sync", CONSENT])
def test_after_a_lost_answer_it_is_said_which_password_holds(set_back: SetBack, middle: Middle, then: str) -> None:
    """The new one, with which either command goes on."""
    laptop = set_back()
    laptop.types(PASSWORD, NEWEST)
    middle.lose_answer(CHANGE_PASSWORD)
    laptop.fails(CONSENT, 3)
    assert "took effect.\nhint: type the new password" in laptop.fails(CONSENT, 4)
    laptop.types(NEWEST)
    assert laptop.ok(then) == "version 2\n"
    assert laptop.read() == {"a": 1, "secret": 2}


def test_after_a_lost_request_the_same_two_passwords_are_asked_for(set_back: SetBack, middle: Middle) -> None:
    """The change may still be on its way, so the same one is sent again."""
    laptop = set_back()
    laptop.types(PASSWORD, NEWEST)
    middle.lose_request(CHANGE_PASSWORD)
    laptop.fails(CONSENT, 3)
    assert laptop.ok(CONSENT) == "version 2\n"
    middle.deliver_late()
    laptop.types(NEWEST)
    assert laptop.ok("sync") == "version 2\n"


def test_a_person_is_asked_for_both_passwords_whatever_the_keyring_has(set_back: SetBack, ring: InMemory) -> None:
    """The one that it has is the one that the server does not know any more; afterwards it has the new one."""
    laptop = set_back()
    account = f"{laptop.email} at {laptop.url}"
    ring.kept["walletsync", account] = NEW_PASSWORD
    laptop.types(PASSWORD, NEWEST)
    laptop.ok(CONSENT)
    assert ring.kept["walletsync", account] == NEWEST
    laptop.ok("sync", WALLETSYNC_PASSWORD_FILE=None)


def test_a_person_is_asked_on_the_terminal(set_back: SetBack) -> None:
    """For the password of that time, then twice for the new one; nothing that is typed is shown."""
    laptop = set_back()
    terminal = Terminal(CONSENT.split(), bare(laptop))
    terminal.wait_for_question("Password:")
    terminal.types(f"{PASSWORD}\n")
    terminal.wait_for_question("New password:")
    terminal.types(f"{NEWEST}\n")
    terminal.wait_for_question("confirmation")
    terminal.types(f"{NEWEST}\n")
    assert terminal.end() == 0, terminal.said
    assert "version 2" in terminal.said
    assert PASSWORD not in terminal.said
    assert NEWEST not in terminal.said
    assert laptop.read() == {"a": 1, "secret": 2}
