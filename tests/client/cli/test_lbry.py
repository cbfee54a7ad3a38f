"""An LBRY wallet on two laptops, as docs/lbry.md has it."""

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.client.cli.laptops import page
from tests.client.cli.machines import Machine, Make
from tests.client.cli.pages import page_of
from tests.client.test_lbry_format import account, wallet


class Named(Machine):
    """A machine whose wallet's file has a name of its own."""

    def __init__(self, folder: Path, like: Machine, name: str, content: str | None) -> None:
        super().__init__(folder, like.url, like.email)
        self.file = folder / name
        if content is not None:
            self.file.write_text(content)
        self.init("--format lbry")


@pytest.fixture
def like(make: Make) -> Machine:
    """A machine of a new account, of which nobody has the document yet."""
    return make("like")


def test_two_laptops_with_an_lbry_wallet(tmp_path: Path, like: Machine) -> None:
    """Later preferences count, accounts and certificates of both are there, and no seed is shown."""
    first = wallet(accounts=[account(seed="words of one")])
    laptop = Named(tmp_path / "laptop", like, "default_wallet", json.dumps(first))
    assert laptop.json("status")["format"] == "lbry"
    laptop.ok("register")
    laptop.ok("sync")
    desktop = Named(tmp_path / "desktop", like, "default_wallet", json.dumps(first))
    desktop.ok("login")
    desktop.ok("sync")

    both = [account(seed="words of one"), account("xpubB", seed="words of two")]
    laptop.file.write_text(json.dumps(wallet("light", 2, both)))
    with_certificate = account(seed="other words", certificates={"addr1": "PEM"})
    desktop.file.write_text(json.dumps(wallet("auto", 3, [with_certificate])))
    laptop.ok("sync")
    desktop.ok("sync")
    assert desktop.json("conflicts") == []
    merged = json.loads(desktop.file.read_text())
    assert merged == wallet("auto", 3, [with_certificate, both[1]])

    desktop.ok("sync")
    laptop.ok("sync")
    assert json.loads(laptop.file.read_text()) == merged
    for machine, words in ((laptop, "my words"), (desktop, "their words")):
        machine.file.write_text(machine.file.read_text().replace("other words", words))
        shown = machine.run("sync --json").output
    shown += desktop.ok("conflicts") + desktop.ok("conflicts --json")
    assert "seed" in shown
    assert "words" not in shown


def test_command_of_the_page_sets_it_up(like: Machine, tmp_path: Path) -> None:
    """As it stands there."""
    (command,) = re.findall(r"`walletsync (init [^`]*)`", page("lbry"))
    words = [str(tmp_path / word) if word == "default_wallet" else word for word in shlex.split(command)]
    assert "is set up, as lbry." in like.ok(shlex.join(words))
    assert '`"(a secret, not shown)"`' in page("lbry")


def test_the_page_shows_no_seed(tmp_path: Path, like: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither of a conflict about it, nor of what differs between two versions; and an account is called by its key."""
    first = wallet(accounts=[account(seed="words of one")])
    laptop = Named(tmp_path / "laptop", like, "default_wallet", json.dumps(first))
    laptop.ok("register")
    laptop.ok("sync")
    desktop = Named(tmp_path / "desktop", like, "default_wallet", json.dumps(first))
    desktop.ok("sync")
    laptop.file.write_text(json.dumps(wallet(accounts=[account(seed="words of two")])))
    laptop.ok("sync")
    desktop.file.write_text(json.dumps(wallet(accounts=[account(seed="words of three")])))
    desktop.ok("sync")
    with page_of(desktop, monkeypatch.setenv) as visitor:
        conflicts, compared = visitor.enters(), visitor.sees("compare?older=1&newer=2")
        assert "1 conflict" in conflicts.text
        for seen in (conflicts, compared, visitor.sees("restore/1")):
            assert "accounts › public_key=" in seen.text
            assert "(a secret, not shown)" in seen.text
            assert "words of" not in seen.html
