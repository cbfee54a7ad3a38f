"""What every format promises, and what the JSON format takes and refuses."""

import json
import traceback
from collections import OrderedDict
from collections.abc import Callable
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import walletsync
from append_log import AppendLog
from tests.labels import LABEL_FILES
from tests.properties import examples
from walletsync.errors import DocumentError, UsageError
from walletsync.formats.base import Format
from walletsync.formats.bip329 import BIP329Format
from walletsync.formats.json import MAX_DEPTH, JSONFormat
from walletsync.formats.testing import PROMISES, Promise
from walletsync.merge import MISSING, Conflict, Item

KEYED = JSONFormat({"/accounts": "id"})
ACCOUNTS: list[dict[str, Any]] = [
    {"accounts": []},
    {"accounts": [{"id": 1, "n": 1}, {"id": True}]},
    {"accounts": [{"id": 1, "n": 2}, {"id": 2}]},
    {"accounts": [{"id": 1}, {"id": 1}], "other": {"a": [1, {}]}},
    {"accounts": [{"id": 1, "n": 3}, {"id": 1.0}], "other": {"a": [1.0], "b": None}},
]

# One row for each format: documents that are all different, and bytes that are none.
FORMATS = [
    pytest.param(
        JSONFormat(),
        [{"a": 1}, {"a": True}, {"a": 1.0, "b": [None, {}]}, {"b": {"c": "ü", "d": 0.5}}, {"b": {"c": "u"}}],
        [b"", b"\xff", b"5", b"{", b"null", b"\xef\xbb\xbf{}"],
        id="json",
    ),
    pytest.param(KEYED, ACCOUNTS, [b"[]"], id="json with keys"),
    pytest.param(
        BIP329Format(),
        LABEL_FILES,
        [b"5", b"{}", b"[]", b"null", b"\xff", b'{"type":"tx","ref":"a"', b'{"type":"tx","ref":1}'],
        id="bip329",
    ),
    pytest.param(
        AppendLog(),
        ["-:cfF6", "-:cfF6:565b", "-:cfF6:6De1", "-:cfF6:565b:6De1"],
        [b"", b"\xff", b"-:\n", b"-:cfF6\n", b"null"],
        id="append-log",
    ),
]


@pytest.mark.parametrize(("format_", "documents", "refused"), FORMATS)
def test_every_format_refuses_other_bytes(format_: Format[Any], documents: list[Any], refused: list[bytes]) -> None:
    """The only error is DocumentError."""
    for data in refused:
        with pytest.raises(DocumentError):
            format_.decode(data)


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
@pytest.mark.parametrize(("format_", "documents", "refused"), FORMATS)
def test_every_format_keeps_each_promise(
    format_: Format[Any], documents: list[Any], refused: list[bytes], promise: Promise
) -> None:
    """The contract of `Format`, one by one."""
    promise(format_, documents)


