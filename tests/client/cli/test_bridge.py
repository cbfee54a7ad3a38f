"""`walletsync bridge` at the command line, with programs that are servers of the tests' own."""

import itertools
import json
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.client.cli.machines import Machine
from tests.client.cli.test_watch import watching
from tests.client.programs import PASSWORD, USER, BitcoinCore, Liana, http_program, line_program
from tests.server.helpers import until
from walletsync.cli.bridging import Bridging
from walletsync.cli.wallet import Wallet
from walletsync.formats.wallets import with_format
from walletsync_server.testing import RunningServer

OURS, TX = f"bcrt1q{38 * 'a'}", 64 * "a"
COIN = f"{TX}:0"
Make = Callable[..., Machine]


@pytest.fixture
def make(tmp_path: Path, running_server: RunningServer, address: Callable[[], str]) -> Make:
    """Make machines of one new account."""
    email = address()

    def made(name: str, format: str = "bip329", options: str = "") -> Machine:
        machine = Machine(tmp_path / name, running_server.url, email)
        machine.init(f"--format {format} {options}")
        return machine

    return made


@pytest.fixture
def folder() -> Iterator[Path]:
    """One with a short name, as the path of a socket has to be."""
    with tempfile.TemporaryDirectory(prefix="wallet-") as folder:
        yield Path(folder)


@pytest.mark.parametrize("options", ["", "--wallet household"])
def test_two_programs_of_different_kinds_share_an_account(make: Make, folder: Path, options: str) -> None:
    """What one of them cannot hold stays in the account, also where that has several wallets."""
    laptop, desktop = make("laptop", options=options), make("desktop", "electrum", options)
    liana, core = Liana(), BitcoinCore(OURS)
    (folder / ".cookie").write_text(f"{USER}:{PASSWORD}")
    with line_program(folder / "lianad_rpc", liana), http_program(core) as spoken:
        laptop.ok("register")
        liana.labels = {OURS: "rent", TX: "May", COIN: "change"}
        assert laptop.json(f"bridge liana --folder {folder}") == {"bridge": "liana", "labels": 3}
        laptop.ok("sync")
        said = desktop.run(f"bridge bitcoin-core --folder {folder} --url {spoken.url} --wallet savings")
        assert "Bitcoin Core is asked from now on: it has 0 labels." in said.stdout
        assert "It has no labels of transactions or coins" in said.stderr
        desktop.ok("pull")
        assert core.labels == {OURS: "rent"}
        assert desktop.read() == {OURS: "rent", TX: "May"}
        core.labels[OURS] = "rent, May"
        desktop.ok("push")
        laptop.ok("pull")
        assert liana.labels == {OURS: "rent, May", TX: "May", COIN: "change"}
        del liana.labels[OURS]
        laptop.ok("sync")
        desktop.ok("sync")
        assert core.labels == {OURS: ""}


def test_a_file_that_cannot_hold_the_labels_gets_no_bridge(make: Make, folder: Path) -> None:
    """Electrum's has no coins, and one of JSON no labels at all."""
    with line_program(folder / "lianad_rpc", Liana()):
        said = make("laptop", "electrum").fails(f"bridge liana --folder {folder}", 2)
        assert "init ANOTHER_FILE --format bip329" in said
        assert "cannot hold the labels" in make("phone", "json").fails(f"bridge liana --folder {folder}", 2)


def test_a_program_that_does_not_answer_gets_no_bridge(make: Make, folder: Path) -> None:
    """What was chosen before stays chosen."""
    laptop, liana = make("laptop"), Liana()
    with line_program(folder / "lianad_rpc", liana):
        laptop.ok(f"bridge liana --folder {folder}")
        assert "Electrum does not answer" in laptop.fails(f"bridge electrum --folder {folder}", 6)
        assert "out of the URL" in laptop.fails("bridge bitcoin-core --url http://a:b@127.0.0.1:1", 2)
        assert laptop.json("bridge status")["bridge"] == "liana"


