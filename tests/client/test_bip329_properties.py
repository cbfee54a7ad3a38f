"""What holds for the merge of any label files: Hypothesis writes three that have much in common.

Types, refs and values are few, so that the sides often touch the same records; spellings and line ends vary.
"""

import json
from collections import Counter
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.properties import examples
from walletsync.exactjson import loads
from walletsync.formats.bip329 import BIP329Format
from walletsync.merge import MISSING, Merged, same

LABELS = BIP329Format()
thorough = examples(100)

# Every line of these, few enough that sides often have the same record, or two of one key.
POOL = [
    '{"type":"tx","ref":"a"}',
    '{"type":"tx","ref":"a","label":"1"}',
    '{ "type": "tx", "ref": "a", "label": "1" }',
    '{"type":"tx","ref":"a","label":1,"later":1.10}',
    '{"type":"tx","ref":"a","label":true,"later":1.1}',
    '{"type":"tx","ref":"a","later":{},"spendable":"true"}',
    '{"ref":"a","type":"tx","label":"\\u0027","origin":"o1"}',
    '{"ref":"a","type":"tx","label":"\'","origin":"o1","spendable":null}',
    '{"type":"tx","ref":"a","origin":"o2"}',
    '{"type":"tx","ref":"a","origin":"o2","label":"工资"}',
    '{"type":"addr","ref":"a","n":12345678901234567890}',
    '{"type":"addr", "ref":"a", "n":-0}',
    '{"type":"addr","ref":"a","n":0,"label":"x"}',
    '{"type":"later","ref":"b","label":"x"}',
    '{"type":"later","ref":"b","label":"y","spendable":false}',
    '{"type":"later","ref":"b","label":"y","spendable":true}',
    '{"type":"tx","ref":"c"}',
    '{"type":"tx","ref":"c","origin":"o1"}',
]
records = st.sampled_from(POOL)


@st.composite
def divergences(draw: st.DrawFn) -> tuple[str, str, str]:
    """Write a base, and what mine and theirs made of it."""
    base: list[str] = draw(st.lists(records | st.just(""), max_size=6))
    if draw(st.booleans()):  # else keys are often doubled
        base = [line for number, line in enumerate(base) if key(line) not in map(key, base[:number])]
    return written(draw, base), written(draw, changed(draw, base)), written(draw, changed(draw, base))


def changed(draw: st.DrawFn, lines: list[str]) -> list[str]:
    kept = [draw(records) if draw(st.integers(0, 4)) == 0 else line for line in lines if draw(st.integers(0, 5))]
    if not draw(st.integers(0, 3)):
        kept.reverse()
    return kept + draw(st.lists(records, max_size=2))


def written(draw: st.DrawFn, lines: list[str]) -> str:
    end = draw(st.sampled_from(["\n", "\n", "\n", "\r\n"]))
    return end.join(lines) + (end if draw(st.integers(0, 3)) else "")


def lines_of(document: str) -> list[str]:
    return [line.rstrip("\r") for line in document.split("\n") if line.strip()]


def key(line: str) -> tuple[str, str]:
    record = json.loads(line or '{"type":"","ref":""}')
    return record["type"], record["ref"]


def by_key(document: str) -> dict[tuple[str, str], list[Any]]:
    found: dict[tuple[str, str], list[Any]] = {}
    for line in lines_of(document):
        found.setdefault(key(line), []).append(loads(line))
    return found


def merged(sides: tuple[str, str, str]) -> Merged[str]:
    return LABELS.merge(*sides)


@thorough
@given(divergences())
def test_the_result_is_a_label_file(sides: tuple[str, str, str]) -> None:
    """And so is each side, however it is written."""
    for document in (*sides, merged(sides).document):
        assert LABELS.decode(LABELS.encode(document)) == document


@thorough
@given(divergences())
def test_what_only_one_side_changed_is_taken_to_the_byte(sides: tuple[str, str, str]) -> None:
    """Layout included; and merging with itself changes nothing."""
    base, side, _ = sides
    for result in (LABELS.merge(base, side, side), LABELS.merge(base, base, side), LABELS.merge(base, side, base)):
        assert result == Merged(side, ())


@thorough
@given(divergences())
def test_lines_that_all_three_have_stay_byte_for_byte(sides: tuple[str, str, str]) -> None:
    """As often as all three have them."""
    base, mine, theirs = (Counter(lines_of(side)) for side in sides)
    assert base & mine & theirs <= Counter(lines_of(merged(sides).document))


