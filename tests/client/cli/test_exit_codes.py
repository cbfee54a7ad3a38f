"""What a command ends with, and what it says then."""

import json
import re

import pytest
from click.testing import CliRunner

from tests.client.cli.machines import CALL, Make
from tests.middle import GET_WALLET, WELL_KNOWN, Answer, Middle
from walletsync import errors
from walletsync.cli import main
from walletsync.cli.errors import EXIT_CODES, HINTS, failure
from walletsync.remedies import Remedy


def test_every_exit_code_is_documented() -> None:
    """In the help of the program, in words."""
    text = CliRunner().invoke(main, ["--help"]).stdout
    assert " ".join(EXIT_CODES.split()) in " ".join(text.split())
    assert re.findall(r"(\d) [a-z]", EXIT_CODES) == list("0123456789")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.SyncGaveUp("x"), 1),
        (errors.NotReady("x"), 2),
        (errors.InvalidServerURL("x"), 2),
        (errors.ServerUnreachable("x"), 3),
        (errors.RetryLater("x", status=503, retry_after=1), 3),
        (errors.ServerError("x", status=502), 3),
        (errors.ServerError("x", status=400), 4),
        (errors.WrongCredentials("x", status=401), 4),
        (errors.WrongPassword("x"), 4),
        (errors.ProtocolError("x"), 5),
        (errors.BadWallet("x"), 5),
        (errors.DocumentError("x"), 6),
        (errors.WalletFileError("x"), 6),
        (errors.StoreUnusable("x"), 6),
        (errors.StoreLocked("x"), 7),
        (errors.DeletionsUnconfirmed("x"), 9),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_error_has_its_exit_code(error: errors.WalletSyncError, code: int) -> None:
    """The table of the help, class by class."""
    assert failure(error).exit_code == code


def test_exit_codes_of_real_failures(make: Make, middle: Middle, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a script gets to see when things really go wrong."""
    laptop = make("laptop", middle.url)
    assert "walletsync register" in laptop.fails("sync", 4)
    laptop.ok("register")
    told = laptop.fails("sync", 4)
    assert f"There is no file {laptop.file} yet" in told
    assert "hint: make the file in the program that you use, then: walletsync sync" in told
    assert "hint: make the file in the program that you use, then: walletsync sync" in laptop.fails("pull", 4)
    assert "or makes the first version from the file" in laptop.fails("push", 2)
    laptop.file.write_text('{"half')
    assert "left as it is" in laptop.fails("sync", 6)
    laptop.write({"a": 1})
    laptop.ok("sync")
    assert laptop.run("nonsense").exit_code == 2
    assert laptop.run("sync --on-conflict both").exit_code == 2
    middle.always(GET_WALLET, Answer(502, b"<html>"))
    laptop.fails("sync", 3)
    middle.honest()
    middle.always(GET_WALLET, Answer(404, {"error": "none", "code": "no_wallet"}))
    assert "--accept-restored-server" in laptop.fails("sync", 5)
    middle.honest()
    middle.always(WELL_KNOWN, Answer(200, b"<html>"))
    laptop.fails("sync", 5)
    middle.honest()
    laptop.types("wrong")
    assert "walletsync login --new-password" in laptop.fails("sync", 4)
    middle.lose_request(WELL_KNOWN)
    laptop.fails("sync", 3)


def test_every_remedy_has_its_commands() -> None:
    """What to type next: only commands and options that there are, and no call of Python."""
    assert set(HINTS) == set(Remedy)
    for remedy, hint in HINTS.items():
        assert not CALL.search(hint), remedy
        for name, option in re.findall(r"(?<!\.)walletsync (\w+(?:-\w+)*)(?: --([a-z-]+))?", hint):
            options = {word for each in main.commands[name].params for word in each.opts}
            assert not option or f"--{option}" in options, remedy


def test_the_commands_of_an_error_follow_its_sentence() -> None:
    """What is wrong in the library's own words, as a line; what to do about it in the words of the command line."""
    error = errors.NotReady("This device is not logged in.", remedy=Remedy.LOG_IN)
    assert str(error) == "This device is not logged in. Call get_auth_token() to log in."
    ended = failure(error)
    assert (ended.format_message(), ended.hint) == ("This device is not logged in.", "walletsync login")
    assert failure(errors.NotReady("It is late.")).hint is None


def test_request_of_an_error_is_told(make: Make, middle: Middle) -> None:
    """As a line on stderr, by which whoever runs the server finds it; nothing where there was no answer with an id."""
    laptop = make("laptop", middle.url)
    laptop.ok("register")
    middle.always(GET_WALLET, Answer(500, b"", {"X-Request-Id": "0f1e2d3c4b5a6978"}))
    assert laptop.fails("sync", 3).splitlines()[-1] == "request id: 0f1e2d3c4b5a6978"
    middle.always(GET_WALLET, Answer(500, b"", {"X-Request-Id": "Call this number"}))
    assert "request id" not in laptop.fails("sync", 3)


def test_programs_get_errors_as_json(make: Make, middle: Middle) -> None:
    """With --json an error is one object on stderr: sentence, what to type next, the request's id, the exit status."""
    laptop = make("laptop", middle.url)
    laptop.ok("register")
    middle.always(GET_WALLET, Answer(401, b"", {"X-Request-Id": "0f1e2d3c4b5a6978"}))
    told = json.loads(laptop.fails("pull --json", 4))
    sentence = told.pop("error")
    assert "no longer logged in" in sentence
    assert told == {"status": 4, "hint": "walletsync login", "requestId": "0f1e2d3c4b5a6978"}
    middle.honest()
    told = json.loads(laptop.fails("pull --json", 4))
    assert "There is no wallet yet" in told["error"]
    assert "error: " in laptop.fails("pull", 4)
