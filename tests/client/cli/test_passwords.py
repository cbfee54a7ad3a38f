"""Where passwords come from: a file, the keyring, or a person at a terminal."""

import re

import click

from tests.client.cli.machines import NEW_PASSWORD, InMemory, Machine, Make, Terminal, bare, commands
from tests.conftest import PASSWORD


def test_no_option_takes_a_password() -> None:
    """Everybody on the machine can read a command line."""
    for command in commands().values():
        for parameter in command.params:
            if "password" in (parameter.name or ""):
                assert isinstance(parameter, click.Option), (command.name, parameter.name)
                assert parameter.is_flag, (command.name, parameter.name)


def test_a_password_file_is_read_without_its_newline(laptop: Machine) -> None:
    """With either end of line; what is no text, empty or not there is an error that names the variable."""
    file = laptop.folder / "password"
    for end in (b"", b"\n", b"\r\n"):
        file.write_bytes(PASSWORD.encode() + end)
        laptop.ok("sync")
    for content in (b"\xff", b"", b"\n"):
        file.write_bytes(content)
        assert "WALLETSYNC_PASSWORD_FILE" in laptop.fails("sync", 2)
    file.unlink()
    assert "WALLETSYNC_PASSWORD_FILE" in laptop.fails("sync", 2)


def test_without_a_terminal_nobody_is_asked(laptop: Machine) -> None:
    """A script that hangs at a prompt helps nobody."""
    for variable in (None, ""):
        told = laptop.fails("sync", 2, WALLETSYNC_PASSWORD_FILE=variable)
        assert "no terminal" in told
        assert "WALLETSYNC_PASSWORD_FILE" in told
    assert "WALLETSYNC_NEW_PASSWORD_FILE" in laptop.fails("password", 2, WALLETSYNC_NEW_PASSWORD_FILE=None)


def test_the_keyring_keeps_the_password(laptop: Machine, ring: InMemory) -> None:
    """From a login that asks for it, over a change of the password, until one logs out."""
    laptop.ok("login")
    assert not ring.kept
    laptop.ok("login --keyring")
    ((service, account),) = ring.kept
    assert (service, account) == ("walletsync", f"{laptop.email} at {laptop.url}")
    assert laptop.ok("sync", WALLETSYNC_PASSWORD_FILE=None) == "version 1\n"
    laptop.ok("password", WALLETSYNC_PASSWORD_FILE=None)
    assert set(ring.kept.values()) == {NEW_PASSWORD}
    laptop.ok("sync", WALLETSYNC_PASSWORD_FILE=None)
    ring.kept[service, account] = PASSWORD  # an old one there is no trap: a login asks, and replaces it
    laptop.fails("sync", 4, WALLETSYNC_PASSWORD_FILE=None)
    laptop.types(NEW_PASSWORD)
    laptop.ok("login")
    laptop.ok("sync", WALLETSYNC_PASSWORD_FILE=None)
    laptop.ok("logout")
    assert not ring.kept


def test_without_a_keyring_the_error_names_the_file(laptop: Machine) -> None:
    """The login itself has happened."""
    laptop.ok("logout")
    assert "no keyring here" in laptop.fails("login --keyring", 2)
    assert laptop.json("status")["loggedIn"]


def test_a_person_is_asked_on_the_terminal(make: Make) -> None:
    """Twice where a typing error would make an account that nobody can open; what is typed is not shown."""
    laptop = make("laptop")
    terminal = Terminal(["register"], bare(laptop))
    terminal.wait_for_question("Password:")
    terminal.types(f"{PASSWORD}\n")
    terminal.wait_for_question("confirmation")
    terminal.types("a typing error\n")
    terminal.wait_for("do not match")
    terminal.said = terminal.said.partition("do not match")[2]
    terminal.wait_for_question("Password:")
    terminal.types(f"{PASSWORD}\n")
    terminal.wait_for_question("confirmation")
    terminal.types(f"{PASSWORD}\n")
    assert terminal.end() == 0, terminal.said
    assert PASSWORD not in terminal.said
    assert "Deriving the keys" in terminal.said
    assert "logged in" in terminal.said
    laptop.write({"a": 1})
    laptop.ok("sync")


def test_no_color_means_no_colour(make: Make) -> None:
    """The spinner has one, but not for those who do not want any."""
    laptop = make("laptop")
    laptop.ok("register")
    for no_color, coloured in ((None, True), ("1", False)):
        terminal = Terminal(["login"], bare(laptop, **({} if no_color is None else {"NO_COLOR": no_color})))
        terminal.wait_for_question("Password:")
        terminal.types(f"{PASSWORD}\n")
        assert terminal.end() == 0, terminal.said
        assert "Deriving the keys" in terminal.said
        assert bool(re.search(r"\x1b\[\d*;?3\d", terminal.said)) == coloured


def test_who_changes_the_mind_at_the_prompt_gets_out(laptop: Machine) -> None:
    """Ctrl-C ends the question, in watch as well."""
    for command in ("sync", "watch"):
        terminal = Terminal([command], bare(laptop))
        terminal.wait_for_question("Password:")
        terminal.types("\x03")
        assert terminal.end() == 1
        assert "Aborted" in terminal.said
