"""A disk that is really full: the kernel lets no file of the server grow any more."""

import resource
from contextlib import closing
from pathlib import Path

from tests.attack import steps
from tests.attack.forked import ForkedServer
from tests.attack.ledger import State, is_stored, stored_accounts
from tests.attack.steps import Step
from tests.attack.wires import KeptWire
from tests.server.helpers import API, Wire

EMAIL, NEWCOMER = "alice@example.com", "bob@example.com"
FRESH = State("derived login password", "5e" * 32)
ROOM = 1000, 4120, 6000
"""Bytes by which the log may still grow: a part of a page, one page with its header, a part of a transaction."""


def test_full_disk_refuses_and_loses_nothing_and_goes_on(tmp_path: Path) -> None:
    """Writes are 503 as long as there is no room, reads go on, and once there is room so does everything."""
    database = tmp_path / "walletsync.db"
    server = ForkedServer(database)
    assert server.wait_until_ready(), server.log.read_text()
    with closing(KeptWire(server.url)) as wire:
        state = carried_out(steps.sign_up(EMAIL, FRESH), wire)
        state = carried_out(steps.log_in(EMAIL, state, "laptop"), wire)
        for room in ROOM:
            state = fill(server.pid, Path(f"{database}-wal").stat().st_size + room, state, wire)
            assert is_stored(stored_accounts(database).get(EMAIL), state)
            assert NEWCOMER not in stored_accounts(database)
    assert server.kill() == -9
    assert is_stored(stored_accounts(database).get(EMAIL), state)


def fill(pid: int, size: int, state: State, wire: Wire) -> State:
    """Let no file grow beyond this size, try to write, and make room again; return what is to be stored then."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, before[1]))
    large = steps.post(state, "laptop", "w" * 20_000)
    refused = [large, steps.sign_up(NEWCOMER, FRESH), steps.log_in(EMAIL, state, "phone"), large]
    refused.append(steps.change_password(EMAIL, state, "another password", "ed" * 32, "w" * 20_000))
    for step in refused:
        answer = step.send(wire)
        assert (answer.status, answer.code) == (503, "unavailable"), step
        assert wire("GET", f"{API}/devices", token=state.tokens["laptop"]).status == 200
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    return carried_out(large, wire)


def carried_out(step: Step, wire: Wire) -> State:
    answer = step.send(wire)
    assert answer.status == step.status, answer
    state = step.after(answer)
    assert state is not None
    return state
