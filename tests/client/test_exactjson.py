"""JSON that comes back as it was written, numbers included."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from walletsync.exactjson import Number, canonical, dumps, loads, spelling
from walletsync.merge import same

numbers = st.builds(
    "{}{}{}".format,
    st.integers(-(10**20), 10**20) | st.just("-0"),
    st.sampled_from(["", ".0", ".5", ".10", ".000", ".1000000000000000055"]),
    st.sampled_from(["", "e5", "E+16", "e-07", "E400"]),
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
values = st.recursive(
    numbers | st.sampled_from(["true", "false", "null", '""', '"1"']),
    lambda inside: (
        st.lists(inside, max_size=3).map(lambda items: f"[{','.join(items)}]")
        | st.dictionaries(texts, inside, max_size=3).map(
            lambda entries: "{" + ",".join(f"{json.dumps(n, ensure_ascii=False)}:{v}" for n, v in entries.items()) + "}"
        )
    ),
    max_leaves=8,
)


@examples(100)
@given(values)
def test_compact_json_comes_back_to_the_last_character(text: str) -> None:
    """Whatever numbers are in it, however they are spelled."""
    assert dumps(loads(text)) == text


@examples(100)
@given(values)
def test_a_value_is_the_one_that_json_reads(text: str) -> None:
    """Only that numbers remember their spelling."""
    ours, theirs = loads(text), json.loads(text)
    assert ours == theirs
    assert same(loads(dumps(ours)), ours)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "-0.0", "1e+16", str(2**64), "1e-07"])
def test_numbers_as_python_spells_them_are_plain(text: str) -> None:
    """So programs get int and float wherever nothing would be lost."""
    assert type(loads(text)) is type(json.loads(text))
    assert dumps(loads(text)) == text


@pytest.mark.parametrize(
    "text", ["-0", "1.10", "105620.00", "1e5", "1E+16", "1e400", "0.1000000000000000055", "9" * 5000]
)
def test_other_numbers_remember_their_spelling(text: str) -> None:
    """In their repr, through a copy, and as something to calculate with."""
    number = loads(text)
    assert type(number) is Number
    assert repr(number) == dumps(number) == text
    assert dumps(copy.deepcopy([number])) == f"[{text}]"
    assert number == float(text)


@pytest.mark.parametrize(("a", "b"), [("1", "1.0"), ("1", "true"), ("1.0", "1.00"), ("1.1", "1.10"), ("-0", "0")])
def test_different_spellings_are_different_values(a: str, b: str) -> None:
    """1 is neither true nor 1.0, and 1.0 is not 1.00."""
    assert not same(loads(a), loads(b))
    assert same(loads(a), loads(a))


@pytest.mark.parametrize("text", ["", "{", "NaN", "-Infinity", '{"a":1,"a":1}', "[1,]", "1 2", "01", '"\n"'])
def test_what_is_not_json_is_a_value_error(text: str) -> None:
    """NaN, and a name that an object has twice, as well."""
    with pytest.raises(ValueError, match=r"Expecting|Extra|Invalid|NaN|twice|Illegal"):
        loads(text)


def test_an_object_is_taken_apart_as_it_is_written() -> None:
    """Spaces, escapes and spellings of each entry, and what stands between them."""
    how = spelling('{ "a\\u0022" : [1.10, {"b": "," }] ,\t"c":"\\u0027"}')
    assert (how.opening, how.separator, how.closing) == ("{ ", " ,\t", "}")
    assert how.entries == {'a"': ([1.1, {"b": ","}], '"a\\u0022" : [1.10, {"b": "," }]'), "c": ("'", '"c":"\\u0027"')}
    assert spelling('{"a":1 }').separator == ","


@examples(100)
@given(st.dictionaries(texts, values, min_size=1, max_size=5), st.sampled_from([",", " , ", ",\t"]))
def test_an_object_taken_apart_can_be_put_together(entries: dict[str, str], separator: str) -> None:
    """To the last character."""
    text = "{ " + separator.join(f"{json.dumps(name)}: {value}" for name, value in entries.items()) + "}"
    how = spelling(text)
    assert how.opening + how.separator.join(entry for _, entry in how.entries.values()) + how.closing == text or (
        len(entries) == 1
    )
    assert {name: value for name, (value, _) in how.entries.items()} == loads(text)


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), object(), {"a": b""}, [{1}]])
def test_what_is_no_value_is_not_written(value: Any) -> None:
    """Neither alone nor inside another."""
    with pytest.raises((TypeError, ValueError)):
        dumps(value)


def test_a_number_has_one_canonical_text() -> None:
    """For all its spellings; digits that a float does not have count, and an endless exponent is a text."""
    spellings = ("11", "11.00", "1.1e1", "110E-1", "0.11e+2")
    assert {canonical(loads(each)) for each in spellings} == {"11e0"}
    assert {canonical(loads(each)) for each in ("0", "-0", "0.00", "0e9")} == {"0"}
    near = ("12345678901234567.89", "12345678901234567.88", "-12345678901234567.88", f"1e{'9' * 2000}")
    assert len({canonical(loads(each)) for each in near}) == 4
    with pytest.raises(ValueError, match="NaN and Infinity"):
        canonical(float("nan"))
