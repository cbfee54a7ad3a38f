"""10,000 fuzzed requests: never a 5xx, and every answer as the OpenAPI document says."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case, GenerationMode
from schemathesis.schemas import APIOperation

from tests.attack.fuzz import Fuzzer, shot_of
from tests.server import described
from tests.server.cheap_server import CheapServer
from tests.server.helpers import KeepAliveWire

REQUESTS = 10_000
SEEDS = [20261123, 20261124, 20261125, 20261126]
FURTHEST = {"confirm": {404}}
"""How far a request can get where that is not to success: a link that works is in a mail."""
EACH = 3
"""Cases of an operation before the next has its turn."""


@pytest.mark.parametrize("number", SEEDS)
def test_no_request_breaks_the_server(number: int) -> None:
    """Requests made from the document, true to it or not, from strangers and from people with accounts."""
    print(f"seed {number}")
    schema = schemathesis.openapi.from_dict(dict(described.DOCUMENT))
    operations = [schema[path][method] for path, item in described.DOCUMENT["paths"].items() for method in item]
    with CheapServer(accounts="open", settings={"password_queue": 1000}) as server, KeepAliveWire(server.url) as wire:
        fuzzer = Fuzzer(wire, number)
        while fuzzer.sent < REQUESTS / len(SEEDS):
            for operation in operations:
                for case in cases(operation, fuzzer.random.getrandbits(64)):
                    fuzzer.fire(shot_of(case))
        assert "Traceback" not in server.log()
    for path, item in described.DOCUMENT["paths"].items():
        for method, operation in item.items():
            name = operation["operationId"]
            good = FURTHEST.get(name, {int(status) for status in operation["responses"] if int(status) < 400})
            assert any((name, status) in fuzzer.seen for status in good), f"nothing got through {method} {path}"


def cases(operation: APIOperation[Any, Any, Any, Any], number: int) -> list[Case[Any]]:
    """Return some requests of this operation, true to the document or not, always the same for a number."""
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
    def generate(case: Case[Any]) -> None:
        found.append(case)

    generate()
    return found
