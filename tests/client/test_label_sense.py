"""What is equal in label files whatever its spelling, what nobody edits, and records that cannot be told apart."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from walletsync.formats.bip329 import BIP329Format
from walletsync.formats.label_sense import DERIVED, identity
from walletsync.merge import MISSING, Conflict, Item

LABELS = BIP329Format()
ORIGIN = "wpkh([0604bfe6/84{0}/0{0}/{1}{0}])"


def file(*records: dict[str, Any] | str) -> str:
    texts = (each if isinstance(each, str) else json.dumps({"type": "tx", "ref": "a"} | each) for each in records)
    return "".join(f"{text}\n" for text in texts)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"spendable": "false"}, {"spendable": False}, id="text for false"),
        pytest.param('{"type":"tx","ref":"a","n":11}', '{"type":"tx","ref":"a","n":11.00}', id="11 and 11.00"),
        pytest.param(
            '{"type":"tx","ref":"a","n":[1e2]}', '{"type":"tx","ref":"a","n":[100]}', id="an exponent, inside"
        ),
        pytest.param({"label": "Cafe\u0301"}, {"label": "Caf\u00e9"}, id="an accent"),
        pytest.param({"origin": ORIGIN.format("h", 0)}, {"origin": ORIGIN.format("'", 0)}, id="h and apostrophe"),
        pytest.param({"type": "addr", "ref": "BC1QXY"}, {"type": "addr", "ref": "bc1qxy"}, id="bech32 in capitals"),
    ],
)
def test_spellings_that_say_the_same_are_one(one: Any, other: Any) -> None:
    """To spell something anew is no edit that could meet one, and both at once is no conflict."""
    here, there = file(one), file(other)
    assert LABELS.merge("", here, there).document == there
    assert LABELS.merge("", here, there).conflicts == ()
    path = (*LABELS.record_at(next(iter(LABELS.differences([here, ""])[0]))), "label")
    edited = LABELS.replace(there, path, "new")
    merged = LABELS.merge(here, file(one), edited)
    assert (merged.document, merged.conflicts) == (edited, ())
    respelled = LABELS.merge(here, there, LABELS.replace(here, path, "new"))
    assert (LABELS.value_at(respelled.document, path), respelled.conflicts) == ("new", ())
    assert LABELS.differences([here, there]) == [{}, {}]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"label": "false"}, {"label": False}, id="only spendable is the same as text"),
        pytest.param({"label": "11"}, {"label": 11}, id="text and number"),
        pytest.param({"n": 1}, {"n": True}, id="number and true"),
        pytest.param('{"type":"tx","ref":"a","n":1.1}', '{"type":"tx","ref":"a","n":1.11}', id="numbers"),
        pytest.param({"origin": ORIGIN.format("h", 0)}, {"origin": ORIGIN.format("h", 1)}, id="accounts"),
    ],
)
def test_what_says_something_else_is_a_conflict(one: Any, other: Any) -> None:
    """With each side's own spelling."""
    (conflict,) = LABELS.merge("", file(one), file(other)).conflicts
    assert conflict.path[:2] == ("tx", "a")


def test_an_address_in_capitals_is_not_another_text_in_capitals() -> None:
    """Only bech32 has two cases; a base58 address, or a ref of another type, does not."""
    for kind, refs in (("addr", ("1ABC", "1abc")), ("tx", ("BC1QXY", "bc1qxy")), ("addr", ("BC1Qxy", "bc1qxy"))):
        merged = LABELS.merge("", *(file({"type": kind, "ref": ref, "label": ref}) for ref in refs))
        assert (len(merged.document.splitlines()), merged.conflicts) == (2, ())


