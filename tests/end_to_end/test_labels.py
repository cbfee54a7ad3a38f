"""A label file of real size between two laptops whose wallets are not the same program."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from tests.conftest import PASSWORD
from tests.insides import email_of
from tests.labels import edited, sparrow
from walletsync import BIP329Format, Client

Device = Callable[..., Client]


def relabelled(document: str, number: int, old: str, new: str) -> str:
    """Return the file with a line changed as an editor would."""
    lines = document.split("\n")
    assert old in lines[number]
    lines[number] = lines[number].replace(old, new)
    return "\n".join(lines)


def test_two_laptops_edit_five_thousand_labels(tmp_path: Path, device: Device) -> None:
    """Edits of both meet, a conflict waits across a restart and is decided, and every other byte stays."""
    file = tmp_path / "laptop.wallet"
    base = sparrow(seed=20, lines=5000)
    number, record = next(
        (number, json.loads(each)) for number, each in enumerate(base.split("\n")) if '"label"' in each
    )
    label = re.findall('"label":"[^"]*"', base.split("\n")[number])[0]
    path = (record["type"], record["ref"])

    laptop = device("laptop", format=BIP329Format(), store=file)
    desktop = device("desktop", format=BIP329Format())
    laptop.set_document(base)
    laptop.sync()
    desktop.sync()
    assert desktop.get_document() == base

    theirs = relabelled(edited(base, seed=21, edits=50, lines=range(2500, 5000)), number, label, '"label":"boat"')
    desktop.set_document(theirs)
    desktop.sync()
    mine = relabelled(edited(base, seed=22, edits=50, lines=range(100, 2500)), number, label, '"label":"car"')
    laptop.set_document(mine)
    (conflict,) = laptop.sync().conflicts
    assert conflict.path[:2] == path
    assert conflict.path[-1] == "label"
    assert set(laptop.get_document().split("\n")) >= set(theirs.split("\n")) - set(base.split("\n"))
    email, url = email_of(laptop), laptop.realm
    laptop.close()

    with Client(url, store=file, format=BIP329Format()) as again:
        again.set_account(email, PASSWORD)
        (conflict,) = again.conflicts
        again.resolve(conflict, "mine")
        again.sync()
        document = again.get_document()
    desktop.sync()
    assert desktop.get_document() == document
    decided = set(document.split("\n"))
    assert mine.split("\n")[number] in decided
    unedited = set(base.split("\n")) & set(mine.split("\n")) & set(theirs.split("\n"))
    assert decided >= unedited
    assert decided >= (set(mine.split("\n")) | set(theirs.split("\n"))) - set(base.split("\n")) - {
        theirs.split("\n")[number]
    }
