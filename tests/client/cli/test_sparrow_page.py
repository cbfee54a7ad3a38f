"""docs/sparrow.md: its commands are typed as they stand, Sparrow is played, and each row of its table happens."""

import re
from collections.abc import Callable
from operator import methodcaller
from pathlib import Path

import pytest

from tests.client.cli.laptops import Laptop, page, rows_of
from tests.client.cli.sparrow import Sparrow, made_up
from walletsync.cli import main
from walletsync_server.testing import RunningServer

PAGE = page("sparrow")
TX, OTHER_TX = ("tx", made_up(0)), ("tx", made_up(1))
COIN = f"{made_up(0)}:0"
Laptops = tuple[Laptop[Sparrow], Laptop[Sparrow]]


@pytest.fixture
def laptops(tmp_path: Path, running_server: RunningServer, address: Callable[[], str]) -> Laptops:
    """Both, as the page says from its beginning; the first has a label already, and the second none."""
    email = address()
    first, second = (
        Laptop(tmp_path / name, running_server.url, email, "labels.jsonl", Sparrow(rate=rate))
        for name, rate in (("laptop", 100_000.5), ("desktop", 99_000.25))
    )
    first.program.labels[TX] = "rent"
    first.exports()
    first.types_section(PAGE, "On the first laptop")
    second.types_section(PAGE, "On the second laptop")
    second.imports()
    return first, second


def test_second_laptop_has_the_labels_of_the_first(laptops: Laptops) -> None:
    """After the clicks and commands of the page."""
    assert laptops[1].program.labels == {TX: "rent"}


def new_label(first: Laptop[Sparrow], second: Laptop[Sparrow]) -> None:
    for kind, ref in (OTHER_TX, ("addr", f"bc1q{made_up(0)[:38]}"), ("output", COIN)):
        assert first.day(methodcaller("label", (kind, ref), "coffee")) == ""
        second.day()
        assert second.program.labels[kind, ref] == "coffee"


def changed_label(first: Laptop[Sparrow], second: Laptop[Sparrow]) -> None:
    first.day(lambda sparrow: sparrow.labels.update({TX: "rent, May"}))
    second.day()
    assert second.program.labels == {TX: "rent, May"}


def came_alone(first: Laptop[Sparrow], second: Laptop[Sparrow]) -> None:
    second.program.labels[TX] = "flat"
    second.exports()
    assert "Conflicts: 1" in second.run("sync").stderr


def changed_on_both(first: Laptop[Sparrow], second: Laptop[Sparrow]) -> None:
    second.ok("sync")
    second.imports()
    first.day(lambda sparrow: sparrow.labels.update({TX: "rent, May"}))
    second.program.labels[TX] = "flat"
    second.exports()
    assert "Conflicts: 1" in second.run("sync").stderr
    shown = second.ok("conflicts")
    assert '"rent, May"' in shown
    assert '"flat"' in shown


def frozen_coin(first: Laptop[Sparrow], second: Laptop[Sparrow]) -> None:
    first.day(lambda sparrow: sparrow.frozen.add(COIN))
    second.day()
    assert second.program.frozen == {COIN}


def unfrozen_coin(first: Laptop[Sparrow], second: Laptop[Sparrow]) -> None:
    frozen_coin(first, second)
    first.day(lambda sparrow: sparrow.frozen.clear())
    second.day()
    assert second.program.frozen == {COIN}


def deleted_label(first: Laptop[Sparrow], second: Laptop[Sparrow]) -> None:
    first.day(lambda sparrow: sparrow.labels.update({OTHER_TX: "coffee"}))
    second.day()
    first.day(lambda sparrow: sparrow.labels.pop(OTHER_TX))
    for _ in range(2):  # also when the second one exports it again
        second.day()
        first.day()
    assert second.program.labels == {TX: "rent", OTHER_TX: "coffee"}
    assert first.program.labels == {TX: "rent"}
    assert "coffee" not in first.file.read_text()


def other_keys(first: Laptop[Sparrow], second: Laptop[Sparrow]) -> None:
    second.program = Sparrow(fingerprint="0badc0de")
    second.imports()
    assert second.program.labels == {}


ROWS = {
    "a new label, of a transaction, an address, a coin": new_label,
    "a label that you change": changed_label,
    "a label that came alone from there, and that you change at once": came_alone,
    "a label that you change on both": changed_on_both,
    "a coin that you freeze": frozen_coin,
    "a coin that you unfreeze": unfrozen_coin,
    "a label that you delete": deleted_label,
    "another wallet with other keys": other_keys,
}


@pytest.mark.parametrize("row", ROWS)
def test_row_happens(laptops: Laptops, row: str) -> None:
    """What passes, and what does not."""
    ROWS[row](*laptops)


def test_every_row_is_tried() -> None:
    """A row that is added has to be played."""
    assert rows_of(PAGE) == list(ROWS)


def test_what_is_asked_is_what_is_said(laptops: Laptops) -> None:
    """The beginnings of what the page explains, and the commands that it advises."""
    first, second = laptops
    for laptop in laptops:
        laptop.program.transactions = 9
    labels = {("tx", made_up(number)): f"label {number}" for number in range(9)}
    first.day(lambda sparrow: sparrow.labels.update(labels))
    second.day()
    first.day(lambda sparrow: sparrow.labels.update({TX: "rent, May"}))
    second.ok("sync")
    second.exports()  # without having imported
    assert "Your program wrote what it had before" in second.run("sync").stderr
    second.program.labels.clear()
    second.exports()
    assert "was written without" in second.run("sync").stderr
    second.ok("put")
    second.imports()
    assert second.program.labels == labels | {TX: "rent, May"}
    for said in ("Your program wrote what it had before", "Conflicts", "was written without"):
        assert f"*{said}" in PAGE
    for line in re.findall(r"`walletsync ([a-z]+)", PAGE):
        assert line in main.commands


def test_a_second_wallet_is_kept_beside_the_first(laptops: Laptops, tmp_path: Path) -> None:
    """By the commands of the page, on both laptops, though the second wallet has other keys."""
    first, _ = laptops
    savings = [
        Laptop(
            tmp_path / f"savings on {name}", first.url, first.email, "savings.jsonl", Sparrow(fingerprint="0badc0de")
        )
        for name in ("laptop", "desktop")
    ]
    savings[0].program.labels[OTHER_TX] = "house"
    savings[0].exports()
    for each in savings:
        each.types_section(PAGE, "A second wallet")
    savings[1].imports()
    assert savings[1].program.labels == {OTHER_TX: "house"}
    assert savings[0].ok("wallets") == "(without a name)  bip329\nsavings  bip329\n"
    assert first.day() == ""
    assert first.program.labels == {TX: "rent"}
