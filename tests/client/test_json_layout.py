"""JSON files keep their numbers and their layout, whatever else becomes of them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from walletsync.exactjson import Number
from walletsync.formats.json import JSONFormat

ENTRIES = JSONFormat({"/items": "id"})
FILE = """{
    "big": 12345678901234567.89,
    "rate": 105620.00,
    "x": 1,
    "in": {"a": [1, 2], "b": {}},
    "items": [
        {"id": 1, "n": 1e2},
        {
            "id": 2
        }
    ]
}
"""


def after(text: str, **changes: Any) -> str:
    document = ENTRIES.decode(text.encode()) | changes
    return ENTRIES.to_file(document, text.encode()).decode()


def test_numbers_keep_their_digits() -> None:
    """From file to wire and back: Python's float would have 1.2345678901234568e+16."""
    data = b'{"big":12345678901234567.89,"rate":105620.00,"e":1E400000,"zero":-0,"one":[1,1.0]}'.replace(
        b"400000", b"5"
    )
    document = ENTRIES.decode(data)
    assert ENTRIES.encode(document) == data
    assert (type(document["big"]), document["big"]) == (Number, 12345678901234567.89)


@pytest.mark.parametrize(
    ("changes", "old", "new"),
    [
        pytest.param({}, "", "", id="nothing"),
        pytest.param({"x": 2}, '"x": 1', '"x": 2', id="a value"),
        pytest.param({"in": {"b": {}, "a": [1, 2, 3]}}, "[1, 2]", "[1, 2, 3]", id="inside a line"),
        pytest.param({"in": {"a": [], "b": {"c": 1}}}, '[1, 2], "b": {}', '[], "b": {"c": 1}', id="no content"),
        pytest.param({"y": {"z": [1, {}]}}, "\n    ]\n}", '\n    ],\n    "y": {\n        "z": [\n            1,\n'
            "            {}\n        ]\n    }\n}", id="an entry"),
        pytest.param({"items": [{"id": 2}, {"id": 1, "n": Number("1e2")}]}, FILE[FILE.index("        {\"id\": 1"):],
            '        {\n            "id": 2\n        },\n        {"id": 1, "n": 1e2}\n    ]\n}\n', id="moved"),
        pytest.param({"items": [{"id": 1, "n": 5}, {"id": 3}, {"id": 2}]}, '"n": 1e2},',
            '"n": 5},\n        {\n            "id": 3\n        },', id="an item"),
    ],
)  # fmt: skip
def test_only_what_changed_is_written_anew(changes: Any, old: str, new: str) -> None:
    """In the layout of what is around it."""
    assert after(FILE, **changes) == FILE.replace(old, new, 1)


def test_the_order_of_keys_stays_that_of_the_file() -> None:
    """It is no edit, and another laptop's order is none."""
    assert ENTRIES.to_file({"b": 1, "c": 3, "a": 2}, b'{"a": 2, "b": 1}\n') == b'{"a": 2, "b": 1, "c": 3}\n'
    assert ENTRIES.differences([{"a": 1, "b": 2}, {"b": 2, "a": 1}]) == [{}, {}]
    merged = ENTRIES.merge({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1, "b": 3})
    assert (list(merged.document.items()), merged.conflicts) == ([("a", 1), ("b", 3)], ())


def test_a_number_in_another_spelling_is_no_edit() -> None:
    """1.10 is 1.1; but 1 is not 1.0, and digits that a float does not have count."""
    documents = [ENTRIES.decode(b'{"n":%s}' % number) for number in (b"1.10", b"1.1", b"1.10e0")]
    assert ENTRIES.differences(documents) == [{}, {}, {}]
    for one, other in ((b"1.0", b"1"), (b"12345678901234567.89", b"12345678901234567.88"), (b"-0", b"0")):
        pair = [ENTRIES.decode(b'{"n":%s}' % number) for number in (one, other)]
        assert all(ENTRIES.differences(pair))
    first, again, _ = documents
    for mine, theirs in ((again, {"n": 2}), ({"n": 2}, again)):
        merged = ENTRIES.merge(first, mine, theirs)
        assert (merged.document, merged.conflicts) == ({"n": 2}, ())
    (conflict,) = ENTRIES.merge(first, {"n": 3}, {"n": 2}).conflicts
    assert (repr(conflict.base), conflict.mine, conflict.theirs) == ("1.10", 3, 2)
    assert after('{"n": 1.10}', n=1.1) == '{"n": 1.10}'


def test_a_new_file_is_compact_and_lines_may_end_as_on_windows() -> None:
    """And a file on one line stays on one."""
    assert ENTRIES.from_file(b"{}\n", {"a": 1}) == {}
    assert not ENTRIES.unreadable(b"{}\n")
    assert ENTRIES.to_file({"a": [1]}, b"") == b'{"a":[1]}'
    assert after("{}\n", a={"b": 1}) == '{"a":{"b":1}}\n'
    assert after('{"a": 1}', b={"c": 1}) == '{"a": 1, "b": {"c": 1}}'
    assert after('{\r\n\t"a": 1\r\n}\r\n', b=[1]) == '{\r\n\t"a": 1,\r\n\t"b": [\r\n\t\t1\r\n\t]\r\n}\r\n'


values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-1, 1) | st.sampled_from('aä\n"'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(st.sampled_from(["a", "b", "items"]), values, max_size=3)
indents = st.sampled_from([None, 0, 1, 4, "\t"])


@examples(200)
@given(documents, documents, indents)
def test_the_file_has_the_document_whatever_was_there(before: Any, document: Any, indent: Any) -> None:
    """It says the same, and the same again leaves it alone."""
    data = json.dumps(before, indent=indent).encode()
    written = ENTRIES.to_file(document, data)
    assert ENTRIES.differences([ENTRIES.decode(written), document]) == [{}, {}]
    assert ENTRIES.to_file(document, written) == written
    assert ENTRIES.to_file(ENTRIES.decode(data), data) == data
