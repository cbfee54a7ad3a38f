"""The bridge that docs/bridges.md shows, driven: no edit of the wallet is lost and none invented, wherever it ends."""

import json
import random
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.client.crashes import Crash
from tests.client.test_walletfile import SERVER, Steps
from walletsync import BIP329Format, Client, errors, walletfile
from walletsync.bridges.base import Bridge
from walletsync.bridges.driver import Driver
from walletsync.formats.electrum import ElectrumFormat
from walletsync.formats.label_sense import Key
from walletsync.merge import MISSING
from walletsync.walletfile import WalletFile

PAGE = (Path(__file__).parents[2] / "docs" / "bridges.md").read_text()
FORMATS = {"electrum": ElectrumFormat, "bip329": BIP329Format}
A, B, C, D, E = (f"bcrt1q{letter * 38}" for letter in "acdef")


def shelf_bridge(folder: Path) -> Bridge:
    """Return the example of the page."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {"__name__": "example"}
    exec(code, names)  # noqa: S102 - the page's code is the test
    bridge: Bridge = names["ShelfBridge"](str(folder), None, None)
    return bridge


class World:
    """A wallet on a shelf, its file, and the client of the account."""

    def __init__(self, folder: Path, format: str = "bip329") -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.shelf = folder / "shelf.json"
        self.client = Client(SERVER, format=BIP329Format())
        self.bridge = shelf_bridge(folder)
        self.format = FORMATS[format]()
        self.path = folder / "labels"
        self.wallet_has({})

    def wallet_has(self, labels: dict[str, str], wallet: str = "hers") -> None:
        self.shelf.write_text(json.dumps({"wallet": wallet, "labels": labels}))

    @property
    def wallet(self) -> Any:
        return json.loads(self.shelf.read_bytes())["labels"]

    def account_has(self, labels: dict[str, str]) -> None:
        """What came from elsewhere."""
        records = [{"type": "addr", "ref": address, "label": label} for address, label in labels.items()]
        self.client.set_document("".join(f"{json.dumps(record)}\n" for record in records))

    @property
    def account(self) -> dict[str, str]:
        with suppress(errors.NotReady):
            return self._labels(self.client.get_document())
        return {}

    @staticmethod
    def _labels(document: str) -> dict[str, str]:
        records = map(json.loads, document.splitlines())
        return {record["ref"]: record["label"] for record in records if "label" in record}

    @property
    def file(self) -> WalletFile:
        return WalletFile(self.path, format=self.format, memory=self.folder / "memory")

    def driver(self) -> Driver:
        """Return one of a new process."""
        return Driver(self.bridge, "hers", self.file, self.folder / "seen")

    def sync(self) -> Driver:
        """What a command does, but for the server."""
        driver, file = self.driver(), self.file
        driver.take(self.client)
        file.take_edits(self.client)
        file.put(self.client)
        driver.give(self.client)
        return driver


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else writes here."""
    monkeypatch.setattr(walletfile, "_STABLE_SECONDS", 0)


