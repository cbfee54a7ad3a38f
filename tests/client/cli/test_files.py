"""Files as programs write them, on two laptops: what of it stays, and what people are told of it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client.cli.machines import Machine
from walletsync_server.testing import RunningServer

Pairs = Callable[..., tuple[Machine, Machine]]


@pytest.fixture
def pair(tmp_path: Path, running_server: RunningServer, address: Callable[[], str]) -> Pairs:
    """Set two laptops up with one account and a file of some name, and let them sync its first content."""

    def made(name: str, first: str, more: str = "") -> tuple[Machine, Machine]:
        email = address()
        one, other = (Machine(tmp_path / each, running_server.url, email) for each in ("one", "other"))
        for machine in (one, other):
            machine.file = machine.folder / name
        one.file.write_text(first)
        for machine in (one, other):
            machine.init(more)
        one.ok("register")
        one.ok("sync")
        other.ok("sync")
        return one, other

    return made


def note(label: str, **more: str | None) -> str:
    return json.dumps({"type": "tx", "ref": "a", "label": label, **more}) + "\n"


def test_two_notes_of_one_transaction_are_both_kept(pair: Pairs) -> None:
    """Case labels/07: several records of no origin are a set."""
    before = note("note1", origin=None) + note("note2", origin=None)
    one, other = pair("l.jsonl", before)
    one.file.write_text(before + note("from A", origin=None))
    other.file.write_text(before + note("from B", origin=None))
    for machine in (one, other, one):
        assert machine.json("sync")["conflicts"] == []
    notes = {"note1", "note2", "from A", "from B"}
    for machine in (one, other):
        assert {json.loads(line)["label"] for line in machine.file.read_text().splitlines()} == notes


def test_each_file_keeps_its_spelling_of_an_origin(pair: Pairs) -> None:
    """Case labels/08: one record under two spellings, an edit of each side, no conflict."""
    origin = "wpkh([0604bfe6/84{0}/0{0}/{1}{0}])"
    with_apostrophe, with_h = (
        [note(label, origin=origin.format(mark, n)) for n, label in enumerate(("out", "in"))] for mark in "'h"
    )
    one, other = pair("l.jsonl", "".join(with_apostrophe))
    one.file.write_text("".join(with_apostrophe).replace('"out"', '"out A"'))
    other.file.write_text("".join(with_h).replace('"in"', '"in B"'))
    for machine in (one, other, one):
        assert machine.json("sync")["conflicts"] == []
    for machine, lines in ((one, with_apostrophe), (other, with_h)):
        edited = "".join(lines).replace('"out"', '"out A"').replace('"in"', '"in B"')
        assert machine.file.read_text() == edited


def test_numbers_and_layout_of_a_json_file_survive(pair: Pairs) -> None:
    """Case labels/12: on the laptop whose program wrote them, when the other one edits something else."""
    text = '{\n    "big": 12345678901234567.89,\n    "rate": 105620.00,\n    "x": 1\n}\n'
    one, other = pair("w.json", text)
    assert other.file.read_text() == '{"big":12345678901234567.89,"rate":105620.00,"x":1}'
    other.file.write_text(other.file.read_text().replace('"x":1', '"x":2'))
    other.ok("sync")
    one.ok("sync")
    assert one.file.read_text() == text.replace('"x": 1', '"x": 2')
    reordered = '{"x": 2, "rate": 105620.0, "big": 12345678901234567.89}\n'
    one.file.write_text(reordered)
    version = one.json("sync")["sequence"]
    assert (version, one.file.read_text()) == (other.json("sync")["sequence"], reordered)


def test_a_reorder_that_meets_an_edit_survives(pair: Pairs) -> None:
    """Case client/03, with the list's key named on the command line, and remembered."""
    items = [{"id": each} for each in "abc"]
    one, other = pair("w.json", json.dumps({"items": items}), "--key /items=id --key /items/*/tags=name")
    settings = json.loads((one.folder / "w.json.walletsync" / "settings.json").read_text())
    assert settings["keys"] == {"/items": "id", "/items/*/tags": "name"}
    other.file.write_text(json.dumps({"items": items[::-1]}))
    one.file.write_text(json.dumps({"items": [*items[:2], {"id": "c", "note": "x"}]}))
    for machine in (one, other, one):
        assert machine.json("sync")["conflicts"] == []
    for machine in (one, other):
        assert machine.read() == {"items": [{"id": "c", "note": "x"}, {"id": "b"}, {"id": "a"}]}


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("w.json", "--key /items", "--key /items names no field: write the list's place and the field"),
        ("w.json", "--key items=id", "'items' is not the place of a list"),
        ("l.jsonl", "--key /items=id", "Lists with keys are for JSON"),
    ],
)
def test_a_key_that_cannot_be_is_refused(
    name: str, options: str, says: str, tmp_path: Path, running_server: RunningServer
) -> None:
    """And nothing is set up."""
    machine = Machine(tmp_path / "one", running_server.url, "alice@example.com")
    command = f"init {machine.folder / name} --server {machine.url} --email {machine.email} {options}"
    assert says in machine.fails(command, 2)
    assert not (machine.folder / f"{name}.walletsync").exists()


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("L.JSONL", "", "bip329"),
        ("l.txt", note("x"), "bip329"),
        ("l.txt", "shopping list\n", "json"),
        ("missing.txt", None, "json"),
        ("l.json", note("x"), "json"),
        ("l.json", json.dumps({"0" * 64: "rent", "bcrt1q6rz28mcfaxtmd6v789l9rrlrusdprr9pz3cppk": "car"}), "electrum"),
        ("l.json", json.dumps({"0" * 64: "rent", "theme": "dark"}), "json"),
        ("l.json", json.dumps({"0" * 64: 1}), "json"),
        ("l.json", "{}", "json"),
        ("default_wallet", json.dumps({"version": 1, "name": "W", "preferences": {}, "accounts": []}), "lbry"),
        ("default_wallet", json.dumps({"version": 1, "preferences": {}, "accounts": {}}), "json"),
        ("default_wallet", "half a wallet", "json"),
    ],
)
def test_labels_are_recognised(
    name: str, content: str | None, format: str, tmp_path: Path, running_server: RunningServer
) -> None:
    """By the end of the file's name in any case, or by what is in the file."""
    machine = Machine(tmp_path / "one", running_server.url, "alice@example.com")
    machine.file = machine.folder / name
    if content is not None:
        machine.file.write_text(content)
    machine.init()
    assert machine.json("status")["format"] == format


