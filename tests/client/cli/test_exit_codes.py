"""What a command ends with, and what it says then."""

import ast
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import walletsync
from tests.client.cli.machines import Make
from tests.middle import GET_WALLET, WELL_KNOWN, Answer, Middle
from walletsync import errors
from walletsync.cli import main
from walletsync.cli.errors import EXIT_CODES, failure, in_commands

PACKAGE = Path(walletsync.__file__).parent


def test_every_exit_code_is_documented() -> None:
    """In the help of the program, in words."""
    text = CliRunner().invoke(main, ["--help"]).stdout
    assert " ".join(EXIT_CODES.split()) in " ".join(text.split())
    assert re.findall(r"(\d) [a-z]", EXIT_CODES) == list("012345678")


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
    assert "walletsync sync makes the first one from the file" in laptop.fails("pull", 4)
    assert "or makes the first from the file" in laptop.fails("push", 2)
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


def test_the_library_speaks_of_calls_and_the_command_line_of_commands() -> None:
    """No sentence that the library can say names a call or an argument of Python once it is translated."""
    found = 0
    for file in sorted(PACKAGE.rglob("*.py")):
        if "cli" in file.relative_to(PACKAGE).parts or file.name == "testing.py":
            continue
        tree = ast.parse(file.read_text())
        docs = {
            ast.get_docstring(node, clean=False)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in docs:
                sentence = node.value
                if " " in sentence and re.search(r"\w\(\)|\w=[`A-Z]|\w=\w", sentence) and "\n" not in sentence:
                    found += 1
                    told = in_commands(sentence)
                    if "on_conflict" not in told and "function" not in told:
                        assert not re.search(r"\w\(\)|\w=[`A-Z]", told), (file.name, told)
    assert found > 15
