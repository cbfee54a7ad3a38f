"""The page of `walletsync ui` over HTTP: what it shows, and what its forms do, each as the command does it."""

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.cli.label_pairs import RENT, Pair, labels, made_pair, read
from tests.client.cli.laptops import page
from tests.client.cli.machines import ROOT, Make, commands
from tests.client.cli.pages import Visitor, page_of
from tests.client.cli.test_watch import watching
from tests.middle import POST_WALLET, Answer, Middle
from tests.server.helpers import until
from walletsync import BIP329Format
from walletsync.cli.ui.sights import MOST
from walletsync.cli.wallet import Wallet
from walletsync_server.testing import RunningServer


@pytest.fixture
def visitor(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visitor]:
    """Somebody who was let in to the page of the first laptop."""
    with page_of(pair[0], monkeypatch.setenv) as visitor:
        visitor.enters()
        yield visitor


@pytest.fixture
def decider(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visitor]:
    """Somebody at the page of the other laptop, which has changed the same labels as the first one has."""
    one, other = pair
    one.file.write_text(labels(a="rent, May", b="bike"))
    one.ok("sync")
    other.file.write_text(labels(a="flat", b="bus"))
    with page_of(other, monkeypatch.setenv) as visitor:
        visitor.enters()
        assert "Synced: version 2." in visitor.presses("Sync now").text
        yield visitor


def test_state_is_told_in_words(pair: Pair, visitor: Visitor) -> None:
    """What is sent and what is not; a sync brings the others' edits into the file."""
    one, other = pair
    seen = visitor.sees()
    assert seen.title == "wallet.json"
    assert "In sync Everything on this device is in version 1." in seen.text
    assert f"This device one Account {one.email} Server {one.url}" in seen.text
    assert "No conflicts There is nothing to decide." in seen.text
    one.file.write_text(labels(a="flat", b="car"))
    assert "Not sent yet This device has edits" in visitor.sees().text
    assert "Synced: version 2." in visitor.presses("Sync now").text
    assert "Synced" not in visitor.sees().text
    other.ok("sync")
    assert read(other) == {"a": "flat", "b": "car"}


