"""What a program does not list is not deleted by that: only what it lists as having no label."""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.programs import PASSWORD, USER, BitcoinCore, Electrum, Liana, Refusal, http_program, line_program
from tests.client.test_bridge_driver import World
from walletsync import errors, walletfile
from walletsync.bridges.base import Bridge
from walletsync.bridges.bitcoin_core import BitcoinCoreBridge
from walletsync.bridges.driver import Driver
from walletsync.bridges.electrum import ElectrumBridge
from walletsync.bridges.liana import LianaBridge
from walletsync.formats.label_sense import key_of

A, B, C = (f"bcrt1q{letter * 38}" for letter in "acd")
TX, OTHER_TX = 64 * "a", 64 * "b"


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else writes here."""
    monkeypatch.setattr(walletfile, "_STABLE_SECONDS", 0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """One with a short name, as the path of a socket has to be."""
    with tempfile.TemporaryDirectory(prefix="wallet-") as folder:
        yield Path(folder)


class Bridged(World):
    """A wallet of a program, and what is made of it."""

    def __init__(self, folder: Path, bridge: Bridge) -> None:
        super().__init__(folder / "world")
        self.bridge = bridge
        self.identity = bridge.look().wallet

    def driver(self) -> Driver:
        return Driver(self.bridge, self.identity, self.file, self.folder / "seen")

    def account_gets(self, labels: dict[str, str]) -> None:
        """What came from elsewhere, of addresses and of transactions."""
        records = [{"type": "tx" if len(ref) == 64 else "addr", "ref": ref, "label": labels[ref]} for ref in labels]
        self.client.set_document("".join(f"{json.dumps(record)}\n" for record in records))


@pytest.fixture
def electrum() -> Electrum:
    electrum = Electrum(A, B, C)
    electrum.history = {TX: [A], OTHER_TX: [B]}
    return electrum


@pytest.fixture
def of_electrum(electrum: Electrum, folder: Path) -> Iterator[Bridged]:
    (folder / "config").write_text(json.dumps({"rpcuser": USER, "rpcpassword": PASSWORD}))
    with http_program(electrum) as spoken:
        yield Bridged(folder, ElectrumBridge(str(folder), spoken.url, None))


def of_core(folder: Path, answers: Callable[[str, Any], Any]) -> Iterator[Bridged]:
    (folder / ".cookie").write_text(f"{USER}:{PASSWORD}")
    with http_program(answers) as spoken:
        yield Bridged(folder, BitcoinCoreBridge(str(folder), spoken.url, None))


def test_a_label_that_became_that_of_its_address_stays(electrum: Electrum, of_electrum: Bridged) -> None:
    """Electrum shows both alike; that nobody deleted it is known, as it was seen before."""
    labels = {TX: "rent", C: "bike"}
    of_electrum.account_gets(labels)
    of_electrum.sync()
    labels[A] = "rent"
    of_electrum.account_gets(labels)
    for _ in range(2):
        of_electrum.sync()
        assert of_electrum.account == electrum.labels == labels
    assert not of_electrum.driver().is_edited()
    electrum.labels[TX] = ""
    electrum.labels[A] = "rent, May"
    of_electrum.sync()
    assert of_electrum.account == {C: "bike", A: "rent, May"}


def test_a_label_like_that_of_its_address_is_set_and_deleted_once(electrum: Electrum, of_electrum: Bridged) -> None:
    """Though Electrum does not show that it has it; nor is it asked to have it again at every sync."""
    electrum.labels[A] = "rent"
    of_electrum.sync()
    for labels in ({A: "rent", TX: "rent"}, {A: "rent"}):
        of_electrum.account_gets(labels)
        of_electrum.sync()
        assert {ref: label for ref, label in electrum.labels.items() if label} == of_electrum.account == labels
        assert not of_electrum.driver().is_edited()


def test_a_transaction_that_is_no_longer_listed_keeps_its_label(electrum: Electrum, of_electrum: Bridged) -> None:
    """It was replaced, or the server has not told of it yet; what came for it meanwhile is set when it is back."""
    labels = {TX: "rent", OTHER_TX: "bike", C: "tea"}
    of_electrum.account_gets(labels)
    of_electrum.sync()
    gone = electrum.history.pop(TX)
    of_electrum.sync()
    assert of_electrum.account == electrum.labels == labels
    of_electrum.account_gets({OTHER_TX: "bike", C: "tea"})
    of_electrum.sync()
    assert TX not in of_electrum.account
    electrum.history[TX] = gone
    of_electrum.sync()
    assert electrum.labels == {TX: "", OTHER_TX: "bike", C: "tea"}
    electrum.labels[OTHER_TX] = ""
    of_electrum.sync()
    assert of_electrum.account == {C: "tea"}
    assert not of_electrum.client.conflicts


def test_an_electrum_in_which_somebody_types_without_end_is_not_asked_for_ever(
    electrum: Electrum, of_electrum: Bridged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its two lists have to be of one moment."""
    history, typed = electrum.onchain_history, list[str]()

    def types(*, show_addresses: bool) -> Any:
        typed.append("rent")
        electrum.labels[A] = f"rent {len(typed)}"
        return history(show_addresses=show_addresses)

    monkeypatch.setattr(electrum, "onchain_history", types)
    with pytest.raises(errors.BridgeError, match="keeps changing"):
        of_electrum.bridge.look()


