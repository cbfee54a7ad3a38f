"""Electrum on one laptop and Sparrow on the other, in one account: each has what it can hold, and nothing gets lost."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client.cli.electrum import Electrum
from tests.client.cli.laptops import Laptop, page, rows_of
from tests.client.cli.sparrow import Sparrow, made_up
from walletsync_server.testing import RunningServer

TX, OTHER = made_up(0), made_up(1)
ADDRESS, COIN = f"bc1q{made_up(0)[:38]}", f"{made_up(0)}:0"


Laptops = tuple[Laptop[Sparrow], Laptop[Electrum]]


def with_sparrow(folder: Path, url: str, email: str) -> Laptop[Sparrow]:
    laptop = Laptop(folder / "sparrow", url, email, "labels.jsonl", Sparrow())
    laptop.init()
    return laptop


def with_electrum(folder: Path, url: str, email: str) -> Laptop[Electrum]:
    laptop = Laptop(folder / "electrum", url, email, "labels.json", Electrum())
    laptop.init("--format electrum")
    return laptop


@pytest.fixture
def laptops(tmp_path: Path, running_server: RunningServer, address: Callable[[], str]) -> Laptops:
    """Sparrow's has labels and a frozen coin; Electrum's has synced, and imported what it can hold."""
    email = address()
    sparrow = with_sparrow(tmp_path, running_server.url, email)
    sparrow.program.labels |= {("tx", TX): "rent", ("addr", ADDRESS): "landlord", ("output", COIN): "change"}
    sparrow.program.frozen.add(COIN)
    sparrow.exports()
    sparrow.ok("register")
    sparrow.ok("sync")
    electrum = with_electrum(tmp_path, running_server.url, email)
    electrum.ok("login")
    electrum.ok("sync")
    electrum.imports()
    return sparrow, electrum


def test_electrum_has_what_it_can_hold(laptops: Laptops) -> None:
    """Labels of transactions and addresses; not those of coins."""
    assert laptops[1].program.labels == {TX: "rent", ADDRESS: "landlord"}


def test_label_of_either_gets_to_the_other(laptops: Laptops) -> None:
    """New ones and changed ones; what Electrum cannot hold stays where it is."""
    sparrow, electrum = laptops
    assert electrum.day(lambda program: program.labels.update({TX: "rent, May", OTHER: "coffee"})) == ""
    assert sparrow.day(lambda program: program.labels.update({("addr", ADDRESS): "landlady"})) == ""
    assert electrum.day() == ""
    assert electrum.program.labels == {TX: "rent, May", OTHER: "coffee", ADDRESS: "landlady"}
    labels = {("tx", TX): "rent, May", ("tx", OTHER): "coffee", ("addr", ADDRESS): "landlady"}
    assert sparrow.program.labels == labels | {("output", COIN): "change"}
    assert sparrow.program.frozen == {COIN}
    assert all("origin" in json.loads(line) for line in sparrow.file.read_text().splitlines())


def test_deletion_in_electrum_is_one_everywhere(laptops: Laptops) -> None:
    """Once Electrum itself has written it, the label goes, and comes back from nobody; the rest of the record stays."""
    sparrow, electrum = laptops
    electrum.day(lambda program: program.label(OTHER, "coffee"))
    assert electrum.day(lambda program: program.label(TX, "")) == ""
    for laptop in (sparrow, electrum, sparrow, electrum):
        laptop.day()
    assert TX not in electrum.program.labels
    records = [json.loads(line) for line in sparrow.file.read_text().splitlines()]
    (record,) = [record for record in records if (record["type"], record["ref"]) == ("tx", TX)]
    assert record["height"] == 900_000


def test_deletion_elsewhere_gets_into_electrum(laptops: Laptops) -> None:
    """By an empty label in the file, which Electrum's import takes for that, and its export does not have."""
    sparrow, electrum = laptops
    sparrow.day(lambda program: program.labels.pop(("tx", TX)))
    electrum.ok("sync")
    assert json.loads(electrum.file.read_text()) == {TX: "", ADDRESS: "landlord"}
    assert electrum.day() == ""
    assert electrum.program.labels == {ADDRESS: "landlord"}
    assert json.loads(electrum.file.read_text()) == {ADDRESS: "landlord"}


def test_same_label_changed_on_both_is_asked_about(laptops: Laptops) -> None:
    """With both labels, on the laptop that comes second."""
    sparrow, electrum = laptops
    sparrow.day(lambda program: program.labels.update({("tx", TX): "rent, May"}))
    electrum.program.label(TX, "flat")
    electrum.exports()
    assert "Conflicts: 1" in electrum.run("sync").stderr
    shown = electrum.ok("conflicts")
    assert '"rent, May"' in shown
    assert '"flat"' in shown


def test_first_laptop_may_be_the_one_with_electrum(
    tmp_path: Path, running_server: RunningServer, address: Callable[[], str]
) -> None:
    """Sparrow gets the labels of transactions and addresses that are its own."""
    email = address()
    electrum = with_electrum(tmp_path, running_server.url, email)
    electrum.program.labels = {TX: "rent", ADDRESS: "landlord", "bc1qother": "somebody else's"}
    electrum.exports()
    electrum.ok("register")
    electrum.ok("sync")
    sparrow = with_sparrow(tmp_path, running_server.url, email)
    sparrow.ok("login")
    sparrow.day()
    assert electrum.day() == ""
    assert electrum.program.labels == {TX: "rent", ADDRESS: "landlord", "bc1qother": "somebody else's"}
    assert sparrow.program.labels[("tx", TX)] == "rent"


@pytest.mark.parametrize("content", ["[]", '{"a": 1}', '{"a": ', '{"a": "b", "a": "c"}'])
def test_other_file_is_refused(laptops: Laptops, content: str) -> None:
    """It is left as it is, and nothing is deleted."""
    sparrow, electrum = laptops
    electrum.file.write_text(content)
    assert "is left as it is" in electrum.fails("sync", 6)
    assert electrum.file.read_text() == content
    assert sparrow.day() == ""
    assert ("tx", TX) in sparrow.program.labels


def test_commands_of_the_page_do_what_it_says(
    tmp_path: Path, running_server: RunningServer, address: Callable[[], str]
) -> None:
    """Two laptops with Electrum, from the page's beginning to the first label on both."""
    email, text = address(), page("electrum")
    first, second = (
        Laptop(tmp_path / name, running_server.url, email, "labels.json", Electrum()) for name in ("laptop", "desktop")
    )
    first.program.labels[TX] = "rent"
    first.exports()
    first.types_section(text, "On the first laptop")
    second.types_section(text, "On the second laptop")
    second.imports()
    assert second.program.labels == {TX: "rent"}
    second.types_section(text, "Every day")


def test_every_row_of_the_page_is_tried() -> None:
    """By the tests above, in this order; a row that is added needs one, too."""
    assert rows_of(page("electrum")) == [
        "a new label, of a transaction or an address",
        "a label that you change",
        "a label that you change on both",
        "a label that you delete",
        "the label of a coin, or a frozen coin, in Sparrow",
    ]
