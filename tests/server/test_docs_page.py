"""The page that shows the protocol to people: complete, accessible, and sufficient unto itself."""

import base64
import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.server import described
from tests.server.described import DOCUMENT
from tests.server.helpers import Wire
from tests.server.markup import Reader
from walletsync_server.api.docs import page

HEADINGS = ["h1", "h2", "h3", "h4", "h5", "h6"]


@pytest.fixture(scope="module")
def html() -> str:
    return page(DOCUMENT, "/openapi.json").response(200).body.decode()


@pytest.fixture(scope="module")
def reader(html: str) -> Reader:
    return Reader(html)


def section(html: str, name: str) -> Reader:
    """Read the section of this name alone."""
    found = re.search(rf'<section aria-labelledby="{name}">.*?</section>', html, re.DOTALL)
    assert found, name
    return Reader(found[0])


def operations() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


@pytest.mark.promise("P-116")
def test_page_is_served_under_a_strict_policy(wire: Wire, html: str) -> None:
    """Nothing may run or be fetched; the one style that may be used is the one in the page."""
    answer = wire("GET", "/docs")
    assert (answer.status, answer.body.decode()) == (200, html)
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = dict(each.strip().partition(" ")[::2] for each in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["style-src"] == f"'sha256-{digest}'"
    assert {name for name in policy if name.endswith("-src")} == {"default-src", "style-src"}


def test_page_needs_nothing_from_elsewhere(reader: Reader, html: str) -> None:
    """No script, no picture, no style but its own; links lead into the page or to the document."""
    assert not reader.tags("script", "img", "link", "iframe", "object", "embed", "form", "base")
    names = {name for _, attributes in reader.elements for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in ("src", "style", "srcset", "action")}
    inside = {f"#{each}" for each in reader.attributes("id")}
    assert set(reader.attributes("href")) <= inside | {"/openapi.json"}
    assert "://" not in html
    assert not re.search(r"url\(|@import", html)


def test_page_is_accessible(reader: Reader) -> None:
    """It names its language, has one main part and no gap in its headings; tables have captions and heads."""
    assert dict(reader.elements)["html"] == {"lang": "en"}
    assert reader.tags("main") == ["main"]
    assert reader.texts["title"] == reader.texts["h1"]
    levels = [HEADINGS.index(tag) for tag in reader.tags(*HEADINGS)]
    assert levels[0] == 0
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))
    assert levels.count(0) == 1
    assert len(reader.tags("table")) == len(reader.tags("caption"))
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in reader.elements if tag == "th")
    ids = reader.attributes("id")
    assert len(ids) == len(set(ids))
    assert set(reader.attributes("aria-labelledby")) <= set(ids)


@pytest.mark.promise("X-28")
def test_every_operation_is_there(html: str) -> None:
    """Each path and method of the document, with its parameters and each status and error code."""
    for method, path, operation in operations():
        part = section(html, operation["operationId"].removeprefix("flat_"))
        text = part.texts["code"]
        assert path in text
        assert method in text
        for parameter in operation["parameters"]:
            assert parameter["name"] in text
            assert parameter["description"] in part.texts["td"]
        expected = set()
        for status, response in operation["responses"].items():
            expected |= {(status, code) for code in described.codes(response) or [""]}
        assert {(row[0], row[1]) for row in part.rows if row[0].isdecimal()} == expected


def test_page_tells_what_an_error_has_beside_its_code(html: str) -> None:
    """The refusal of a wallet brings the current one."""
    (row,) = [row for row in section(html, "post_wallet").rows if row[1] == "conflict"]
    assert "With version, encryptedWallet, sequence, hmac. Header ETag: " in row[2]


def test_every_message_is_there(html: str) -> None:
    """Each message of the document with its fields, and which of them may be left out."""
    rows = {(row[0], "optional" in row[1]) for row in section(html, "messages").rows}
    for name, schema in DOCUMENT["components"]["schemas"].items():
        if "properties" in schema and "allOf" not in schema:
            assert f'<h3 id="{name}">' in html
            assert {(field, field not in schema["required"]) for field in schema["properties"]} <= rows


def test_every_code_is_there(html: str) -> None:
    """Each error code of the document, once, with its statuses and its sentence."""
    part = section(html, "errors")
    codes = [row[0] for row in part.rows[1:]]
    assert codes == sorted(set(codes))
    expected: dict[str, set[str]] = {}
    for _, _, operation in operations():
        for status, response in operation["responses"].items():
            for code in re.findall(r"`(\w+)`: ", response["description"]):
                expected.setdefault(code, set()).add(status)
    assert {row[0]: set(row[1].split(", ")) for row in part.rows[1:]} == expected
    for row in part.rows[1:]:
        assert len(row[2]) > 20


def test_texts_of_the_document_are_no_html() -> None:
    """Whatever a text has in it, it is shown as it is; what stands in backticks is code."""
    document = dict(DOCUMENT) | {"info": dict(DOCUMENT["info"]) | {"description": "<script>`&`</script>"}}
    html = page(document, "/openapi.json").response(200).body.decode()
    assert "<p>&lt;script&gt;<code>&amp;</code>&lt;/script&gt;</p>" in html