def test_a_wallet_that_was_never_synced_says_so(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a button, and nothing that could fail."""
    laptop = make("laptop")
    laptop.ok("register")
    with page_of(laptop, monkeypatch.setenv) as visitor:
        assert "Not synced yet This device has nothing of the wallet yet." in visitor.enters().text
        assert "the first version is made from the file" in visitor.presses("Sync now").text
        assert "The server keeps no versions." in visitor.sees("versions").text
        laptop.write({"a": 1})
        assert "Synced: version 1." in visitor.presses("Sync now").text


@pytest.mark.parametrize(
    ("button", "label"), [("Keep mine", "flat"), ("Keep theirs", "rent, May"), ("Keep both", "flat / rent, May")]
)
def test_a_conflict_is_decided(button: str, label: str, pair: Pair, decider: Visitor) -> None:
    """It is shown by its label, with the three sides; the others are told by the next sync."""
    one, other = pair
    seen = decider.sees().text
    assert "2 conflicts" in seen
    assert '"rent, May", transaction a label Before nothing Mine flat Theirs rent, May Keep mine' in seen
    assert "Decided. Sync now tells your other devices." in decider.presses(button).text
    assert read(other) == {"a": label, "b": "bike"}
    decider.presses("Sync now")
    one.ok("sync")
    assert read(one) == {"a": label, "b": "bike"}


def test_all_conflicts_are_decided_at_once(pair: Pair, decider: Visitor) -> None:
    """There is a button where there are several."""
    assert "No conflicts" in decider.presses("Keep mine in all 2").text
    assert read(pair[1]) == {"a": "flat", "b": "bus"}


def test_what_has_changed_since_it_was_shown_is_not_decided(pair: Pair, decider: Visitor) -> None:
    """Another value of theirs, that nobody has seen, is not overwritten by a button that was there before."""
    one, other = pair
    action, seen = re.findall(r'action="([^"]+/conflict)".*?name="seen" value="(\w+)"', decider.sees().html, re.DOTALL)[
        0
    ]
    one.file.write_text(labels(a="rent, June", b="bike"))
    one.ok("sync")
    other.ok("sync")
    refused = decider.posts(action, name="1", keep="mine", seen=seen)
    assert (refused.status, refused.title) == (409, "That did not work")
    assert "has changed since you looked at it" in refused.text
    assert read(other)["a"] == "rent, June"
    assert decider.posts(action, name="9", keep="mine", seen=seen).status == 409
    assert decider.posts(action, name="1", keep="ours", seen=seen).status == 400


def test_a_long_list_is_told_by_its_number(
    tmp_path: Path, running_server: RunningServer, address: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first are shown, and all can be decided."""
    names = [f"t{number:03}" for number in range(MOST + 2)]
    pair = made_pair(tmp_path, running_server.url, address, labels(**dict.fromkeys(names, "old")))
    one, other = pair
    one.file.write_text(labels(**dict.fromkeys(names, "theirs")))
    one.ok("sync")
    other.file.write_text(labels(**dict.fromkeys(names, "mine")))
    with page_of(other, monkeypatch.setenv) as visitor:
        visitor.enters()
        text = visitor.presses("Sync now").text
        assert f"{MOST + 2} conflicts" in text
        assert f"Here are the first {MOST}; for each that you decide, the next one comes." in text
        assert text.index(f"Keep mine in all {MOST + 2}") < text.index("Keep both")  # without a way through all of them
        assert "And 2 more, which are not shown here." in text
        assert "No conflicts" in visitor.presses(f"Keep theirs in all {MOST + 2}").text


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is called, each time, that reads a label file as a whole to look at places in it."""
    called: list[str] = []

    def counted(name: str) -> Callable[..., Any]:
        real = getattr(BIP329Format, name)

        def count(*arguments: Any) -> Any:
            called.append(name)
            return real(*arguments)

        return count

    for name in ("opened", "value_at", "replace"):
        monkeypatch.setattr(BIP329Format, name, counted(name))
    return called


def test_many_conflicts_are_looked_up_at_once(
    tmp_path: Path,
    running_server: RunningServer,
    address: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    parses: list[str],
) -> None:
    """To show the page, and to decide one or all, the labels are read as often for many as for three."""
    counts = []
    for number in (3, MOST + 10):
        names = [f"t{each:03}" for each in range(number)]
        folder = tmp_path / str(number)
        folder.mkdir()
        one, other = made_pair(folder, running_server.url, address, labels(**dict.fromkeys(names, "old")))
        one.file.write_text(labels(**dict.fromkeys(names, "theirs")))
        one.ok("sync")
        other.file.write_text(labels(**dict.fromkeys(names, "mine")))
        other.ok("sync")
        with page_of(other, monkeypatch.setenv) as visitor:
            visitor.enters()
            count = []
            for button in ("Sync now", "Keep mine", f"Keep mine in all {number - 1}"):
                parses.clear()
                visitor.presses(button)
                count.append(len(parses))
            counts.append(count)
            assert "No conflicts" in visitor.sees().text
    assert counts[0] == counts[1]
    assert all(counts[0])


def test_a_deletion_waits_until_somebody_has_seen_it(pair: Pair, visitor: Visitor) -> None:
    """What would go is listed; one button lets it go, and the other brings it back into the file."""
    one, other = pair
    one.file.write_text("")
    text = visitor.presses("Sync now").text
    assert "Something waits for you below." in text
    assert "without 2 of 2 labels. Nothing of that is deleted yet." in text
    assert 'Show what would go: 2 "rent", transaction a "car", transaction b' in text
    assert "has changed since" in visitor.presses("Delete them on all devices", seen="0").text
    assert "has changed since" in visitor.presses("Put them back into the file", seen="0").text
    assert read(one) == {}
    assert "is in wallet.json again" in visitor.presses("Put them back into the file").text
    assert read(one) == RENT
    one.file.write_text("")
    visitor.presses("Sync now")
    assert "Deleted, and synced: version 2." in visitor.presses("Delete them on all devices").text
    other.ok("sync")
    assert read(other) == {}


@pytest.mark.parametrize(
    ("button", "label"), [("Keep theirs, and empty this list", "rent, May"), ("Make mine current again", "rent")]
)
def test_what_was_written_as_before_can_be_decided(button: str, label: str, pair: Pair, visitor: Visitor) -> None:
    """It is no conflict, and nobody has to."""
    one, other = pair
    other.file.write_text(labels(a="rent, May", b="car"))
    other.ok("sync")
    visitor.presses("Sync now")
    one.file.write_text(labels(**RENT, c="coffee"))
    text = visitor.presses("Sync now").text
    assert "Written as before" in text
    assert '"rent, May", transaction a label Mine rent Theirs rent, May' in text
    assert "Written as before" not in visitor.presses(button).text
    assert read(one)["a"] == label


def test_what_has_changed_since_it_was_shown_is_not_put_back(pair: Pair, visitor: Visitor) -> None:
    """A program that has left out something else meanwhile may have meant it."""
    one, _ = pair
    one.file.write_text("")
    visitor.presses("Sync now")
    action, seen = re.findall(r'action="([^"]+/put-back)".*?name="seen" value="(\w+)"', visitor.sees().html, re.DOTALL)[
        0
    ]
    one.file.write_text(labels(b="car"))
    refused = visitor.posts(action, seen=seen)
    assert (refused.status, "has changed since you looked at it" in refused.text) == (409, True)
    assert read(one) == {"b": "car"}


def test_what_was_written_as_before_takes_much_away_only_by_a_button_that_says_so(pair: Pair, visitor: Visitor) -> None:
    """How much that is, it says; and a form that was there before, or was made up, does nothing."""
    one, other = pair
    news = {f"r{number}": f"label {number}" for number in range(12)}
    other.file.write_text(labels(**RENT, **news))
    other.ok("sync")
    visitor.presses("Sync now")
    one.file.write_text(labels(**RENT))
    seen = visitor.presses("Sync now")
    assert "To make mine current again deletes 12 of 14 labels" in seen.text
    assert ">Make mine current again<" not in seen.html
    button = "Delete them, and make mine current again"
    refused = visitor.presses(button, confirm="")
    assert (refused.status, "is without 12 of 14 labels" in refused.text) == (409, True)
    assert "has changed since" in visitor.presses(button, seen="0").text
    assert read(one) == RENT | news
    assert "Written as before" not in visitor.presses(button).text
    assert read(one) == RENT


def test_a_line_that_cannot_be_read_is_told(pair: Pair, visitor: Visitor) -> None:
    """As the command does."""
    pair[0].file.write_text(labels(**RENT) + "[]\n")
    assert "Something cannot be read" in visitor.presses("Sync now").text


def test_versions_are_told_compared_and_restored(pair: Pair, visitor: Visitor) -> None:
    """In words, with what differs; before one is made current again, the page says what that changes."""
    one, _ = pair
    one.file.write_text(labels(a="flat", b="car", c="coffee"))
    visitor.presses("Sync now")
    seen = visitor.sees("versions")
    assert "Version 2 current 1 label added, 1 changed one, just now What changed" in seen.text
    assert "Version 1 2 labels added one, just now What changed Make it current again" in seen.text
    compared = visitor.sees("compare?older=2&newer=1")
    assert compared.title == "From version 1 to 2"
    assert "1 label added, 1 changed." in compared.text
    assert '"flat", transaction a label Before rent After flat' in compared.text
    first = visitor.sees("compare?older=0&newer=1")
    assert (first.title, "2 labels added." in first.text) == ("Version 1", True)
    asked = visitor.sees("restore/1")
    assert "On all your devices: 1 label changed, 1 deleted." in asked.text
    assert read(one)["a"] == "flat"
    assert "Version 3 has what version 1 had." in visitor.posts(f"{visitor.folder}restore/1", seen=asked.seen).text
    assert read(one) == RENT


def test_what_has_changed_since_it_was_shown_is_not_restored(pair: Pair, visitor: Visitor) -> None:
    """What the others have written meanwhile would go with it, and nobody has seen that."""
    one, other = pair
    one.file.write_text(labels(a="flat", b="car"))
    visitor.presses("Sync now")
    asked = visitor.sees("restore/1")
    other.file.write_text(labels(**RENT, c="coffee"))
    other.ok("sync")
    one.ok("sync")
    refused = visitor.posts(f"{visitor.folder}restore/1", seen=asked.seen)
    assert (refused.status, "has changed since you looked at it" in refused.text) == (409, True)
    assert "has changed since" in visitor.posts(f"{visitor.folder}restore/1").text
    assert read(one) == {"a": "flat", "b": "car", "c": "coffee"}
    assert one.json("status")["sequence"] == 3
    again = visitor.posts(f"{visitor.folder}restore/1", seen=visitor.sees("restore/1").seen)
    assert "Version 4 has what version 1 had." in again.text
    assert read(one) == RENT


@pytest.mark.parametrize(
    "page", ["compare", "compare?older=x&newer=1", "compare?older=1&newer=-1", "restore/x", "more"]
)
def test_addresses_that_make_no_sense_are_told(page: str, visitor: Visitor) -> None:
    """With a way back."""
    seen = visitor.sees(page)
    assert seen.status in (400, 404)
    assert "Back to the first page" in seen.text


def test_a_server_without_versions_has_nothing_to_show(
    make: Make, middle: Middle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one may say so; and what it refuses is told with the id of the request."""
    laptop = make("laptop", middle.url)
    laptop.ok("register")
    laptop.write({"a": 1})
    laptop.ok("sync")
    with page_of(laptop, monkeypatch.setenv) as visitor:
        visitor.enters()
        middle.always("GET /api/3/wallet/history", Answer(200, {"versions": []}))
        assert "The server keeps no versions." in visitor.sees("versions").text
        laptop.write({"a": 2})
        middle.always(POST_WALLET, Answer(413, {"error": "x"}, {"X-Request-Id": "0f1e2d3c4b5a6978"}))
        assert "Request 0f1e2d3c4b5a6978" in visitor.presses("Sync now").text


def test_a_page_that_lost_its_token_logs_in_again(pair: Pair, visitor: Visitor) -> None:
    """As every command does."""
    pair[0].ok("logout")
    assert "Version 1" in visitor.sees("versions").text
    pair[0].ok("devices --revoke one")
    assert "Version 1" in visitor.sees("versions").text


def test_commands_go_on_beside_the_page(pair: Pair, visitor: Visitor) -> None:
    """Between two clicks the wallet is theirs; while one is at work, the page says so."""
    one, _ = pair
    one.file.write_text(labels(a="flat", b="car"))
    one.ok("sync")
    assert "in version 2" in visitor.sees().text
    with Wallet.open(one.file).without_password():
        seen = visitor.sees()
    assert (seen.status, seen.title) == (503, "Another command is at work")
    assert "load this page again in a while" in seen.text
    assert visitor.sees().status == 200


def test_browsers_that_connect_and_say_nothing_hold_nobody_up(visitor: Visitor) -> None:
    """They do so in advance."""
    host, port = visitor.host.split(":")
    with socket.create_connection((host, int(port))), socket.create_connection((host, int(port))):
        until(lambda: visitor.sees().status == 200)


def test_what_stands_in_a_wallet_is_text(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither markup nor what turns the direction of reading, wherever it is shown."""
    laptop, phone = make("laptop"), make("phone")
    laptop.ok("register")
    laptop.write({"a": 1})
    laptop.ok("sync")
    phone.ok("sync")
    for machine in (laptop, phone):
        machine.write({"a": 1, "<b>x</b>": f"<script>{machine.folder.name}\u202e</script>"})
        machine.ok("sync")
    with page_of(phone, monkeypatch.setenv) as visitor:
        for seen in (visitor.enters(), visitor.sees("compare?older=1&newer=2")):
            assert "&lt;script&gt;laptop\\u202e&lt;/script&gt;" in seen.html
            assert "<script" not in seen.html
            assert "<b>" not in seen.html
            assert "\u202e" not in seen.html


def test_the_page_of_the_documentation_names_what_is_there() -> None:
    """Its buttons are on the pages, and its commands are commands."""
    words = page("ui")
    templates = "".join(each.read_text() for each in (ROOT / "walletsync/cli/ui/pages").glob("*.html"))
    rows = re.findall(r"^\| (.+) \| (.+) \|$", words, re.MULTILINE)[2:]
    assert len(rows) == 9
    for shown, typed in rows:
        for button in re.findall(r"\*\*(.+?)\*\*", shown):
            assert f">{button}<" in templates
        for command in re.findall(r"`walletsync (.+?)`", typed):
            name, *more = command.split()
            commands()[name].make_context(name, more, obj=None)


def test_watch_goes_on_beside_the_page(decider: Visitor, pair: Pair) -> None:
    """What the page decides, it syncs at once."""
    one, other = pair
    with watching(other):
        assert "Decided." in decider.presses("Keep mine in all 2").text
        until(lambda: other.json("status")["sequence"] == 3)
        assert "in version 3" in decider.sees().text
    one.ok("sync")
    assert read(one) == {"a": "flat", "b": "bus"}
