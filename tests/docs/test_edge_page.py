"""docs/edge.md: each example on the page, as the command line does it, and each sentence that it quotes."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from walletsync import BIP329Format, Client, cli, walletfile
from walletsync.cli.wallet import Wallet, WalletSettings
from walletsync.edge import Limit
from walletsync.walletfile import WalletFile

PAGE = (Path(__file__).parents[2] / "docs" / "edge.md").read_text()
SETTINGS = WalletSettings(server="https://sync.example.com", email="alice@example.com", format="bip329")


@pytest.fixture
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Laptop":
    """A laptop whose program has exported two labels."""
    monkeypatch.setattr(walletfile, "_STABLE_SECONDS", 0)
    monkeypatch.chdir(tmp_path)
    return Laptop()


class Laptop:
    """A wallet that was set up; what other laptops do, the device's document is made to have."""

    def __init__(self) -> None:
        self.wallet = Wallet.create(Path("labels.jsonl"), SETTINGS, "laptop")
        self.exports(r="rent", b="car")

    def exports(self, **labels: str | None) -> None:
        """Let the program write its file, and sync."""
        self.wallet.file.write_text(records(**labels))
        self._bring_together(lambda document: document)

    def gets(self, **labels: str | None) -> None:
        """Let another laptop's labels arrive, all that there are."""
        self._bring_together(lambda _: self.wallet.format.decode(records(**labels).encode()))

    def _bring_together(self, change: Callable[[Any], Any]) -> None:
        with self.wallet.without_password() as client:
            # Of an account without a wallet, as `sync` finds out: there is no server here.
            file = WalletFile(self.wallet.file, format=self.wallet.format, memory=self.wallet.folder / "memory")
            file.take_edits(client)
            client.update_document(change)
            file.put(client)

    def types(self, command: str) -> str:
        result = CliRunner().invoke(cli.main, command.split()[1:])
        assert result.exit_code == 0, result.output
        return result.output

    @property
    def labels(self) -> dict[str, str]:
        return labels_of(self.document)

    @property
    def document(self) -> str:
        with self.wallet.without_password() as client:
            return str(self.wallet.format.inside(client.get_document()))


def records(**labels: str | None) -> str:
    of = [{"type": "tx", "ref": ref} | ({} if label is None else {"label": label}) for ref, label in labels.items()]
    return "".join(f"{json.dumps(record)}\n" for record in of)


def labels_of(text: str) -> dict[str, str]:
    found = map(json.loads, text.splitlines())
    return {record["ref"]: record["label"] for record in found if "label" in record}


def test_a_program_that_has_not_read_the_news_takes_nothing_back(laptop: Laptop) -> None:
    """`rent, May` stays, `coffee` comes, and the list of what is as before empties itself, or is decided."""
    laptop.gets(r="rent, May", b="car")
    laptop.exports(r="rent", b="car", c="coffee")
    assert laptop.labels == {"r": "rent, May", "b": "car", "c": "coffee"}
    assert '"rent"' in laptop.types("walletsync conflicts --earlier")
    laptop.types("walletsync resolve earlier mine")
    assert laptop.labels["r"] == "rent"


def test_one_that_has_read_them_is_asked(laptop: Laptop) -> None:
    """It has `bike`, and `rent` as before."""
    laptop.gets(r="rent, May", b="bike")
    laptop.exports(r="rent", b="bike")
    assert laptop.labels["r"] == "rent, May"
    told = laptop.types("walletsync conflicts")
    assert all(side in told for side in ('base:   "rent, May"', 'mine:   "rent"', 'theirs: "rent, May"'))


def test_what_came_alone_and_is_changed_is_asked_about(laptop: Laptop) -> None:
    """Nothing can show that it was read."""
    laptop.gets(r="rent, May", b="car")
    laptop.exports(r="rent, June", b="car")
    assert '"rent, June"' in laptop.types("walletsync conflicts")


def test_leaving_something_out_deletes_it_only_if_the_program_had_it(laptop: Laptop) -> None:
    """Another wallet's label stays, its own goes; and what was deleted elsewhere stays deleted, week after week."""
    laptop.gets(r="rent", b="car", other="of another wallet")
    laptop.exports(b="car")
    assert laptop.labels == {"b": "car", "other": "of another wallet"}
    laptop.exports(b="car", r="rent")
    laptop.gets(b=None, r="rent", other="of another wallet")
    for number in (1, 2):
        laptop.exports(b="car", r="rent", new=f"new {number}")
        assert "b" not in laptop.labels
        assert '"car"' in laptop.types("walletsync conflicts --earlier")
    laptop.exports(b="my car", r="rent", new="new 2")
    assert '"my car"' in laptop.types("walletsync conflicts")


def test_nothing_large_goes_without_a_question(laptop: Laptop) -> None:
    """The page says what `sync` says, the limits are the page's, and either answer does what it says."""
    many = {f"r{number}": f"label {number}" for number in range(300)}
    laptop.exports(**many)
    laptop.exports(**dict.fromkeys(many))
    with laptop.wallet.without_password() as client:
        told = cli.edge.Notices.of(laptop.wallet, client)
    assert f"error: {told.held}\n    hint: {cli.edge.CONFIRM}\n" in PAGE
    assert len(laptop.labels) == 300
    laptop.types("walletsync put")
    assert len(labels_of(laptop.wallet.file.read_text())) == 300
    assert Limit() == Limit(5, 10)
    assert "more than five labels, and more than a tenth" in PAGE


def test_what_sync_says_of_a_stale_export_is_quoted(laptop: Laptop) -> None:
    """In one line."""
    laptop.gets(r="rent, May", b="car")
    laptop.exports(r="rent", b="car", c="coffee")
    with laptop.wallet.without_password() as client:
        assert f"    {cli.edge.Notices.of(laptop.wallet, client).earlier}\n" in PAGE


def test_every_command_on_the_page_is_understood() -> None:
    """Names and options; those of `init` are settings."""
    for words in re.findall(r"walletsync ((?:sync|put|conflicts|resolve|watch|init)\b[a-z0-9 -]*)", PAGE):
        name, *arguments = words.split()
        options = {each for option in cli.main.commands[name].params for each in option.opts}
        assert {each for each in arguments if each.startswith("--")} <= options, words
    assert {"max_deletions", "max_deletions_percent"} <= set(WalletSettings.__struct_fields__)


@pytest.mark.usefixtures("process_that_ends")
def test_two_programs_count_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page says cannot be seen, is not: a handful that is cut off is a deletion."""
    monkeypatch.setattr(walletfile, "_STABLE_SECONDS", 0)
    file = WalletFile(tmp_path / "labels.jsonl", format=BIP329Format(), memory=tmp_path / "memory")
    client = Client("https://sync.example.com", format=BIP329Format())
    whole = records(**{f"r{number}": f"label {number}" for number in range(9)})
    (tmp_path / "labels.jsonl").write_text(whole)
    file.take_edits(client)
    cut = "".join(whole.splitlines(keepends=True)[:4])
    (tmp_path / "labels.jsonl").write_text(cut)
    file.take_edits(client)
    assert client.get_document() == cut
