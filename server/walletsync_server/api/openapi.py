"""The OpenAPI document: the route table and the wire's types, as programs of others read them."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from walletsync.protocol import API_PREFIX, ErrorAnswer
from walletsync_server import __version__
from walletsync_server.api import errors
from walletsync_server.api.table import Answer, Parameter, Route
from walletsync_server.services.errors import Busy, Conflict, NothingToFollow, ServiceError, Unavailable

JSON = "application/json"
_REFERENCE = "#/components/schemas/{name}"
_ABOUT = f"""\
Keeps one encrypted wallet per account, which it cannot read, and lets devices replace it without losing each other's
changes.

Bodies are JSON objects whatever the Content-Type says; a field that is not listed here is refused. Every error has a
sentence for a person and a stable code for programs. Whatever answers GET answers HEAD as well. Paths that exist
both with {API_PREFIX} and without are kept for clients of the original flat interface; new clients use {API_PREFIX}.
"""
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The token from a login."},
    "token": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "Deprecated: the same in the query, where proxies log it. For existing clients only.",
    },
}
_WAIT = "Seconds to wait."
_CURRENT = "Names the current wallet, if there is one."
_ERROR_HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": "How to send a token."},
    429: {"Retry-After": _WAIT},
}
_MORE: Mapping[type[ServiceError], tuple[str, ...]] = {
    Conflict: ("version", "encryptedWallet", "sequence", "hmac"),
    NothingToFollow: ("applied",),
}
"""What an error always has beside its sentence and its code."""
_SOMETIMES: Mapping[type[ServiceError], tuple[str, ...]] = {Conflict: ("applied",)}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the document of these routes, OpenAPI 3.1."""
    schemas = _Schemas()
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        for prefix in sorted(route.prefixes, reverse=True):  # those with a version first
            paths.setdefault(prefix + route.path, {})[route.method.lower()] = _operation(route, prefix, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "walletsync",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "The server that this document comes from."}],
        "paths": paths,
        "components": {"schemas": schemas.components, "securitySchemes": _SECURITY},
    }


class _Schemas:
    """Makes schemas of types; those that have a name go to `components`, once."""

    def __init__(self) -> None:
        self.components: dict[str, Any] = {}

    def of(self, kind: Any) -> dict[str, Any]:
        (schema,), named = msgspec.json.schema_components([kind], ref_template=_REFERENCE)
        fresh = {name: _portable(each) for name, each in named.items() if name not in self.components}
        self.components.update(fresh)
        for each in fresh.values():
            each["examples"] = [self.example(each)]
        return dict(_portable(schema))

    def of_error(self, kind: type[ServiceError]) -> dict[str, Any]:
        """Return the schema of one error: that of all of them, with its code and just the fields that it has."""
        if kind.__name__ not in self.components:
            self.of(ErrorAnswer)
            always = ("error", "code", *_MORE.get(kind, ()))
            known = self.components["ErrorAnswer"]["properties"]
            example = {name: self.example(known[name]) for name in always}
            self.components[kind.__name__] = {
                "description": kind.sentence,
                "allOf": [{"$ref": _REFERENCE.format(name="ErrorAnswer")}],
                "properties": {"code": {"const": kind.code}},
                "required": list(always),
                "maxProperties": len(always) + len(_SOMETIMES.get(kind, ())),
                "examples": [example | {"error": kind.sentence, "code": kind.code}],
            }
        return {"$ref": _REFERENCE.format(name=kind.__name__)}

    def example(self, schema: Mapping[str, Any]) -> Any:
        """Return a value that fits, made of the examples of its parts."""
        if "$ref" in schema:
            return self.example(self.components[schema["$ref"].rpartition("/")[2]])
        if "examples" in schema:
            return schema["examples"][0]
        if "anyOf" in schema:
            return self.example(schema["anyOf"][0])
        if schema["type"] == "array":
            return [self.example(schema["items"])]
        return {name: self.example(each) for name, each in schema["properties"].items()}


def _portable(value: Any) -> Any:
    """Return a schema without what only Python knows: its anchors of patterns, its line breaks in docstrings."""
    if isinstance(value, list):
        return [_portable(each) for each in value]
    if not isinstance(value, dict):
        return value
    schema = {name: _portable(each) for name, each in value.items() if name != "title"}
    if isinstance(schema.get("pattern"), str):
        schema["pattern"] = schema["pattern"].replace(r"\A", "^").replace(r"\Z", "$")
    if isinstance(schema.get("description"), str):
        schema["description"] = " ".join(schema["description"].split())
    return schema


def _operation(route: Route, prefix: str, schemas: _Schemas) -> dict[str, Any]:
    flat = API_PREFIX in route.prefixes and prefix != API_PREFIX
    operation: dict[str, Any] = {
        "operationId": f"flat_{route.name}" if flat else route.name,
        "summary": route.summary,
        "parameters": [_parameter(each, schemas) for each in route.parameters],
        "responses": _responses(route, schemas),
        "security": [{name: []} for name in _SECURITY] if route.needs_token else [],
    }
    if route.message:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": schemas.of(route.message)}}}
    return operation


def _parameter(parameter: Parameter, schemas: _Schemas) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required,
        "description": parameter.says,
        "schema": schemas.of(parameter.kind),
        "example": parameter.example,
    }


def _responses(route: Route, schemas: _Schemas) -> dict[str, Any]:
    refused: dict[int, list[type[ServiceError]]] = {}
    for kind in route.all_refusals:
        refused.setdefault(errors.STATUS[kind], []).append(kind)
    found = {status: _answer(answer, schemas) for status, answer in route.answers.items()}
    found |= {status: _refusal(status, kinds, schemas) for status, kinds in refused.items()}
    return {str(status): found[status] for status in sorted(found)}


def _answer(answer: Answer, schemas: _Schemas) -> dict[str, Any]:
    response: dict[str, Any] = {"description": answer.says, "headers": _headers(answer.headers)}
    if isinstance(answer.content, str):
        response["content"] = {answer.content: {"schema": {"type": "string"}}}
    elif answer.content is not None:
        response["content"] = {JSON: {"schema": schemas.of(answer.content)}}
    return response


def _refusal(status: int, kinds: list[type[ServiceError]], schemas: _Schemas) -> dict[str, Any]:
    found = [schemas.of_error(kind) for kind in kinds]
    schema = found[0] if len(found) == 1 else {"oneOf": found}
    return {
        "description": "\n".join(f"`{kind.code}`: {kind.sentence.replace('{}', 'a while')}" for kind in kinds),
        "headers": _headers(_ERROR_HEADERS.get(status, {}))
        | (_headers({"Retry-After": _WAIT}, required=False) if {Busy, Unavailable} & set(kinds) else {})
        | (_headers({"ETag": _CURRENT}, required=False) if Conflict in kinds else {}),
        "content": {JSON: {"schema": schema}},
    }


def _headers(says: Mapping[str, str], *, required: bool = True) -> dict[str, Any]:
    return {
        name: {"description": text, "required": required, "schema": {"type": "string"}} for name, text in says.items()
    }
