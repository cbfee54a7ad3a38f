"""The kernels of a run share the machine where something is expensive."""

import fcntl
import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tools.docs.kernels import STARTUP


def test_a_kernel_waits_for_its_turn_and_remembers_what_came_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one is in such a function, the lock is taken; the same arguments do not get there again."""
    turns = tmp_path / "turns.lock"
    made = []

    def expensive(one: bytes, other: bytes) -> bytes:
        with turns.open("wb") as turn, pytest.raises(BlockingIOError):
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        made.append((one, other))
        return one + other

    module = ModuleType("a_library")
    vars(module)["expensive"] = expensive
    monkeypatch.setitem(sys.modules, "a_library", module)
    monkeypatch.setenv("DOCS_TURNS", str(turns))
    monkeypatch.setenv("DOCS_TAKEN_IN_TURNS", "a_library:expensive")
    left_behind = runpy.run_path(str(STARTUP[0]))
    assert module.expensive(b"a", b"b") == module.expensive(b"a", b"b") == b"ab"
    assert module.expensive(b"a", b"c") == b"ac"
    assert made == [(b"a", b"b"), (b"a", b"c")]
    assert "_take_turns" not in left_behind