@thorough
@given(divergences())
def test_single_records_merge_field_by_field(sides: tuple[str, str, str]) -> None:
    """As the rules say, written down here once more: a field is a value, and MISSING is one."""
    base, mine, theirs = map(by_key, sides)
    result = merged(sides)
    found = by_key(result.document)
    places = {conflict.path for conflict in result.conflicts}
    for each in base | mine | theirs:
        records = [side.get(each, []) for side in (base, mine, theirs)]
        if max(map(len, records)) > 1:
            continue
        three: list[Any] = [(record[0] if record else MISSING) for record in records]
        now = found.get(each, [MISSING])[0]
        if MISSING in three[1:]:
            assert same(now, chosen(*three))
            assert (each in places) is in_conflict(*three)
            continue
        old, here, there = ({} if side is MISSING else side for side in three)
        assert now.keys() <= {**here, **there}.keys()
        for name in {**here, **there}:
            three = [side.get(name, MISSING) for side in (old, here, there)]
            assert same(now.get(name, MISSING), chosen(*three))
            assert ((*each, name) in places) is in_conflict(*three)


def chosen(base: Any, mine: Any, theirs: Any) -> Any:
    return mine if same(base, theirs) else theirs


def in_conflict(base: Any, mine: Any, theirs: Any) -> bool:
    return not (same(mine, theirs) or same(base, mine) or same(base, theirs))


@thorough
@given(divergences())
def test_several_records_of_a_key_are_taken_from_the_side_that_changed_them(sides: tuple[str, str, str]) -> None:
    """Or, if both did and it is one conflict, they are theirs, and the conflict has all of mine."""
    base, mine, theirs = map(by_key, sides)
    result = merged(sides)
    found = by_key(result.document)
    conflicts = {conflict.path: conflict for conflict in result.conflicts}
    for each in base | mine | theirs:
        was, here, there, now = (side.get(each, []) for side in (base, mine, theirs, found))
        if same(here, was) or same(there, was):
            assert not any(path[:2] == each for path in conflicts)
            assert unordered(now) == unordered(there if same(here, was) else here)
        elif each in conflicts:
            assert unordered(now) == unordered(there)
            value = conflicts[each].mine
            assert unordered(here) == unordered(
                value if isinstance(value, list) else [] if value is MISSING else [value]
            )


def unordered(values: list[Any]) -> list[str]:
    return sorted(repr(sorted(value.items())) for value in values)


@thorough
@given(divergences())
def test_records_are_in_their_order_and_then_in_mine(sides: tuple[str, str, str]) -> None:
    """Nothing they have moves because of what I did, and their blank lines stay."""
    base, mine, theirs = sides
    assume(theirs not in (base, mine))
    assume(mine != base)
    document = merged(sides).document
    order = [*by_key(theirs), *(each for each in by_key(mine) if each not in by_key(theirs))]
    assert list(by_key(document)) == [each for each in order if each in by_key(document)]
    blank = [line for line in theirs.split("\n")[:-1] if not line.strip()]
    assert [line for line in document.split("\n")[:-1] if not line.strip()] == blank


@thorough
@given(divergences())
def test_the_other_device_finds_the_same_conflicts(sides: tuple[str, str, str]) -> None:
    """With mine and theirs exchanged, at the same places, the other way round."""
    base, mine, theirs = sides
    here = {conflict.path: conflict for conflict in LABELS.merge(base, mine, theirs).conflicts}
    there = {conflict.path: conflict for conflict in LABELS.merge(base, theirs, mine).conflicts}
    assert here.keys() == there.keys()
    for path, conflict in here.items():
        assert same(conflict.mine, there[path].theirs)
        assert same(conflict.theirs, there[path].mine)
        assert same(conflict.base, there[path].base)


@thorough
@given(divergences())
def test_a_conflict_can_be_decided_for_each_side(sides: tuple[str, str, str]) -> None:
    """In its place stands what was chosen, and every line of other records stays."""
    result = merged(sides)
    for conflict in result.conflicts:
        for value in (conflict.base, conflict.mine, conflict.theirs):
            decided = LABELS.replace(result.document, conflict.path, value)
            assert same(LABELS.value_at(decided, conflict.path), value)
            others = [line for line in lines_of(result.document) if key(line) != conflict.path[:2]]
            assert others == [line for line in lines_of(decided) if key(line) != conflict.path[:2]]
