"""A program that writes what it had before, or nothing much: what people are told, and what they can do about it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cheap_server import CheapServer
from tests.client.cli.label_pairs import RENT, Pair, labels, read
from tests.client.cli.machines import Machine, Make
from tests.client.cli.test_watch import Watch
from tests.server.helpers import until
from walletsync_server.testing import RunningServer


def test_a_stale_export_takes_nothing_back(pair: Pair) -> None:
    """The other laptop's edit stays, the new label is added, and what was written as before is listed."""
    one, other = pair
    other.file.write_text(labels(a="rent, May", b="car"))
    other.ok("sync")
    one.ok("sync")
    one.file.write_text(labels(**RENT, c="coffee"))
    result = one.run("sync")
    assert result.exit_code == 0
    assert "Your program wrote what it had before: 1 record. What came since is kept" in result.stderr
    assert read(one) == {"a": "rent, May", "b": "car", "c": "coffee"}
    assert one.json("conflicts") == []
    assert one.json("conflicts --earlier") == [{"at": "/tx/a/label", "mine": "rent", "theirs": "rent, May"}]
    assert 'mine:   "rent"\n   theirs: "rent, May"' in one.ok("conflicts --earlier")
    assert "1 record. What came since is kept" in one.run("conflicts").stderr
    assert (one.json("status")["earlier"], one.json("status")["deletions"]) == (1, 0)
    again = one.run("sync")
    assert (again.exit_code, again.stderr) == (0, "")  # it was told
    other.ok("sync")
    assert read(other) == read(one)
    one.file.write_text(labels(a="rent, May", b="car", c="coffee", d="book"))
    one.ok("sync")
    assert one.ok("conflicts --earlier") == "There is nothing on this list.\n"


@pytest.mark.parametrize("keep", ["mine", "theirs"])
def test_what_was_written_as_before_can_be_decided(keep: str, pair: Pair) -> None:
    """All at once, for a person who has taken back by hand what came."""
    one, other = pair
    other.file.write_text(labels(a="rent, May", b="car"))
    other.ok("sync")
    one.ok("sync")
    one.file.write_text(labels(**RENT))
    one.ok("sync")
    one.ok(f"resolve earlier {keep}")
    assert read(one)["a"] == ("rent" if keep == "mine" else "rent, May")
    assert one.json("conflicts --earlier") == []
    one.ok("sync")
    other.ok("sync")
    assert read(other) == read(one)


def test_what_was_written_as_before_takes_much_away_only_with_consent(pair: Pair) -> None:
    """As where a program leaves it out: nothing is decided, the person is told how, and `theirs` needs none."""
    one, other = pair
    news = {f"r{number}": f"label {number}" for number in range(12)}
    other.file.write_text(labels(**RENT, **news))
    other.ok("sync")
    one.ok("sync")
    one.file.write_text(labels(**RENT))
    one.ok("sync")
    told = one.fails("resolve earlier mine", 9)
    assert "is without 12 of 14 labels. Nothing of that is deleted, and nothing was decided." in told
    assert "hint: if that shall go: walletsync resolve earlier mine --confirm-deletions" in told
    assert read(one) == RENT | news
    assert one.json("conflicts --earlier") != []
    for decision in ("earlier theirs", "all mine"):
        assert "is for: walletsync resolve earlier mine" in one.fails(f"resolve {decision} --confirm-deletions", 2)
    one.ok("resolve earlier mine --confirm-deletions")
    assert read(one) == RENT
    assert one.json("conflicts --earlier") == []
    one.ok("sync")
    other.ok("sync")
    assert read(other) == RENT


def test_what_is_taken_back_by_one_who_has_read_it_is_a_conflict(pair: Pair) -> None:
    """Some of what came is in the file, so the rest was there to be seen."""
    one, other = pair
    for text in (labels(a="rent, May", b="car"), labels(a="rent, May", b="bike")):
        other.file.write_text(text)
        other.ok("sync")
    one.ok("sync")
    one.file.write_text(labels(a="rent", b="bike"))
    conflict = {"name": "1", "at": "/tx/a/label", "base": "rent, May", "mine": "rent", "theirs": "rent, May"}
    assert one.json("sync")["conflicts"] == [conflict]
    assert read(one) == {"a": "rent, May", "b": "bike"}
    one.ok("resolve 1 mine")
    assert read(one) == {"a": "rent", "b": "bike"}


def test_a_deleted_label_stays_deleted(pair: Pair) -> None:
    """Though the other program has it in memory, and exports it again and again."""
    one, other = pair
    one.file.write_text(labels(a=None, b="car"))
    one.ok("sync")
    other.file.write_text(labels(**RENT))
    for _ in range(2):
        other.ok("sync")
        other.file.write_text(labels(**RENT, c="coffee"))
    other.ok("sync")
    one.ok("sync")
    assert read(one) == read(other) == {"b": "car", "c": "coffee"}


