"""The kernels of a run share the machine when they derive keys."""

import fcntl
import runpy
from pathlib import Path

import pytest

from docs.kernels import STARTUP
from walletsync import crypto


def test_a_kernel_derives_in_its_turn_and_each_key_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one derives, the lock is taken; the same password and salt are not derived again."""
    turns = tmp_path / "turns.lock"
    derived = []

    def derive(password: bytes, salt: bytes) -> bytes:
        with turns.open("wb") as turn, pytest.raises(BlockingIOError):
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        derived.append((password, salt))
        return password + salt

    monkeypatch.setattr(crypto, "_argon2id", derive)
    monkeypatch.setenv("WALLETSYNC_DOCS_TURNS", str(turns))
    left_behind = runpy.run_path(str(STARTUP))
    assert crypto._argon2id(b"a", b"b") == crypto._argon2id(b"a", b"b") == b"ab"
    assert crypto._argon2id(b"a", b"c") == b"ac"
    assert derived == [(b"a", b"b"), (b"a", b"c")]
    assert "_take_turns" not in left_behind
