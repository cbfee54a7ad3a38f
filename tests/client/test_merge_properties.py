"""What holds for the merge of any documents: Hypothesis makes a base and edits it twice.

The documents are small and their names few, so that both sides often touch the same places.
"""

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.properties import examples
from walletsync.merge import MISSING, Item, Merged, Path, merge, replace, same, value_at

# The same examples in every run: a failure in CI is a failure at the desk.
thorough = examples(100)

KEYS = {"/*" * depth + "/items": "id" for depth in range(4)}

scalars = st.sampled_from([None, False, True, 0, 1, 0.0, -0.0, 1.0, "", "1", "a"])
ids = st.sampled_from([0, 1, True, 1.0, "1", None])
entries = st.dictionaries(st.sampled_from("abc"), scalars, max_size=3)


def keyed_lists(inside: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[Any]]:
    items = st.tuples(ids, inside).map(lambda item: {"id": item[0], **item[1]})
    return st.lists(items, max_size=5, unique_by=lambda item: Item("id", item["id"]))


def objects(inside: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    plain = st.dictionaries(st.sampled_from("abc"), inside, max_size=3)
    return st.tuples(plain, keyed_lists(plain)).map(lambda both: {**both[0], "items": both[1]})


values = st.one_of(scalars, entries, keyed_lists(entries), st.lists(scalars, max_size=3))
documents = objects(objects(entries) | values)


def edited(draw: st.DrawFn, value: Any) -> Any:
    """Return a copy of `value` in which some entries are changed, deleted, added or moved."""
    what = draw(st.sampled_from(["inside"] * 6 + ["keep"] * 2 + ["anew"]))
    if what == "anew":
        return draw(values)
    if what == "keep":
        return copy.deepcopy(value)
    if isinstance(value, dict):
        kept = [name for name in value if name == "id" or draw(st.integers(0, 4))]
        added: dict[str, Any] = draw(st.sampled_from([{}, {}, {"b": 1}, {"b": {"c": 1}}, {"d": [], "a": "1"}]))
        return {name: value[name] if name == "id" else edited(draw, value[name]) for name in kept} | added
    return edited_list(draw, value) if isinstance(value, list) else draw(scalars)


def edited_list(draw: st.DrawFn, items: list[Any]) -> list[Any]:
    kept = [edited(draw, item) for item in items if draw(st.integers(0, 4))]
    if draw(st.booleans()):
        kept.reverse()
    taken = {Item("id", item["id"]) for item in items if isinstance(item, dict)}
    # Now and then an item is added that is there already, so that a key is doubled.
    careless = not draw(st.integers(0, 9))
    added = draw(keyed_lists(entries)) if draw(st.booleans()) else []
    return kept + [item for item in added if careless or Item("id", item["id"]) not in taken]


@st.composite
def divergences(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    """Make a base, mine and theirs."""
    base = draw(documents)
    sides = [edited(draw, base) for _ in range(2)]
    mine, theirs = (side if isinstance(side, dict) else {"a": side} for side in sides)
    return base, mine, theirs


def told_apart(value: Any) -> bool:
    """Tell whether `value` is a list of objects, each with an id of its own."""
    if not isinstance(value, list) or not all(isinstance(item, dict) and "id" in item for item in value):
        return False
    if any(isinstance(item["id"], dict | list) for item in value):
        return False
    return len({Item("id", item["id"]) for item in value}) == len(value)


def has_key(path: Path) -> bool:
    """Tell whether KEYS have the place."""
    return path[-1:] == ("items",) and len(path) <= 4


def edits(base: Any, side: Any, other: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield what `side` made of `base`, at the leaves: (path, value), where MISSING is deleted.

    Written by the rules of the module's docstring, not by its code. `other` matters because a list
    is one value if its items cannot be told apart in any of the three.
    """
    if same(base, side):
        return
    if isinstance(side, dict) and side:
        old = base if isinstance(base, dict) else {}
        others = other if isinstance(other, dict) else {}
        for name in old | side:
            was, now, there = (value.get(name, MISSING) for value in (old, side, others))
            yield from edits(was, now, there, (*path, name))
        return
    olds = base if isinstance(base, list) else []
    if isinstance(side, list) and has_key(path) and all(map(told_apart, (olds, side, other))):
        for step in {Item("id", item["id"]): None for item in olds + side}:
            was, now, there = (value_at(items, (step,)) for items in (olds, side, other))
            yield from edits(was, now, there, (*path, step))
        return
    yield path, side


def holds(document: Any, path: Path, value: Any) -> bool:
    """Tell whether an edit is in a document. One that empties an object leaves room for additions."""
    found = value_at(document, path)
    return same(found, value) or (value == {} and isinstance(found, dict))


def in_conflict(merged: Merged[Any], path: Path) -> bool:
    return any(path[: len(conflict.path)] == conflict.path for conflict in merged.conflicts)


def three_way(base: Any, mine: Any, theirs: Any) -> Merged[Any]:
    return merge(base, mine, theirs, keys=KEYS)


def unordered(value: Any, path: Path = ()) -> Any:
    """Return `value` with the lists that merge by key in the order of their keys."""
    if isinstance(value, dict):
        return {name: unordered(entry, (*path, name)) for name, entry in value.items()}
    if has_key(path) and told_apart(value):
        items = [unordered(item, (*path, Item("id", item["id"]))) for item in value]
        return sorted(items, key=lambda item: json.dumps(item["id"]))
    return value


@thorough
@given(divergences())
def test_merging_with_itself_changes_nothing(sides: tuple[Any, Any, Any]) -> None:
    """What both sides have is the result, whatever the base was."""
    base, mine, _ = sides
    merged = three_way(base, mine, mine)
    assert repr(merged.document) == repr(mine)
    assert merged.conflicts == ()


@thorough
@given(divergences())
def test_a_side_that_changed_nothing_takes_the_other(sides: tuple[Any, Any, Any]) -> None:
    """If only one changed anything, its document is the result, to the order of every entry."""
    base, side, _ = sides
    for merged in (three_way(base, base, side), three_way(base, side, base)):
        assert same(merged.document, side)
        assert merged.conflicts == ()


@thorough
@given(divergences())
def test_every_edit_is_in_the_result_or_in_a_conflict(sides: tuple[Any, Any, Any]) -> None:
    """Nothing that either side did is lost."""
    base, mine, theirs = sides
    merged = three_way(base, mine, theirs)
    for side, other in ((mine, theirs), (theirs, mine)):
        for path, value in edits(base, side, other):
            assert holds(merged.document, path, value) or in_conflict(merged, path)


@thorough
@given(divergences())
def test_nothing_appears_that_nobody_made(sides: tuple[Any, Any, Any]) -> None:
    """Every difference between base and result is an edit of mine or of theirs."""
    base, mine, theirs = sides
    merged = three_way(base, mine, theirs)
    for path, value in edits(base, merged.document, merged.document):
        assert holds(mine, path, value) or holds(theirs, path, value) or in_conflict(merged, path)


@thorough
@given(divergences())
def test_in_a_conflict_the_document_has_theirs(sides: tuple[Any, Any, Any]) -> None:
    """Every device that merges ends with the same value in the shared document."""
    base, mine, theirs = sides
    merged = three_way(base, mine, theirs)
    for conflict in merged.conflicts:
        for side, value in zip(sides, (conflict.base, conflict.mine, conflict.theirs), strict=True):
            assert same(value_at(side, conflict.path), value)
        assert same(value_at(merged.document, conflict.path), conflict.theirs)


@thorough
@given(divergences())
def test_no_conflict_lies_inside_another(sides: tuple[Any, Any, Any]) -> None:
    """So they can be decided one by one, in any order."""
    paths = [conflict.path for conflict in three_way(*sides).conflicts]
    for one in paths:
        assert [path for path in paths if path[: len(one)] == one] == [one]


@thorough
@given(divergences())
def test_merging_does_not_change_its_arguments(sides: tuple[Any, Any, Any]) -> None:
    """All three stay as they were, to the order of every entry, even if the result is changed."""
    before = repr(sides)
    merged = three_way(*sides)
    vandalise(merged.document)
    for conflict in merged.conflicts:
        vandalise([conflict.base, conflict.mine, conflict.theirs])
    assert repr(sides) == before


def vandalise(value: Any) -> None:
    inside = list(value.values()) if isinstance(value, dict) else list(value)
    for entry in inside:
        if isinstance(entry, dict | list):
            vandalise(entry)
    value.clear()


@thorough
@given(divergences())
def test_the_other_device_finds_the_same_conflicts(sides: tuple[Any, Any, Any]) -> None:
    """With mine and theirs exchanged, the conflicts are at the same places, the other way round."""
    base, mine, theirs = sides
    here = {c.path: c for c in three_way(base, mine, theirs).conflicts}
    there = {c.path: c for c in three_way(base, theirs, mine).conflicts}
    assert here.keys() == there.keys()
    for path, conflict in here.items():
        assert same(conflict.mine, there[path].theirs)
        assert same(conflict.theirs, there[path].mine)
        assert same(conflict.base, there[path].base)


@thorough
@given(divergences())
def test_deciding_every_conflict_for_mine_gives_all_of_mine(sides: tuple[Any, Any, Any]) -> None:
    """No edit of mine is missing then, and theirs are still there outside the conflicts."""
    base, mine, theirs = sides
    merged = three_way(base, mine, theirs)
    decided = merged.document
    for conflict in merged.conflicts:
        decided = replace(decided, conflict.path, conflict.mine)
    for path, value in edits(base, mine, theirs):
        assert holds(decided, path, value)
    for path, value in edits(base, theirs, mine):
        assert holds(decided, path, value) or in_conflict(merged, path)


@thorough
@given(divergences())
def test_devices_converge_whoever_merges(sides: tuple[Any, Any, Any]) -> None:
    """Once the conflicts are decided alike, it does not matter which side was the first to post.

    Only the order of entries, and of lists that merge by key, is that of whoever posted first.
    """
    base, mine, theirs = sides
    here, there = three_way(base, mine, theirs), three_way(base, theirs, mine)
    decided = there.document
    for conflict in here.conflicts:
        decided = replace(decided, conflict.path, conflict.theirs)
    assert same(unordered(here.document), unordered(decided))


@thorough
@given(documents, documents, documents)
def test_entries_are_in_their_order_and_then_in_mine(base: Any, mine: Any, theirs: Any) -> None:
    """Where both have changed an object; nothing they have moves because of what I did."""
    assume(not same(base, theirs))
    merged = three_way(base, mine, theirs).document
    assert list(merged) == [name for name in theirs | mine if name in merged]


@thorough
@given(keyed_lists(entries), keyed_lists(entries), keyed_lists(entries))
def test_items_are_in_their_order_and_then_in_mine(base: Any, mine: Any, theirs: Any) -> None:
    """The same for a list that merges by key, unless only I have moved what was there before."""
    assume(not same(base, theirs))
    merged = three_way({"items": base}, {"items": mine}, {"items": theirs}).document["items"]
    found, old, ours, others = ([Item("id", item["id"]) for item in side] for side in (merged, base, mine, theirs))
    have_moved = [
        [each for each in side if each in old] != [each for each in old if each in side] for side in (ours, others)
    ]
    first, second = (ours, others) if have_moved == [True, False] else (others, ours)
    expected = first + [step for step in second if step not in first]
    assert found == [step for step in expected if step in found]


@thorough
@given(values, values)
def test_same_is_equality_of_sorted_json_text(a: Any, b: Any) -> None:
    """The text tells 1, 1.0, true and "1" apart as `same` does."""
    text_a, text_b = (json.dumps(value, sort_keys=True) for value in (a, b))
    assert same(a, b) is (text_a == text_b)
