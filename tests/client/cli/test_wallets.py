"""Several wallets in one account: each laptop has the files that it wants, and none of them meets another one."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client.cli.machines import Machine
from tests.client.programs import Liana, line_program
from tests.client.rollbacks import restore_backup, take_backup
from tests.conftest import PASSWORD
from walletsync import Client
from walletsync.errors import OtherFormat
from walletsync.formats.bip329 import BIP329Format
from walletsync.formats.wallets import WalletsFormat
from walletsync_server.testing import RunningServer


def label(ref: str, text: str) -> str:
    return json.dumps({"type": "tx", "ref": ref, "label": text}, separators=(",", ":")) + "\n"


RENT, HOUSE = label("aa", "rent"), label("bb", "house")

MakeWallet = Callable[..., Machine]


@pytest.fixture
def wallet(tmp_path: Path, running_server: RunningServer, address: Callable[[], str]) -> MakeWallet:
    """Set up a file of the same account, in a folder of its own; without content there is no file yet."""
    email = address()

    def made(folder: str, content: str | None, options: str = "", *, name: str = "labels.jsonl") -> Machine:
        machine = Machine(tmp_path / folder, running_server.url, email)
        machine.file = machine.folder / name
        if content is not None:
            machine.file.write_text(content)
        machine.init(options)
        return machine

    return made


@pytest.fixture
def spending(wallet: MakeWallet) -> Machine:
    """The first wallet of the account, without a name."""
    made = wallet("spending", RENT)
    made.ok("register")
    made.ok("sync")
    return made


@pytest.fixture
def savings(spending: Machine, wallet: MakeWallet) -> Machine:
    """A second one, which has a name."""
    made = wallet("savings", HOUSE, "--wallet savings")
    made.ok("login")
    made.ok("sync")
    return made


def test_each_file_has_its_own_wallet(spending: Machine, savings: Machine, wallet: MakeWallet) -> None:
    """Also on another laptop, which has one of them, and after edits on all sides; nobody is asked anything."""
    other = wallet("other", None, "--wallet savings")
    other.ok("sync")
    assert other.file.read_text() == HOUSE
    other.file.write_text(HOUSE + label("cc", "car"))
    spending.file.write_text(label("aa", "rent, May"))
    for machine in (other, spending, savings, spending, other):
        machine.ok("sync")
    assert spending.file.read_text() == label("aa", "rent, May")
    assert savings.file.read_text() == other.file.read_text() == HOUSE + label("cc", "car")
    assert [machine.json("conflicts") for machine in (spending, savings, other)] == [[], [], []]
    named = [{"name": "", "format": "bip329"}, {"name": "savings", "format": "bip329"}]
    assert spending.json("wallets") == other.json("wallets") == named
    assert "(without a name)  bip329\nsavings  bip329\n" in spending.ok("wallets")
    assert [machine.json("status").get("wallet") for machine in (savings, spending)] == ["savings", None]


def test_wallets_may_be_of_different_formats(spending: Machine, wallet: MakeWallet) -> None:
    """A JSON wallet beside labels; each keeps its own rules."""
    notes = wallet("notes", '{"a":1}', "--wallet 'my notes'", name="notes.json")
    notes.ok("sync")
    spending.ok("sync")
    notes.write({"a": 2})
    notes.ok("sync")
    spending.ok("sync")
    assert (notes.read(), spending.file.read_text()) == ({"a": 2}, RENT)
    assert spending.json("wallets")[1] == {"name": "my notes", "format": "json"}


def test_a_wallet_alone_is_what_any_program_reads_and_writes(spending: Machine) -> None:
    """A program that embeds the library, and knows nothing of several wallets, shares the account until there are."""
    with Client(spending.url, format=BIP329Format()) as client:
        client.set_account(spending.email, PASSWORD)
        client.sync()
        assert client.get_document() == RENT
        client.set_document(RENT + HOUSE)
        client.sync()
    spending.ok("sync")
    assert spending.file.read_text() == RENT + HOUSE


def test_a_program_that_knows_nothing_of_several_refuses_them(savings: Machine) -> None:
    with Client(savings.url, format=BIP329Format()) as client:
        client.set_account(savings.email, PASSWORD)
        with pytest.raises(OtherFormat, match="'wallets'"):
            client.sync()


def test_what_both_changed_is_a_conflict_of_that_wallet(
    savings: Machine, spending: Machine, wallet: MakeWallet
) -> None:
    """It is decided there, and the other wallet hears nothing of it."""
    boat = label("dd", "boat")
    savings.file.write_text(HOUSE + boat)
    savings.ok("sync")
    other = wallet("other", None, "--wallet savings")
    other.ok("sync")
    other.file.write_text(label("bb", "house, mine") + boat)
    other.ok("sync")
    savings.file.write_text(label("bb", "house, yours") + boat)
    assert "Conflicts: 1" in savings.run("sync").stderr
    (conflict,) = savings.json("conflicts")
    assert (conflict["at"], conflict["mine"]) == ("/wallet=savings/tx/bb/label", "house, yours")
    savings.ok(f"resolve {conflict['name']} both")
    for machine in (savings, other, spending):
        machine.ok("sync")
    assert other.file.read_text() == label("bb", "house, yours / house, mine") + boat
    assert (spending.file.read_text(), spending.json("conflicts")) == (RENT, [])


def test_an_earlier_version_is_restored_of_this_wallet_alone(savings: Machine, spending: Machine) -> None:
    """What the other one has become meanwhile stays; so do log, diff and export tell of this wallet."""
    version = savings.json("status")["sequence"]
    savings.file.write_text(label("bb", "house") + label("cc", "car"))
    savings.ok("sync")
    spending.file.write_text(label("aa", "rent, June"))
    spending.ok("sync")
    savings.ok(f"restore {version}")
    spending.ok("sync")
    assert savings.file.read_text() == HOUSE
    assert spending.file.read_text() == label("aa", "rent, June")
    assert savings.ok("export") == HOUSE
    assert [each["at"] for each in spending.json(f"diff {version}")] == ["/tx/aa/label"]
    assert [line.split("  ")[1] for line in spending.ok("log").splitlines()[:2]] == [
        "no labels changed",
        "1 label changed",
    ]


def test_a_version_from_before_the_wallet_is_not_restored(savings: Machine) -> None:
    """It would take the wallet away from every laptop."""
    assert "is from before this wallet was in it" in savings.fails("restore 1", 2)
    assert [each["name"] for each in savings.json("wallets")] == ["", "savings"]
    savings.ok("sync")
    assert savings.file.read_text() == HOUSE


def test_a_file_of_another_wallet_is_told_of_the_way_to_both(spending: Machine, wallet: MakeWallet) -> None:
    """Nothing is mixed; and what is named is what helps."""
    many = "".join(label(f"{number:02}", f"number {number}") for number in range(30))
    stray = wallet("stray", many)
    assert "--wallet NAME" in stray.fails("sync", 2)
    assert stray.file.read_text() == many
    named = wallet("named", many, "--wallet savings")
    named.ok("sync")
    spending.ok("sync")
    assert spending.file.read_text() == RENT


def test_a_name_that_nobody_has_yet_is_told(savings: Machine, wallet: MakeWallet) -> None:
    """With those that there are, since it may be mistyped; no file is made."""
    typo = wallet("typo", None, "--wallet saving")
    said = typo.fails("sync", 2)
    assert "The account has no wallet saving yet; it has: (one without a name), savings." in said
    assert not typo.file.exists()
    assert f"If the name is mistyped, move {typo.file}.walletsync away" in said
    typo.file.write_text(HOUSE)
    assert "The first sync makes it." in typo.run("login").stderr
    assert "The account has one more wallet now; walletsync wallets lists all 3." in typo.run("sync").stderr
    assert "one more wallet" not in typo.run("sync").stderr
    assert [each["name"] for each in typo.json("wallets")] == ["", "saving", "savings"]


def test_a_wallet_of_one_name_has_one_format(savings: Machine, wallet: MakeWallet) -> None:
    other = wallet("other", "{}", "--wallet savings", name="savings.json")
    assert "'bip329'" in other.fails("sync", 6)


@pytest.mark.parametrize("name", ["/", "a/b", "-a", "a\x1bb", 65 * "a"])
def test_a_name_that_none_can_have_is_refused(name: str, wallet: MakeWallet) -> None:
    with pytest.raises(AssertionError, match="No wallet can be called"):
        wallet("odd", RENT, f"--wallet='{name}'")


def removed(machine: Machine) -> None:
    """Another program has removed the wallet from the account."""
    with Client(machine.url, format=WalletsFormat(BIP329Format(), "savings")) as client:
        client.set_account(machine.email, PASSWORD)
        client.sync()
        document = client.get_document()
        assert document.pop("savings")["document"]
        client.set_document(document)
        client.sync()


def test_a_wallet_that_is_gone_from_the_account_leaves_its_file(savings: Machine) -> None:
    """Another program may have removed it; the file is not made empty by that, and an earlier version has it."""
    version = savings.json("status")["sequence"]
    removed(savings)
    for command in ("sync", "put"):
        said = savings.fails(command, 2)
        assert "The account has no wallet savings any more; it has: (one without a name)." in said
        assert f"{savings.file} is left as it is." in said
        assert "walletsync restore SEQUENCE" in said
    assert savings.file.read_text() == HOUSE
    savings.ok(f"restore {version}")
    savings.ok("sync")
    assert savings.file.read_text() == savings.ok("export") == HOUSE


def test_an_edit_of_a_file_brings_its_wallet_back(savings: Machine) -> None:
    """All of it: that is not an edit of a wallet with nothing in it, by which the rest of the file would go."""
    savings.file.write_text(HOUSE + label("cc", "car"))
    savings.ok("sync")
    removed(savings)
    savings.fails("sync", 2)
    savings.file.write_text(HOUSE + label("cc", "car, blue"))
    savings.ok("sync")
    assert savings.file.read_text() == savings.ok("export") == HOUSE + label("cc", "car, blue")
    assert savings.json("conflicts") == []


def test_a_wallet_that_was_edited_here_and_is_gone_from_the_account_waits(savings: Machine) -> None:
    """As one conflict about all of it; the file stays, and who decides for mine has it in the account again."""
    removed(savings)
    edited = HOUSE + label("cc", "car")
    savings.file.write_text(edited)
    assert "walletsync conflicts" in savings.fails("sync", 2)
    (conflict,) = savings.json("conflicts")
    assert (conflict["at"], conflict["mine"]) == ("/wallet=savings", "(the whole wallet)")
    savings.ok(f"resolve {conflict['name']} mine")
    savings.ok("sync")
    assert savings.file.read_text() == savings.ok("export") == edited


@pytest.mark.parametrize("command", ["pull", "push", "put", "sync"])
def test_a_wallet_that_is_gone_from_the_account_leaves_its_program(
    command: str, spending: Machine, wallet: MakeWallet
) -> None:
    """The labels that a bridge has taken from there are not deleted there, and what is edited there brings all back."""
    refs = [64 * each for each in "abcdef"]
    with tempfile.TemporaryDirectory(prefix="wallet-") as folder:
        liana = Liana()
        liana.labels = dict.fromkeys(refs, "house")
        with line_program(Path(folder) / "lianad_rpc", liana):
            savings = wallet("savings", None, "--wallet savings")
            savings.ok(f"bridge liana --folder {folder}")
            savings.ok("sync")
            removed(savings)
            savings.run("pull")
            savings.run(command)
            assert liana.labels == dict.fromkeys(refs, "house")
            assert len(savings.file.read_text().splitlines()) == len(refs)
            liana.labels[refs[0]] = "flat"
            savings.ok("sync")
            assert liana.labels == dict.fromkeys(refs, "house") | {refs[0]: "flat"}
            assert [json.loads(line)["label"] for line in savings.ok("export").splitlines()].count("house") == 5


def test_a_version_without_the_wallet_is_not_one_with_nothing_in_it(savings: Machine) -> None:
    """To export it would make an empty file, which never was one."""
    assert "Version 1 of the account is from before this wallet was in it." in savings.fails("export --version 1", 2)


def test_a_conflict_of_another_wallet_shows_what_each_side_has(
    savings: Machine, spending: Machine, running_server: RunningServer
) -> None:
    """As after a server was restored, when a laptop brings along what it knew of it: nobody decides that blindly."""
    spending.ok("sync")
    backup = take_backup(running_server.database, spending.email)
    spending.file.write_text(label("aa", "rent, May"))
    savings.file.write_text(HOUSE + label("cc", "car"))
    for machine in (spending, savings):
        machine.ok("sync")
    restore_backup(running_server.database, backup)
    spending.ok("sync --accept-restored-server")
    spending.file.write_text(label("aa", "rent, June"))
    spending.ok("sync")
    savings.ok("sync --accept-restored-server")
    (conflict,) = savings.json("conflicts")
    assert (conflict["at"], conflict["mine"], conflict["theirs"]) == ("/tx/aa/label", "rent, May", "rent, June")
    for command in ("resolve all mine", "sync --on-conflict mine"):  # they are about this wallet
        savings.ok(command)
        assert savings.json("conflicts") == [conflict]
    savings.ok(f"resolve {conflict['name']} theirs")
    assert savings.json("conflicts") == []


def test_two_laptops_that_make_a_wallet_of_one_name_do_not_mix_them(savings: Machine, wallet: MakeWallet) -> None:
    """The second one had looked at the account before the first made it."""
    many = ["".join(label(f"{name}{number:02}", "b") for number in range(30)) for name in "xy"]
    first, second = (wallet(f"boat-{number}", each, "--wallet boat") for number, each in enumerate(many))
    assert "The first sync makes it." in second.run("login").stderr
    first.ok("sync")
    assert "seems to be of another wallet" in second.fails("sync", 2)
    assert [machine.file.read_text() for machine in (first, second)] == many


def test_wallets_of_an_account_that_nobody_has_seen(wallet: MakeWallet) -> None:
    assert wallet("new", RENT).ok("wallets") == "Nothing is synced yet.\n"
