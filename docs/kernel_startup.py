"""Runs inside every kernel before its first cell: the kernels of a run share the machine when they derive keys.

One derivation takes 256 MiB on purpose, and uses more than one core; all notebooks at once would need gigabytes and
gain nothing, so kernels take turns. A turn is a file lock, which the system takes back even from a kernel that was
killed. And since the devices of a tour live in one process, a kernel remembers what it has derived: the second device
of an account would only compute the same bytes again.
"""


def _take_turns() -> None:
    import fcntl
    import functools
    import os
    from pathlib import Path

    from walletsync import crypto

    derive = crypto._argon2id
    turns = Path(os.environ["WALLETSYNC_DOCS_TURNS"])

    @functools.cache
    def in_turn(password: bytes, salt: bytes) -> bytes:
        with turns.open("wb") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            return derive(password, salt)

    @functools.wraps(derive)
    def argon2id(password: bytes, salt: bytes) -> bytes:
        return in_turn(password, salt)

    crypto._argon2id = argon2id


_take_turns()
del _take_turns  # a reader's notebook starts without it, so this one does too
