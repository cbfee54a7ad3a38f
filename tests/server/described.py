"""Holds answers of the server against its own OpenAPI document."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

import jsonschema_rs

from tests.server.helpers import Answer
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


def path_item(path: str) -> Mapping[str, Any] | None:
    """Return what the document says about this path; one without a parameter goes first."""
    if path in DOCUMENT["paths"]:
        return dict(DOCUMENT["paths"][path])
    for template, item in DOCUMENT["paths"].items():
        start, brace, _ = template.partition("{")
        if brace and path.startswith(start) and path != start:
            return dict(item)
    return None


def check(method: str, target: str, answer: Answer) -> None:
    """Fail if the document does not describe this answer: status, headers, content type and body.

    Each path that it does not list has to be a 404, each method a 405, in the shape of errors.
    """
    item = path_item(unquote(urlsplit(target).path, errors="replace"))
    operation = (item or {}).get("get" if method == "HEAD" else method.lower())
    if operation is None:
        expected = (404, "not_found") if item is None else (405, "method_not_allowed")
        assert answer.status == expected[0], f"{method} {target} is not in the document, but {answer.status}"
        assert method == "HEAD" or answer.code == expected[1]
        return
    responses = operation["responses"]
    assert str(answer.status) in responses, f"{operation['operationId']} says nothing of {answer.status}"
    described = responses[str(answer.status)]
    missing = {name for name in described["headers"] if name.lower() not in answer.headers}
    assert not missing, f"{operation['operationId']}, {answer.status}: without {missing}"
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
