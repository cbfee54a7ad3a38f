"""Each write and each sync of each request that changes something fails, or is the last thing the server does."""

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.apt import require
from tests.attack import steps
from tests.attack.faults import EIO, ENOSPC, KILL, traced
from tests.attack.forked import ForkedServer
from tests.attack.ledger import State, is_stored, stored_accounts
from tests.attack.steps import Step
from tests.attack.wires import Cut, KeptWire
from tests.server.helpers import Answer

EMAIL, NEWCOMER = "alice@example.com", "bob@example.com"
FRESH = State("derived login password", "5e" * 32)
_PAGE = 4096
_FRAME = _PAGE + 24
_WRITTEN_BACK_FROM = 1000  # frames in the log, SQLite's default


@dataclass(frozen=True)
class Template:
    """A database as a loss of power left it, with one account in it."""

    database: Path
    state: State


def copy(database: Path, folder: Path) -> Path:
    """Return a copy of the file and its log, which is all that a loss of power leaves."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(f"{database}{suffix}", folder / f"copy.db{suffix}")
    return folder / "copy.db"


@pytest.fixture(scope="module", autouse=True)
def strace() -> None:
    require("strace")


def make_template(folder: Path, *, frames: int) -> Template:
    """Return a database whose account has more versions than are kept, and a log of so many frames or a few more."""
    database = folder / "template.db"
    server = started(database)
    state = carried_out(steps.sign_up(EMAIL, FRESH), server)
    for device in ("laptop", "phone"):
        assert state
        state = carried_out(steps.log_in(EMAIL, state, device), server)
    while state and (state.sequence < 12 or Path(f"{database}-wal").stat().st_size < frames * _FRAME):
        state = carried_out(steps.post(state, "laptop", f"wallet {state.sequence + 1}"), server)
    assert state
    assert server.kill() == -9
    return Template(database, state)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """A database with a short log."""
    return make_template(tmp_path_factory.mktemp("small"), frames=0)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """A database whose log is written back after the next commit."""
    return make_template(tmp_path_factory.mktemp("full"), frames=_WRITTEN_BACK_FROM - 3)


@dataclass(frozen=True)
class Case:
    """A request, and what is stored of its address before it."""

    email: str
    before: State | None
    step: Step


CASES: dict[str, Callable[[State], Case]] = {
    "signup": lambda state: Case(NEWCOMER, None, steps.sign_up(NEWCOMER, FRESH)),
    "login": lambda state: Case(EMAIL, state, steps.log_in(EMAIL, state, "laptop")),
    "logout": lambda state: Case(EMAIL, state, steps.log_out(state, "laptop")),
    "post": lambda state: Case(EMAIL, state, steps.post(state, "laptop", "the next wallet")),
    "large post": lambda state: Case(EMAIL, state, steps.post(state, "laptop", "w" * 3 * _PAGE)),
    "password": lambda state: Case(
        EMAIL, state, steps.change_password(EMAIL, state, "another password", "ed" * 32, "new")
    ),
    "delete": lambda state: Case(EMAIL, state, steps.delete_account(EMAIL, state)),
}
IN_EVERY_RUN = ("signup", "post", "password")


@pytest.mark.promise("P-72")
@pytest.mark.parametrize("fault", [KILL, EIO, ENOSPC])
@pytest.mark.parametrize(
    "name", [name if name in IN_EVERY_RUN else pytest.param(name, marks=pytest.mark.security) for name in CASES]
)
def test_no_write_or_sync_that_fails_makes_a_lie(tmp_path: Path, small: Template, name: str, fault: str) -> None:
    """Whichever fails, what was acknowledged is stored, the rest wholly or not at all, and the server goes on."""
    give_to_each_call(fault, small, CASES[name](small.state), tmp_path)


@pytest.mark.security
@pytest.mark.parametrize("fault", [KILL, EIO, ENOSPC])
def test_no_fault_while_the_log_is_written_back_makes_a_lie(tmp_path: Path, full: Template, fault: str) -> None:
    """The same for the request after which SQLite writes its log back into the file."""
    give_to_each_call(fault, full, CASES["post"](full.state), tmp_path)


def give_to_each_call(fault: str, template: Template, case: Case, folder: Path) -> None:
    """Send the request once for each system call that it makes, and let that one fail."""
    counts = Counter(calls_of(case, copy(template.database, folder / "watched")))
    assert counts["pwrite64"] >= 4, counts
    assert counts["fsync"] + counts["fdatasync"] >= 1, counts
    print(f"{fault} at each of {dict(counts)}")
    for call, count in counts.items():
        for number in range(1, count + 1):
            survive(fault, call, number, case, template, folder)


def calls_of(case: Case, database: Path) -> list[str]:
    server = started(database)
    with traced(server.pid, database) as trace:
        answer = attempt(case.step, server)
    assert answer is not None
    assert answer.status == case.step.status
    assert server.kill() == -9
    return trace.calls


def survive(fault: str, call: str, number: int, case: Case, template: Template, folder: Path) -> None:
    """Give the fault to one call. The disk must hold what was acknowledged at once, and the server must go on."""
    database = copy(template.database, folder / "served")
    server = started(database)
    with traced(server.pid, database, fault, call, number) as trace:
        answer = attempt(case.step, server)
    if fault == KILL:  # which strace may be too late to tell of
        assert answer is None, f"{call} {number} did not come"
        assert server.end() == -9
    else:
        assert trace.hit, f"{call} {number} did not come"
    acknowledged = answer is not None and answer.status == case.step.status
    after = case.step.after(answer if acknowledged else None)
    may_be = [after] if acknowledged else [case.before, after]
    found(copy(database, folder / "crashed"), case.email, may_be)
    if fault == KILL:
        server = started(database)
    elif not acknowledged:
        assert answer is not None
        assert (answer.status, answer.code) == (503, "unavailable")
        assert "level=error event=unavailable" in server.log.read_text()
    state = found(database, case.email, may_be)
    if case.step.repeatable:
        state = carried_out(case.step, server)
    state = carried_out(
        steps.log_in(case.email, state, "tablet") if state else steps.sign_up(case.email, FRESH), server
    )
    assert server.kill() == -9
    found(database, case.email, [state])


def found(database: Path, email: str, may_be: Sequence[State | None]) -> State | None:
    """Return which of these states is stored; fail if none of them is."""
    stored = stored_accounts(database).get(email)
    matching = [state for state in may_be if is_stored(stored, state)]
    assert matching, f"{stored} is stored, which is none of {may_be}"
    return matching[0]


def started(database: Path) -> ForkedServer:
    server = ForkedServer(database)
    assert server.wait_until_ready(), server.log.read_text()
    return server


def carried_out(step: Step, server: ForkedServer) -> State | None:
    """Send the request, to a server that has no excuse; return what is to be stored now."""
    answer = attempt(step, server)
    assert answer is not None
    assert answer.status == step.status, answer
    return step.after(answer)


def attempt(step: Step, server: ForkedServer) -> Answer | None:
    """Send the request; return None if no whole answer comes."""
    wire = KeptWire(server.url)
    try:
        return step.send(wire)
    except Cut:
        return None
    finally:
        wire.close()
