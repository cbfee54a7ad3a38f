"""Who decides conflicts during a sync: nobody, one side always, or a function of the caller."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PASSWORD
from tests.insides import email_of
from tests.middle import Middle
from walletsync import Client
from walletsync.errors import UsageError, WalletSyncError
from walletsync.merge import MISSING, Conflict

Device = Callable[..., Client]


def diverged(device: Device, **options: Any) -> tuple[Client, Client]:
    """Return two devices: the first has posted, the second has not, and they conflict at /a and /b."""
    laptop, phone = device("laptop"), device("phone", **options)
    laptop.set_document({"a": 1, "b": 1})
    laptop.sync()
    phone.sync()
    laptop.set_document({"a": 2, "b": 2, "laptop": True})
    laptop.sync()
    phone.set_document({"a": 3, "b": 3, "phone": True})
    return laptop, phone


@pytest.mark.parametrize(("policy", "value"), [("mine", 3), ("theirs", 2)])
def test_a_policy_decides_in_the_same_sync(device: Device, policy: Any, value: int) -> None:
    """Nothing waits, every other edit is kept, and the other device has the same after its sync."""
    laptop, phone = diverged(device)
    assert phone.sync(on_conflict=policy).conflicts == ()
    assert phone.conflicts == ()
    laptop.sync()
    decided = {"a": value, "b": value, "laptop": True, "phone": True}
    assert laptop.get_document() == phone.get_document() == decided


def test_a_function_decides_each_by_its_value(device: Device) -> None:
    """It gets the conflict, and what it returns goes into the document; MISSING deletes."""
    laptop, phone = diverged(device)
    seen: list[Conflict] = []

    def both(conflict: Conflict) -> Any:
        seen.append(conflict)
        return MISSING if conflict.at == "/b" else f"{conflict.mine} and {conflict.theirs}"

    assert phone.sync(both).conflicts == ()
    assert seen == [Conflict(("a",), 1, 3, 2), Conflict(("b",), 1, 3, 2)]
    laptop.sync()
    assert laptop.get_document() == {"a": "3 and 2", "laptop": True, "phone": True}


def test_a_function_leaves_for_later_what_it_returns(device: Device) -> None:
    """The conflict waits, blocks nothing, and the next sync asks again, once."""
    laptop, phone = diverged(device)
    asked: list[str] = []

    def later(conflict: Conflict) -> Any:
        asked.append(conflict.at)
        return conflict.mine if conflict.at == "/a" else conflict

    assert [conflict.at for conflict in phone.sync(later).conflicts] == ["/b"]
    assert asked == ["/a", "/b"]
    laptop.sync()
    assert laptop.get_document()["a"] == 3
    assert phone.sync(later).conflicts == ()
    assert asked == ["/a", "/b", "/b"]
    phone.sync(on_conflict="mine")
    assert phone.conflicts == ()
    assert phone.get_document()["b"] == 3


def test_a_policy_decides_what_waited_before_and_across_a_restart(tmp_path: Path, device: Device) -> None:
    """Without one, conflicts survive a restart; the first sync with one decides them."""
    file = tmp_path / "phone.wallet"
    laptop, phone = diverged(device, store=file)
    assert len(phone.sync().conflicts) == 2
    email, url = email_of(phone), phone.realm
    phone.close()
    with Client(url, store=file) as again:
        again.set_account(email, PASSWORD)
        assert [conflict.at for conflict in again.conflicts] == ["/a", "/b"]
        again.sync(on_conflict="mine")
        assert not again.conflicts
    laptop.sync()
    assert (laptop.get_document()["a"], laptop.get_document()["b"]) == (3, 3)


def test_two_conflicts_in_one_place_are_decided_one_after_the_other(device: Device) -> None:
    """What the first decision puts there is what the second one sees as theirs."""
    laptop, phone = device("laptop"), device("phone")
    laptop.set_document({"a": 0})
    laptop.sync()
    phone.sync()
    for mine, theirs in ((1, 2), (3, 4)):
        laptop.set_document({"a": theirs})
        laptop.sync()
        phone.set_document({"a": mine})
        phone.sync()
    assert [(conflict.mine, conflict.theirs) for conflict in phone.conflicts] == [(1, 4), (3, 4)]
    seen: list[tuple[Any, Any]] = []

    def mine_always(conflict: Conflict) -> Any:
        seen.append((conflict.mine, conflict.theirs))
        return conflict.mine

    phone.sync(mine_always)
    assert seen == [(1, 4), (3, 1)]
    assert phone.get_document() == {"a": 3}
    assert phone.conflicts == ()


def test_a_conflict_that_arises_between_get_and_post_is_decided_too(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to a POST that is out of date is merged like any other version."""
    laptop, phone = device("laptop"), device("phone")
    laptop.set_document({"a": "base"})
    laptop.sync()
    phone.sync()
    phone.set_document({"a": "phone"})
    post, edits = phone._api.post_wallet, iter([{"a": "laptop"}])

    def overtaken(*arguments: Any) -> Any:
        for edit in edits:
            laptop.set_document(edit)
            laptop.sync()
        return post(*arguments)

    monkeypatch.setattr(phone._api, "post_wallet", overtaken)
    asked: list[Any] = []

    def mine(conflict: Conflict) -> Any:
        asked.append(conflict.theirs)
        return conflict.mine

    assert phone.sync(mine).conflicts == ()
    assert asked == ["laptop"]
    assert phone.get_document() == {"a": "phone"}
    laptop.sync()
    assert laptop.get_document() == {"a": "phone"}