def test_labels_that_the_program_does_not_take_are_told_of(make: Make, folder: Path) -> None:
    """They stay in the account, and all others pass."""
    laptop, liana = make("laptop"), Liana()
    laptop.ok("register")
    with line_program(folder / "lianad_rpc", liana):
        laptop.ok(f"bridge liana --folder {folder}")
        records = [
            f'{{"type":"tx","ref":"{TX}","label":"{101 * "x"}"}}',
            f'{{"type":"addr","ref":"{OURS}","label":"a"}}',
        ]
        laptop.file.write_text("\n".join(records) + "\n")
        assert "Liana did not take 1 of the labels" in laptop.run("sync").stderr
        assert liana.labels == {OURS: "a"}
        assert sorted(laptop.file.read_text().splitlines()) == sorted(records)


def test_what_the_program_cannot_hold_does_not_count_as_written_before(make: Make, folder: Path) -> None:
    """It is listed nowhere, and no decision about a list can take it out of the account."""
    laptop, liana = make("laptop"), Liana()
    laptop.ok("register")
    records = [f'{{"type":"xpub","ref":"key {number}","label":"savings"}}' for number in range(20)]
    with line_program(folder / "lianad_rpc", liana):
        laptop.ok(f"bridge liana --folder {folder}")
        laptop.file.write_text("\n".join(records) + "\n")
        laptop.ok("sync")
        liana.labels[OURS] = "rent"
        assert "what it had before" not in laptop.run("sync").stderr
        assert laptop.json("status")["earlier"] == 0
        assert laptop.json("conflicts --earlier") == []
        for keep in ("mine", "theirs"):
            assert "nothing is listed as earlier" in laptop.fails(f"resolve earlier {keep}", 2)
        laptop.ok("sync")
    assert len(laptop.file.read_text().splitlines()) == 21


def test_what_is_confirmed_is_what_was_told(make: Make, folder: Path) -> None:
    """What the program took away since waits for a question of its own, and what it has added since is taken."""
    laptop, liana = make("laptop"), Liana()
    laptop.ok("register")
    refs = [f"{number:064x}" for number in range(30)]
    with line_program(folder / "lianad_rpc", liana):
        laptop.ok(f"bridge liana --folder {folder}")
        liana.labels = dict.fromkeys(refs, "rent")
        assert laptop.run("sync --confirm-deletions").exit_code == 0
        liana.labels = dict.fromkeys(refs[:20], "rent")
        assert "without 10 of 30 labels" in waits(laptop, "sync")
        liana.labels = dict.fromkeys(refs[:8], "rent") | {OURS: "new"}
        assert "without 12 of 20 labels" in waits(laptop, "sync --confirm-deletions")
        told = [each["at"] for each in laptop.json("conflicts --deletions")]
        assert told == [f"/tx/{ref}" for ref in refs[8:20]]
        laptop.ok("sync --confirm-deletions")
        assert liana.labels == dict.fromkeys(refs[:8], "rent") | {OURS: "new"}
        liana.labels = {}
        assert "without 9 of 9 labels" in waits(laptop, "sync --confirm-deletions"), "of this nobody was told"
        laptop.ok("put")
        assert liana.labels == dict.fromkeys(refs[:8], "rent") | {OURS: "new"}


def waits(machine: Machine, command: str) -> str:
    """Return what a command says that is done, but for deletions that wait."""
    result = machine.run(command)
    assert result.exit_code == 9, result.output
    return result.stderr


