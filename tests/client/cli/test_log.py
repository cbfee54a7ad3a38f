"""What happened to the wallet, in words."""

import json
import re

import pytest

from tests.client.cli.label_pairs import Pair, labels
from tests.client.cli.machines import NEW_PASSWORD, Machine, Make
from tests.middle import HISTORY, Answer, Middle


def test_each_version_says_what_it_changed_where_and_when(pair: Pair) -> None:
    """The current one first; with --json there are numbers."""
    one, other = pair
    other.file.write_text(labels(a="rent, May", b="car", c="coffee"))
    other.ok("sync")
    one.ok("sync")
    one.file.write_text(labels(a="rent, May", c="coffee"))
    one.ok("sync")
    assert one.ok("log").splitlines() == [
        "version 3  1 label deleted  one  just now",
        "version 2  1 label added, 1 changed  other  just now",
        "version 1  2 labels added  one  just now",
    ]
    assert one.ok("log --last 1") == "version 3  1 label deleted  one  just now\n"
    newest, *_ = one.json("log")
    assert newest.pop("time") == one.json("history")[0]["time"]
    assert newest.pop("size") > 100
    assert newest == {"sequence": 3, "device": "one", "since": 2, "added": 0, "changed": 0, "deleted": 1}


def test_a_version_that_another_laptop_was_faster_with_is_told_of(pair: Pair) -> None:
    """Nothing more is known of it here; what was seen is told as ever."""
    one, other = pair
    other.file.write_text(labels(a="rent, May", b="car"))
    other.ok("sync")
    assert one.ok("log").splitlines() == [
        "version 2  not on this device yet: walletsync sync gets it  other  just now",
        "version 1  2 labels added  one  just now",
    ]


def test_a_change_of_the_password_is_called_that(laptop: Machine) -> None:
    """No device has written that version, and nothing before it is kept, since it was encrypted with the old one."""
    laptop.ok("password")
    laptop.types(NEW_PASSWORD)
    assert laptop.ok("log --last 1") == (
        "version 2  what it changed is not known: no version before it is kept  a change of the password  just now\n"
    )


def test_gaps_are_told_and_what_came_before_is_not_made_up(make: Make, middle: Middle) -> None:
    """A server keeps few of the old versions, and none before the oldest."""
    laptop = make("laptop", middle.url)
    laptop.ok("register")
    for number in range(4):
        laptop.write({"a": number})
        laptop.ok("sync")
    every = laptop.json("history")
    listed = [
        {"sequence": each["sequence"], "time": "once", "size": 1, "deviceId": "\x1b[2J"}
        for each in every
        if each["sequence"] in (2, 4)
    ]
    middle.always(HISTORY, Answer(200, {"versions": listed}))
    assert laptop.ok("log").splitlines() == [
        "version 4  1 entry changed since version 2  \\u001b[2J, and perhaps others  once",
        "version 2  what it changed is not known: no version before it is kept  \\u001b[2J  once",
    ]
    assert [sorted(each) for each in laptop.json("log")] == [
        ["added", "changed", "deleted", "device", "sequence", "since", "size", "time"],
        ["device", "sequence", "size", "time"],
    ]


def test_versions_are_fetched_once_each(make: Make, middle: Middle) -> None:
    """However many are needed to prove one."""
    laptop = make("laptop", middle.url)
    laptop.ok("register")
    for number in range(5):
        laptop.write({"a": number})
        laptop.ok("sync")
    before = len(middle.requests)
    laptop.ok("log")
    asked = [request for request in middle.requests[before:] if re.search(r"history/\d+$", request)]
    assert len(asked) == len(set(asked)) == 5


def test_a_server_without_versions_has_nothing_to_tell(make: Make, middle: Middle) -> None:
    """As another server may say."""
    laptop = make("laptop", middle.url)
    laptop.ok("register")
    middle.always(HISTORY, Answer(200, {"versions": []}))
    assert laptop.ok("log") == "The server keeps no versions.\n"
    assert laptop.json("log") == []


@pytest.mark.parametrize("number", ["0", "x"])
def test_numbers_that_make_no_sense_are_refused(number: str, laptop: Machine) -> None:
    """As other options are."""
    assert "--last" in laptop.fails(f"log --last {number}", 2)


def test_json_is_a_list(laptop: Machine) -> None:
    """One line, for programs."""
    assert isinstance(json.loads(laptop.ok("log --json")), list)
