"""6,000 fuzzed requests: never a 5xx, and every answer as the OpenAPI document says."""

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.attack.fuzz import MAX_WALLET_BYTES, Fuzzer, shot_of
from tests.cheap_server import CheapServer
from tests.server import described
from tests.server.helpers import KeepAliveWire

if TYPE_CHECKING:
    from schemathesis import Case
    from schemathesis.schemas import APIOperation

REQUESTS = 6_000
SEEDS = {"sqlite": 20261123, "postgresql": 20261124}
ELSEWHERE = {"internal_error", "unavailable", "busy", "rate_limited", "not_allowed", "not_verified", "too_many_devices"}
"""Codes that take a fault, another setting or a hundred devices; other tests provoke them."""
OUT_OF_REACH = {("confirm", 200, ""), ("connect", 101, ""), ("connect", 401, "unauthorized")}
"""Take a link that works, which is in a mail, or a WebSocket."""
EACH = 2
"""Cases of an operation before the next has its turn."""


@pytest.mark.promise("P-115", "P-124")
@pytest.mark.parametrize("engine", SEEDS)
def test_no_request_breaks_the_server(engine: str, request: pytest.FixtureRequest) -> None:
    """Requests made from the document, true to it or not, from strangers and from people with accounts.

    Half of them with each database: all that the document has is answered over either, and nothing else.
    """
    number = SEEDS[engine]
    import schemathesis  # here, since each worker would take a second to import it

    print(f"seed {number}")
    schema = schemathesis.openapi.from_dict(dict(described.DOCUMENT))
    operations = [schema[path][method] for path, item in described.DOCUMENT["paths"].items() for method in item]
    limits = {"password_queue": "1000", "max_wallet_bytes": str(MAX_WALLET_BYTES), "log_level": "warning"}
    if engine == "postgresql":
        limits["database"] = request.getfixturevalue("postgres").new_storage()
    with CheapServer(accounts="open", settings=limits) as server, KeepAliveWire(server.url) as wire:
        fuzzer = Fuzzer(wire, number)
        for operation in itertools.cycle(operations):
            for case in cases(operation, fuzzer.random.getrandbits(64)):
                fuzzer.fire(shot_of(case))
            if fuzzer.sent >= REQUESTS / len(SEEDS):
                break
        assert "Traceback" not in server.log()
    missed = {each for each in documented() if not fuzzer.seen[each] and each[2] not in ELSEWHERE}
    assert missed <= OUT_OF_REACH, "the document has answers that nobody got"


def documented() -> list[tuple[str, int, str]]:
    """Return every answer that the document knows: operation, status and error code."""
    return [
        (operation["operationId"], int(status), code)
        for item in described.DOCUMENT["paths"].values()
        for operation in item.values()
        for status, response in operation["responses"].items()
        for code in described.codes(response) or [""]
    ]


def cases(operation: "APIOperation[Any, Any, Any, Any]", number: int) -> "list[Case[Any]]":
    """Return some requests of this operation, true to the document or not, always the same for a number."""
    from schemathesis import GenerationMode

    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    valid, invalid = (operation.as_strategy(generation_mode=mode) for mode in modes)
    found: list[Case[Any]] = []

    @seed(number)
    @settings(
        max_examples=EACH,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(valid | invalid)
    def generate(case: "Case[Any]") -> None:
        found.append(case)

    generate()
    return found
