"""Whole histories: devices edit, delete, sync and decide in any order, and Hypothesis chooses the order.

Every edit writes a number that nothing else has, so that what became of it can be told from the text of a document.
"""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from walletsync.errors import DocumentError
from walletsync.formats.base import Format
from walletsync.formats.bip329 import BIP329Format
from walletsync.formats.json import JSONFormat
from walletsync.formats.testing import Devices
from walletsync.merge import MISSING, Conflict, Item, Path

DEVICES = 3


@dataclass(frozen=True)
class Kind:
    """A format, and the places of its documents with what an edit that has a number puts there."""

    format: Format[Any]
    places: list[tuple[Path, Callable[[int], Any]]]


def number(token: int) -> Any:
    return token


JSON = Kind(
    JSONFormat({"/items": "id"}),
    [
        (("a",), number),
        (("o", "x"), number),
        (("o", "y"), number),
        (("o",), lambda token: {"x": token}),
        (("o",), number),
        (("items", Item("id", 1), "n"), number),
        (("items", Item("id", True), "n"), number),
        (("items", Item("id", 1)), lambda token: {"id": 1, "n": token}),
        (("items",), lambda token: [{"id": 1, "n": token}, {"id": 1}]),
        (("items",), lambda token: [{"id": 2, "n": token}]),
    ],
)
LABELS = Kind(
    BIP329Format(),
    [
        (("tx", "a", "label"), str),
        (("tx", "a", "count"), number),
        (("tx", "a"), lambda token: {"ref": "a", "type": "tx", "own": {"one": float(token)}}),
        (("tx", "a", "own", "other"), number),
        (("addr", "a", "label"), str),
        (("tx", "b", Item("origin", "o1"), "label"), str),
        (("tx", "b", Item("origin", "o2"), "label"), str),
        (
            ("tx", "b"),
            lambda token: [{"type": "tx", "ref": "b", "origin": each, "count": token} for each in ("o1", "o2")],
        ),
        (("tx", "b"), lambda token: [{"type": "tx", "ref": "b", "n": token}, {"type": "tx", "ref": "b"}]),
    ],
)

steps = st.tuples(
    st.integers(0, DEVICES - 1),
    st.sampled_from(["edit"] * 4 + ["delete"] + ["sync"] * 3 + ["decide"]),
    st.integers(0, 9),
)


class History:
    """Devices, and what ought to have become of every number."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.devices = Devices(kind.format, DEVICES)
        self.written: set[str] = set()
        self.removed: set[str] = set()
        self.conflicts: list[Conflict] = []
        self.waiting: list[list[Conflict]] = [[] for _ in range(DEVICES)]
        self._tokens = itertools.count(100_000)

    def step(self, device: int, what: str, choice: int) -> None:
        """Let a device do something."""
        if what == "sync":
            self.sync(device)
        elif what == "decide":
            if waiting := self.waiting[device]:
                conflict = waiting.pop(choice % len(waiting))
                self.put(device, conflict.path, conflict.mine)
        else:
            path, made = self.kind.places[choice % len(self.kind.places)]
            self.put(device, path, made(next(self._tokens)) if what == "edit" else MISSING)

    def put(self, device: int, path: Path, value: Any) -> None:
        before = self.devices.documents[device]
        try:
            after = self.kind.format.replace(before, path, value)
        except DocumentError:
            return  # there is no such place at the moment
        self.devices.documents[device] = after
        old, new = self.tokens(before), self.tokens(after)
        self.written |= new - old
        self.removed = self.removed - (new - old) | (old - new)

    def sync(self, device: int) -> None:
        found = self.devices.sync(device).conflicts
        self.conflicts += found
        self.waiting[device] += found

    def tokens(self, document: Any) -> set[str]:
        return tokens(self.kind.format.encode(document).decode())


def tokens(text: str) -> set[str]:
    """Return the numbers of edits in a text."""
    return set(re.findall(r"\b[1-9][0-9]{5}\b", text))


def told(history: History, side: str) -> set[str]:
    """Return the numbers that some conflict has on one side."""
    return {token for conflict in history.conflicts for token in tokens(repr(getattr(conflict, side)))}


@pytest.mark.parametrize("kind", [JSON, LABELS], ids=["json", "bip329"])
@examples(200)
@given(order=st.lists(steps, max_size=40))
def test_any_order_of_devices_converges_without_losing_an_edit(kind: Kind, order: list[tuple[int, str, int]]) -> None:
    """In the end all have the same, and every number is in it, in a conflict, or was removed by somebody who saw it."""
    history = History(kind)
    for step in order:
        history.step(*step)
    for device in [*range(DEVICES)] * 2:
        history.sync(device)
    (final,) = {kind.format.encode(document).decode() for document in history.devices.documents}
    lost = history.written - history.removed - tokens(final) - told(history, "mine")
    assert not lost
    revived = history.removed & tokens(final) - told(history, "theirs")
    assert not revived
