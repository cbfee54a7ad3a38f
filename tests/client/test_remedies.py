"""What an error says can be done about it: once as a value, and to programmers in calls that there are."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import walletsync
from walletsync import Client, errors
from walletsync.remedies import Remedy

PACKAGE = Path(walletsync.__file__).parent
SPEAKS_OF_CALLS = re.compile(r"\w\(\)|\w=[`A-Z]")
TREES = {file: ast.parse(file.read_text()) for file in sorted(PACKAGE.rglob("*.py"))}
LIBRARY = {file: tree for file, tree in TREES.items() if "cli" not in file.relative_to(PACKAGE).parts}


def sentences(tree: ast.Module) -> Iterator[str]:
    """Yield all texts of a file but its docstrings."""
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def raised(tree: ast.Module) -> Iterator[ast.Call]:
    """Yield what makes an error of ours."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            # Either `errors.NotReady(…)` or `NotReady(…)`; click has a UsageError as well.
            kind = getattr(errors, ast.unparse(node.func).removeprefix("errors."), None)
            if isinstance(kind, type) and issubclass(kind, errors.WalletSyncError):
                yield node


def test_an_error_is_a_sentence_and_a_remedy() -> None:
    """`message` stands on its own; `str()` adds what a programmer can call."""
    error = errors.NotReady("There is nothing to compare yet.", remedy=Remedy.SYNC)
    assert error.message == "There is nothing to compare yet."
    assert str(error) == "There is nothing to compare yet. Call sync() first."
    assert (str(errors.NotReady("It is late.")), errors.NotReady("It is late.").remedy) == ("It is late.", None)


@pytest.mark.parametrize("remedy", Remedy, ids=lambda remedy: remedy.name)
def test_a_remedy_names_only_what_there_is(remedy: Remedy) -> None:
    """Methods of the client, and arguments that they take."""
    methods = re.findall(r"(\w+)\(\)", remedy.value)
    for method in methods:
        assert callable(getattr(Client, method)), method
    takers = (Client, Client.set_account, Client.register, Client.accept_restored_server)
    taken = {name for taker in takers for name in inspect.signature(taker).parameters}
    assert set(re.findall(r"(\w+)=", remedy.value)) <= taken
    assert re.fullmatch(r"[A-Za-z].*\.", remedy.value)


def test_every_remedy_is_raised_somewhere() -> None:
    """None is left of an error that is gone."""
    used = {
        node.attr
        for tree in LIBRARY.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "Remedy"
    }
    assert used == {remedy.name for remedy in Remedy}


def test_only_remedies_speak_of_calls() -> None:
    """No other text of the library or its command line has the name of a method or an argument in it."""
    for file, tree in TREES.items():
        if file.name not in ("remedies.py", "testing.py"):
            for sentence in sentences(tree):
                assert not (" " in sentence and SPEAKS_OF_CALLS.search(sentence)), (file.name, sentence)


def test_what_is_wrong_is_said_in_whole_sentences() -> None:
    """Each message that is written out where an error is made begins and ends as a sentence does."""
    found = 0
    for file, tree in LIBRARY.items():
        for call in raised(tree):
            if not call.args or not isinstance(call.args[0], ast.Constant | ast.JoinedStr):
                continue
            parts = call.args[0].values if isinstance(call.args[0], ast.JoinedStr) else [call.args[0]]
            texts = [part.value if isinstance(part, ast.Constant) else "{}" for part in parts]
            sentence = "".join(str(text) for text in texts)
            found += 1
            assert re.fullmatch(r"(?s)([A-Z{]).*(\.|\{\})", sentence), (file.name, sentence)
    assert found > 50
