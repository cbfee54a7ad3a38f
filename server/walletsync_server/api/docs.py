"""The page that shows the OpenAPI document to people. Rendered once, from the document and nothing else."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jinja2
from markupsafe import Markup, escape

from walletsync_server.api.pages import Page, read

_FLAT = "flat_"
_CODE = re.compile("`([^`]+)`")
Json = Mapping[str, Any]


def page(document: Json, source: str) -> Page:
    """Return the page.

    Args:
        document: what `openapi.document` returns.
        source: the path that it is served at.
    """
    schemas = document["components"]["schemas"]
    content = _template().render(
        title=f"The protocol of {document['info']['title']}",
        version=document["info"]["version"],
        source=source,
        about=document["info"]["description"].split("\n\n"),
        operations=list(_operations(document)),
        messages=[_message(name, schema) for name, schema in schemas.items() if "allOf" not in schema],
        errors=_errors(document),
    )
    return Page(content, read("docs.css"))


def _template() -> jinja2.Template:
    jinja = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    jinja.filters["prose"] = _prose
    return jinja.from_string(read("docs.html"))


def _prose(text: str) -> Markup:
    """Return a text of the document, which is CommonMark of the simplest kind, as HTML."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - it is escaped


def _each(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method.upper(), operation


def _operations(document: Json) -> Iterator[Json]:
    """Return what the page says of each operation; the flat ones are told beside those that they repeat."""
    schemas = document["components"]["schemas"]
    flat = {operation["operationId"]: path for path, _, operation in _each(document)}
    for path, method, operation in _each(document):
        if operation["operationId"].startswith(_FLAT):
            continue
        request = _name(_schema(operation["requestBody"])) if "requestBody" in operation else None
        yield {
            "name": operation["operationId"],
            "method": method,
            "path": path,
            "flat": flat.get(_FLAT + operation["operationId"]),
            "summary": operation["summary"],
            "needs_token": bool(operation["security"]),
            "token_in_body": request is not None and "token" in schemas[request]["properties"],
            "parameters": operation["parameters"],
            "request": request,
            "answers": list(_answers(operation, schemas)),
        }


def _answers(operation: Json, schemas: Json) -> Iterator[Json]:
    """Return a row for every answer that is no error, and for every error code at its status."""
    for status, response in operation["responses"].items():
        schema = _schema(response)
        kinds = [schemas[_name(each)] for each in schema.get("oneOf", [schema]) if "$ref" in each]
        errors = [kind for kind in kinds if "allOf" in kind]
        row = {
            "status": status,
            "code": None,
            "meaning": response["description"],
            "headers": {name: each["description"] for name, each in response["headers"].items()},
            "body": _name(schema) if "$ref" in schema and not errors else None,
            "more": [],
        }
        if errors:
            for kind in errors:
                yield row | {
                    "code": kind["properties"]["code"]["const"],
                    "meaning": kind["description"],
                    "more": [name for name in kind["required"] if name not in ("error", "code")],
                }
        else:
            yield row


def _schema(has_content: Json) -> Json:
    """Return the one schema of a request's or an answer's body; an empty one if it has none."""
    return next((dict(media["schema"]) for media in has_content.get("content", {}).values()), {})


def _name(reference: Json) -> str:
    return str(reference["$ref"].rpartition("/")[2])


def _message(name: str, schema: Json) -> Json:
    return {
        "name": name,
        "description": schema["description"],
        "fields": [
            {
                "name": field,
                "type": _type(each),
                "of": _name(each)
                if "$ref" in each
                else _name(each["items"])
                if "$ref" in each.get("items", {})
                else None,
                "required": field in schema["required"],
                "description": each.get("description", ""),
            }
            for field, each in schema["properties"].items()
        ],
        "example": json.dumps(schema["examples"][0], indent=2),
    }


def _type(schema: Json) -> str:
    """Return the type of a field, and its limits, in words."""
    if "$ref" in schema:
        return ""
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}".strip()
    words = [schema.get("type", "string")]
    if "const" in schema:
        words.append(f"always {schema['const']}")
    if "minimum" in schema:
        words.append(f"{schema['minimum']} to {schema['maximum']}")
    if "maxLength" in schema:
        words.append(f"{schema['minLength']} to {schema['maxLength']} characters")
    elif "minLength" in schema:
        words.append("not empty")
    if "pattern" in schema:
        words.append(f"matches {schema['pattern']}")
    return ", ".join(words)


def _errors(document: Json) -> list[Json]:
    """Return every code with its statuses and sentences, in alphabetical order."""
    schemas = document["components"]["schemas"]
    found: dict[str, dict[str, dict[str, None]]] = {}  # dicts as sets that keep their order
    for _, _, operation in _each(document):
        for answer in _answers(operation, schemas):
            if answer["code"]:
                error = found.setdefault(answer["code"], {"statuses": {}, "sentences": {}})
                error["statuses"][answer["status"]] = None
                error["sentences"][answer["meaning"]] = None
    return [{"code": code, **{name: list(each) for name, each in found[code].items()}} for code in sorted(found)]