def test_origins_of_two_spellings_tell_records_apart() -> None:
    """Case labels/08: one record each, the edits of both, no conflict."""
    base = file(*({"label": name, "origin": ORIGIN.format("'", n)} for n, name in enumerate(("out", "in"))))
    mine = file(*({"label": name, "origin": ORIGIN.format("h", n)} for n, name in enumerate(("out", "in B"))))
    theirs = base.replace('"out"', '"out A"')
    merged = LABELS.merge(base, mine, theirs)
    assert (merged.document, merged.conflicts) == (theirs.replace('"in"', '"in B"'), ())
    (conflict,) = LABELS.merge(base, mine, theirs.replace('"in"', '"in A"')).conflicts
    path = ("tx", "a", Item("origin", ORIGIN.format("'", 1)), "label")
    assert conflict == Conflict(path, "in", "in B", "in A")
    other_way = (*path[:2], Item("origin", ORIGIN.format("h", 1)), "label")
    assert LABELS.value_at(LABELS.replace(theirs, other_way, "x"), path) == "x"


@pytest.mark.parametrize("name", sorted(DERIVED))
def test_what_a_program_derives_is_no_conflict(name: str) -> None:
    """Two exports of one new transaction, at other rates: theirs counts, and what else was said is merged."""
    merged = LABELS.merge("", file({name: {"USD": 1}, "label": "x"}), file({name: {"USD": 2}, "spendable": False}))
    assert merged.conflicts == ()
    assert json.loads(merged.document) == {"type": "tx", "ref": "a", name: {"USD": 2}, "spendable": False, "label": "x"}


def test_what_a_program_derives_is_no_edit_of_what_is_deleted() -> None:
    """A new rate neither revives a record that the other side deleted, nor asks about it."""
    old, new, gone = file({"label": "x", "rate": 1}), file({"label": "x", "rate": 2}), ""
    for mine, theirs in ((new, gone), (gone, new)):
        assert LABELS.merge(old, mine, theirs) == LABELS.merge(old, gone, gone)
    edited = file({"label": "y", "rate": 2})
    (conflict,) = LABELS.merge(old, gone, edited).conflicts
    assert (conflict.path, conflict.mine) == (("tx", "a"), MISSING)


def test_several_records_without_a_telling_origin_are_a_set() -> None:
    """Case labels/07: two additions are both kept; what one side took away is gone, and what both added is one."""
    notes = [{"label": f"note {n}", "origin": None} for n in range(5)]
    base, mine, theirs = file(*notes[:2]), file(*notes[:2], notes[2], notes[4]), file(notes[1], notes[3], notes[4])
    merged = LABELS.merge(base, mine, theirs)
    assert (merged.document, merged.conflicts) == (file(notes[1], notes[3], notes[4], notes[2]), ())


def test_in_a_set_what_is_derived_makes_no_second_record() -> None:
    """The same two notes at other rates are two notes, at their rates."""
    base, mine, theirs = (file({"label": "m", "rate": rate}, {"label": "n", "rate": rate}) for rate in (1, 2, 3))
    assert LABELS.merge(base, mine, theirs).document == theirs
    assert LABELS.merge(base, mine, file(json.loads(base.splitlines()[0]))).document == mine.splitlines()[0] + "\n"


notes = st.lists(st.sampled_from("vwxyz"), max_size=4).map(lambda labels: file(*({"label": each} for each in labels)))


@examples(200)
@given(notes, notes, notes)
def test_a_set_keeps_what_was_added_and_lets_go_what_was_taken_away(base: str, mine: str, theirs: str) -> None:
    """Whatever the notes are; a set that one side deleted as a whole, and the other added to, is asked about."""
    was, here, there = (set(map(identity, map(json.loads, side.splitlines()))) for side in (base, mine, theirs))
    merged = LABELS.merge(base, mine, theirs)
    now = set(map(identity, map(json.loads, merged.document.splitlines())))
    if max(map(len, (base.splitlines(), mine.splitlines(), theirs.splitlines()))) < 2:
        return  # single records merge field by field
    if merged.conflicts:
        assert not (mine and theirs)
        assert now == there
    else:
        assert now == (was & here & there) | (here - was) | (there - was)
    assert {each.path for each in LABELS.merge(base, theirs, mine).conflicts} == {c.path for c in merged.conflicts}
