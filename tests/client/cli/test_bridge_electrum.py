"""`walletsync bridge electrum` with the real Electrum: no file is exported, none imported."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import psutil
import pytest
from typing_extensions import override

from tests.client.cli.machines import Machine
from tests.client.cli.test_watch import watching
from tests.electrum import Electrum, Electrums, electrums
from tests.server.helpers import free_port, until
from walletsync_server.testing import RunningServer


@pytest.fixture
def several() -> Iterator[Electrums]:
    with electrums() as several:
        yield several


@pytest.fixture
def make(tmp_path: Path, running_server: RunningServer, address: Callable[[], str]) -> Callable[[str], Machine]:
    """Make machines of one new account, whose file is Electrum's."""
    email = address()

    def made(name: str) -> Machine:
        machine = Machine(tmp_path / name, running_server.url, email)
        machine.init("--format electrum")
        if name == "laptop":
            machine.ok("register")
        return machine

    return made


Make = Callable[[str], Machine]


def bridged(machine: Machine, electrum: Electrum) -> Machine:
    machine.ok(f"bridge electrum --folder {electrum.folder}")
    return machine


@pytest.fixture
def electrum(several: Electrums) -> Electrum:
    """That of the laptop."""
    return several.make()


@pytest.fixture
def laptop(electrum: Electrum, make: Make) -> Machine:
    """Its Electrum has a label, which is synced."""
    laptop = bridged(make("laptop"), electrum)
    electrum.label(electrum.addresses()[0], "rent")
    laptop.ok("sync")
    return laptop


@pytest.fixture
def other(several: Electrums, electrum: Electrum) -> Electrum:
    """That of the desktop, with the same wallet."""
    return several.make(electrum.seed, port=free_port())


@pytest.fixture
def desktop(laptop: Machine, other: Electrum, make: Make) -> Machine:
    """Its Electrum had no label, and has got that of the laptop."""
    desktop = bridged(make("desktop"), other)
    desktop.ok("sync")
    return desktop


def test_labels_go_from_one_electrum_to_the_other_while_both_are_watched(
    laptop: Machine, desktop: Machine, electrum: Electrum, other: Electrum
) -> None:
    """New ones, changes and deletions, both ways; how long each took is printed."""
    first, second, third = electrum.addresses()[:3]
    with watching(laptop) as one, watching(desktop) as two:
        for number in range(3):
            took(electrum, other, second, f"coffee {number}")
            took(other, electrum, third, f"bike {number}")
        took(other, electrum, first, "rent, May")
        took(other, electrum, second, "")
        took(electrum, other, third, "")
        assert electrum.labels() == other.labels() == {first: "rent, May"}
        for watch in (one, two):
            assert "hint" not in watch.said
            assert "Conflicts" not in watch.said
    assert laptop.json("conflicts") == []


def test_transactions_have_labels_of_their_own(
    laptop: Machine, desktop: Machine, electrum: Electrum, other: Electrum
) -> None:
    """Where Electrum shows those of the addresses for want of one, that is no label of the transaction."""
    first, second, *_ = electrum.addresses()
    electrum.label(second, "coffee")
    paid, plain = electrum.receive(first), electrum.receive(second, first)
    electrum.label(paid, "May")
    laptop.ok("sync")
    assert laptop.read() == {first: "rent", second: "coffee", paid: "May"}
    desktop.ok("sync")
    assert other.labels() == {first: "rent", second: "coffee"}, "a transaction that it does not know it cannot list"
    assert desktop.read() == laptop.read()
    desktop.ok("sync")
    electrum.label(paid, "")
    electrum.label(plain, "both")
    laptop.ok("sync")
    desktop.ok("sync")
    assert desktop.read() == {first: "rent", second: "coffee", paid: "", plain: "both"}


def test_what_both_changed_is_asked(laptop: Machine, desktop: Machine, electrum: Electrum, other: Electrum) -> None:
    """Neither is lost, and the answer reaches both."""
    first, second, *_ = electrum.addresses()
    other.label(first, "rent, May")
    other.label(second, "coffee")
    desktop.ok("sync")
    electrum.label(first, "rent, June")
    assert "Conflicts: 1" in laptop.run("sync").stderr
    assert electrum.labels() == {first: "rent, May", second: "coffee"}
    laptop.ok("resolve all mine")
    laptop.ok("sync")
    desktop.ok("sync")
    assert electrum.labels() == other.labels() == {first: "rent, June", second: "coffee"}
    assert desktop.json("conflicts") == []


