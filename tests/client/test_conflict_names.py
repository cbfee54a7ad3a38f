"""Conflicts that wait: each has a name until it is decided, and all of them are decided at once."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PASSWORD
from tests.insides import email_of
from walletsync import BIP329Format, Client, JSONFormat
from walletsync.errors import UsageError
from walletsync.formats.label_values import LabelValues
from walletsync.merge import Conflict
from walletsync.merge import Path as Place

Device = Callable[..., Client]


def names(client: Client) -> list[tuple[str, str]]:
    return [(conflict.name, conflict.at) for conflict in client.conflicts]


def diverge(laptop: Client, phone: Client, **edits: Any) -> tuple[Conflict, ...]:
    """Let both devices edit the same places, and return the conflicts that the phone's sync reports."""
    for client in (laptop, phone):
        edited = {name: f"{client.device_id} {value}" for name, value in edits.items()}
        client.set_document(client.get_document() | edited)
        reported = client.sync().conflicts
    return reported


def begun(device: Device, **options: Any) -> tuple[Client, Client]:
    laptop, phone = device("laptop"), device("phone", **options)
    laptop.set_document({"a": 0, "b": 0, "c": 0})
    laptop.sync()
    phone.sync()
    return laptop, phone


def test_a_conflict_keeps_its_name_until_it_is_decided(device: Device) -> None:
    """What was listed as 2 and 3 still is when 1 is decided, and what comes later is neither of them."""
    laptop, phone = begun(device)
    diverge(laptop, phone, a=1, b=1, c=1)
    assert names(phone) == [("1", "/a"), ("2", "/b"), ("3", "/c")]
    phone.resolve(phone.conflicts[0], "mine")
    assert names(phone) == [("2", "/b"), ("3", "/c")]
    phone.resolve(phone.conflicts[1], "theirs")
    phone.sync()
    laptop.sync()
    reported = diverge(laptop, phone, c=2)
    assert [conflict.name for conflict in reported] == ["4"]
    assert names(phone) == [("2", "/b"), ("4", "/c")]


def test_no_name_is_given_again_also_after_a_restart(tmp_path: Path, device: Device) -> None:
    """Not even where nothing waits any more: somebody may still have the earlier list on the screen."""
    file = tmp_path / "phone.wallet"
    laptop, phone = begun(device, store=file)
    diverge(laptop, phone, a=1, b=1)
    email, url = email_of(phone), phone.realm
    phone.close()
    with Client(url, store=file, device_id="phone") as again:
        again.set_account(email, PASSWORD)
        assert names(again) == [("1", "/a"), ("2", "/b")]
        again.resolve_all("mine")
        again.sync()
        laptop.sync()
        diverge(laptop, again, a=2)
        assert names(again) == [("3", "/a")]


def test_a_decided_conflict_is_not_taken_for_another_in_its_place(device: Device) -> None:
    """Two may say the same of one place: which one is meant is told by the name."""
    laptop, phone = begun(device)
    diverge(laptop, phone, a=1)
    (first,) = phone.conflicts
    phone.resolve(first, "theirs")
    with pytest.raises(UsageError, match="no longer waits"):
        phone.resolve(first, "mine")


