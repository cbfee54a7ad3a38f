"""Promises and tests are held to each other: what one side lacks is told, with the place and what to do."""

from pathlib import Path

import pytest

from tools.promises.__main__ import ROOT, main
from tools.promises.check import faults
from tools.promises.holders import holders
from tools.promises.pages import sections
from walletsync.conformance.suite import RULES

PROTOCOL = """# The protocol

A server answers [P-1].

## Times

<!-- no promise: it says how they are written -->

Times are never local.

## Statuses

What is read is 200 [W-1]; what is not there, 404 [P-2]. It is one server.

| status | means |
| --- | --- |
| 500 | a fault [P-3] |
"""
CRYPTO = """# The cryptography

A key must be secret; vectors hold this part.

## Who attacks, and what holds

Here is who.

| attacker | does | what holds |
| --- | --- | --- |
| the server | lies | it is noticed [T-1] |
"""
SECURITY = "# Security\n\nNo secret is logged [S-1].\n"
TESTS = '''import pytest

@pytest.mark.promise("P-1", "P-2")
@pytest.mark.parametrize("number", [1])
def test_answers(number):
    """An answer
    comes.

    Whatever is asked."""

class TestFaults:
    @pytest.mark.promise("P-3", "T-1", "S-1")
    async def test_fault(self): ...
'''
RULE = '@REQUIRED.add("W-1", "It is there.")\ndef _is_there(site): ...\n'
PLACES = {
    "docs/protocol.md": PROTOCOL,
    "docs/crypto.md": CRYPTO,
    "SECURITY.md": SECURITY,
    "tests/server/test_answers.py": TESTS,
    "walletsync/conformance/required.py": RULE,
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small repository in which all is well."""
    for path, text in PLACES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def told(tree: Path, path: str, old: str, new: str) -> list[str]:
    """Return what is told after this one change."""
    text = (tree / path).read_text()
    assert text.count(old) == 1
    (tree / path).write_text(text.replace(old, new))
    return faults(tree)


def test_nothing_is_told_where_all_is_well(tree: Path) -> None:
    """Neither of the small one nor of this repository, which `make lint` asks as well."""
    assert faults(tree) == []
    assert faults(ROOT) == []


def test_promise_without_a_test_is_told(tree: Path) -> None:
    """With the mark that is missing."""
    assert told(tree, "SECURITY.md", "[S-1].", "[S-1], nor stored [S-2].") == [
        'SECURITY.md: no test holds S-2. Mark one: @pytest.mark.promise("S-2")'
    ]
    (tree / "walletsync/conformance/required.py").unlink()
    assert faults(tree)[0].startswith("docs/protocol.md: no test holds W-1.")


def test_unknown_id_is_told(tree: Path) -> None:
    """Of a test or a rule, with its place; whatever is no text that is written out is none."""
    path = "tests/server/test_answers.py"
    assert told(tree, path, '"P-1", "P-2"', '"P-1", "P-2", "P-9", ID') == [
        f"{path}:5: test_answers holds P-9, which no page promises. Write it there, or mend the id.",
        f"{path}:5: test_answers holds ID, which no page promises. Write it there, or mend the id.",
    ]
    path = "walletsync/conformance/required.py"
    (tree / path).write_text(RULE + RULE.replace("W-1", "W-2"))
    assert f"{path}:4: _is_there holds W-2" in faults(tree)[-1]


@pytest.mark.parametrize(
    ("file", "defined", "name"),
    [
        ("tests/server/test_more.py", "def answers()", "answers"),
        ("tests/server/test_more.py", "class TestAnswers", "TestAnswers"),
        ("tests/server/helpers.py", "def test_answers()", "test_answers"),
    ],
)
def test_what_is_no_test_holds_nothing(tree: Path, file: str, defined: str, name: str) -> None:
    """A mark on what nobody runs would leave a promise without a test."""
    (tree / file).write_text(f'@pytest.mark.promise("P-1")\n{defined}: ...\n')
    assert faults(tree) == [f"{file}:2: {name} holds nothing. Mark a function `test_…` in a file `test_….py`."]


def test_id_that_is_given_twice_is_told(tree: Path) -> None:
    """On one page or on two, with both places."""
    assert told(tree, "SECURITY.md", "[S-1].", "[S-1]. None is sent [P-1]. None is told [S-1].") == [
        "SECURITY.md: P-1 is given twice, first in docs/protocol.md. Give a new id here.",
        "SECURITY.md: S-1 is given twice, first in SECURITY.md. Give a new id here.",
    ]


def test_section_without_an_id_is_told(tree: Path) -> None:
    """Unless it says why it promises nothing; a word without a reason is no excuse."""
    silent = "docs/protocol.md, “Times”: no sentence has an id."
    found = told(tree, "docs/protocol.md", "<!-- no promise: it says how they are written -->", "<!-- no promise:  -->")
    assert found[0].startswith(silent)
    assert found[1:] == ["docs/protocol.md, “Times”: this promises something and has no id: Times are never local."]


@pytest.mark.parametrize(
    "sentence",
    [
        "It must answer.",
        "It never sleeps.",
        "It is Always there.",
        "Else it is 404.",
        "It is `413 too_large`, or less.",
    ],
)
def test_sentence_that_promises_has_an_id(tree: Path, sentence: str) -> None:
    """Each with a word that only a promise has, or a status; also amid others that have one."""
    found = told(tree, "docs/protocol.md", "It is one server.", f"It is one server. {sentence} So it is.")
    assert found == [f"docs/protocol.md, “Statuses”: this promises something and has no id: {sentence}"]


@pytest.mark.parametrize("sentence", ["It takes 256 MiB.", "It has 404,000 of them.", "It is 4.500 long."])
def test_other_numbers_are_no_statuses(tree: Path, sentence: str) -> None:
    """Sizes need no id."""
    assert told(tree, "docs/protocol.md", "It is one server.", sentence) == []


def test_each_row_of_a_table_has_an_id(tree: Path) -> None:
    """An attack among them; where the sentence above has one, that is for the whole table."""
    row = "| the server | sleeps | it is awake |"
    found = told(tree, "docs/crypto.md", "| the server | lies |", f"{row}\n| the server | lies |")
    assert found == [
        "docs/crypto.md, “Who attacks, and what holds”: this promises something and has no id: "
        "the server | sleeps | it is awake"
    ]
    assert told(tree, "docs/crypto.md", "Here is who.", "Here is who [T-2].")[0].endswith('promise("T-2")')
    assert len(faults(tree)) == 1


def test_only_the_attacks_of_the_page_on_cryptography_are_promises(tree: Path) -> None:
    """What else it says is computed, and held by vectors."""
    assert {each.heading for each in sections(tree) if each.page == "docs/crypto.md"} == {"Who attacks, and what holds"}


def test_a_holder_says_what_it_tests(tree: Path) -> None:
    """The first sentence of its docstring, in one line, or its name; a rule its own sentence."""
    assert {(each.id, each.sentence) for each in holders(tree)} >= {
        ("P-1", "An answer comes."),
        ("T-1", "Fault."),
        ("W-1", "It is there."),
    }


def test_rules_of_the_conformance_suite_are_promises_of_the_protocol() -> None:
    """One name for one thing: the id that a report shows stands on the page, behind what the rule tries."""
    ids = {promise.id for each in sections(ROOT) if each.page == "docs/protocol.md" for promise in each.promises()}
    assert {rule.id for rule in RULES} <= ids


def test_command_lists_and_fails(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--list` shows each promise with its tests; without it, each fault is a line of stderr, and the status is 1."""
    assert main(["--list"], tree) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        "P-1   docs/protocol.md: A server answers [P-1].",
        "      tests/server/test_answers.py:5 test_answers",
    ]
    assert main([], tree) == 0
    (tree / "tests/server/test_answers.py").unlink()
    assert main([], tree) == 1
    assert len(capsys.readouterr().err.splitlines()) == 5
    assert main(["--other"], tree) == 2