def test_a_deletion_that_came_is_deleted_here_and_one_made_here_stays(
    laptop: Machine, desktop: Machine, electrum: Electrum, other: Electrum
) -> None:
    """Also of a label that came from elsewhere, and at once: what was set in Electrum, it has read."""
    first, second, *_ = electrum.addresses()
    electrum.label(second, "coffee")
    laptop.ok("sync")
    desktop.ok("sync")
    other.label(second, "")
    desktop.ok("sync")
    laptop.ok("sync")
    assert electrum.labels() == other.labels() == {first: "rent"}
    assert laptop.json("conflicts --earlier") == []


def test_an_electrum_that_is_closed_or_locked_is_no_empty_wallet(laptop: Machine, electrum: Electrum) -> None:
    """`sync` ends with status 6, and nothing is deleted; when the wallet is open again, all goes on."""
    first = electrum.addresses()[0]
    electrum.stop()
    said = laptop.fails("sync", 6)
    assert "Electrum does not answer" in said
    assert "walletsync bridge status" in said
    electrum.start()
    for command in ("sync", "pull", "push", "put", "bridge status"):
        assert "does not have the wallet open" in laptop.fails(command, 6)
    electrum.load()
    laptop.ok("sync")
    assert electrum.labels() == {first: "rent"} == laptop.read()


def test_another_wallet_is_not_taken_for_this_one(laptop: Machine, electrum: Electrum) -> None:
    """Neither are its labels taken, nor those of this one deleted."""
    path = electrum.new_wallet("savings")
    electrum.stop()
    (electrum.folder / "wallets" / "default_wallet").rename(electrum.folder / "wallets" / "kept")
    path.rename(electrum.folder / "wallets" / "default_wallet")
    electrum.start()
    electrum.load()
    mine = electrum.addresses()[0]
    electrum.label(mine, "hers")
    for command in ("sync", "bridge status"):
        assert "another wallet open" in laptop.fails(command, 6)
    assert electrum.labels() == {mine: "hers"}
    assert list(laptop.read().values()) == ["rent"]


def test_a_wallet_is_named_by_its_file(several: Electrums, make: Make) -> None:
    """Electrum has several open."""
    electrum, laptop = several.make(), make("laptop")
    path = electrum.new_wallet("savings")
    laptop.fails(f"bridge electrum --folder {electrum.folder} --wallet {path}", 6)
    electrum.load(path)
    laptop.ok(f"bridge electrum --folder {electrum.folder} --wallet {path}")
    address = electrum.call("listaddresses", wallet=str(path))[0]
    electrum.call("setlabel", key=address, label="for later", wallet=str(path))
    laptop.ok("sync")
    assert laptop.read() == {address: "for later"}


def test_a_wallet_that_lost_its_labels_deletes_nothing(laptop: Machine, electrum: Electrum) -> None:
    """It waits for an answer, status 9; to get all back is `put`, and that is in Electrum as well."""
    addresses = electrum.addresses()[:8]
    for number, address in enumerate(addresses):
        electrum.label(address, f"label {number}")
    laptop.ok("sync")
    labels = electrum.labels()
    for address in addresses:
        electrum.label(address, "")
    said = laptop.run("sync")
    assert said.exit_code == 9
    assert "without 8 of 8 labels" in said.stderr
    assert electrum.labels() == {}
    assert laptop.fails("bridge off", 2)
    laptop.ok("put")
    assert electrum.labels() == labels
    for address in addresses:
        electrum.label(address, "")
    assert laptop.run("sync").exit_code == 9
    laptop.ok("sync --confirm-deletions")
    assert electrum.labels() == {}
    assert laptop.read() == dict.fromkeys(addresses, "")


def test_watching_tells_once_that_electrum_is_closed_and_goes_on(
    laptop: Machine, desktop: Machine, electrum: Electrum, other: Electrum
) -> None:
    """The file is kept in sync meanwhile; when Electrum is back, it gets what came."""
    first, second, *_ = electrum.addresses()
    with watching(desktop, "--every 1") as watch:
        other.stop()
        watch.says("does not answer")
        electrum.label(second, "coffee")
        laptop.ok("sync")
        until(lambda: desktop.read() == {first: "rent", second: "coffee"})
        assert watch.said.count("does not answer") == 1
        other.start()
        other.load()
        until(lambda: other.labels() == {first: "rent", second: "coffee"})