class Colour(StrEnum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


def nested(levels: int, make: Callable[[Any], Any]) -> Any:
    value: Any = make(None)
    for _ in range(levels - 1):
        value = make(value)
    return value


def test_json_bytes_are_compact_utf_8_in_the_order_of_the_entries() -> None:
    """The bytes are the same on every device."""
    document = {"b": "ü€😀\n", "a": [1, -0.0, 1.0, 0.1, True, None, 10**30]}
    data = '{"b":"ü€😀\\n","a":[1,-0.0,1.0,0.1,true,null,1000000000000000000000000000000]}'.encode()
    assert JSONFormat().encode(document) == data
    assert repr(JSONFormat().decode(data)) == repr(document)


@examples(150)
@given(
    st.dictionaries(
        st.text(max_size=3),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=4,
    )
)
def test_json_documents_come_back_as_they_were(document: dict[str, Any]) -> None:
    """Whatever is in them, to the last type and the order of the entries."""
    assert repr(JSONFormat().decode(JSONFormat().encode(document))) == repr(document)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        pytest.param((1, 2), "/a/0 is of type tuple: use dict, list", id="tuple"),
        pytest.param(b"secret", "/a/0 is of type bytes", id="bytes"),
        pytest.param({1}, "/a/0 is of type set", id="set"),
        pytest.param(Number.ONE, "/a/0 is of type Number", id="an enum of ints"),
        pytest.param(Colour.RED, "/a/0 is of type Colour", id="an enum of strs"),
        pytest.param(OrderedDict(), "/a/0 is of type OrderedDict", id="a subclass of dict"),
        pytest.param(MISSING, "/a/0 is of type Missing", id="nothing"),
        pytest.param(float("nan"), "/a/0 is not a finite number", id="NaN"),
        pytest.param(float("inf"), "/a/0 is not a finite number", id="infinity"),
        pytest.param("\ud800", "/a/0 holds half of a surrogate pair", id="a lone surrogate"),
        pytest.param(10**4300, "/a/0 has more digits than Python converts", id="a huge int"),
        pytest.param(-(10**4300), "/a/0 has more digits than Python converts", id="a huge negative int"),
        pytest.param({1: "secret"}, "/a/0 has a key that is not a str", id="an int as a key"),
        pytest.param({Colour.RED: 1}, "/a/0 has a key that is not a str", id="an enum as a key"),
        pytest.param({"\udfff": 1}, "/a/0 has a key that is not a str", id="a surrogate in a key"),
        pytest.param({"b": {"c/d": {1}}}, "/a/0/b/c~1d is of type set", id="deep inside"),
    ],
)
def test_json_refuses_to_encode_what_would_not_come_back(value: Any, says: str) -> None:
    """The error names the place and what is wrong, and nothing that is in the document."""
    with pytest.raises(DocumentError, match=says) as caught:
        JSONFormat().encode({"a": [value]})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("document", [[], "text", 5, None])
def test_a_json_document_is_an_object(document: Any) -> None:
    """Anything else is refused in both directions, and as a decision."""
    with pytest.raises(DocumentError, match="A document is a JSON object"):
        JSONFormat().encode(document)
    with pytest.raises(DocumentError, match="A document is a JSON object"):
        JSONFormat().decode(json.dumps(document).encode())
    with pytest.raises(DocumentError, match="A document is a JSON object"):
        JSONFormat().replace({"a": 1}, (), document)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(b'{"a":"\xff"}', "not UTF-8 at byte 6", id="bad UTF-8"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', "not UTF-8 at byte 6", id="a surrogate in UTF-8"),
        pytest.param(b'{\n"secret"}', "not JSON at line 2, column 9", id="no value"),
        pytest.param(b"{} {}", "not JSON at line 1, column 4", id="two values"),
        pytest.param(b"{'a':1}", "not JSON at line 1, column 2", id="single quotes"),
        pytest.param(b'{"a":"secret\n"}', "not JSON at line 1, column 13", id="a line break in text"),
        pytest.param(b'{"a":NaN}', "/a is not a finite number", id="NaN"),
        pytest.param(b'{"a":[-Infinity]}', "/a/0 is not a finite number", id="infinity"),
        pytest.param(b'{"a":1e400}', "/a is not a finite number", id="a number too large"),
        pytest.param(b'{"a":"\\ud800secret"}', "/a holds half of a surrogate pair", id="escaped surrogate"),
        pytest.param(b'{"\\udc00":1}', "The document itself has a key", id="escaped surrogate in a key"),
        pytest.param(b'{"a":1,"a":1}', "The document itself is an object that has the same key", id="doubled key"),
        pytest.param(b'{"a":[{"secret":1,"secret":2}]}', "/a/0 is an object that has the same key", id="inside"),
        pytest.param(b'{"a":1%s}' % (b"0" * 4300), "a whole number has too many digits", id="a huge int"),
        pytest.param(b'{"a":%s' % (b"[" * 100_000), "more than 100 objects and lists", id="endlessly deep"),
    ],
)
def test_json_refuses_to_decode_what_is_not_exactly_a_document(data: bytes, says: str) -> None:
    """The error names the place, and neither it nor what led to it holds text of the document."""
    with pytest.raises(DocumentError, match=says) as caught:
        JSONFormat().decode(data)
    assert "secret" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


