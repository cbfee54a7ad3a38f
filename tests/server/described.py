"""Holds answers of the server against its own OpenAPI document."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

from tests.server.helpers import Answer
from walletsync_server.api.dispatch import METHODS
from walletsync_server.api.openapi import document
from walletsync_server.api.routes import ROUTES

DOCUMENT: Mapping[str, Any] = document(ROUTES)


@cache
def validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    """Return what validates against a schema of the document, which comes as JSON."""
    whole = json.loads(schema) | {"components": DOCUMENT["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def validate(schema: Mapping[str, Any], value: Any) -> None:
    """Fail with a sentence if `value` does not fit."""
    validator(json.dumps(schema)).validate(value)


def template(path: str) -> str:
    """Return the path of the document that this one, as it is sent, falls under; one without a parameter goes first."""
    decoded = unquote(path, errors="replace")
    if "{" not in decoded and decoded in DOCUMENT["paths"]:
        return decoded
    for known in DOCUMENT["paths"]:
        start, brace, _ = known.partition("{")
        if brace and decoded.startswith(start) and decoded != start:
            return str(known)
    return ""


def operation(method: str, target: str) -> Mapping[str, Any] | None:
    """Return what the document says about this request, None if nothing."""
    item = DOCUMENT["paths"].get(template(target.partition("?")[0]), {})
    found = item.get("get" if method == "HEAD" else method.lower())
    return dict(found) if found else None


def codes(response: Mapping[str, Any]) -> list[str]:
    """Return the error codes of a response of the document, none if it is no error."""
    content = next(iter(response.get("content", {"": {"schema": {}}}).values()))["schema"]
    named = [each["$ref"].rpartition("/")[2] for each in content.get("oneOf", [content]) if "$ref" in each]
    kinds = [DOCUMENT["components"]["schemas"][name] for name in named]
    return [kind["properties"]["code"]["const"] for kind in kinds if "allOf" in kind]


def check(method: str, target: str, answer: Answer) -> None:
    """Fail if the document does not describe this answer: status, headers, content type and body.

    Each path that it does not list has to be a 404, each method a 405, and one that no path has a 400, in the shape of
    errors.
    """
    if method not in METHODS:
        assert (answer.status, answer.code) == (400, "bad_request")
        return
    found = operation(method, target)
    if found is None:
        known = template(target.partition("?")[0])
        expected = (405, "method_not_allowed") if known else (404, "not_found")
        assert answer.status == expected[0], f"{method} {target} is not in the document, but {answer.status}"
        assert method == "HEAD" or answer.code == expected[1]
        return
    responses = found["responses"]
    assert str(answer.status) in responses, f"{found['operationId']} says nothing of {answer.status}"
    described = responses[str(answer.status)]
    missing = {
        name
        for name, header in described["headers"].items()
        if header["required"] and name.lower() not in answer.headers
    }
    assert not missing, f"{found['operationId']}, {answer.status}: without {missing}"
    _check_body(method, described.get("content"), answer)


def _check_body(method: str, content: Mapping[str, Any] | None, answer: Answer) -> None:
    if content is None:
        assert "content-type" not in answer.headers
        assert answer.body == b""
        return
    ((media_type, body),) = content.items()
    assert answer.headers["content-type"] == media_type
    if method == "HEAD":
        assert answer.body == b""
    elif media_type == "application/json":
        validate(body["schema"], answer.json)