@pytest.fixture(params=FORMATS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(tmp_path / "world", request.param)


def test_labels_pass_both_ways(world: World) -> None:
    """New, changed and deleted ones, and after that nobody has news."""
    world.wallet_has({A: "rent", B: "coffee"})
    world.sync()
    assert world.account == {A: "rent", B: "coffee"}
    world.account_has({A: "rent, May", C: "bike"})
    driver = world.sync()
    assert world.wallet == {A: "rent, May", C: "bike"}
    assert not driver.is_edited()
    world.wallet_has({A: "rent, May", D: "tea"})
    assert driver.is_edited()
    world.sync()
    assert world.account == world.wallet == {A: "rent, May", D: "tea"}
    assert not world.client.conflicts
    assert not world.file.earlier(world.client)


def test_a_new_wallet_gets_what_there_is(world: World) -> None:
    """It has no labels and has deleted none."""
    world.account_has({A: "rent", B: "coffee"})
    world.sync()
    assert world.wallet == world.account == {A: "rent", B: "coffee"}


def test_no_wallet_and_no_account_have_anything(world: World) -> None:
    """Then there is no document, until somebody labels something."""
    world.sync()
    with pytest.raises(errors.NotReady):
        world.client.get_document()
    world.wallet_has({A: "rent"})
    world.sync()
    assert world.account == {A: "rent"}


def test_what_the_wallet_cannot_hold_stays_in_the_account(world: World) -> None:
    """Here labels of transactions, and those of which there are two; each look has none of them, and deletes none."""
    transaction = json.dumps({"type": "tx", "ref": 64 * "a", "label": "May"}) + "\n"
    transaction += json.dumps({"type": "output", "ref": f"{64 * 'a'}:0", "spendable": False}) + "\n"
    two = "".join(
        json.dumps({"type": "addr", "ref": A, "label": each, "origin": f"wpkh([{8 * each}/84'/0'/0'])"}) + "\n"
        for each in "ab"
    )
    document = transaction + two
    world.client.set_document(document)
    for label in ("coffee", "tea"):
        world.sync()
        world.wallet_has({B: label})
    world.sync()
    assert world.wallet == {B: "tea"}
    assert world.account.pop(B) == "tea"
    assert set(document.splitlines()) <= set(world.client.get_document().splitlines())


def test_a_label_of_several_lines_is_one_line_in_the_wallet(world: World) -> None:
    """That is no edit of it, and no reason to set it again."""
    world.account_has({A: "rent\nMay", B: "tea"})
    driver = world.sync()
    assert world.wallet == {A: "rent May", B: "tea"}
    assert not driver.is_edited()
    world.wallet_has(world.wallet | {B: "coffee"})
    world.sync()
    assert world.account == {A: "rent\nMay", B: "coffee"}


def test_half_a_character_is_replaced(world: World) -> None:
    """A program may have one, and a file cannot."""
    world.wallet_has({A: "rent \ud83d"})
    world.sync()
    assert world.account == {A: "rent \ufffd"}


def test_what_a_person_writes_into_the_file_reaches_the_wallet(world: World) -> None:
    """Though the file is the bridge's; what the wallet cannot hold stays, and an edit of the wallet takes none away."""
    world.wallet_has({A: "rent", C: "tea"})
    world.sync()
    edited = world.format.from_file(world.path.read_bytes(), "").replace("rent", "rent, May")
    edited += json.dumps({"type": "tx", "ref": 64 * "a", "label": "May"}) + "\n"
    edited += json.dumps({"type": "addr", "ref": B, "label": "coffee"}) + "\n"
    world.path.write_bytes(world.format.to_file(edited, b""))
    world.wallet_has({A: "rent", D: "bike"})
    world.sync()
    assert world.wallet == {A: "rent, May", B: "coffee", D: "bike"}
    assert world.account == {A: "rent, May", B: "coffee", D: "bike", 64 * "a": "May"}
    assert not world.client.conflicts


@pytest.mark.parametrize("at", ["_refuse_unrelated", "_mode"])
def test_what_a_person_writes_into_the_file_at_that_moment_is_taken(
    world: World, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the file and its replacement."""
    world.wallet_has({A: "rent", C: "tea"})
    world.sync()
    world.wallet_has({A: "rent, May", C: "tea"})
    edited = world.format.from_file(world.path.read_bytes(), "")
    edited += json.dumps({"type": "addr", "ref": B, "label": "coffee"}) + "\n"
    edits = [world.format.to_file(edited, b"")]
    step: Callable[..., Any] = getattr(WalletFile, at)

    def somebody_writes(file: WalletFile, *args: Any) -> Any:
        if edits:
            world.path.write_bytes(edits.pop())
        return step(file, *args)

    monkeypatch.setattr(WalletFile, at, somebody_writes)
    world.sync()
    assert world.wallet == world.account == {A: "rent, May", B: "coffee", C: "tea"}
    assert not world.client.conflicts


RECORD = {"type": "addr", "ref": A, "label": "rent", "origin": "wpkh([aaaaaaaa/84h/0h/0h])", "spendable": False}
OTHERS = [
    json.dumps(RECORD),
    '{"label":"coffee","ref":"' + B + '","type":"addr","origin":"o","height":7}',
    '{"ref": "savings", "type": "xpub", "label": "hers"}',
    "",
    '{"type": "tx", "ref": "' + 64 * "a" + '", "label": "M\\u00e4rz",  "fee": 1.10}\r',
    "# a line that is no record",
]


def test_the_file_keeps_all_that_the_wallet_did_not_change(tmp_path: Path) -> None:
    """Byte for byte and where it was, also without a server: just the labels are other ones, and new ones follow."""
    world = World(tmp_path / "world")
    world.path.write_text("".join(f"{line}\n" for line in OTHERS), newline="")
    world.wallet_has({A: "rent", B: "coffee"})
    before = world.path.read_bytes()
    world.sync()
    assert world.path.read_bytes() == before
    world.wallet_has({A: "rent, May", C: "bike"})
    world.driver().take(world.client)
    first, _, *others = OTHERS
    after = [first.replace('"label": "rent"', '"label":"rent, May"'), *others]
    text = world.path.read_bytes().decode()
    assert [line for line in text.split("\n") if C not in line] == [*after, ""]
    told = [json.loads(line) for line in world.client.get_document().splitlines() if line.strip()]
    assert {each["ref"]: each["label"] for each in told} == {
        A: "rent, May",
        "savings": "hers",
        64 * "a": "März",
        C: "bike",
    }
    world.sync()
    assert world.path.read_bytes().decode() == text
    assert not world.client.conflicts


def test_a_label_that_is_deleted_leaves_the_rest_of_its_record(tmp_path: Path) -> None:
    """That a coin is frozen, the program knows nothing of; a record that says nothing more goes with its label."""
    world = World(tmp_path / "world")
    account = "".join(f"{line}\n" for line in OTHERS[:2])
    world.client.set_document(account)
    world.sync()
    assert world.wallet == {A: "rent", B: "coffee"}
    world.wallet_has({})
    world.sync()
    assert world.file.held
    world.file.take_edits(world.client, confirm_deletions=True)
    world.sync()
    left = {name: value for name, value in RECORD.items() if name != "label"}
    assert [json.loads(line) for line in world.client.get_document().splitlines()] == [left]
    assert not world.client.conflicts
    assert world.wallet == {}


def test_a_blank_label_is_none(tmp_path: Path) -> None:
    """A program that wrote one has said nothing that the wallet's label would contradict."""
    world = World(tmp_path / "world")
    world.client.set_document(json.dumps(RECORD | {"label": " "}) + "\n")
    world.sync()
    world.wallet_has({A: "rent"})
    world.sync()
    assert world.client.get_document() == json.dumps(RECORD).replace('"label": ', '"label":') + "\n"
    assert not world.client.conflicts


def test_a_label_that_is_deleted_here_and_changed_elsewhere_is_asked(tmp_path: Path) -> None:
    """It alone, where its record says more."""
    world = World(tmp_path / "world")
    world.client.set_document("".join(f"{line}\n" for line in OTHERS[:2]))
    world.sync()
    world.client.set_document(world.client.get_document().replace('"rent"', '"rent, May"'))
    world.wallet_has({B: "coffee"})
    world.sync()
    asked = [(each.path[-1], each.base, each.mine, each.theirs) for each in world.client.conflicts]
    assert asked == [("label", "rent", MISSING, "rent, May")]
    assert world.wallet == {A: "rent, May", B: "coffee"}


def test_a_record_that_waited_comes_back_whole(tmp_path: Path) -> None:
    """With all that it said, once the wallet has its label again."""
    world = World(tmp_path / "world")
    account = json.dumps(RECORD | {"spendable": True}) + "\n" + OTHERS[1] + "\n"
    world.client.set_document(account)
    world.sync()
    labels = world.wallet
    for again in ({B: "coffee"}, labels):
        world.wallet_has({})
        world.sync()
        held = world.file.held
        assert held is not None
        assert held.lost == 2
        world.wallet_has(again)
        world.sync()
        world.file.put(world.client, everything=True)
        world.sync()
        assert sorted(world.client.get_document().splitlines()) == sorted(account.splitlines())
        assert world.wallet == labels
    assert not world.client.conflicts


def test_of_several_records_those_with_the_label_are_the_wallets(tmp_path: Path) -> None:
    """They are changed and deleted by it; where none has it, its label is one more."""
    world = World(tmp_path / "world")
    records = [{"type": "addr", "ref": A, "label": "rent", "origin": f"wpkh([{8 * each}/84'])"} for each in "ab"]
    three = [*records, records[0] | {"label": "hers", "origin": "o"}]
    world.client.set_document("".join(f"{json.dumps(each)}\n" for each in records))
    world.sync()
    world.wallet_has(world.wallet | {B: "tea"})
    world.client.set_document("".join(f"{json.dumps(each)}\n" for each in three))
    world.sync()
    assert world.wallet == {A: "rent", B: "tea"}
    world.wallet_has({A: "rent, May", B: "tea"})
    world.sync()
    labels = [json.loads(line)["label"] for line in world.client.get_document().splitlines()]
    assert labels == ["rent, May", "rent, May", "hers", "tea"]
    world.wallet_has({B: "tea"})
    world.sync()
    assert world.client.get_document().splitlines()[:1] == [json.dumps(three[2])]
    assert world.wallet == world.account == {A: "hers", B: "tea"}
    assert not world.client.conflicts


@pytest.mark.parametrize(("labels", "more"), [(["rent"], []), (["bike", "tea"], ["tea"])], ids=["known", "new"])
def test_a_label_of_what_has_several_others_is_one_more(tmp_path: Path, labels: list[str], more: list[str]) -> None:
    """Whose they are, nobody can tell; if the wallet has one of them, it has nothing new."""
    world = World(tmp_path / "world")
    records = [{"type": "addr", "ref": A, "label": each, "origin": each} for each in ("rent", "hers")]
    account = [json.dumps(each) for each in records]
    world.client.set_document("".join(f"{each}\n" for each in account))
    world.sync()
    assert world.wallet == {}
    for label in labels:
        world.wallet_has({A: label})
        world.sync()
    first, second, *others = world.client.get_document().splitlines()
    assert [first, second] == account
    assert [json.loads(each)["label"] for each in others] == more


def test_news_from_elsewhere_and_an_edit_of_the_wallet_meet(world: World) -> None:
    """Both pass; what is of one label is asked, whatever else came that the wallet could have been told of before."""
    world.wallet_has({A: "rent", B: "coffee"})
    world.sync()
    world.account_has({A: "rent, May", B: "coffee", C: "bike"})
    world.wallet_has({A: "rent, June", B: "tea"})
    world.sync()
    assert world.wallet == world.account == {A: "rent, May", B: "tea", C: "bike"}
    (conflict,) = world.client.conflicts
    assert (conflict.base, conflict.mine, conflict.theirs) == ("rent", "rent, June", "rent, May")


def test_what_is_edited_while_many_labels_are_set_is_not_overwritten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the next look, which is soon, it is an edit like any other."""
    addresses = [f"{A[:-3]}{number:03}" for number in range(101)]
    labels = dict.fromkeys(addresses, "rent")
    world.wallet_has(labels)
    world.sync()
    world.account_has(dict.fromkeys(addresses, "rent, May"))
    set_label, done = world.bridge.set_label, []

    def somebody_edits_at_the_first(key: Key, label: str) -> None:
        set_label(key, label)
        done.append(key)
        if len(done) == 1:
            world.wallet_has(world.wallet | {addresses[-1]: "rent, June", B: "new"})

    monkeypatch.setattr(world.bridge, "set_label", somebody_edits_at_the_first)
    world.sync()
    assert [conflict.mine for conflict in world.client.conflicts] == ["rent, June"]
    assert world.wallet == world.account == dict.fromkeys(addresses, "rent, May") | {B: "new"}


def test_what_is_taken_away_waits_and_nothing_is_set_meanwhile(world: World) -> None:
    """Six of six labels; what comes from elsewhere is not in the wallet either, until somebody has answered."""
    labels = {f"{A[:-1]}{digit}": f"label {digit}" for digit in range(6)}
    world.wallet_has(labels)
    world.sync()
    world.wallet_has({})
    world.sync()
    assert world.file.held
    world.account_has(labels | {B: "coffee"})
    world.sync()
    assert world.wallet == {}
    with pytest.raises(errors.NotReady):
        world.file.forget_program(world.client)
    world.file.put(world.client, everything=True)
    world.sync()
    assert world.wallet == world.account == labels | {B: "coffee"}


def test_what_waits_goes_on_waiting_when_the_wallet_is_edited(world: World) -> None:
    """Also where the file has, of something else, what the wallet was not given yet."""
    labels = {f"{A[:-1]}{digit}": f"label\n{digit}" for digit in range(10)}
    kept = list(labels)[-2:]
    world.account_has(labels)
    world.sync()
    world.wallet_has({address: world.wallet[address] for address in kept})
    world.sync()
    held = world.file.held
    assert held
    assert held.lost == 8
    world.account_has(labels | {kept[0]: "label 8"})
    world.wallet_has(world.wallet | {kept[1]: "edited"})
    world.sync()
    assert world.file.held == held
    assert world.account.keys() == labels.keys()
    assert world.account[kept[1]] == "edited"


def test_a_wallet_that_loses_all_its_labels_waits_however_much_else_there_is(world: World) -> None:
    """What the wallet does not hold stands in the file, and says nothing of it."""
    others = {f"{number:064x}": "paid" for number in range(100)}
    records = [{"type": "tx", "ref": each, "label": label} for each, label in others.items()]
    world.client.set_document("".join(f"{json.dumps(each)}\n" for each in records))
    world.wallet_has({A: "rent", B: "coffee"})
    world.sync()
    world.wallet_has({})
    world.sync()
    held = world.file.held
    assert held
    assert (held.lost, held.of) == (2, 102)
    assert world.account == others | {A: "rent", B: "coffee"}


def test_a_wallet_that_cannot_be_asked_takes_nothing_away(world: World) -> None:
    """Nor does another one."""
    world.wallet_has({A: "rent"})
    driver = world.sync()
    kept = world.shelf.read_bytes()
    for content, told in ((b"", "no wallet open"), (kept.replace(b"hers", b"his"), "another wallet open")):
        world.shelf.write_bytes(content)
        for action in (driver.take, driver.give, lambda _: driver.is_edited()):
            with pytest.raises(errors.BridgeError, match=told):
                action(world.client)
        assert world.shelf.read_bytes() == content
    world.shelf.write_bytes(kept)
    world.sync()
    assert world.account == world.wallet == {A: "rent"}


def test_a_program_that_does_not_answer_leaves_the_edits_of_the_file(world: World) -> None:
    """Nothing is taken from anywhere."""
    world.account_has({A: "rent"})
    world.sync()
    world.path.write_bytes(world.path.read_bytes().replace(b"rent", b"bike"))
    world.shelf.unlink()
    with pytest.raises(errors.BridgeError):
        world.driver().take(world.client)
    assert world.account == {A: "rent"}


def test_a_label_that_the_program_refuses_stops_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many there are is known; they stay in the account."""
    set_label = world.bridge.set_label

    def picky(key: Key, label: str) -> None:
        if len(label) > 5:
            raise errors.BridgeRefused("Shelf does not do what it is asked.")
        set_label(key, label)

    monkeypatch.setattr(world.bridge, "set_label", picky)
    world.account_has({A: "far too long", B: "tea"})
    assert world.sync().refused == 1
    assert world.wallet == {B: "tea"}
    assert world.account == {A: "far too long", B: "tea"}
    world.account_has({A: "short", B: "tea"})
    assert world.sync().refused == 0
    assert world.wallet == {A: "short", B: "tea"}


def test_what_was_seen_may_be_damaged(world: World) -> None:
    """Then it is as on the first day: nothing is deleted."""
    world.wallet_has({A: "rent", B: "coffee"})
    world.sync()
    for damaged in (b"", b"\xff", b"[1]", b"[[1, 2, 3]]"):
        (world.folder / "seen").write_bytes(damaged)
        world.sync()
        assert world.account == world.wallet == {A: "rent", B: "coffee"}


def test_a_bridge_that_is_chosen_anew_deletes_nothing(world: World) -> None:
    """It may list less than what wrote the file before; what differs is asked."""
    world.wallet_has({A: "rent", B: "coffee", C: "bike"})
    world.sync()
    for content in (world.path.read_bytes(), None):
        world.file.forget_program(world.client)
        (world.folder / "seen").unlink()
        if content is None:
            world.path.unlink()
            world.file.forget_program(world.client)
        world.wallet_has({A: "rent", B: "tea"})
        world.sync()
        assert world.account == world.wallet == {A: "rent", B: "coffee", C: "bike"}
        assert [conflict.mine for conflict in world.client.conflicts] == ["tea"]
        world.client.resolve_all("theirs")


def after_a_crash(folder: Path, format: str, edit: dict[str, str]) -> list[World]:
    """Return what became of a sync with news, ended at each of its steps, after an `edit` in the wallet, and a sync."""
    worlds: list[World] = []
    while True:
        world = World(folder / str(len(worlds)), format)
        world.wallet_has({A: "rent", B: "coffee", C: "bike"})
        world.sync()
        world.account_has({A: "rent, May", C: "bike", D: "tea"})
        steps, bridge = Steps(), world.bridge
        for name in ("set_label", "delete_label"):
            setattr(bridge, name, steps._around(getattr(bridge, name)))
        try:
            steps.run(world.sync, at=len(worlds) + 1)
        except Crash:
            world.bridge = shelf_bridge(world.folder)
            world.wallet_has(world.wallet | edit)
            world.sync()
            worlds.append(world)
        else:
            assert len(worlds) > 30
            return worlds


@pytest.mark.parametrize("format", FORMATS)
def test_a_process_may_end_between_any_two_steps(tmp_path: Path, format: str) -> None:
    """The next one finishes it, with nothing asked and nothing lost."""
    for world in after_a_crash(tmp_path, format, {}):
        assert world.wallet == world.account == {A: "rent, May", C: "bike", D: "tea"}
        assert not world.client.conflicts
        assert not world.file.earlier(world.client)


@pytest.mark.parametrize("format", FORMATS)
def test_an_edit_after_a_process_ended_counts(tmp_path: Path, format: str) -> None:
    """It is of another label than those that were being set: both pass."""
    for world in after_a_crash(tmp_path, format, {C: "red bike", E: "new"}):
        assert world.wallet == world.account == {A: "rent, May", C: "red bike", D: "tea", E: "new"}
        assert not world.client.conflicts


@pytest.mark.parametrize("format", FORMATS)
def test_an_edit_of_the_same_label_after_a_process_ended_is_not_lost(tmp_path: Path, format: str) -> None:
    """It counts where the wallet had the news before, and is asked where it may not have had them."""
    asked: list[Callable[[], object]] = []
    for world in after_a_crash(tmp_path, format, {A: "rent, June"}):
        if world.client.conflicts:
            (conflict,) = world.client.conflicts
            assert (conflict.mine, conflict.theirs) == ("rent, June", "rent, May")
            assert world.account[A] == "rent, May"
            asked.append(world.sync)
        else:
            assert world.account[A] == "rent, June"
        assert world.wallet == world.account
    assert asked


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_both_end_with_the_same(
    tmp_path: Path, format: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Edits here and there, and processes that end: no label is gone that nobody deleted, and none comes back."""
    chance = random.Random(seed)
    world, deleted, given = World(tmp_path / "world", format), set[str](), set[str]()
    addresses = [f"{A[:-2]}{number:02}" for number in range(12)]
    for number in range(25):
        here = chance.random() < 0.5
        labels = world.wallet if here else world.account
        address = chance.choice(addresses)
        if chance.random() < 0.25:
            labels.pop(address, None)
            deleted.add(address)
        else:
            labels[address] = f"label {number}"
            given.add(address)
        (world.wallet_has if here else world.account_has)(labels)
        if chance.random() < 0.6:
            steps = Steps()
            monkeypatch.setattr(world.bridge, "set_label", steps._around(world.bridge.set_label))
            with suppress(Crash):
                steps.run(world.sync, at=chance.randrange(80))
            world.bridge = shelf_bridge(world.folder)
            if world.file.held:
                world.file.put(world.client, everything=True)
    for _ in range(2):
        world.sync()
        world.file.put(world.client, everything=True)
    world.sync()
    assert world.wallet == world.account
    assert given - deleted <= world.account.keys() <= given
