"""The OpenAPI document: valid, complete, and true. That answers are as it says, `described.py` checks in every test."""

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs
import pytest

from tests.server import described
from tests.server.described import DOCUMENT
from tests.server.helpers import Answer, Wire
from walletsync import protocol
from walletsync_server.api.errors import STATUS
from walletsync_server.api.routes import ROUTES
from walletsync_server.api.table import PAGE

OPERATIONS = [
    pytest.param(path, method, operation, id=f"{method.upper()} {path}")
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
]


def strings(value: Any) -> Iterator[str]:
    """Return every text in a document, the names of fields as well."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from itertools.chain([name], strings(each))
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


@pytest.mark.promise("X-28")
def test_document_is_served(wire: Wire) -> None:
    """GET `/openapi.json` is the document that is made from the route table."""
    assert wire("GET", "/openapi.json").json == json.loads(json.dumps(DOCUMENT))


def test_document_is_valid_openapi() -> None:
    """The document fits the schema of OpenAPI 3.1."""
    import schemathesis  # here, since each worker would take a second to import it

    assert DOCUMENT["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(dict(DOCUMENT)).validate()


def test_every_schema_is_json_schema() -> None:
    """What the document calls a schema is one, of the draft that OpenAPI 3.1 takes, and its patterns compile."""
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema | {"$schema": "https://json-schema.org/draft/2020-12/schema"})
        described.validator(json.dumps(schema))


def test_examples_fit_their_schemas() -> None:
    """Every message and every error has an example, and it fits."""
    for schema in DOCUMENT["components"]["schemas"].values():
        (example,) = schema["examples"]
        described.validate(schema, example)


def test_document_needs_nobody_else() -> None:
    """No text names another host, and addresses are those of example.com."""
    for text in strings(DOCUMENT):
        assert "://" not in text
        assert all(found == "example.com" for found in re.findall(r"\w@([\w.]+)", text))


@pytest.mark.promise("X-28")
def test_document_has_every_route() -> None:
    """Each row of the table is there under each of its prefixes, and nothing else is."""
    table = {(route.method.lower(), prefix + route.path) for route in ROUTES for prefix in route.prefixes}
    assert table == {(method, path) for path, item in DOCUMENT["paths"].items() for method in item}
    names = [operation["operationId"] for item in DOCUMENT["paths"].values() for operation in item.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_path_and_parameters_agree(path: str, method: str, operation: Mapping[str, Any]) -> None:
    """A name in braces in the path is a parameter, required, and the other way round."""
    inside = [each for each in operation["parameters"] if each["in"] == "path"]
    assert re.findall(r"\{(\w+)\}", path) == [each["name"] for each in inside]
    assert all(each["required"] for each in inside)


def test_sentences_are_whole() -> None:
    """Where an answer says how long to wait, the document says a while, and no reader sees a gap."""
    said = [
        response["description"]
        for item in DOCUMENT["paths"].values()
        for operation in item.values()
        for response in operation["responses"].values()
    ]
    assert not [text for text in said if "{" in text]
    assert any("try again in a while." in text for text in said)


def test_every_error_has_its_status_and_code_once() -> None:
    """The error code of a schema is the one that the service says, at the status that it is answered with."""
    schemas = DOCUMENT["components"]["schemas"]
    found = set()
    for item in DOCUMENT["paths"].values():
        for operation in item.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400 and PAGE not in response["content"]:
                    schema = response["content"]["application/json"]["schema"]
                    names = [each["$ref"].rpartition("/")[2] for each in schema.get("oneOf", [schema])]
                    found |= {(name, int(status), schemas[name]["properties"]["code"]["const"]) for name in names}
    assert found == {(kind.__name__, status, kind.code) for kind, status in STATUS.items()}


def test_tokens_are_declared() -> None:
    """Who needs a token says so, and gives 401; nobody else has either security scheme."""
    for route in ROUTES:
        operation = DOCUMENT["paths"][f"{next(iter(sorted(route.prefixes)))}{route.path}"][route.method.lower()]
        assert operation["security"] == ([{"bearer": []}, {"token": []}] if route.needs_token else [])
        assert not route.needs_token or "401" in operation["responses"]


UNTRUE: dict[str, tuple[str, str, Answer]] = {
    "unknown path that answers": ("GET", "/nowhere", Answer(200, {}, b"")),
    "unknown method that answers": ("PUT", "/healthz", Answer(200, {}, b"")),
    "status that is not listed": ("GET", "/healthz", Answer(418, {}, b"")),
    "other content type": ("GET", "/healthz", Answer(200, {"content-type": "text/plain"}, b'{"status":"ok"}')),
    "body that does not fit": ("GET", "/healthz", Answer(200, {"content-type": "application/json"}, b'{"more":1}')),
    "header that is missing": ("GET", "/wallet", Answer(304, {}, b"")),
    "body where none belongs": ("GET", "/wallet", Answer(304, {"etag": '"x"'}, b"x")),
    "content type of nothing": ("GET", "/wallet", Answer(304, {"etag": '"x"', "content-type": "x/y"}, b"")),
    "code of another error": (
        *("GET", "/readyz"),
        Answer(503, {"content-type": "application/json"}, b'{"error":"a sentence","code":"rate_limited"}'),
    ),
    "error that tells more": (
        *("GET", "/readyz"),
        Answer(503, {"content-type": "application/json"}, b'{"error":"a","code":"unavailable","sequence":1}'),
    ),
}


@pytest.mark.parametrize(("method", "target", "answer"), UNTRUE.values(), ids=UNTRUE.keys())
def test_untrue_answer_is_found(method: str, target: str, answer: Answer) -> None:
    """An answer that is not as the document says fails the test that got it."""
    with pytest.raises((AssertionError, KeyError, jsonschema_rs.ValidationError)):
        described.check(method, target, answer)


def test_messages_of_the_protocol_are_all_used() -> None:
    """Every message that the wire contract types belongs to some route."""
    messages = {
        name
        for name, kind in vars(protocol).items()
        if isinstance(kind, type) and issubclass(kind, protocol.Message) and kind is not protocol.Message
    }
    assert messages <= set(DOCUMENT["components"]["schemas"])