class Counting(JSONFormat):
    """Counts how often documents are read."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def decode(self, data: bytes) -> dict[str, Any]:
        self.calls["decode"] += 1
        return super().decode(data)


@pytest.mark.parametrize(("keep", "value"), [("mine", "phone"), ("theirs", "laptop")])
def test_all_are_decided_at_once(device: Device, keep: Any, value: str) -> None:
    """The document is read as often for 300 of them as for one."""
    counting = Counting()
    laptop, phone = begun(device, format=counting)
    fields = {f"label {number}": 1 for number in range(300)}
    diverge(laptop, phone, **fields)
    assert len(phone.conflicts) == 300
    counting.calls.clear()
    decided = phone.resolve_all(keep)
    assert counting.calls["decode"] == 1
    assert decided == phone.get_document()
    assert {decided[name] for name in fields} == {f"{value} 1"}
    assert phone.conflicts == ()


class CountingLabels(BIP329Format):
    """Counts how often a label file is parsed."""

    def __init__(self) -> None:
        self.parses = 0

    def opened(self, document: str) -> LabelValues:
        self.parses += 1
        return super().opened(document)

    def value_at(self, document: str, path: Place) -> Any:
        self.parses += 1
        return super().value_at(document, path)

    def replace(self, document: str, path: Place, value: Any) -> str:
        self.parses += 1
        return super().replace(document, path, value)


def decide_first(client: Client) -> None:
    client.resolve(client.conflicts[0], "mine")


@pytest.mark.parametrize(
    "look",
    [
        lambda client: client.conflicts,
        decide_first,
        lambda client: client.resolve_all("mine"),
        lambda client: client.sync("mine"),
    ],
    ids=["look", "decide one", "decide all", "sync"],
)
def test_labels_are_parsed_as_often_for_many_conflicts_as_for_two(
    device: Device, look: Callable[[Client], Any]
) -> None:
    """Else thousands of them would take minutes."""
    parses = []
    for number in (2, 40):
        format = CountingLabels()
        laptop, phone = device(f"laptop {number}", format=BIP329Format()), device(f"phone {number}", format=format)
        for client in (laptop, phone, laptop):
            records = (f'{{"type":"tx","ref":"{each}","label":"{client.device_id}"}}\n' for each in range(number))
            client.set_document("".join(records))
            client.sync()
        phone.sync()
        assert len(phone.conflicts) == number
        format.parses = 0
        look(phone)
        parses.append(format.parses)
    assert parses[0] == parses[1] > 0


def test_neither_side_is_no_decision(device: Device) -> None:
    """For all as for one."""
    laptop, phone = begun(device)
    diverge(laptop, phone, a=1)
    with pytest.raises(UsageError, match='Keep either "mine" or "theirs"'):
        phone.resolve_all("both")  # type: ignore[arg-type]
    assert names(phone) == [("1", "/a")]


def test_one_without_a_place_waits_and_the_others_are_decided(device: Device) -> None:
    """It does not hold up the rest."""
    laptop, phone = begun(device)
    laptop.update_document(lambda document: document | {"a": {"b": 1}})
    laptop.sync()
    phone.sync()
    laptop.update_document(lambda document: document | {"a": {"b": 2}, "c": 2})
    laptop.sync()
    phone.update_document(lambda document: document | {"a": {"b": 3}, "c": 3})
    phone.sync()
    laptop.update_document(lambda document: document | {"a": "replaced"})
    laptop.sync()
    phone.sync()
    assert phone.resolve_all("mine") == {"a": "replaced", "b": 0, "c": 3}
    assert names(phone) == [("1", "/a/b")]


def test_a_function_that_forgets_to_return_is_told_so(device: Device) -> None:
    """No null is written over both values: the conflict waits, and so do those that it had decided before."""
    laptop, phone = begun(device)
    diverge(laptop, phone, a=1, b=1)

    def shows(conflict: Conflict) -> Any:
        return conflict.mine if conflict.at == "/a" else None

    with pytest.raises(UsageError, match="returned nothing"):
        phone.sync(shows)
    assert names(phone) == [("1", "/a"), ("2", "/b")]
    assert phone.get_document() == {"a": "laptop 1", "b": "laptop 1", "c": 0}
    phone.sync("mine")
    laptop.sync()
    assert laptop.get_document() == {"a": "phone 1", "b": "phone 1", "c": 0}


@pytest.mark.parametrize("null", ["laptop", "phone"])
def test_null_is_a_decision_where_a_side_has_it(device: Device, null: str) -> None:
    """JSON has it as a value like any other."""
    laptop, phone = begun(device)
    for client in (laptop, phone):
        client.set_document(client.get_document() | {"a": None if client.device_id == null else client.device_id})
        client.sync()
    assert phone.sync(lambda _: None).conflicts == ()
    assert phone.get_document() == {"a": None, "b": 0, "c": 0}