def test_a_value_without_a_place_leaves_the_conflict_waiting(device: Device) -> None:
    """The sync goes on all the same, by policy and by function."""
    laptop, phone = device("laptop"), device("phone")
    laptop.set_document({"a": {"b": 1}})
    laptop.sync()
    phone.sync()
    laptop.set_document({"a": {"b": 2}})
    laptop.sync()
    phone.set_document({"a": {"b": 3}})
    phone.sync()
    laptop.set_document({"a": "replaced"})
    laptop.sync()
    for policy in ("mine", lambda conflict: conflict.mine, lambda _: object()):
        phone.sync(on_conflict=policy)
        assert [conflict.mine for conflict in phone.conflicts] == [3]
    assert phone.get_document() == {"a": "replaced"}
    phone.sync(on_conflict="theirs")
    assert phone.conflicts == ()


def test_a_function_that_changes_the_wallet_itself_is_told_to_return_the_value(device: Device) -> None:
    """What it tried is not done, what else it returned is not used, and everything waits."""
    _, phone = diverged(device)

    def itself(conflict: Conflict) -> Any:
        if conflict.at == "/b":
            phone.resolve(conflict, "theirs")
        return conflict.mine

    with pytest.raises(UsageError, match="Let it return the value to keep"):
        phone.sync(itself)
    assert phone.get_document() == {"a": 2, "b": 2, "laptop": True, "phone": True}
    assert [conflict.at for conflict in phone.conflicts] == ["/a", "/b"]


class GoneHomeError(Exception):
    """What a function of the caller may raise."""


def test_what_a_function_raises_ends_the_sync_and_loses_nothing(device: Device) -> None:
    """The merge is kept, the conflicts wait, and the next sync finishes."""
    laptop, phone = diverged(device)

    def leave(conflict: Conflict) -> Any:
        raise GoneHomeError

    with pytest.raises(GoneHomeError):
        phone.sync(leave)
    assert len(phone.conflicts) == 2
    phone.sync(on_conflict="mine")
    laptop.sync()
    assert laptop.get_document() == {"a": 3, "b": 3, "laptop": True, "phone": True}


@pytest.mark.parametrize("policy", ["both", "base", "", 1, True])
def test_a_policy_that_does_not_exist_is_refused_before_anything_is_sent(
    device: Device, middle: Middle, policy: Any
) -> None:
    """A misspelled policy is an error, not a silent default."""
    laptop = device("laptop")
    laptop.set_document({"a": 1})
    middle.requests.clear()
    with pytest.raises(UsageError, match='"mine", "theirs", or a function') as caught:
        laptop.sync(on_conflict=policy)
    assert isinstance(caught.value, WalletSyncError)
    assert middle.requests == []


def test_a_function_decides_all_that_wait(device: Device) -> None:
    """Or leaves some, by returning the conflict itself; without the server, and all at once or none."""
    _, phone = diverged(device)
    first, second = phone.sync().conflicts
    assert phone.resolve_all(lambda each: "both" if each.name == first.name else each)["a"] == "both"
    assert phone.conflicts == (second,)
    with pytest.raises(UsageError, match="returned nothing"):
        phone.resolve_all(lambda _: None)
    assert phone.conflicts == (second,)