def test_a_bridge_of_an_earlier_version_says_that_it_is_to_be_chosen_anew(
    make: Make, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It told a wallet of Bitcoin Core by its name; nothing is taken until then, and a watch goes on."""
    laptop, core = make("laptop", "electrum"), BitcoinCore(OURS)
    (folder / ".cookie").write_text(f"{USER}:{PASSWORD}")
    with http_program(core) as spoken:
        laptop.ok("register")
        core.labels[OURS] = "rent"
        choice = f"bridge bitcoin-core --folder {folder} --url {spoken.url}"
        laptop.ok(choice)
        laptop.ok("sync")
        wallet = Wallet.open(laptop.file)
        kept = wallet.bridge_file.read_bytes()
        for identity in ("bitcoin-core savings", ""):
            wallet.bridge_file.write_text(json.dumps(json.loads(kept) | {"identity": identity}))
            core.labels[OURS] = ""
            for command in ("sync", "bridge status"):
                said = laptop.fails(command, 6)
                assert "was chosen with an earlier version of walletsync" in said
                assert "hint: choose it anew, with the options of the first time: walletsync bridge" in said
            bridge = Bridging(wallet, is_patient=True)
            for _ in range(2):
                assert not bridge.is_edited()
            assert capsys.readouterr().err.count("an earlier version") == 1
            laptop.ok(choice)
            laptop.ok("sync")
            assert core.labels == laptop.read() == {OURS: "rent"}


def test_a_bridge_that_is_patient_says_once_what_is_wrong(
    make: Make, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `watch` needs it: it goes on, and knows when the program is back, has news, or is not asked any more."""
    laptop, liana = make("laptop"), Liana()
    wallet = Wallet.open(laptop.file)
    bridge = Bridging(wallet, is_patient=True)
    assert not bridge.is_edited()
    with line_program(folder / "lianad_rpc", liana):
        laptop.ok(f"bridge liana --folder {folder}")
        with wallet.without_password() as client:
            bridge.give(client)
        assert not bridge.is_edited()
        liana.labels[OURS] = "rent"
        assert bridge.is_edited()
        with wallet.without_password() as client:
            bridge.take(client)
            assert "rent" in client.get_document()[""]["document"]
            client.set_document({"": with_format("bip329", f'{{"type":"tx","ref":"{TX}","label":"{101 * "x"}"}}\n')})
            bridge.give(client)
            bridge.give(client)
            client.set_document({})
            bridge.give(client)
        assert not bridge.is_edited()
    assert capsys.readouterr().err.count("did not take 1 of the labels") == 1
    (folder / "lianad_rpc").unlink()
    for _ in range(2):
        assert not bridge.is_edited()
    assert capsys.readouterr().err.count("Liana does not answer") == 1
    with line_program(folder / "lianad_rpc", liana):
        assert bridge.is_edited()
        assert not bridge.is_edited()
    assert not bridge.is_edited()
    laptop.ok("bridge off")
    assert not bridge.is_edited()


def test_watching_goes_on_while_another_program_keeps_changing_the_file(make: Make, folder: Path) -> None:
    """It says so once, and what was labelled meanwhile is taken when the file rests."""
    laptop, liana, is_done = make("laptop"), Liana(), threading.Event()
    laptop.ok("register")
    liana.labels = {OURS: "rent"}

    def writes() -> None:
        kept, new = laptop.file.read_text(), laptop.file.with_name("another-program")
        for number in itertools.count():
            new.write_text(f'{kept}{{"type":"tx","ref":"{TX}","label":"number {number}"}}\n')
            new.replace(laptop.file)
            if is_done.wait(0.05):
                break

    with line_program(folder / "lianad_rpc", liana):
        laptop.ok(f"bridge liana --folder {folder}")
        laptop.ok("sync")
        with watching(laptop) as watch:
            writing = threading.Thread(target=writes)
            writing.start()
            liana.labels = {OURS: "rent, May", COIN: "change"}
            try:
                watch.says("another program keeps writing to it. Try again when it is done. Watching goes on.")
            finally:
                is_done.set()
                writing.join()
            until(lambda: TX in liana.labels and '"change"' in laptop.file.read_text())
            assert liana.labels == {OURS: "rent, May", COIN: "change", TX: liana.labels[TX]}
            assert [f'"{label}"' in laptop.file.read_text() for label in liana.labels.values()] == [True] * 3
            assert watch.said.count("keeps writing") == 1


def test_a_program_with_much_to_tell_is_asked_less_often(
    make: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenth of the time at most."""
    laptop, now = make("laptop"), 100.0
    monkeypatch.setattr("walletsync.cli.bridging.time", SimpleNamespace(monotonic=lambda: now))

    def slow(method: str, params: Any) -> Any:
        nonlocal now
        now += 1
        return Liana()(method, params)

    with line_program(folder / "lianad_rpc", slow):
        laptop.ok(f"bridge liana --folder {folder}")
        bridge = Bridging(Wallet.open(laptop.file), is_patient=True)
        due, begin = [bridge.is_due()], now
        bridge.is_edited()
        took = now - begin
        assert took == 4
        for more in (0, 8.9 * took, 0.2 * took):
            now += more
            due.append(bridge.is_due())
        assert due == [True, False, False, True]