def held(machine: Machine, command: str, text: str, number: int) -> str:
    """Let a program write `text`, run a command, and hold that the file stays and the person is told both ways out."""
    machine.file.write_text(text)
    result = machine.run(command)
    assert result.exit_code == 9, result.output
    assert f"was written without {number} of {number} " in result.stderr
    assert "walletsync sync --confirm-deletions" in result.stderr
    assert "walletsync put" in result.stderr
    assert machine.file.read_text() == text
    assert machine.json("status")["deletions"] == number
    return result.stdout


@pytest.mark.parametrize("text", ["", labels(a=None, b=None)], ids=["empty", "unlabelled"])
def test_the_export_of_a_fresh_wallet_waits(text: str, pair: Pair) -> None:
    """Nothing is deleted, the other laptop's edits come and go, and everything can be put back into the file."""
    one, other = pair
    held(other, "sync", text, 2)
    one.file.write_text(labels(**RENT, c="coffee"))
    one.ok("sync")
    assert json.loads(held(other, "sync --json", text, 2)) == {"sequence": 2, "conflicts": []}
    assert [each["at"] for each in other.json("conflicts --deletions")] == ["/tx/a", "/tx/b"]
    assert "One list at a time" in other.fails("conflicts --deletions --earlier", 2)
    assert "without 2 of 2 labels" in other.run("conflicts").stderr
    assert other.run("resolve all mine").exit_code == other.run("restore 1").exit_code == 9
    one.ok("sync")
    assert other.file.read_text() == text
    assert "has all that this device has." in other.ok("put")
    assert read(other) == read(one) == RENT
    assert "already" in other.ok("put")
    other.ok("sync")
    assert other.json("conflicts --deletions") == []


@pytest.mark.parametrize("command", ["sync", "push", "pull"])
def test_a_mass_deletion_waits_until_it_is_confirmed(command: str, pair: Pair) -> None:
    """By the command that the hint names; the new label that was written with it does not wait."""
    one, other = pair
    many = {f"r{number}": f"label {number}" for number in range(40)}
    one.file.write_text(labels(**many))
    one.ok("sync")
    other.ok("sync")
    one.file.write_text(labels(r0="label 0", c="coffee"))
    result = one.run(command)
    assert (result.exit_code, "without 39 of 40 labels" in result.stderr) == (9, True)
    one.run("sync")
    other.ok("sync")
    assert read(other) == {**many, "c": "coffee"}
    one.ok("sync --confirm-deletions")
    other.ok("sync")
    assert read(one) == read(other) == {"r0": "label 0", "c": "coffee"}


def test_there_has_to_be_something_to_put(make: Make) -> None:
    """On a device that has neither a file nor a wallet yet, the error says how it gets one."""
    assert "hint: walletsync sync gets it" in make("laptop").fails("put", 2)


def test_how_much_is_much_can_be_said(
    tmp_path: Path, running_server: RunningServer, address: Callable[[], str]
) -> None:
    """Where the wallet is set up; the last entries are never taken without a question."""
    laptop = Machine(tmp_path / "laptop", running_server.url, address())
    laptop.init("--max-deletions 0 --max-deletions-percent 40")
    laptop.ok("register")
    laptop.write({"a": 1, "b": 2, "c": 3, "d": 4})
    laptop.ok("sync")
    laptop.write({"b": 2, "c": 3, "d": 4})
    laptop.ok("sync")
    laptop.write({"b": 2})
    assert "without 2 of 3 entries" in laptop.run("sync").stderr
    assert laptop.json("conflicts --deletions") == [{"at": "/c", "theirs": 3}, {"at": "/d", "theirs": 4}]
    laptop.ok("put")
    assert laptop.read() == {"b": 2, "c": 3, "d": 4}


def test_a_watch_that_begins_without_a_server_waits_and_goes_on(tmp_path: Path, address: Callable[[], str]) -> None:
    """As when a laptop wakes up without a network; what a program takes away meanwhile is told once, and waits."""
    with CheapServer(accounts="open") as server:
        laptop = Machine(tmp_path / "laptop", server.url, address())
        laptop.init()
        laptop.ok("register")
        laptop.write({"a": 1})
        server.stop()
        begun = Watch(laptop, "--every 1")
        try:
            begun.says("Check that the server is running, and its port")
            begun.says("Watching goes on.")
            server.start()
            begun.says("Watching; Ctrl-C ends it.")
            until(lambda: begun.told == ["version 1"])
            laptop.write({})
            begun.says("without 1 of 1 entries")
            laptop.write({"a": 1, "b": 2})
            until(lambda: begun.told == ["version 1", "version 2"])
            assert begun.said.count("without 1 of 1 entries") == 1
        finally:
            begun.process.kill()
            begun.process.wait()