def test_a_line_that_is_no_label_holds_up_nothing_but_itself(pair: Pairs) -> None:
    """It is told with its number, once, stays where it is, reaches no other laptop, and deletes nothing."""
    broken = '{"type":"tx","ref":"b","label":"car\n'
    bike, book = (note(label).replace('"a"', f'"{label}"') for label in ("bike", "book"))
    bike = bike.replace('"ref": "bike"', '"ref": "b"')
    one, other = pair("l.jsonl", note("rent") + bike + book)
    one.file.write_text("\ufeff" + note("rent, May") + broken + book)
    told = one.run("sync")
    assert told.exit_code == 0
    assert "l.jsonl stays as it is where it cannot be read: line 2 is not JSON at column" in told.stderr
    assert "All else is in sync. Fix that, or delete it." in told.stderr
    other.ok("sync")
    assert other.file.read_text() == note("rent, May") + bike + book
    edited = book.replace('"label": "book"', '"label": "lamp"')
    other.file.write_text(note("rent, May") + bike + edited)
    other.ok("sync")
    again = one.run("sync")
    assert (again.exit_code, again.stderr) == (0, "")
    assert one.file.read_text() == "\ufeff" + note("rent, May") + broken + edited
    assert "line 2 is not JSON" in one.run("conflicts").stderr
    one.file.write_text("\ufeff" + note("rent, May") + bike + edited)
    assert one.run("sync").stderr == ""
    assert one.json("conflicts") == []


def test_nothing_in_a_file_reaches_the_terminal_raw(pair: Pairs) -> None:
    """Case labels/18: a ref may hold what colours a terminal, or worse."""

    def line(label: str) -> str:
        return json.dumps({"type": "tx", "ref": "\x1b[31mRED\n\x9b1m\u202e", "label": label}) + "\n"

    one, other = pair("l.jsonl", line("a"))
    one.file.write_text(line("b"))
    other.file.write_text(line("\x9bc"))
    one.ok("sync")
    other.ok("sync")
    shown = other.ok("conflicts")
    assert shown.startswith("1  /tx/\\u001b[31mRED\\n\\u009b1m\\u202e/label\n")
    assert all(each.isprintable() for line in (shown, other.ok("conflicts --json")) for each in line.replace("\n", ""))
    assert other.json("conflicts")[0]["mine"] == "\x9bc"
