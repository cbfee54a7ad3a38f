"""The black-box suite: our server keeps every rule, one of API 3 the required ones, and each rule can be broken."""

from typing import Any

import pytest
import requests

from tests.cheap_server import CheapServer
from tests.end_to_end.conformance_faults import FAULTS
from tests.end_to_end.lbry_server import LbryServer
from tests.faulty import Faulty
from tests.postgres import Postgres
from walletsync.conformance import Outcome, run
from walletsync.conformance.suite import RULES
from walletsync_server.testing import RunningServer


def broken(url: str, *only: str) -> set[str]:
    """Return the ids of the rules that a server breaks."""
    return {result.rule.id for result in run(url, only=only) if result.outcome == Outcome.BROKEN}


def test_our_server_keeps_every_rule(running_server: RunningServer) -> None:
    """Required and optional, over the database that most tests use."""
    results = list(run(running_server.url))
    assert [result.why for result in results if result.outcome != Outcome.KEPT] == []
    assert [result.rule for result in results] == list(RULES)


def test_our_server_keeps_every_rule_over_postgresql(postgres: Postgres) -> None:
    """The other engine gives no other answer."""
    with CheapServer(accounts="open", settings={"database": postgres.new_storage()}) as server:
        assert [result.why for result in run(server.url) if result.outcome != Outcome.KEPT] == []


def test_server_of_api_3_passes_the_required_part() -> None:
    """It offers nothing else, and is not blamed for that."""
    with LbryServer() as server:
        results = list(run(server.url))
    assert [result.why for result in results if result.outcome == Outcome.BROKEN] == []
    assert all(result.rule.required == (result.outcome == Outcome.KEPT) for result in results)


def test_every_rule_has_a_fault() -> None:
    """The table below breaks each, and ids are unique."""
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids)
    assert sorted(each[0].split()[0] for each in FAULTS) == sorted(ids)


@pytest.mark.parametrize(("ids", "what", "fault"), FAULTS, ids=[each[0].split()[0] for each in FAULTS])
def test_rule_can_be_broken(running_server: RunningServer, ids: str, what: str, fault: dict[str, Any]) -> None:
    """A server with this one fault breaks the rule."""
    rule = ids.split()[0]
    with Faulty(running_server.url, what, **fault) as server:
        assert broken(server.url, rule) == {rule}


@pytest.mark.security
@pytest.mark.parametrize(("ids", "what", "fault"), FAULTS, ids=[each[0].split()[0] for each in FAULTS])
def test_fault_breaks_nothing_else(running_server: RunningServer, ids: str, what: str, fault: dict[str, Any]) -> None:
    """The table names each rule that a fault breaks: what is told of a server leads to what is wrong with it."""
    with Faulty(running_server.url, what, **fault) as server:
        assert " ".join(sorted(broken(server.url))) == " ".join(sorted(ids.split()))


def test_accounts_are_deleted_at_the_end() -> None:
    """Nothing of the run is left in a server that can delete: no password of it opens any account."""
    with CheapServer(accounts="open") as server, Faulty(server.url) as between:
        list(run(between.url))
        used = {each for each in between.bodies if b'"deviceId"' in each and b'"email"' in each}
        assert len(used) > 5
        url = f"{server.url}/api/3/auth/full"
        assert {requests.post(url, data=each, timeout=30).status_code for each in used} <= {400, 401, 413}