def test_watching_takes_note_of_a_bridge_that_is_chosen_or_left_meanwhile(
    several: Electrums, electrum: Electrum, make: Make
) -> None:
    """Other commands can be used between two syncs, this one among them."""
    laptop = make("laptop")
    first, second, *_ = electrum.addresses()
    electrum.label(first, "rent")
    laptop.write({})
    with watching(laptop) as watch:
        bridged(laptop, electrum)
        until(lambda: laptop.read() == {first: "rent"})
        laptop.ok("bridge off")
        electrum.label(second, "coffee")
        laptop.write({first: "rent", second: "tea"})
        until(lambda: watch.told == ["version 1", "version 2", "version 3"])
    assert electrum.labels() == {first: "rent", second: "coffee"}


def test_who_has_labels_on_both_sides_loses_none(
    laptop: Machine, electrum: Electrum, several: Electrums, make: Make
) -> None:
    """A bridge to a wallet with labels, from a file with others: what differs is asked, and all else is on both."""
    first, second, third, *_ = electrum.addresses()
    electrum.label(second, "coffee")
    laptop.ok("sync")
    other, desktop = several.make(electrum.seed), make("desktop")
    desktop.ok("sync")
    assert desktop.read() == {first: "rent", second: "coffee"}
    other.label(first, "hers")
    other.label(second, "coffee")
    other.label(third, "bike")
    bridged(desktop, other)
    assert "Conflicts: 1" in desktop.run("sync").stderr
    laptop.ok("sync")
    assert electrum.labels() == other.labels() == {first: "rent", second: "coffee", third: "bike"}
    assert desktop.json("conflicts")[0]["mine"] == "hers"


def test_the_bridge_is_told_of_and_left(laptop: Machine, electrum: Electrum) -> None:
    """What it says, and to programs; the labels stay where they are."""
    assert "Electrum answers: 1 labels" in laptop.ok("bridge status")
    assert laptop.json("bridge status") == {"bridge": "electrum", "labels": 1}
    assert "pass, both ways" in laptop.run("bridge status").stderr
    assert laptop.json("bridge off") == {"off": True}
    assert laptop.json("bridge off") == {"off": False}
    assert laptop.json("bridge status") == {"bridge": None}
    electrum.stop()
    laptop.ok("sync")
    assert list(laptop.read().values()) == ["rent"]


def test_the_password_of_electrum_stays_in_its_folder(laptop: Machine, electrum: Electrum) -> None:
    """Nothing that is kept has it, and nobody but its owner may read what is kept."""
    config = (electrum.folder / "config").read_text()
    password = config.partition('"rpcpassword": "')[2].partition('"')[0].encode()
    assert password
    folder = Path(f"{laptop.file}.walletsync")
    kept = {each.name: each for each in folder.iterdir() if each.is_file()}
    assert kept.keys() >= {"bridge.json", "bridge.seen"}
    for each in kept.values():
        assert password not in each.read_bytes()
        assert each.stat().st_mode & 0o077 == 0
    (electrum.folder / "config").write_text(config.replace(password.decode(), "mistyped"))
    said = laptop.fails("sync", 6)
    (electrum.folder / "config").write_text(config)
    assert "does not take the user and password" in said
    assert "mistyped" not in said


def took(here: Electrum, there: Electrum, address: str, label: str) -> None:
    """Label in one Electrum, wait for the other to have it, and print how long that took."""
    begin = time.monotonic()
    here.label(address, label)
    until(lambda: there.labels().get(address, "") == label)
    print(f"{label!r} was in the other Electrum after {time.monotonic() - begin:.2f} s")


class WithoutItsWallet(Electrum):
    """One that somebody renamed the wallet of, between two commands."""

    processes: ClassVar[list[psutil.Process]] = []

    @override
    def start(self) -> None:
        (self.folder / "wallets" / "default_wallet").rename(self.folder / "elsewhere")
        super().start()
        assert self._process is not None
        self.processes.append(psutil.Process(self._process.pid))


def test_electrum_that_opens_no_wallet_is_ended() -> None:
    """A test that fails on its way leaves no process behind."""
    with TemporaryDirectory(prefix="electrum-") as folder, pytest.raises(AssertionError):
        WithoutItsWallet(Path(folder))
    (process,) = WithoutItsWallet.processes
    assert not process.is_running()
