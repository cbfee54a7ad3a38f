"""Conflicts and earlier versions: looked at, decided, restored."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from tests.client.cli.label_pairs import Pair, labels, read
from tests.client.cli.machines import Machine
from tests.server.front import served
from tests.server.helpers import FakeClock, cheap_passwords
from walletsync_server.app import close_app, create_app
from walletsync_server.live.hub import Hub
from walletsync_server.settings import Settings


@pytest.mark.parametrize("keep", ["mine", "theirs"])
def test_a_conflict_waits_until_it_is_decided(keep: str, laptop: Machine, phone: Machine) -> None:
    """The file gets theirs, mine is kept aside, and a decision gets into the file and to the others."""
    laptop.write({"a": "laptop", "b": "laptop"})
    laptop.ok("sync")
    phone.write({"a": "phone", "b": "phone"})
    result = phone.run("sync --json --check-conflicts")
    assert result.exit_code == 8
    assert [each["at"] for each in json.loads(result.stdout)["conflicts"]] == ["/a", "/b"]
    assert json.loads(result.stderr.splitlines()[-1])["hint"] == "walletsync conflicts"
    assert phone.read() == {"a": "laptop", "b": "laptop"}
    first, _ = phone.json("conflicts")
    assert first == {"name": "1", "at": "/a", "mine": "phone", "theirs": "laptop"}  # of what it had, it has nothing
    assert 'mine:   "phone"' in phone.ok("conflicts")
    assert "There is no conflict 3" in phone.fails("resolve 3 mine", 2)
    assert phone.json(f"resolve 1 {keep}") == {"conflicts": 1}
    decided = {"mine": "phone", "theirs": "laptop"}[keep]
    assert phone.read() == {"a": decided, "b": "laptop"}
    assert phone.ok(f"resolve all {keep}") == "Conflicts left: 0\n"
    assert phone.ok("conflicts") == "No conflicts wait for a decision.\n"
    phone.ok("sync --check-conflicts")
    laptop.ok("sync")
    assert laptop.read() == phone.read() == {"a": decided, "b": decided}


@pytest.mark.parametrize(
    ("name", "keep", "decided", "left"),
    [
        ("1", "mine", "phone 1", ["phone 2", "phone 3"]),
        ("2", "mine", "phone 2", ["phone 1", "phone 3"]),
        ("3", "mine", "phone 3", ["phone 1", "phone 2"]),
        ("2", "theirs", "laptop 3", ["phone 1", "phone 3"]),
        ("all", "mine", "phone 3", []),
        ("all", "theirs", "laptop 3", []),
    ],
)
def test_of_several_conflicts_in_one_place_the_very_one_is_decided(
    name: str, keep: str, decided: str, left: list[str], laptop: Machine, phone: Machine
) -> None:
    """By its name in the list; of all of them, the last one of mine stays."""
    for each in (1, 2, 3):
        laptop.write({"a": f"laptop {each}"})
        laptop.ok("sync")
        phone.write({"a": f"phone {each}"})
        phone.ok("sync")
    assert [each["mine"] for each in phone.json("conflicts")] == ["phone 1", "phone 2", "phone 3"]
    phone.ok(f"resolve {name} {keep}")
    assert phone.read() == {"a": decided}
    assert [each["mine"] for each in phone.json("conflicts")] == left


def test_a_conflict_of_labels_can_keep_both(pair: Pair) -> None:
    """In one label, which both laptops have in the end; others, and several at once, are decided for one side."""
    one, other = pair
    one.file.write_text(labels(a="rent, May", b="bike"))
    one.ok("sync")
    other.file.write_text(labels(a="flat", b="bus"))
    other.ok("sync")
    assert "one conflict at a time" in other.fails("resolve all both", 2)
    assert other.json("resolve 1 both") == {"conflicts": 1}
    assert read(other) == {"a": "flat / rent, May", "b": "bike"}
    assert "There is no conflict 1" in other.fails("resolve 1 both", 2)
    other.ok("sync")
    one.ok("sync")
    assert read(one) == read(other)
    assert [each["name"] for each in other.json("conflicts")] == ["2"]


def test_other_conflicts_keep_one_side(laptop: Machine, phone: Machine) -> None:
    """What two values would be together, nobody knows."""
    laptop.write({"a": "laptop"})
    laptop.ok("sync")
    phone.write({"a": "phone"})
    phone.ok("sync")
    assert "cannot keep both" in phone.fails("resolve 1 both", 2)
    assert len(phone.json("conflicts")) == 1


def test_names_that_were_listed_stay_while_others_are_decided(laptop: Machine, phone: Machine) -> None:
    """Whoever types the commands for a list, one after the other, decides what stood there."""
    laptop.write(dict.fromkeys("abc", "laptop"))
    laptop.ok("sync")
    phone.write(dict.fromkeys("abc", "phone"))
    phone.ok("sync")
    assert [each["name"] for each in phone.json("conflicts")] == ["1", "2", "3"]
    for command in ("resolve 1 mine", "resolve 2 theirs", "resolve 3 mine"):
        phone.ok(command)
    assert phone.read() == {"a": "phone", "b": "laptop", "c": "phone"}
    assert "There is no conflict 1" in phone.fails("resolve 1 mine", 2)


def test_an_edit_after_a_conflict_settles_it(laptop: Machine, phone: Machine) -> None:
    """What the program writes anew in the same place is what its person wants: "mine" is no older edit of the same."""
    laptop.write({"a": "laptop", "b": 1})
    laptop.ok("sync")
    phone.write({"a": "phone"})
    phone.ok("sync")
    assert phone.read() == {"a": "laptop", "b": 1}
    assert "Conflicts: 1" in phone.run("sync").stderr  # as long as it waits
    phone.write({"a": "laptop", "b": 2})
    assert "Conflicts: 1" in phone.run("sync").stderr  # an edit in another place leaves it
    phone.write({"a": "phone, later", "b": 2})
    assert phone.run("sync").stderr == ""
    assert phone.json("conflicts") == []
    laptop.ok("sync")
    assert laptop.read() == phone.read() == {"a": "phone, later", "b": 2}


def test_commands_to_type_name_the_file_where_it_had_to_be_named(laptop: Machine, phone: Machine) -> None:
    """As where a folder has several: what stands there is what works."""
    laptop.write({"a": "laptop"})
    laptop.ok("sync")
    phone.write({"a": "phone"})
    said = phone.run(f"--file {phone.file} sync", WALLETSYNC_FILE=None).stderr
    assert (
        f"see walletsync --file {phone.file} conflicts, and decide with walletsync --file {phone.file} resolve" in said
    )
    told = phone.run(f"--file {phone.file} resolve 7 mine", WALLETSYNC_FILE=None).stderr
    assert f"walletsync --file {phone.file} conflicts lists those" in told
    assert "walletsync conflicts lists those" in phone.run("resolve 7 mine").stderr


def test_an_earlier_version_is_shown_exported_and_restored(laptop: Machine) -> None:
    """History is listed, a version written out without touching the file, and made the current one again."""
    laptop.write({"a": 2})
    laptop.ok("sync")
    assert [each["sequence"] for each in laptop.json("history")] == [2, 1]
    assert re.match(r"2  \S+  \d+ bytes  laptop\n1  ", laptop.ok("history"))
    assert json.loads(laptop.ok("export")) == {"a": 2}
    assert json.loads(laptop.ok("export --version 1")) == {"a": 1}
    assert json.loads(laptop.json("export --version 1")["content"]) == {"a": 1}
    output = laptop.folder / "old.json"
    assert laptop.json(f"export --version 1 --output {output}") == {"file": str(output)}
    assert json.loads(output.read_bytes()) == {"a": 1}
    assert "does not exist yet" in laptop.fails(f"export --output {output}", 2)
    assert laptop.read() == {"a": 2}
    laptop.write({"a": 3})
    assert "hint: walletsync sync" in laptop.fails("restore 1", 2)
    laptop.ok("sync")
    assert laptop.json("restore 1") == {"sequence": 4}
    assert laptop.read() == {"a": 1}
    assert "hint: walletsync sync" in laptop.fails("export --version 99", 2)


@contextmanager
def server_with(clock: FakeClock, folder: Path) -> Iterator[str]:
    """Give the address of a server that goes by `clock`."""
    settings = Settings(database=f"sqlite:///{folder}/walletsync.db", accounts="open")
    app = create_app(settings, clock=clock, passwords=cheap_passwords(), hub=Hub())
    try:
        with served(app) as front:
            yield front.url
    finally:
        close_app(app)


def test_what_was_there_before_a_loss_is_restored_a_day_later(tmp_path: Path, address: Callable[[], str]) -> None:
    """Though many versions came in the same hour, and one in each hour since."""
    clock = FakeClock()
    with server_with(clock, tmp_path) as url:
        laptop = Machine(tmp_path / "laptop", url, address())
        laptop.init()
        laptop.ok("register")
        laptop.write({"rent": "May", "edits": 0})
        laptop.ok("sync")
        for edits, later in enumerate([timedelta(minutes=4)] * 12 + [timedelta(hours=1)] * 25, 1):
            clock.move(later)
            laptop.write({"edits": edits})
            laptop.ok("sync")
        assert [each["sequence"] for each in laptop.json("history")][-1] == 1
        assert laptop.json("restore 1") == {"sequence": 39}
        assert laptop.read() == {"rent": "May", "edits": 0}


def test_what_differs_between_two_versions_is_listed(laptop: Machine) -> None:
    """Each place with what either has there; without a second version, against what this device has now."""
    for document in ({"a": 2}, {"c": [1]}):
        laptop.write(document)
        laptop.ok("sync")
    assert laptop.json("diff 1 2") == [{"at": "/a", "older": 1, "newer": 2}]
    assert laptop.json("diff 2 1") == [{"at": "/a", "older": 2, "newer": 1}]
    assert laptop.json("diff 2 3") == laptop.json("diff 2") == [{"at": "/a", "older": 2}, {"at": "/c", "newer": [1]}]
    assert laptop.ok("diff 2") == "/a\n   older:  2\n   newer:  (nothing)\n/c\n   older:  (nothing)\n   newer:  [1]\n"
    assert laptop.ok("diff 3") == "They have the same.\n"
    assert "hint: walletsync sync" in laptop.fails("diff 1 9", 2)


def test_a_name_from_the_server_passes_for_no_line(laptop: Machine) -> None:
    """Whoever names a device, or lies about one, cannot add a version or a device to what is listed."""
    laptop.write({"a": 1})
    laptop.ok("sync")
    laptop.ok("rename 'x\nversion 99  1 entry changed  phone'")
    laptop.write({"a": 2})
    laptop.ok("sync")
    for command, number in (("log", 2), ("history", 2), ("devices", 2)):
        assert len(laptop.ok(command).splitlines()) == number
        assert laptop.ok(command).count("\\nversion 99") == 1
