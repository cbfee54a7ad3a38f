"""A file of another wallet than the account's: told at once, never mixed without a question, and mended either way."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.client.cli.machines import Machine
from tests.client.cli.test_watch import Watch
from walletsync_server.testing import RunningServer

Laptops = tuple[Machine, Machine]
HOUSEHOLD = [f"household {number}" for number in range(20)]
BUSINESS = [f"business {number}" for number in range(15)]


def exported(refs: Iterable[str], label: str | None = "label") -> str:
    record = {} if label is None else {"label": label}
    return "".join(f"{json.dumps({'type': 'tx', 'ref': ref} | record)}\n" for ref in refs)


def refs(machine: Machine) -> set[str]:
    return {json.loads(line)["ref"] for line in machine.file.read_text().splitlines()}


@pytest.fixture
def laptops(tmp_path: Path, running_server: RunningServer, address: Callable[[], str]) -> Laptops:
    """One with the household's wallet in the account, and one that is set up for the same account and has no file."""
    email = address()
    one, other = (Machine(tmp_path / name, running_server.url, email) for name in ("one", "other"))
    for machine in (one, other):
        machine.init("--format bip329")
    one.file.write_text(exported(HOUSEHOLD))
    one.ok("register")
    one.ok("sync")
    return one, other


@pytest.mark.parametrize("command", ["sync", "push", "pull"])
def test_another_wallet_is_not_mixed_in(laptops: Laptops, command: str) -> None:
    """Whatever would sync says what was found and what to type; neither file nor account has anything of the other."""
    one, other = laptops
    other.file.write_text(exported(BUSINESS))
    before = other.file.read_bytes()
    for _ in range(2):  # the account's wallet is here by the second time
        told = other.fails(command, 2)
        assert "of its 15 records the account has 0, and 20 in all" in told
        assert "to make one of both: walletsync sync --join" in told
    assert other.file.read_bytes() == before
    assert one.json("sync")["sequence"] == 1
    assert refs(one) == set(HOUSEHOLD)


def test_a_login_tells_of_it(laptops: Laptops) -> None:
    """It succeeds, and whoever is about to mix two wallets knows before anything is synced."""
    one, other = laptops
    other.file.write_text(exported(BUSINESS))
    result = other.run("login")
    assert (result.exit_code, result.stdout) == (0, "This device is logged in.\n")
    assert "seems to be of another wallet than the one in this account" in result.stderr
    assert "walletsync init FILE --wallet NAME" in result.stderr
    assert "another wallet" not in one.run("login").stderr


@pytest.mark.parametrize("content", ["half a li", exported(HOUSEHOLD[:3]), ""], ids=["broken", "of this one", "empty"])
def test_a_login_is_silent_otherwise(laptops: Laptops, content: str) -> None:
    """What is wrong with a file in other ways is told when it is needed."""
    _, other = laptops
    other.file.write_text(content)
    assert "another wallet" not in other.run("login").stderr
    assert other.json("devices")


def test_watch_ends_with_it(laptops: Laptops) -> None:
    """There is nothing to wait for: a person has to decide."""
    _, other = laptops
    other.file.write_text(exported(BUSINESS))
    watch = Watch(other, "--every 86400")
    assert watch.process.wait(60) == 2
    assert "walletsync sync --join" in watch.said


def test_both_can_be_in_one(laptops: Laptops) -> None:
    """If that is what the person says; afterwards nobody asks again."""
    one, other = laptops
    other.file.write_text(exported(BUSINESS))
    other.fails("sync", 2)
    assert other.json("sync --join")["sequence"] == 2
    one.ok("sync")
    assert refs(one) == refs(other) == {*HOUSEHOLD, *BUSINESS}
    other.file.write_text(exported([*HOUSEHOLD, *BUSINESS, "later"]))
    other.ok("sync")
    one.ok("sync")
    assert "later" in refs(one)


@pytest.mark.parametrize(("shared", "asks"), [(1, True), (2, False), (15, False)])
def test_what_one_wallet_paid_to_the_other_does_not_make_them_one(laptops: Laptops, shared: int, asks: bool) -> None:
    """A tenth of the records does; of a program that exports all of them, those without a label count as well."""
    _, other = laptops
    other.file.write_text(exported(HOUSEHOLD[:shared] + BUSINESS[shared:], label=None))
    assert other.run("sync").exit_code == (2 if asks else 0)


def test_an_account_that_is_empty_takes_any_file(
    tmp_path: Path, running_server: RunningServer, address: Callable[[], str]
) -> None:
    """There is nothing that it could be mixed with."""
    one = Machine(tmp_path / "one", running_server.url, address())
    one.init("--format bip329")
    one.file.write_text(exported(BUSINESS))
    one.ok("register")
    assert one.json("sync")["sequence"] == 1


@pytest.mark.parametrize("has_file", [False, True])
def test_a_first_pull_says_that_there_is_news(laptops: Laptops, has_file: bool) -> None:
    """Also where the account's wallet was looked at before the file."""
    _, other = laptops
    if has_file:
        other.file.write_text(exported(HOUSEHOLD))
    assert [other.json("pull")["newer"] for _ in range(2)] == [True, False]


@pytest.mark.parametrize("before", ["put", "resolve all mine", "sync --accept-restored-server"])
def test_no_command_takes_the_file_before_the_account_is_known(laptops: Laptops, before: str) -> None:
    """Else the file would no longer be new when it meets the account's wallet."""
    one, other = laptops
    other.file.write_text(exported(BUSINESS))
    other.run(before)
    assert "to make one of both: walletsync sync --join" in other.fails("sync", 2)
    one.ok("sync")
    assert refs(one) == set(HOUSEHOLD)