def test_a_wallet_that_is_closed_while_it_is_listed_loses_nothing(folder: Path) -> None:
    """Bitcoin Core answers the next call with an error, which is not that nothing has the label."""
    core, left = BitcoinCore(A, B, C), [1000]

    def answers(method: str, params: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise Refusal("Requested wallet does not exist or is not loaded", -18)
        return core(method, params)

    for world in of_core(folder, answers):
        labels = {A: "rent", B: "bike", C: "tea"}
        core.labels = dict(labels)
        world.sync()
        for number in range(7):
            left[0] = number
            with pytest.raises(errors.BridgeError):
                world.driver().take(world.client)
            assert world.account == labels
        left[0] = 0
        with pytest.raises(errors.BridgeRefused) as raised:
            world.bridge.can_hold(key_of("addr", B))
        assert raised.value.code == -18
        left[0] = 1000
        core.labels[A] = ""
        world.sync()
        assert world.account == {B: "bike", C: "tea"}


def test_a_label_that_moved_while_it_was_listed_stays(folder: Path) -> None:
    """It has a name that was not listed a moment before; Bitcoin Core is asked again until it says the same twice."""
    core, edits, edited_at = BitcoinCore(A, B), list[str](), "listlabels"

    def answers(method: str, params: Any) -> Any:
        answer = core(method, params)
        if method == edited_at and edits:
            core.labels[A] = edits.pop()
        return answer

    for world in of_core(folder, answers):
        core.labels = {A: "rent", B: "bike"}
        world.sync()
        edits.append("rent, May")
        world.sync()
        assert world.account == {A: "rent, May", B: "bike"}
        edited_at = "listdescriptors"
        edits += [f"rent {number}" for number in range(100)]
        with pytest.raises(errors.BridgeError, match="keeps changing"):
            world.bridge.look()


def test_another_wallet_of_the_same_name_is_another(folder: Path) -> None:
    """Bitcoin Core names the usual one ""; what tells it from another are its keys, also half way through a list."""
    core = BitcoinCore(A, B)
    for world in of_core(folder, core):
        core.labels = {A: "rent", B: "bike"}
        world.sync()
        core.descriptors = ["wpkh([00000002/84h]xpub2/0/*)#2"]
        core.labels = {C: "of another wallet"}
        with pytest.raises(errors.BridgeError, match="another wallet open"):
            world.sync()
        assert world.account == {A: "rent", B: "bike"}


def test_an_address_that_was_paid_to_is_not_taken(folder: Path) -> None:
    """Its label could not be set; one of the wallet's own is, whatever it is for."""
    core = BitcoinCore(A, B)
    for world in of_core(folder, core):
        core.labels |= {A: "rent", B: "change"}
        core.sent = {C: "paid to"}
        core.purposes[B] = "unknown"
        world.sync()
        assert world.account == {A: "rent", B: "change"}


def test_a_label_that_was_deleted_between_two_pages_takes_no_other_along(folder: Path) -> None:
    """All that follow move up by one; Liana is asked again until it says the same twice."""
    liana, deletes = Liana(), list[str]()

    def answers(method: str, params: Any) -> Any:
        if method == "getlabelsbip329" and params["offset"] and deletes:
            del liana.labels[deletes.pop()]
        return liana(method, params)

    liana.labels = {f"{number:064x}": "rent" for number in range(1005)}
    with line_program(folder / "lianad_rpc", answers):
        bridge = LianaBridge(str(folder), None, None)
        deletes.append(f"{0:064x}")
        assert {key.ref for key in bridge.look().labels} == liana.labels.keys()
        assert len(liana.labels) == 1004


def test_a_label_that_the_program_refused_is_not_edited_by_what_it_took(folder: Path) -> None:
    """Liana takes a hundred characters; that it goes on having what it had is nobody's answer to the longer one."""
    liana, long = Liana(), 101 * "z"
    with line_program(folder / "lianad_rpc", liana):
        world = Bridged(folder, LianaBridge(str(folder), None, None))
        liana.labels = {A: "short", B: "bike"}
        world.sync()
        for label in ("red bike", "blue bike"):
            world.account_gets({A: long, B: label})
            assert world.sync().refused == 1
            assert world.account == {A: long, B: label}
            assert liana.labels == {A: "short", B: label}
            assert not world.file.earlier(world.client)
        liana.labels[B] = "bike"
        world.sync()
        assert world.account == {A: long, B: "bike"}
        assert not world.client.conflicts
        liana.labels[A] = "shorter"
        world.sync()
        asked = [(each.mine, each.theirs) for each in world.client.conflicts]
        assert asked == [("shorter", long)]
        assert world.account == {A: long, B: "bike"}