@pytest.mark.parametrize("make", [lambda value: {"n": value}, lambda value: [value]])
def test_json_documents_have_a_limit_of_depth(make: Callable[[Any], Any]) -> None:
    """As deep as the limit works for every method, one more is refused by each."""
    format_ = JSONFormat()
    deepest, deeper = ({"top": nested(levels, make)} for levels in (MAX_DEPTH - 1, MAX_DEPTH))
    assert format_.decode(format_.encode(deepest)) == deepest
    assert format_.merge({}, deepest, {"other": 1}).document == {"other": 1, **deepest}
    assert format_.replace({}, ("top",), deepest["top"]) == deepest
    with pytest.raises(DocumentError, match=r"Below /top/./. more than 100 objects and lists"):
        format_.encode(deeper)
    with pytest.raises(DocumentError, match=r"Below /top/./. more than 100 objects and lists"):
        format_.decode(json.dumps(deeper).encode())
    with pytest.raises(DocumentError, match="more than 100 objects and lists"):
        format_.replace({}, ("top",), deeper["top"])


def test_deep_json_documents_merge_to_the_bottom() -> None:
    """The limit is one that merging can bear, on top of a program's own calls."""

    def deepest(innermost: dict[str, Any]) -> dict[str, Any]:
        return {"n": nested(MAX_DEPTH - 2, lambda value: {"n": value or innermost})}

    merged = JSONFormat().merge(deepest({}), deepest({"m": 1}), deepest({"t": 1}))
    assert merged.document == deepest({"t": 1, "m": 1})
    assert JSONFormat().encode(merged.document).count(b"{") == MAX_DEPTH


def test_a_json_document_that_contains_itself_is_refused() -> None:
    """Such a thing has no end, so it counts as too deep."""
    document: dict[str, Any] = {}
    document["me"] = document
    with pytest.raises(DocumentError, match="more than 100 objects and lists"):
        JSONFormat().encode(document)
    with pytest.raises(DocumentError, match="more than 100 objects and lists"):
        JSONFormat().replace({}, ("a",), document)


def test_json_merges_lists_by_the_keys_that_the_format_names() -> None:
    """With no key for its place, the same list is one value."""
    sides: list[dict[str, Any]] = [{"accounts": items} for items in ([], [{"id": 1}], [{"id": 2}])]
    merged = JSONFormat({"/accounts": "id"}).merge(*sides)
    assert merged.document == {"accounts": [{"id": 2}, {"id": 1}]}
    assert JSONFormat().merge(*sides).conflicts == (Conflict(("accounts",), [], [{"id": 1}], [{"id": 2}]),)


def test_json_keys_are_checked_and_copied_when_the_format_is_made() -> None:
    """A mistyped place is an error at once; changing the argument later changes nothing."""
    with pytest.raises(UsageError, match="write a JSON pointer"):
        JSONFormat({"accounts": "id"})
    keys = {"/accounts": "id"}
    format_ = JSONFormat(keys)
    keys.clear()
    assert format_.merge({}, {"accounts": [{"id": 1}]}, {"accounts": []}).conflicts == ()


def test_json_decides_a_conflict_of_an_item() -> None:
    """A path through a list with a key leads to the item, wherever it stands by then."""
    document = {"accounts": [{"id": 2}, {"id": 1, "n": 0}]}
    path = ("accounts", Item("id", 1), "n")
    assert JSONFormat().replace(document, path, 5) == {"accounts": [{"id": 2}, {"id": 1, "n": 5}]}
    assert JSONFormat().replace(document, path[:2], MISSING) == {"accounts": [{"id": 2}]}


def test_json_refuses_a_decision_that_makes_no_document() -> None:
    """So a document that was valid stays valid."""
    with pytest.raises(DocumentError, match="/a is of type tuple"):
        JSONFormat().replace({"a": 1}, ("a",), (1,))


def test_the_json_format_is_part_of_the_package() -> None:
    """`walletsync.JSONFormat` is the one; its name is what wallets carry."""
    assert walletsync.JSONFormat is JSONFormat
    assert JSONFormat.name == "json"


def test_each_entry_of_json_is_a_record_of_its_own() -> None:
    """So as many are counted as a program took away."""
    document = {"labels": {"one": "rent", "two": ["food"]}, "note": ""}
    records = {JSONFormat().record_at(path) for path in JSONFormat().contents(document)}
    assert len(records) == 2
