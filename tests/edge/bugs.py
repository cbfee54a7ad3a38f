"""The rule of `walletsync.edge` with a part taken out: each part is there because edits are lost without it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest import mock

from tests.edge.history import History
from walletsync import edge
from walletsync.edge import Known
from walletsync.formats.bip329 import BIP329Format
from walletsync.memory import Memory
from walletsync.merge import MISSING

Bug = Callable[[], AbstractContextManager[Any]]


def what_was_put_is_the_base() -> AbstractContextManager[Any]:
    """A program is taken to have read what was put into its file (rule 1 out)."""
    known = Memory.known

    def put_is_base(self: Memory, format: Any) -> Known[Any]:
        return replace(known(self, format), puts=())

    return mock.patch.object(Memory, "known", put_is_base)


def absence_is_deletion() -> AbstractContextManager[Any]:
    """What a program leaves out, it has deleted, whether it ever had it or not (rule 2 out)."""
    base = edge._Judging._base

    def last_put(self: Any, path: Any) -> Any:
        return base(self, path) if path in self._mine else self._all_views[-1].get(path, MISSING)

    return mock.patch.object(edge._Judging, "_base", last_put)


def nothing_is_held() -> AbstractContextManager[Any]:
    """However much a write takes away, it is taken (rule 3 out)."""
    return mock.patch.object(History, "limit", None)


def anything_shows_that_it_was_read() -> AbstractContextManager[Any]:
    """That a record is there is taken to show that it was read, though every wallet has its own transactions."""
    return mock.patch.object(BIP329Format, "is_telling", return_value=True)


def what_is_held_is_forgotten() -> AbstractContextManager[Any]:
    """What waits to be confirmed is held only until the next write."""
    known = Memory.known

    def forgetful(self: Memory, format: Any) -> Known[Any]:
        of = known(self, format)
        return Known(format.with_values(of.now, of.held), of.puts, of.earlier)

    return mock.patch.object(Memory, "known", forgetful)


BUGS: dict[str, Bug] = {
    bug.__name__: bug
    for bug in (
        what_was_put_is_the_base,
        absence_is_deletion,
        nothing_is_held,
        anything_shows_that_it_was_read,
        what_is_held_is_forgotten,
    )
}
